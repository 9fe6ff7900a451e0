"""Tables of docs/performance.md from what the benchmarks printed. Run: python benchmarks/tables.py > tables.md."""

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def cells(measured: dict[str, Any]) -> str:
    """Each cell's time over torch.nn.LSTM's, with quartiles, for every size; and what is kept at 128 units."""
    found = {(one["cell"], one["steps"], one["units"]): one for one in measured["timings"]}
    sizes = sorted({(steps, units) for _, steps, units in found})
    lengths = sorted({steps for steps, _ in sizes})
    titles = [f"T={steps}, {units} units" for steps, units in sizes] + [f"MB, T={steps}" for steps in lengths]
    lines = [f"| cell | {' | '.join(titles)} |", f"|{'---|' * (len(titles) + 1)}"]
    for name in dict.fromkeys(name for name, _, _ in found):
        row = []
        for steps, units in sizes:
            one = found[name, steps, units]
            is_reference = name == "torch.nn.LSTM"
            row.append(
                f"{one['total_ms']:.1f} ms" if is_reference else f"{one['ratio']:.2f} ({one['ratio_low']:.2f}-{one['ratio_high']:.2f})"
            )
        row += [f"{found[name, steps, 128]['memory_mb']:.1f}" for steps in lengths]
        lines.append(f"| {name} | {' | '.join(row)} |")
    return "\n".join(lines)


def main() -> None:
    """Prints every table whose figures are there."""
    print(cells(json.loads((RESULTS / "cells.json").read_text())))


if __name__ == "__main__":
    main()
