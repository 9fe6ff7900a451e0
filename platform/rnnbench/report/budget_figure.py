"""What smaller searches would have found: the expected best against trials, seconds and FLOPs."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnnbench.base.names import listed
from rnnbench.report.budgets import UNITS, Unit
from rnnbench.report.style import Picture, colour_of, draw, label_ends, mark_log, marker_of, name_cells
from rnnbench.report.tables import Comparison
from rnnbench.report.words import axis_title, number

TITLES: dict[Unit, str] = {"trials": "search trials", "seconds": "seconds of search", "flops": "FLOPs of search"}


def draw_budgets(comparison: Comparison, prefix: str) -> Picture:
    """A panel for each unit that is known of all cells' trials; of seconds, where all ran on one machine."""
    curves = {row.cell: row.budget for row in comparison.rows if row.budget}
    units = [unit for unit in UNITS if all(curve.cost_of_trial(unit) for curve in curves.values())]
    if not comparison.timed and "seconds" in units:
        units.remove("seconds")
    figure = Figure(figsize=(7.2, 3.4), layout="constrained")
    panels = figure.subplots(1, len(units), sharey=True, squeeze=False)[0]
    for axes, unit in zip(panels, units, strict=True):
        _panel(axes, comparison, unit)
        mark_log(axes, narrow=len(units) > 1)
        axes.set_xlabel(TITLES[unit])
    ends = [(cell, float(curve.num_draws[-1]), float(curve.expected[-1])) for cell, curve in curves.items()]
    if len(units) == 1:
        label_ends(panels[0], ends)
    else:
        name_cells(figure, list(curves))
    metric = comparison.task.metric
    panels[0].set_ylabel(f"best {axis_title(metric)}")
    caption = (
        f"Expected best validation {metric.title} of a search of so many trials (Dodge et al. 2019), "
        "with a 95 % band by the bootstrap over trials: where two curves cross, the better cell depends on the budget."
    )
    if len(units) > 1:
        caption += " Seconds and FLOPs are those of so many trials at the cell's mean cost."
    if not comparison.timed:
        caption += f" Not against seconds: the trials ran on {listed(comparison.machines)}."
    alt = "; ".join(f"{cell}: {number(y)} expected of {x:.0f} trials" for cell, x, y in ends)
    return draw(figure, f"{prefix}-budgets", caption, alt)


def _panel(axes: Axes, comparison: Comparison, unit: Unit) -> None:
    for row in comparison.rows:
        if row.budget is None:
            continue
        curve, colour, x = row.budget, colour_of(row.cell), row.budget.budgets(unit)
        axes.fill_between(x, curve.low, curve.high, color=colour, alpha=0.15, linewidth=0)
        every = max(1, len(x) // 8)
        axes.plot(x, curve.expected, color=colour, linewidth=2, marker=marker_of(row.cell), markevery=every, markersize=4)
