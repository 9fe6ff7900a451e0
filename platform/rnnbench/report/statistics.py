"""The statistics of a report; each says what it assumes and where it is from."""

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 5000
# Values of a bootstrap that are held at once.
MAX_DRAWN = 250_000
CONFIDENCE = 0.95
# Quantiles of a bootstrap between which its interval lies.
TAILS = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)
# A metric that can be any number.
UNBOUNDED = (-math.inf, math.inf)
# Nobody trains a winner again more often than this to settle a tie.
MAX_SEEDS = 500


@dataclass(frozen=True)
class Interval:
    """A value with its interval, the number of observations behind it, and the method's name."""

    value: float
    low: float
    high: float
    count: int
    method: str


def interquartile_mean(values: Sequence[float]) -> float:
    """The mean of the middle half: 25 % cut from each end, whole observations only (floor(n / 4) of them).

    Raises:
        ValueError: no values.
    Source: Agarwal et al. 2021, arXiv:2108.13264 (the same as scipy.stats.trim_mean with 0.25, which rliable takes).
    """
    if not len(values):
        raise ValueError("no values")
    ordered = np.sort(np.asarray(values, dtype=float))
    return float(ordered[_middle_half(len(ordered))].mean())


def bootstrap_iqm(values: Sequence[float], seed: int = 0) -> Interval | None:
    """Interquartile mean with its percentile bootstrap interval, 95 %; None below three values.

    Within one task and cell the stratified bootstrap of Agarwal et al. 2021 is this plain one: resampled are whole trials.
    It describes what another random search of the same size over the same space would give.
    """
    if len(values) < 3:
        return None
    ordered, kept = np.sort(np.asarray(values, dtype=float)), _middle_half(len(values))
    drawn = _drawn_places(len(values), RESAMPLES, np.random.default_rng(seed))
    means = np.concatenate([ordered[places[:, kept]].mean(axis=1) for places in drawn])
    low, high = np.quantile(means, TAILS)
    return Interval(interquartile_mean(values), float(low), float(high), len(values), "percentile bootstrap over trials")


def bootstrap_mean(values: Sequence[float], seed: int = 0) -> Interval | None:
    """Mean with its percentile bootstrap interval over whole trials, 95 %; None below three values."""
    if len(values) < 3:
        return None
    sample, rng = np.asarray(values, dtype=float), np.random.default_rng(seed)
    parts = part_sizes(len(sample), RESAMPLES, MAX_DRAWN)
    means = np.concatenate([sample[rng.integers(len(sample), size=(part, len(sample)), dtype=np.int32)].mean(axis=1) for part in parts])
    low, high = np.quantile(means, TAILS)
    return Interval(float(sample.mean()), float(low), float(high), len(values), "percentile bootstrap over trials")


def _middle_half(count: int) -> slice:
    cut = count // 4
    return slice(cut, count - cut)


def _drawn_places(count: int, resamples: int, rng: np.random.Generator) -> Iterator[NDArray[np.intp]]:
    """Places in an ascending sample that resamples of it draw, already in order, (part of the resamples, count).

    Uniform draws in ascending order are sums of exponential ones over their total (Devroye 1986, V.3.1): nothing has to be sorted.
    """
    for part in part_sizes(count, resamples, MAX_DRAWN):
        sums = np.cumsum(rng.standard_exponential((part, count + 1)), axis=1)
        # A sum that is rounded up to the total would be a place behind the last.
        yield np.minimum(sums[:, :-1] * (count / sums[:, -1:]), count - 1).astype(np.intp)


def part_sizes(count: int, resamples: int, most: int) -> list[int]:
    """How many resamples are drawn at once, of at most so many values: all those of ten thousand values would take a gigabyte."""
    part = max(1, most // count)
    return [min(part, resamples - start) for start in range(0, resamples, part)]


def t_interval(values: Sequence[float], bounds: tuple[float, float] = UNBOUNDED) -> Interval | None:
    """Mean with Student's t interval, 95 %; None below two values, and where all are equal: they tell of no spread.

    Assumes independent, roughly normal seeds. The interval is cut to what the metric can be: a true mean lies there, so the part that
    is kept holds it exactly as often as the whole would.

    Args:
        bounds: The least and the greatest value that there can be; ignored where a value lies beyond them, for then they are wrong.
    """
    count = len(values)
    if count < 2 or np.ptp(values) == 0:
        return None
    mean, spread = float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(count)
    half = student_half(count, spread)
    low, high = bounds if bounds[0] <= min(values) and max(values) <= bounds[1] else UNBOUNDED
    within = "" if (low, high) == UNBOUNDED else ", cut to the metric's range"
    return Interval(mean, max(low, mean - half), min(high, mean + half), count, f"Student's t over seeds{within}")


def student_half(count: int, error: float) -> float:
    """Half of Student's t interval around an estimate from so many values, whose standard error is given."""
    # Not scipy.stats, which takes most of a second to import.
    from scipy.special import stdtrit

    return float(stdtrit(count - 1, (1 + CONFIDENCE) / 2)) * error


@dataclass(frozen=True)
class Difference:
    """Welch's test between two groups: difference of the means, its 95 % interval, p-value as it is and after Holm and Bonferroni."""

    value: float
    low: float
    high: float
    p: float
    p_holm: float
    p_bonferroni: float


def welch_against(
    best: Sequence[float], others: Sequence[Sequence[float]], bounds: tuple[float, float] = UNBOUNDED
) -> list[Difference | None]:
    """Welch's t-test of one group against each of the others; see `welch_pairs`."""
    return welch_pairs([(best, other) for other in others], bounds)


def welch_pairs(
    pairs: Sequence[tuple[Sequence[float], Sequence[float]]], bounds: tuple[float, float] = UNBOUNDED
) -> list[Difference | None]:
    """Welch's t-test of each pair of groups, first minus second, p corrected for all of them; None where a group has under two values.

    Where both groups have no spread at all the test has no meaning and the answer is None too. The interval is cut to the differences
    that `bounds` allow, see `t_interval`.
    """
    if not pairs:
        return []
    from scipy import stats

    tests = []
    for one, other in pairs:
        usable = len(one) > 1 and len(other) > 1 and (np.ptp(one) > 0 or np.ptp(other) > 0)
        with warnings.catch_warnings():
            # Of a group whose values are all equal, whose variance is 0 and nothing else.
            warnings.filterwarnings("ignore", "Precision loss occurred in moment calculation", RuntimeWarning)
            tests.append(stats.ttest_ind(one, other, equal_var=False) if usable else None)
    p_values = [float(test.pvalue) for test in tests if test is not None]
    corrected = iter(holm(p_values))
    found: list[Difference | None] = []
    for test, (one, other) in zip(tests, pairs, strict=True):
        if test is None:
            found.append(None)
            continue
        low, high = test.confidence_interval(CONFIDENCE)
        value, p, most = float(np.mean(one)) - float(np.mean(other)), float(test.pvalue), bounds[1] - bounds[0]
        most = max(most, abs(value))
        interval = max(-most, float(low)), min(most, float(high))
        found.append(Difference(value, *interval, p, next(corrected), min(1.0, p * len(p_values))))
    return found


def hedges_g(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Difference of the means in pooled standard deviations, without the bias of small samples; None where nothing varies or is too few.

    Source: Hedges 1981, with the exact correction gamma(f / 2) / (sqrt(f / 2) gamma((f - 1) / 2)), f = n + m - 2.
    """
    freedom = len(one) + len(other) - 2
    if min(len(one), len(other)) < 2:
        return None
    squares = (len(one) - 1) * float(np.var(one, ddof=1)) + (len(other) - 1) * float(np.var(other, ddof=1))
    if squares == 0:
        return None
    correction = math.exp(math.lgamma(freedom / 2) - math.lgamma((freedom - 1) / 2)) / math.sqrt(freedom / 2)
    return correction * (float(np.mean(one)) - float(np.mean(other))) / math.sqrt(squares / freedom)


def seeds_needed(one: Sequence[float], other: Sequence[float], alpha: float = 0.05, power: float = 0.8) -> int | None:
    """Seeds in each group at which Welch's test would find a difference like this one with that chance; None: not within MAX_SEEDS.

    It takes the observed means and spreads for the true ones, so it is a rough guide, the rougher the fewer seeds it is from; None also
    where a group has under two values, the means are equal or nothing varies.
    Source: the power of a t-test is a tail of the noncentral t distribution (Cohen 1988, chapter 2).
    """
    if len(one) < 2 or len(other) < 2:
        return None
    gap, variances = abs(float(np.mean(one)) - float(np.mean(other))), [float(np.var(values, ddof=1)) for values in (one, other)]
    if gap == 0 or sum(variances) == 0:
        return None
    from scipy import stats

    counts = np.arange(2, MAX_SEEDS + 1)
    # Welch and Satterthwaite's degrees of freedom for groups of one size.
    freedom = (counts - 1) * sum(variances) ** 2 / sum(variance**2 for variance in variances)
    critical, shift = stats.t.ppf(1 - alpha / 2, freedom), gap / np.sqrt(sum(variances) / counts)
    reached = stats.nct.sf(critical, freedom, shift) + stats.nct.cdf(-critical, freedom, shift)
    enough = np.flatnonzero(reached >= power)
    return int(counts[enough[0]]) if len(enough) else None


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction: adjusted p-values in the given order. Source: Holm 1979."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted
