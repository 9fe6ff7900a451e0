"""What a better value costs: trials by weights and seconds of training, winners by the time they take to answer; what no other beats."""

import statistics as plain
from collections.abc import Callable, Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnnbench.base.names import listed
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


def find_unbeaten(points: Sequence[Sequence[float]]) -> list[int]:
    """Places of the points, higher is better in each part, that no other equals in every part and beats in one."""

    def beats(other: Sequence[float], point: Sequence[float]) -> bool:
        return all(theirs >= own for theirs, own in zip(other, point, strict=True)) and tuple(other) != tuple(point)

    return [place for place, point in enumerate(points) if not any(beats(other, point) for other in points)]


def draw_tradeoffs(comparison: Comparison, prefix: str) -> Picture | None:
    """Weights, seconds of an epoch and time to answer against the metric; None where neither weights nor that time differ.

    Seconds are left out where trials ran on several machines: they are only compared on one.
    """
    rows = [row for row in comparison.rows if row.completed]
    winners = [row for row in rows if row.cell in comparison.latencies] if len(comparison.latencies) > 1 else []
    weights = {trial.outcome.get("num_parameters") for row in rows for trial in row.completed}
    sized = None not in weights and len(weights) > 1
    if not sized and not winners:
        return None
    timed = comparison.timed and all(_epoch_s(trial) for row in rows for trial in row.completed)
    sign, title = sign_of(comparison.task), comparison.task.metric.title
    with mpl.rc_context(RC):
        figure = Figure(figsize=(7.2, 3.3), layout="constrained")
        panels = list(figure.subplots(1, sized + timed + bool(winners), sharey=True, squeeze=False)[0])
        panels[0].set_ylabel(f"validation {axis_title(comparison.task.metric)}")
        caption = f"Best validation {title} of every completed trial against what it costs; "
        alt: list[str] = []
        if sized:
            front = _panel(panels[0], rows, sign, _weights)
            panels.pop(0).set_xlabel("weights")
            said = "; ".join(f"{trial.cell} with {_weights(trial):.0f} weights {value(trial):.4g}" for trial in front)
            alt.append(f"the front by weights: {said}")
        if timed:
            _panel(panels[0], rows, sign, _epoch_s)
            panels.pop(0).set_xlabel("seconds of training an epoch")
        if winners:
            said = _winners(panels[0], comparison, winners, sign)
            panels[0].set_xlabel("ms to answer one sequence")
            caption += f"hollow, every seed of each winner against the time it takes to answer; {said} "
            alt.append(", ".join(f"{row.cell} answers in {comparison.latencies[row.cell].one_ms:.4g} ms" for row in winners))
        name_cells(figure, [row.cell for row in rows])
        caption += "the line joins those that no other beats on both."
        return draw(figure, f"{prefix}-tradeoffs", caption, "; ".join(alt))


def _winners(axes: Axes, comparison: Comparison, rows: Sequence[Summary], sign: float) -> str:
    """Draws the seeds of each winner and the front of their means; says which of them no other beats in value, weights and time."""
    costs = [comparison.latencies[row.cell].one_ms for row in rows]
    means = [plain.fmean(map(value, row.winner)) for row in rows]
    front = find_front(costs, [sign * mean for mean in means])
    axes.step([costs[place] for place in front], [means[place] for place in front], where="post", color=GREY, linewidth=1.5, zorder=1)
    for row in rows:
        spots = [(float(trial.outcome["latency"]["one_ms"]), value(trial)) for trial in row.winner]
        scatter(axes, spots, [trial.key for trial in row.winner], look_of(row.cell, hollow=True))
    mark_log(axes, narrow=True)
    points = [(sign * mean, -cost, -_weights(row.winner[0])) for row, mean, cost in zip(rows, means, costs, strict=True)]
    best = [rows[place].cell for place in find_unbeaten(points)]
    return f"on the Pareto front of value, weights and that time together: {listed(best)};"


def _panel(axes: Axes, rows: Sequence[Summary], sign: float, cost: Callable[[TrialRecord], float]) -> list[TrialRecord]:
    """Draws every trial and the front, which it returns."""
    trials = [trial for row in rows for trial in row.completed]
    front = [trials[place] for place in find_front([cost(trial) for trial in trials], [sign * value(trial) for trial in trials])]
    axes.step([cost(trial) for trial in front], [value(trial) for trial in front], where="post", color=GREY, linewidth=1.5, zorder=1)
    for row in rows:
        scatter(axes, [(cost(trial), value(trial)) for trial in row.completed], [trial.key for trial in row.completed], look_of(row.cell))
    mark_log(axes, narrow=True)
    return front


def _weights(trial: TrialRecord) -> float:
    return float(trial.outcome["num_parameters"])


def _epoch_s(trial: TrialRecord) -> float:
    """Mean seconds of an epoch; 0 where they are not known."""
    epochs = trial.outcome.get("epochs")
    return trial.wall_s / epochs if trial.wall_s and epochs else 0.0
