"""Every pair of cells on one question: Welch's test on the confirmed seeds, and on the best tenth of each random search.

Source of the second: Greff et al. 2017, LSTM: A Search Space Odyssey, arXiv:1503.04069, section III.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rnnbench.report.across import improvement
from rnnbench.report.statistics import UNBOUNDED, Difference, hedges_g, welch_pairs
from rnnbench.report.tables import Comparison, Summary, sign_of, value

# A tenth of fewer has no spread to speak of.
LEAST_OF_TENTH = 3

Sample = Literal["seeds", "best tenth"]


@dataclass(frozen=True)
class Pair:
    """Two cells, the better first, by one kind of sample.

    Attributes:
        counts: Values of each.
        difference: First minus second; None where nothing varies.
        effect: Hedges' g, positive where the first is better.
        chance: That a value of the first is better than one of the second, ties count half.
    """

    one: str
    other: str
    sample: Sample
    counts: tuple[int, int]
    difference: Difference | None
    effect: float | None
    chance: float


def best_tenth(row: Summary) -> list[float]:
    """The best tenth of the draws by validation, best first, the diverged and failed ones counted as worst; empty where that says nothing.

    It does for a search of independent draws none of which was stopped, with LEAST_OF_TENTH values or more.
    """
    count = math.ceil(len(row.searched) / 10)
    if not row.independent or row.waiting or not LEAST_OF_TENTH <= count <= len(row.completed):
        return []
    sign = sign_of(row.task)
    return sorted(map(value, row.completed), key=lambda one: -sign * one)[:count]


def find_samples(comparison: Comparison) -> dict[Sample, dict[str, Sequence[float]]]:
    """Of each kind the values of the cells that have one."""
    return {
        "seeds": {row.cell: row.test_values for row in comparison.rows if len(row.test_values) > 1},
        "best tenth": {row.cell: best for row in comparison.rows if (best := best_tenth(row))},
    }


def find_pairs(comparison: Comparison) -> list[Pair]:
    """All pairs of cells by each sample that they have; p-values are corrected for the pairs of one sample."""
    task = comparison.task
    bounds = task.range_of(task.metric.name)
    return [pair for sample, values in find_samples(comparison).items() for pair in compare_pairs(sample, values, sign_of(task), bounds)]


def compare_pairs(
    sample: Sample, values: Mapping[str, Sequence[float]], sign: float, bounds: tuple[float, float] = UNBOUNDED
) -> list[Pair]:
    """All pairs of some cells' values, `sign` -1 where lower is better; for `bounds` see `t_interval`."""
    order = sorted(values, key=lambda cell: -sign * float(np.mean(values[cell])))
    places = list(itertools.combinations(order, 2))
    tests = welch_pairs([(values[one], values[other]) for one, other in places], bounds)
    found = []
    for (one, other), test in zip(places, tests, strict=True):
        effect = hedges_g(values[one], values[other])
        chance = improvement(sign * np.asarray(values[one]), sign * np.asarray(values[other]))
        counts = len(values[one]), len(values[other])
        found.append(Pair(one, other, sample, counts, test, effect if effect is None else sign * effect, chance))
    return found
