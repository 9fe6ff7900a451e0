"""docs/cells.md from the cells themselves: `python -m rnnbench.cells.document benchmarks/results/cells.json > docs/cells.md`. No torch."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rnnbench.cells.entry import CellEntry
from rnnbench.cells.table import CELLS

INPUTS, UNITS = 32, 64
_FUNCTIONS = {"tanh": r"\tanh", "logsig": r"\log\sigma", "exp": r"\exp", "max": r"\max", "sqrt": r"\mathrm{sqrt}", "relu": r"\mathrm{relu}"}
_GREEK = ("lambda", "gamma", "theta", "phi", "nu")
_WORD = re.compile(r"[A-Za-z]{3,}")

HEAD = """# Cells

Generated from the cells themselves by `make docs`; a test holds it in step. In the equations s is the logistic sigmoid, $\\odot$ the
elementwise product, $v_{{t-1}}$ the last step's value, W weights on the input x, R recurrent weights.

Counts are for one layer with {inputs} inputs and {units} units. Time is forward and backward over that of `torch.nn.LSTM` of the same
size, medians of interleaved rounds, for batch {batch} and {steps} steps, on {processor} with {threads} thread, torch {torch};
[performance.md](performance.md) has the rest. FLOPs are those of the matrix products of one row and one step forward.
"""


def render(entries: Sequence[CellEntry], measured: Mapping[str, Any]) -> str:
    """The document, from the table of cells and what `rnnbench bench cells --json` printed."""
    machine, timings = measured["machine"], measured["timings"]
    steps = max(timing["steps"] for timing in timings)
    sizes = sorted({timing["units"] for timing in timings})
    ratios = {(one["cell"], one["units"]): one["ratio"] for one in timings if one["steps"] == steps and one["form"] == "cell"}
    head = HEAD.format(
        inputs=INPUTS, units=UNITS, batch=timings[0]["batch"], steps=steps, processor=machine["processor"],
        threads=machine["threads"], torch=machine["torch"],
    )  # fmt: skip
    lines = [head, "| cell | what it is | parameters | FLOPs | " + " | ".join(f"time, {size} units" for size in sizes) + " |"]
    lines.append("|---|---|---|---|" + "---|" * len(sizes))
    for entry in entries:
        count, flops = entry.num_parameters(INPUTS, UNITS), entry.flops_per_step(INPUTS, UNITS)
        times = " | ".join(f"{ratios[entry.name, size]:.2f}" if (entry.name, size) in ratios else "" for size in sizes)
        lines.append(f"| [`{entry.name}`](#{entry.name}) | {entry.summary} | {count} | {flops} | {times} |")
    return "\n".join(lines) + "\n" + "".join(_section(entry) for entry in entries)


def _section(entry: CellEntry) -> str:
    lines = [f"\n## {entry.name}\n", f"{entry.summary[0].upper()}{entry.summary[1:]}. {entry.citation}.\n"]
    lines += [f"$${_latex(equation)}$$\n" if _is_formula(equation) else f"`{equation}`\n" for equation in entry.equations]
    states = ", ".join(entry.state_names)
    lines.append(f"States: {states}. Computed by: {entry.fast_form}.\n")
    lines += [f"- `{one.name}`: {one.help}; {one.allowed()}, default {one.default}\n" for one in entry.parameters]
    return "\n".join(lines)


def _is_formula(equation: str) -> bool:
    """Whether it has no words."""
    return all(word in _FUNCTIONS or word in _GREEK for word in _WORD.findall(equation))


def _latex(equation: str) -> str:
    """The table's plain notation as LaTeX."""
    text = re.sub(r"\b([A-Za-z])~", r"\\tilde{\1}", equation)
    text = re.sub(r"\b([A-Za-z])-(?=[\s),]|$)", r"\1_{t-1}", text)
    text = re.sub(r"_([A-Za-z0-9]{2,})", r"_{\1}", text)
    text = re.sub(r"\bs\(", r"\\sigma(", text)
    text = re.sub(r"\^\(([^)]*)\)", r"^{\1}", text)
    for name, latex in _FUNCTIONS.items():
        text = re.sub(rf"\b{name}\b", latex.replace("\\", r"\\"), text)
    for name in _GREEK:
        text = re.sub(rf"\b{name}\b", rf"\\{name}", text)
    return text.replace(" * ", r" \odot ")


if __name__ == "__main__":
    sys.stdout.write(render(CELLS, json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
