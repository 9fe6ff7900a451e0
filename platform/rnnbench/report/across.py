"""Cells over several tasks: ranks, Friedman's test with Nemenyi's critical difference, Wilcoxon's test for pairs, chance of improvement.

Source: Demsar 2006, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7; probability of improvement: Agarwal et al.
2021, arXiv:2108.13264.
"""

# Shapes: D data sets, K cells.

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rnnbench.report.statistics import CONFIDENCE, TAILS, holm
from rnnbench.report.tables import Comparison, sign_of

# Below this Friedman's chi-squared and Nemenyi's normal approximations say little.
LEAST_DATA_SETS = 5
# With fewer pairs no order of signs has a p-value under 0.05.
LEAST_PAIRS = 6
RESAMPLES = 2000

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Pair:
    """Two cells over the data sets: how often the first was better (ties count half), and Wilcoxon's p before and after Holm.

    `improvement` is the chance that a seed of the first beats one of the second, averaged over data sets, with a 95 % interval.
    """

    one: str
    other: str
    wins: float
    improvement: float
    low: float
    high: float
    p: float | None
    p_holm: float | None


@dataclass(frozen=True)
class Across:
    """Cells over data sets.

    Attributes:
        data_sets: Task and data of each.
        ranks: Mean rank of each cell, 1 is best, best first.
        p: Of Friedman's test that all cells are equal; None below LEAST_DATA_SETS or three cells.
        critical_difference: Mean ranks this far apart differ at the 5 % level (Nemenyi); None with `p`.
    """

    data_sets: tuple[tuple[str, str], ...]
    ranks: Mapping[str, float]
    p: float | None
    critical_difference: float | None
    pairs: tuple[Pair, ...]


def compare_across(comparisons: Sequence[Comparison], seed: int = 0) -> Across | None:
    """Of the cells that were tested on every data set; None with fewer than two of either."""
    tested = [comparison for comparison in comparisons if comparison.tested]
    if len(tested) < 2:
        return None
    values = [{row.cell: np.asarray(row.test_values) * sign_of(one.task) for row in one.rows} for one in tested]
    cells = [cell for cell in values[0] if all(cell in one for one in values)]
    if len(cells) < 2:
        return None
    means_DK = np.array([[one[cell].mean() for cell in cells] for one in values])
    mean_ranks = rank_rows(means_DK).mean(axis=0)
    order = np.argsort(mean_ranks, kind="stable")
    enough = len(tested) >= LEAST_DATA_SETS and len(cells) > 2
    pairs = [_pair(values, means_DK, cells, first, second, seed) for first, second in itertools.combinations(order.tolist(), 2)]
    return Across(
        tuple((one.task.name, one.about) for one in tested),
        {cells[place]: float(mean_ranks[place]) for place in order},
        friedman(means_DK) if enough else None,
        critical_difference(len(cells), len(tested)) if enough else None,
        tuple(_corrected(pairs)),
    )


def rank_rows(values_DK: Floats) -> Floats:
    """Ranks within each data set, 1 for the highest value, ties share the mean of theirs."""
    from scipy import stats

    ranks: Floats = stats.rankdata(-values_DK, axis=1)
    return ranks


def friedman(values_DK: Floats) -> float | None:
    """The p-value of Friedman's test; None where no data set tells any two cells apart."""
    from scipy import stats

    if all(np.ptp(row) == 0 for row in values_DK):
        return None
    return float(stats.friedmanchisquare(*values_DK.T).pvalue)


def critical_difference(num_cells: int, num_data_sets: int) -> float:
    """Nemenyi's at the 5 % level: q sqrt(K (K + 1) / (6 D)), q of the studentised range over sqrt(2) (Demsar 2006, table 5)."""
    from scipy import stats

    q = float(stats.studentized_range.ppf(CONFIDENCE, num_cells, np.inf)) / np.sqrt(2)
    return float(q * np.sqrt(num_cells * (num_cells + 1) / (6 * num_data_sets)))


def improvement(one: Floats, other: Floats) -> float:
    """The chance that a value of one is higher than one of the other, ties count half: Mann and Whitney's U over n m."""
    gaps = one[..., :, None] - other[..., None, :]
    return float(np.mean((gaps > 0) + 0.5 * (gaps == 0)))


def _pair(values: Sequence[Mapping[str, Floats]], means_DK: Floats, cells: Sequence[str], first: int, second: int, seed: int) -> Pair:
    from scipy import stats

    one, other = cells[first], cells[second]
    gaps = means_DK[:, first] - means_DK[:, second]
    rng = np.random.default_rng(seed)
    found = float(np.mean([improvement(of[one], of[other]) for of in values]))
    # Stratified: seeds are drawn again within each data set.
    drawn = np.mean([_resampled(rng, of[one], of[other]) for of in values], axis=0)
    low, high = np.quantile(drawn, TAILS)
    usable = np.count_nonzero(gaps) >= LEAST_PAIRS
    p = float(stats.wilcoxon(gaps, zero_method="wilcox").pvalue) if usable else None
    wins = float(np.sum(gaps > 0) + 0.5 * np.sum(gaps == 0))
    return Pair(one, other, wins, found, float(low), float(high), p, None)


def _resampled(rng: np.random.Generator, one: Floats, other: Floats) -> Floats:
    """The chance of improvement of each resample, (RESAMPLES,)."""
    mine, theirs = (rng.choice(values, size=(RESAMPLES, len(values))) for values in (one, other))
    gaps = mine[:, :, None] - theirs[:, None, :]
    chances: Floats = np.mean((gaps > 0) + 0.5 * (gaps == 0), axis=(1, 2))
    return chances


def _corrected(pairs: Sequence[Pair]) -> list[Pair]:
    corrected = iter(holm([pair.p for pair in pairs if pair.p is not None]))
    return [pair if pair.p is None else replace(pair, p_holm=next(corrected)) for pair in pairs]
