"""How steady training was: clipped and exploding steps, how far the last epochs lie from the best, and when the final order was there."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnbench.base.parameters import Value
from rnnbench.ledger.records import Status, TrialRecord
from rnnbench.report.curves import Epochs, Floats, best_so_far, read_curve, stack_best
from rnnbench.report.kendall import find_tau
from rnnbench.report.statistics import Interval, bootstrap_iqm, bootstrap_mean
from rnnbench.report.tables import Comparison, Summary, sign_of, value

CLIPS = ("training.clip_norm", "training.clip_value")
# An epoch explodes whose mean gradient norm is not finite, or so many times the median of its trial's epochs.
EXPLODES = 10.0
# Epochs below which a trial has no usual gradient, and no last epochs apart from its first.
LEAST_EPOCHS = 5
# The last epochs are this share of all, and at least so many.
TAIL_SHARE, LEAST_TAIL = 0.2, 3
# Trials below which an order says nothing, and cells.
LEAST_RANKED, LEAST_CELLS = 10, 3
# Epochs at which orders are compared.
MOST_POINTS = 25


@dataclass(frozen=True)
class Steadiness:
    """One cell's training; each value is None where fewer than three trials tell it.

    Attributes:
        clipped: Mean over trials of the share of epochs in which a step was clipped; None too where nothing clips.
        exploding: The same of epochs whose gradient exploded (EXPLODES).
        settled: Interquartile mean over trials of the root mean square distance of the last epochs' metric from the trial's best, in the
            metric's unit. Of trials that no scheduler stopped.
    """

    clipped: Interval | None
    exploding: Interval | None
    settled: Interval | None


@dataclass(frozen=True)
class Order:
    """Kendall's tau-b between the order after so many epochs and the final one.

    Attributes:
        count: Trials, or cells, that were ordered.
        tau: Of each of `epochs`; None where one of both orders has nothing but ties.
        low, high: Its 95 % interval, see `kendall.Tau`.
    """

    count: int
    epochs: tuple[int, ...]
    tau: tuple[float | None, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]


def find_steadiness(row: Summary, epochs: Epochs) -> Steadiness:
    """Of a cell's search trials."""
    told = [trial for trial in row.searched if trial.status in (Status.COMPLETED, Status.DIVERGED) and epochs.get(trial.key)]
    clipped = [
        float(np.mean(read_curve(epochs[trial.key], "clipped_share") > 0)) for trial in told if _clips(row.given[trial.key])
    ]  # fmt: skip
    long = [trial for trial in told if len(epochs[trial.key]) >= LEAST_EPOCHS]
    exploding = [float(np.mean(find_exploding(read_curve(epochs[trial.key], "grad_norm")))) for trial in long]
    whole = [trial for trial in long if trial.status == Status.COMPLETED and trial.stopped_at is None]
    distances = [find_distance(read_curve(epochs[trial.key], row.task.metric.name), sign_of(row.task)) for trial in whole]
    return Steadiness(bootstrap_mean(clipped), bootstrap_mean(exploding), bootstrap_iqm([one for one in distances if np.isfinite(one)]))


def find_exploding(norms: Floats) -> NDArray[np.bool_]:
    """Which epochs' mean gradient norm is not finite or more than EXPLODES times the median of the finite ones."""
    finite = np.isfinite(norms)
    usual = float(np.median(norms[finite])) if finite.any() else 0.0
    found: NDArray[np.bool_] = ~finite | (norms > EXPLODES * usual)
    return found


def find_distance(values: Floats, sign: float) -> float:
    """Root mean square distance of the last epochs from the best of all."""
    tail = values[-max(LEAST_TAIL, round(TAIL_SHARE * len(values))) :]
    return float(np.sqrt(np.mean((best_so_far(values, sign)[-1] - tail) ** 2)))


def order_trials(row: Summary, epochs: Epochs) -> Order | None:
    """When a cell's trials stood in their final order, by best value so far; of those that no scheduler stopped."""
    curves = stack_best(_whole(row), epochs, row.task.metric.name, sign_of(row.task))
    return _order(curves, LEAST_RANKED)


def order_cells(comparison: Comparison, epochs: Epochs) -> Order | None:
    """The same of the cells, by the median of their trials; None with fewer than three, or where a scheduler stopped trials."""
    if any(row.num_stopped for row in comparison.rows):
        return None
    metric, sign = comparison.task.metric.name, sign_of(comparison.task)
    curves = [stack_best(_whole(row), epochs, metric, sign) for row in comparison.rows]
    longest = max((curve.shape[1] for curve in curves), default=0)
    medians = [
        np.median(np.pad(curve, ((0, 0), (0, longest - curve.shape[1])), mode="edge"), axis=0) for curve in curves if curve.size
    ]  # fmt: skip
    return _order(np.array(medians), LEAST_CELLS)


def _clips(parameters: Mapping[str, Value]) -> bool:
    return any(parameters.get(name) is not None for name in CLIPS)


def _whole(row: Summary) -> list[TrialRecord]:
    return [trial for trial in row.completed if trial.stopped_at is None and np.isfinite(value(trial))]


def _order(curves: Floats, least: int) -> Order | None:
    """Rows without a value at some epoch are left out."""
    curves = curves[~np.isnan(curves).any(axis=1)] if curves.size else curves
    if len(curves) < least or curves.shape[1] < 2:
        return None
    at = sorted({round(epoch) for epoch in np.geomspace(1, curves.shape[1], min(MOST_POINTS, curves.shape[1]))})
    found = [find_tau(curves[:, epoch - 1], curves[:, -1]) for epoch in at]
    if all(one.value is None for one in found):
        return None
    tau, low, high = zip(*((one.value, one.low, one.high) for one in found), strict=True)
    return Order(len(curves), tuple(at), tau, low, high)


def settled_after(order: Order, level: float = 0.9) -> int | None:
    """The first of the epochs from which on tau stays at or above a level; None where it only is at the end."""
    good = [tau is not None and tau >= level for tau in order.tau]
    first = next((epoch for epoch, place in zip(order.epochs, range(len(good)), strict=True) if all(good[place:])), None)
    return first if first is not None and first < order.epochs[-1] else None
