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


def sweeps(measured: dict[str, Any]) -> str:
    """Seconds of a whole command, and how many times rnnbench's that is, with the lowest and highest."""
    found: list[str] = []
    for number, kinds in measured["trials"].items():
        found += [f"| {number} trials | seconds, each round | over rnnbench | mean best accuracy |", "|---|---|---|---|"]
        for kind, row in kinds.items():
            low, high = row["lowest_and_highest"]
            seconds = ", ".join(f"{value:.1f}" for value in row["seconds"])
            found.append(f"| {kind} | {seconds} | {row['over_ours']:.2f} ({low:.2f}-{high:.2f}) | {row['accuracy']:.3f} |")
        found.append("")
    return "\n".join(found)


def fused(measured: dict[str, Any]) -> str:
    """How many times faster the trials are together, with the lowest and highest."""
    rows: dict[str, dict[int, str]] = {}
    for row in measured["rows"]:
        rows.setdefault(row["cell"], {})[row["units"]] = f"{row['ratio']:.2f} ({row['lowest']:.2f}-{row['highest']:.2f})"
    units = sorted({size for cell in rows.values() for size in cell})
    lines = [f"| cell | {' | '.join(f'{size} units' for size in units)} |", f"|{'---|' * (len(units) + 1)}"]
    return "\n".join([*lines, *(f"| {cell} | {' | '.join(found[size] for size in units)} |" for cell, found in rows.items())])


def schedulers(measured: dict[str, Any]) -> str:
    """The best validation value of both searches, the difference with its interval, and the epochs that both took."""
    lines = ["| task | random search | ASHA | difference | epochs of random search | of ASHA |", "|---|---|---|---|---|---|"]
    for row in measured["rows"]:
        low, high = row["interval"]
        best = f"{row['random']:.4g} | {row['asha']:.4g} | {row['difference']:.2g} ({low:.2g} to {high:.2g})"
        lines.append(f"| {row['task']} | {best} | {row['epochs_of_random']:.0f} | {row['epochs_of_asha']:.0f} |")
    return "\n".join(lines)


def first(measured: dict[str, Any]) -> str:
    """Seconds of each task's first sweep and of a trial in it, and its best cell beside the best method without a recurrent network."""
    lines = ["| task | `rnnbench sweep` | seconds | trials | seconds a trial | best cell on the test split | without a recurrent network |"]
    lines.append(f"|{'---|' * 7}")
    for row in measured["rows"]:
        time = f"{row['seconds']:.0f} | {row['trials']} | {row['seconds_a_trial']:.1f}"
        name, level = row["baseline"] or ("-", None)
        floor = name if level is None else f"{level:.4g} ({name})"
        best = f"{row['best']}: {row['metric']} {row['cells'][row['best']]:.4g}"
        lines.append(f"| {row['task']} | {row['sweep']} | {time} | {best} | {floor} |")
    return "\n".join(lines)


def main() -> None:
    """Prints every table whose figures are there."""
    for name, table in (("cells", cells), ("sweep", sweeps), ("fused", fused), ("schedulers", schedulers), ("first", first)):
        path = RESULTS / f"{name}.json"
        if path.exists():
            print(table(json.loads(path.read_text())), end="\n\n")


if __name__ == "__main__":
    main()
