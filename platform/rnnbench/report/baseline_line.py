"""A line in a figure at what the best method without a recurrent network reaches."""

from matplotlib.axes import Axes

from rnnbench.report.style import GREY
from rnnbench.report.tables import Comparison


def mark_baseline(axes: Axes, comparison: Comparison, *, vertical: bool) -> None:
    """Draws and names it, where there is one near what is drawn already; `vertical` where the metric is the horizontal axis."""
    if not comparison.baselines:
        return
    pick = max if comparison.task.metric.direction == "max" else min
    name, level = pick(comparison.baselines.items(), key=lambda item: item[1])
    # The interesting part is where the trials are: a baseline far from them is left to the table.
    low, high = axes.get_xlim() if vertical else axes.get_ylim()
    if not low - 0.5 * (high - low) <= level <= high + 0.5 * (high - low):
        return
    (axes.axvline if vertical else axes.axhline)(level, color=GREY, linewidth=1, linestyle=":")
    place = (level, 1.0) if vertical else (0.0, level)
    coordinates = ("data", "axes fraction") if vertical else ("axes fraction", "data")
    axes.annotate(name, place, xycoords=coordinates, xytext=(3, 3), textcoords="offset points", color=GREY, fontsize=8, va="bottom")
