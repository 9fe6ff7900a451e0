"""What a smaller search would have found: the expected best of n trials, with a band, and the budgets at which two cells change places.

Source: Dodge et al. 2019, arXiv:1909.03004; as there, a budget in seconds or FLOPs is that of n trials of mean cost. Holds for independent
draws alone: never for grids, TPE, or trials that were stopped early.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rnnbench.base.errors import InputError
from rnnbench.report.statistics import TAILS, part_sizes

RESAMPLES = 2000
# Values of a bootstrap that are held at once.
MAX_DRAWN = 500_000
# Budgets of a curve that has more draws than that.
MAX_POINTS = 60

Floats = NDArray[np.float64]
# What a budget is counted in.
Unit = Literal["trials", "seconds", "flops"]
UNITS: tuple[Unit, ...] = ("trials", "seconds", "flops")


@dataclass(frozen=True)
class Curve:
    """The expected best of each budget.

    Attributes:
        num_draws: Budgets in trials, ascending from 1 to the number of trials.
        expected: The expected best value of so many trials.
        low, high: 95 % band by the percentile bootstrap over trials.
        costs: Mean seconds and FLOPs of a trial, those that are known.
    """

    num_draws: Sequence[int]
    expected: Floats
    low: Floats
    high: Floats
    costs: Mapping[Unit, float] = field(default_factory=dict)

    def cost_of_trial(self, unit: Unit) -> float | None:
        """Mean cost of a trial; of trials 1, None where it is not known."""
        return 1.0 if unit == "trials" else self.costs.get(unit)

    def budgets(self, unit: Unit) -> Floats:
        """The budgets in a unit whose cost is known."""
        cost = self.cost_of_trial(unit)
        assert cost is not None, "asked before"
        return cost * np.asarray(self.num_draws, dtype=float)


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


def find_curve(values: Sequence[float], *, maximize: bool, costs: Mapping[Unit, float] | None = None, seed: int = 0) -> Curve | None:
    """The curve of a search; None below three trials, of which no band could be said."""
    total = len(values)
    if total < 3:
        return None
    budgets = sorted({round(number) for number in np.geomspace(1, total, min(total, MAX_POINTS))})
    weights, sample = _weights(total, budgets), np.asarray(values, dtype=float)
    rng, sizes = np.random.default_rng(seed), part_sizes(total, RESAMPLES, MAX_DRAWN)
    drawn = np.concatenate([_ordered(rng.choice(sample, size=(size, total)), maximize=maximize) @ weights.T for size in sizes])
    low, high = np.quantile(drawn, TAILS, axis=0)
    return Curve(budgets, weights @ _ordered(sample, maximize=maximize), low, high, costs or {})


def find_crossings(one: Curve, other: Curve, *, maximize: bool, unit: Unit = "trials") -> list[tuple[float, int]]:
    """Where the better of two curves changes: the budget from which on, and 0 or 1 for which of them is then better.

    The first entry says who is better at the smallest budget. Both are compared where both have a budget, nothing is extrapolated; empty
    where that is nowhere, or a cost is not known.
    """
    if one.cost_of_trial(unit) is None or other.cost_of_trial(unit) is None:
        return []
    ours, theirs = one.budgets(unit), other.budgets(unit)
    every = np.union1d(ours, theirs)
    budgets = every[(every >= max(ours[0], theirs[0])) & (every <= min(ours[-1], theirs[-1]))]
    gap = np.interp(budgets, ours, one.expected) - np.interp(budgets, theirs, other.expected)
    leads = np.sign(gap if maximize else -gap)
    found: list[tuple[float, int]] = []
    for place in np.flatnonzero(leads).tolist():
        better = 0 if leads[place] > 0 else 1
        if not found or found[-1][1] != better:
            between = found and unit != "trials"
            found.append((_cross(budgets, gap, place) if between else float(budgets[place]), better))
    return found


def _cross(budgets: Floats, gap: Floats, place: int) -> float:
    """Where the straight line from the budget before this place to this one is zero."""
    before, here = abs(float(gap[place - 1])), abs(float(gap[place]))
    return float(budgets[place - 1] + (budgets[place] - budgets[place - 1]) * before / (before + here))


def _ordered(values: Floats, *, maximize: bool) -> Floats:
    """The worst first."""
    ascending: Floats = np.sort(values, axis=-1)
    return ascending if maximize else ascending[..., ::-1]


def _weights(total: int, budgets: Sequence[int]) -> Floats:
    """The chance that the i-th worst of all is the best of n, (budgets, total): (i/N)^n - ((i-1)/N)^n."""
    share: Any = np.arange(total + 1) / total
    powers: Floats = share[None, :] ** np.asarray(budgets, dtype=float)[:, None]
    return np.diff(powers, axis=1)
