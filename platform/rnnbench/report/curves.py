"""The curves of trials over epochs, as arrays."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rnnbench.ledger.histories import History
from rnnbench.ledger.records import EpochRecord, TrialRecord

Epochs = Mapping[str, Sequence[EpochRecord]]
Floats = NDArray[np.float64]


def read_curve(epochs: Sequence[EpochRecord], metric: str) -> Floats:
    """A metric of each epoch; NaN where an epoch does not have it."""
    return np.array(History.of(epochs).values(metric), dtype=np.float64)


def read_walls(epochs: Sequence[EpochRecord]) -> Floats:
    """Seconds from the trial's start to the end of each epoch."""
    return np.array(History.of(epochs).walls(), dtype=np.float64)


def best_so_far(values: Floats, sign: float) -> Floats:
    """The best value up to each epoch, along the last axis; `sign` is 1 where higher is better, else -1."""
    found: Floats = sign * np.fmax.accumulate(sign * values, axis=-1)
    return found


def stack_at(curves: Sequence[Floats], walls: Sequence[Floats], at_s: Floats) -> Floats:
    """What each curve was at some seconds after its trial began, (curves, times): NaN before its first epoch, its last value at the end."""
    found = np.full((len(curves), len(at_s)), np.nan)
    for row, curve, wall in zip(found, curves, walls, strict=True):
        place = np.searchsorted(wall, at_s, side="right") - 1
        row[place >= 0] = curve[place[place >= 0]]
    return found


def stack_best(trials: Iterable[TrialRecord], epochs: Epochs, metric: str, sign: float, longest: int | None = None) -> Floats:
    """The best value so far of each trial that has epochs, (trials, epochs); one that ended earlier keeps its last.

    Args:
        longest: Epochs that are wanted; all of the longest trial's where it is None.
    """
    curves = [best_so_far(read_curve(epochs[trial.key], metric), sign) for trial in trials if epochs.get(trial.key)]
    width = longest or max(map(len, curves), default=0)
    found = np.full((len(curves), width), np.nan)
    for row, curve in zip(found, curves, strict=True):
        row[: len(curve)] = curve[:width]
        row[len(curve) :] = curve[-1]
    return found
