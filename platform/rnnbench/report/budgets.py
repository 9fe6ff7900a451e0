"""What a smaller search would have found: the expected best of n trials, with a band, and the budgets at which two cells change places.

Source: Dodge et al. 2019, arXiv:1909.03004. Holds for independent draws alone: never for grids, TPE, or trials that were stopped early.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnbench.base.errors import InputError
from rnnbench.report.statistics import TAILS

RESAMPLES = 2000
# Values of a bootstrap that are held at once.
MAX_DRAWN = 500_000
# Budgets of a curve that has more draws than that.
MAX_POINTS = 60

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """The expected best of each budget.

    Attributes:
        num_draws: Budgets in trials, ascending from 1 to the number of trials.
        expected: The expected best value of so many trials.
        low, high: 95 % band by the percentile bootstrap over trials.
        seconds: Mean wall clock of a trial; None where it is not known.
    """

    num_draws: Sequence[int]
    expected: Floats
    low: Floats
    high: Floats
    seconds: float | None = None


def expected_best(values: Sequence[float], num_draws: int, *, maximize: bool) -> float:
    """Expected best value of `num_draws` independent trials, drawn with replacement from these.

    Args:
        values: Of finished trials of a random search.
        num_draws: From 1 (gives the mean) to len(values): nothing is extrapolated.
    Raises:
        InputError: `num_draws` is outside that range.
    """
    if not 1 <= num_draws <= len(values):
        raise InputError(f"num_draws is {num_draws}, must be 1..{len(values)}: run more trials or ask for fewer draws")
    ordered = np.sort(np.asarray(values, dtype=float))
    weights = _weights(len(values), [num_draws])
    return float((weights @ (ordered if maximize else ordered[::-1]))[0])


def find_curve(values: Sequence[float], *, maximize: bool, seconds: float | None = None, seed: int = 0) -> Curve | None:
    """The curve of a search; None below three trials, of which no band could be said."""
    total = len(values)
    if total < 3:
        return None
    budgets = sorted({round(number) for number in np.geomspace(1, total, min(total, MAX_POINTS))})
    weights, sample = _weights(total, budgets), np.asarray(values, dtype=float)
    rng, part = np.random.default_rng(seed), max(1, MAX_DRAWN // total)
    sizes = [min(part, RESAMPLES - start) for start in range(0, RESAMPLES, part)]
    drawn = np.concatenate([_ordered(rng.choice(sample, size=(size, total)), maximize=maximize) @ weights.T for size in sizes])
    low, high = np.quantile(drawn, TAILS, axis=0)
    return Curve(budgets, weights @ _ordered(sample, maximize=maximize), low, high, seconds)


def find_crossings(one: Curve, other: Curve, *, maximize: bool) -> list[tuple[int, int]]:
    """Where the better of two curves changes: the budget from which on, and 0 or 1 for which of them is then better.

    The first entry says who is better at the smallest budget. Both are compared up to the shorter one's end.
    """
    most = min(one.num_draws[-1], other.num_draws[-1])
    budgets = [number for number in range(1, most + 1) if number in set(one.num_draws) | set(other.num_draws)]
    gap = np.interp(budgets, one.num_draws, one.expected) - np.interp(budgets, other.num_draws, other.expected)
    leads = np.sign(gap if maximize else -gap)
    found: list[tuple[int, int]] = []
    for number, lead in zip(budgets, leads, strict=True):
        better = 0 if lead > 0 else 1
        if lead and (not found or found[-1][1] != better):
            found.append((number, better))
    return found


def _ordered(values: Floats, *, maximize: bool) -> Floats:
    """The worst first."""
    ascending: Floats = np.sort(values, axis=-1)
    return ascending if maximize else ascending[..., ::-1]


def _weights(total: int, budgets: Sequence[int]) -> Floats:
    """The chance that the i-th worst of all is the best of n, (budgets, total): (i/N)^n - ((i-1)/N)^n."""
    share: Any = np.arange(total + 1) / total
    powers: Floats = share[None, :] ** np.asarray(budgets, dtype=float)[:, None]
    return np.diff(powers, axis=1)
