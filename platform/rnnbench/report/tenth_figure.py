"""The best tenth of each cell's search as boxes."""

import statistics

from matplotlib.figure import Figure

from rnnbench.report.pairs import find_samples
from rnnbench.report.style import Picture, colour_of, draw
from rnnbench.report.tables import Comparison
from rnnbench.report.words import axis_title, number


def draw_tenths(comparison: Comparison, prefix: str) -> Picture | None:
    """A box for each cell, the best on top; None where fewer than two cells have one."""
    tenths = find_samples(comparison)["best tenth"]
    if len(tenths) < 2:
        return None
    metric = comparison.task.metric
    better = max if metric.direction == "max" else min
    middles = {cell: statistics.median(best) for cell, best in tenths.items()}
    cells = sorted(tenths, key=lambda cell: middles[cell], reverse=better is min)
    figure = Figure(figsize=(7.2, 1.1 + 0.36 * len(cells)))
    axes = figure.add_subplot()
    boxes = axes.boxplot(
        [tenths[cell] for cell in cells], orientation="horizontal", widths=0.55, whis=(0, 100), patch_artist=True, showfliers=False
    )
    for cell, box, middle in zip(cells, boxes["boxes"], boxes["medians"], strict=True):
        box.set(facecolor=colour_of(cell), alpha=0.55, linewidth=0)
        middle.set(color=colour_of(cell), linewidth=2.5)
    axes.set_yticks(range(1, len(cells) + 1), cells)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(f"{axis_title(metric)}, {'higher' if metric.direction == 'max' else 'lower'} is better")
    counts = sorted({len(best) for best in tenths.values()})
    size = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    caption = (
        f"The best tenth of each cell's draws ({size} trials) by best validation {metric.title}: median, the middle half, and the whole "
        "range. It compares what good settings reach, not what a setting reaches with another seed."
    )
    alt = "; ".join(f"{cell}: median {number(middles[cell])}, best {number(better(tenths[cell]))}" for cell in reversed(cells))
    return draw(figure, f"{prefix}-tenths", caption, alt)
