"""How steady training was: clipped and exploding steps, how far the last epochs lie from the best, and when the final order was there."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnbench.base.parameters import Value
from rnnbench.ledger.records import Status, TrialRecord
from rnnbench.report.curves import Epochs, Floats, best_so_far, read_curve, stack_best
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
    """

    count: int
    epochs: tuple[int, ...]
    tau: tuple[float | None, ...]


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


def kendall(one: Floats, other: Floats) -> float | None:
    """Kendall's tau-b; None where all values of one are equal.

    Discordant pairs are counted bit by bit of the ranks, in n log n steps: an order of thousands is compared at every epoch.
    Source: Knight 1966; ties as Kendall 1945.
    """
    firsts, seconds = (np.unique(values, return_inverse=True)[1] for values in (one, other))
    total = len(one)
    tied_one, tied_other = _pairs(np.bincount(firsts)), _pairs(np.bincount(seconds))
    tied_both = _pairs(np.unique(firsts * total + seconds, return_counts=True)[1])
    pairs = total * (total - 1) // 2
    if pairs in (tied_one, tied_other):
        return None
    # Of a tie in the first the seconds ascend, so that it counts as no inversion.
    discordant = _inversions(seconds[np.lexsort((seconds, firsts))])
    concordant = pairs - tied_one - tied_other + tied_both - discordant
    # Integers of Python: the product of two numbers of pairs leaves 64 bits.
    return float((concordant - discordant) / (float(pairs - tied_one) * float(pairs - tied_other)) ** 0.5)


def _pairs(counts: NDArray[np.int64]) -> int:
    return int(np.sum(counts * (counts - 1) // 2))


def _inversions(ranks: NDArray[np.int64]) -> int:
    """Pairs in which the earlier is larger: each is decided by one bit, among ranks that agree in all higher bits."""
    found, order = 0, ranks
    for bit in reversed(range(int(ranks.max()).bit_length())):
        is_one = (order >> bit) & 1
        above = order >> (bit + 1)
        starts = np.flatnonzero(np.r_[True, above[1:] != above[:-1]])
        ones = np.cumsum(is_one)
        before = (ones - is_one)[starts]
        group = np.cumsum(np.r_[0, above[1:] != above[:-1]])
        found += int(np.sum((ones - before[group])[is_one == 0]))
        order = order[np.argsort(order >> bit, kind="stable")]
    return found


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
    tau = [kendall(curves[:, epoch - 1], curves[:, -1]) for epoch in at]
    if all(one is None for one in tau):
        return None
    return Order(len(curves), tuple(at), tuple(tau))


def settled_after(order: Order, level: float = 0.9) -> int | None:
    """The first of the epochs from which on tau stays at or above a level; None where it only is at the end."""
    good = [tau is not None and tau >= level for tau in order.tau]
    first = next((epoch for epoch, place in zip(order.epochs, range(len(good)), strict=True) if all(good[place:])), None)
    return first if first is not None and first < order.epochs[-1] else None
