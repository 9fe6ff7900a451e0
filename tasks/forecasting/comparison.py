"""Whether one forecast is better than another: the mean difference of their losses with an interval that holds for dependent losses.

Windows overlap, so that neighbouring losses are alike and an interval for independent ones would be far too narrow. The long-run variance
is the mean of the periodogram at the m = floor(n^(1/3)) lowest frequencies, and Student's t has 2m degrees of freedom: the test of Diebold
and Mariano (1995) with fixed-smoothing asymptotics, whose size is right in small samples too.

Source: Coroneo and Iacone 2020, doi:10.1002/jae.2756.
"""

# Shapes: N losses in the order of time, or windows.

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

METHOD = "mean of the loss differences, 95 % interval: Diebold-Mariano with fixed smoothing (Coroneo and Iacone 2020)"
# Fewer losses than this decide nothing.
MIN_LOSSES = 8

Verdict = Literal["yes", "no", "not decided"]


@dataclass(frozen=True)
class Estimate:
    """A mean and its interval; without one (None) where there are too few losses."""

    mean: float
    low: float | None
    high: float | None
    num_losses: int


def estimate_mean(losses_N: NDArray[np.float64], level: float = 0.95) -> Estimate:
    """The mean of a series of dependent values and its interval."""
    total = len(losses_N)
    mean = float(losses_N.mean())
    if total < MIN_LOSSES:
        return Estimate(mean, None, None, total)
    frequencies = math.floor(total ** (1 / 3) + 1e-9)
    periodogram = np.abs(np.fft.rfft(losses_N - mean)[1 : 1 + frequencies]) ** 2 / total
    margin = float(student.ppf((1 + level) / 2, 2 * frequencies) * math.sqrt(periodogram.mean() / total))
    return Estimate(mean, mean - margin, mean + margin, total)


def is_better(difference: Estimate) -> Verdict:
    """Whether a forecast beats another, from its losses less the other's."""
    if difference.high is not None and difference.high < 0:
        return "yes"
    return "no" if difference.low is not None and difference.low > 0 else "not decided"


def by_time(sums_N: NDArray[np.float64], counts_N: NDArray[np.float64], times_N: NDArray[np.float64]) -> NDArray[np.float64]:
    """One loss for each time, ascending: series that are forecast at one time are no independent witnesses.

    Their mean is that of all values; where times differ in their number of values, each is what it adds to this ratio (linearised).

    Args:
        sums_N: Of each window's losses.
        counts_N: How many they are.
    """
    _, place = np.unique(times_N, return_inverse=True)
    sums, counts = np.bincount(place, weights=sums_N), np.bincount(place, weights=counts_N)
    mean = sums.sum() / counts.sum()
    found: NDArray[np.float64] = mean + (sums - mean * counts) / counts.mean()
    return found
