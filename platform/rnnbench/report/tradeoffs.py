"""What a better value costs: trials by weights and by seconds, with those that no other beats on both."""

from collections.abc import Callable, Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnnbench.ledger.records import TrialRecord
from rnnbench.report.style import GREY, RC, Picture, draw, look_of, mark_log, name_cells, scatter
from rnnbench.report.tables import Comparison, Summary, sign_of, value
from rnnbench.report.words import axis_title


def find_front(costs: Sequence[float], goods: Sequence[float]) -> list[int]:
    """Places of the Pareto front, cheapest first: no other is at least as good at no more cost and better in one of them."""
    front: list[int] = []
    for place in sorted(range(len(costs)), key=lambda one: (costs[one], -goods[one])):
        if not front or goods[place] > goods[front[-1]]:
            front.append(place)
    return front


def draw_tradeoffs(comparison: Comparison, prefix: str) -> Picture | None:
    """Weights and seconds of an epoch against the metric; None where trials do not differ in weights.

    Seconds are left out where trials ran on several machines: they are only compared on one.
    """
    rows = [row for row in comparison.rows if row.completed]
    weights = {trial.outcome.get("num_parameters") for row in rows for trial in row.completed}
    if None in weights or len(weights) < 2:
        return None
    timed = comparison.timed and all(_epoch_s(trial) for row in rows for trial in row.completed)
    with mpl.rc_context(RC):
        figure = Figure(figsize=(7.2, 3.3), layout="constrained")
        panels = figure.subplots(1, 1 + timed, sharey=True, squeeze=False)[0]
        front = _panel(panels[0], rows, sign_of(comparison.task), _weights)
        panels[0].set_xlabel("weights")
        panels[0].set_ylabel(f"validation {axis_title(comparison.task.metric)}")
        if timed:
            _panel(panels[1], rows, sign_of(comparison.task), _epoch_s)
            panels[1].set_xlabel("seconds an epoch")
        name_cells(figure, [row.cell for row in rows])
        title = comparison.task.metric.title
        caption = (
            f"Best validation {title} of every completed trial against what it costs; the line joins those that no other beats on both."
        )
        alt = "; ".join(f"{trial.cell} with {_weights(trial):.0f} weights {value(trial):.4g}" for trial in front)
        return draw(figure, f"{prefix}-tradeoffs", caption, f"the front by weights: {alt}")


def _panel(axes: Axes, rows: Sequence[Summary], sign: float, cost: Callable[[TrialRecord], float]) -> list[TrialRecord]:
    """Draws every trial and the front, which it returns."""
    trials = [trial for row in rows for trial in row.completed]
    front = [trials[place] for place in find_front([cost(trial) for trial in trials], [sign * value(trial) for trial in trials])]
    axes.step([cost(trial) for trial in front], [value(trial) for trial in front], where="post", color=GREY, linewidth=1.5, zorder=1)
    for row in rows:
        scatter(axes, [(cost(trial), value(trial)) for trial in row.completed], [trial.key for trial in row.completed], look_of(row.cell))
    mark_log(axes)
    return front


def _weights(trial: TrialRecord) -> float:
    return float(trial.outcome["num_parameters"])


def _epoch_s(trial: TrialRecord) -> float:
    """Mean seconds of an epoch; 0 where they are not known."""
    epochs = trial.outcome.get("epochs")
    return trial.wall_s / epochs if trial.wall_s and epochs else 0.0
