"""Performance profiles: of each cell the share of runs over all data sets that score above a level, with a stratified bootstrap band.

Source: Agarwal et al. 2021, arXiv:2108.13264 (score distributions of rliable), after Dolan and More 2002. Metrics of different tasks share
no unit, so each data set's test values are scored on the way from its floor, what a method without a recurrent network reaches, which is 0,
to the best that any run here reached, which is 1.
"""

# Shapes: N runs of one data set, J levels, R resamples.

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnbench.base.names import listed
from rnnbench.report.statistics import TAILS
from rnnbench.report.tables import Comparison, sign_of

# Seeds of each cell on each data set: with fewer a bootstrap within a data set says nothing.
LEAST_RUNS = 3
LEAST_DATA_SETS = 2
NUM_LEVELS = 101
RESAMPLES = 2000
# Where a floor is known from.
TEST_DATA, CARD, VALIDATION_DATA = "test data", "the task's card", "validation data"

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Profile:
    """The share of runs that score above each level, averaged over data sets, and its 95 % band."""

    cell: str
    share: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class Scale:
    """The values of a data set's metric that score 0 and 1; `source` says where the floor is known from."""

    floor: float
    best: float
    source: str


@dataclass(frozen=True)
class Profiles:
    """Of all cells that were tested on every data set.

    Attributes:
        scales: Of each data set.
        runs: The fewest and the most seeds of a cell on a data set.
        levels: Ascending; the last is 1.
        profiles: By the mean of their shares, best first.
    """

    data_sets: tuple[tuple[str, str], ...]
    scales: tuple[Scale, ...]
    runs: tuple[int, int]
    levels: tuple[float, ...]
    profiles: tuple[Profile, ...]


def find_profiles(comparisons: Sequence[Comparison], seed: int = 0) -> Profiles | str:
    """The profiles, or why there are none."""
    tested = [one for one in comparisons if one.tested]
    if len(tested) < LEAST_DATA_SETS:
        return f"{len(tested)} data set{'' if len(tested) == 1 else 's'} with test values, {LEAST_DATA_SETS} are needed"
    cells = [row.cell for row in tested[0].rows if all(row.cell in {other.cell for other in one.rows} for one in tested)]
    if len(cells) < 2:
        return "no two cells were tested on every data set"
    scores: list[dict[str, Floats]] = []
    scales: list[Scale] = []
    for one in tested:
        values = {row.cell: np.asarray(row.test_values) for row in one.rows if row.cell in cells}
        place = f"{one.task.name} on {one.about}"
        few = [f"{cell} has {len(of_cell)}" for cell, of_cell in values.items() if len(of_cell) < LEAST_RUNS]
        if few:
            return f"{LEAST_RUNS} seeds of each cell are needed, but on {place} {listed(few)}"
        found = find_floor(one)
        if found is None:
            return f"nothing is known of what a method without a recurrent network reaches on {place}"
        floor, source = found
        sign = sign_of(one.task)
        best = sign * max(float((sign * of_cell).max()) for of_cell in values.values())
        if sign * (best - floor) <= 0:
            return f"no run on {place} is better than {floor:.4g}, which needs no recurrent network"
        scales.append(Scale(floor, best, source))
        scores.append({cell: (of_cell - floor) / (best - floor) for cell, of_cell in values.items()})
    levels_J = _levels(scores)
    rng = np.random.default_rng(seed)
    profiles = [_profile(cell, [one[cell] for one in scores], levels_J, rng) for cell in cells]
    counts = [len(of_cell) for one in scores for of_cell in one.values()]
    return Profiles(
        tuple((one.task.name, one.about) for one in tested),
        tuple(scales),
        (min(counts), max(counts)),
        tuple(levels_J.tolist()),
        tuple(sorted(profiles, key=lambda one: -sum(one.share))),
    )


def find_floor(comparison: Comparison) -> tuple[float, str] | None:
    """What needs no recurrent network, and where that is known from; None where it is not known.

    What the trials of a memory problem say of the test data, else what the task's card says where its usual question was asked, else the
    best of the methods that were tried on the validation data of the sweep itself.
    """
    if comparison.bar is not None:
        return comparison.bar.test_level, TEST_DATA
    card = comparison.task.data.get(comparison.data)
    if card and card.floor and not comparison.question:
        return card.floor.value, CARD
    if comparison.tested and comparison.test_baselines:
        return (max if sign_of(comparison.task) > 0 else min)(comparison.test_baselines.values()), TEST_DATA
    if comparison.baselines:
        return (max if sign_of(comparison.task) > 0 else min)(comparison.baselines.values()), VALIDATION_DATA
    return None


def shares_above(scores: Sequence[Floats], levels_J: Floats) -> Floats:
    """The share of runs above each level, each data set with the same weight, (J,) or (R, J) of scores (N,) or (R, N)."""
    shares: Floats = np.mean([_above(one, levels_J) for one in scores], axis=0)
    return shares


def _above(scores_N: Floats, levels_J: Floats) -> Floats:
    return np.stack([np.mean(scores_N > level, axis=-1) for level in levels_J], axis=-1)


def _levels(scores: Sequence[Mapping[str, Floats]]) -> Floats:
    """From the floor on; from below it where a run is."""
    lowest = min(float(of_cell.min()) for one in scores for of_cell in one.values())
    return np.linspace(max(-1.0, min(0.0, lowest)), 1.0, NUM_LEVELS)


def _profile(cell: str, scores: Sequence[Floats], levels_J: Floats, rng: np.random.Generator) -> Profile:
    # Stratified: runs are drawn again within each data set.
    drawn = [rng.choice(one, size=(RESAMPLES, len(one))) for one in scores]
    low, high = np.quantile(shares_above(drawn, levels_J), TAILS, axis=0)
    lines = (tuple(map(float, line)) for line in (shares_above(scores, levels_J), low, high))
    return Profile(cell, *lines)
