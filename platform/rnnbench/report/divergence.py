"""Where in the space trials diverged: the share of each decade of the learning rate, with Wilson's interval.

Source: Wilson 1927; Brown, Cai and DasGupta 2001, Interval Estimation for a Binomial Proportion, which recommend it for small samples.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from rnnbench.base.parameters import Value
from rnnbench.ledger.records import Status, TrialRecord
from rnnbench.report.importance import RATE, Importance, rank_parameters
from rnnbench.report.rows import differing
from rnnbench.report.statistics import CONFIDENCE
from rnnbench.report.tables import Summary, sort_values

LOST = (Status.DIVERGED, Status.FAILED)


@dataclass(frozen=True)
class Share:
    """How many of a decade's trials diverged; `low` and `high` are None where draws followed from results: those are no sample.

    Attributes:
        decade: Its learning rates are from 10 ** decade on, below 10 ** (decade + 1).
        total: Trials that ended by themselves, well or by diverging: a failed one says nothing of its rate.
    """

    decade: int
    diverged: int
    total: int
    low: float | None
    high: float | None


def wilson(successes: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a proportion of independent trials, total from 1."""
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    share, scale = successes / total, 1 + z**2 / total
    middle = (share + z**2 / (2 * total)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    # At both ends the interval closes exactly; the sum would miss it by a rounding.
    return (0.0 if successes == 0 else middle - half, 1.0 if successes == total else middle + half)


def find_shares(row: Summary) -> list[Share]:
    """Of each decade of learning rates that a cell's search trials tried, ascending; none where the rate was not searched."""
    tried = [(parameters.get(RATE), trial.status) for trial, parameters in _ended(row)]
    rates = [(rate, status) for rate, status in tried if isinstance(rate, int | float) and rate > 0 and status != Status.FAILED]
    if len({rate for rate, _ in rates}) < 2:
        return []
    counts: dict[int, list[int]] = {}
    for rate, status in rates:
        count = counts.setdefault(decade_of(rate), [0, 0])
        count[0] += status == Status.DIVERGED
        count[1] += 1
    found = []
    for decade, (diverged, total) in sorted(counts.items()):
        low, high = (None, None) if row.adaptive else wilson(diverged, total)
        found.append(Share(decade, diverged, total, low, high))
    return found


def decade_of(rate: float) -> int:
    """The power of ten at or below a rate."""
    power = math.floor(math.log10(rate))
    # The logarithm of a power of ten may be rounded to either side.
    return power + int(rate >= 10.0 ** (power + 1)) - int(rate < 10.0**power)


Spot = tuple[Value, Value, str]


@dataclass(frozen=True)
class Spots:
    """A cell's trials in two parameters of its space, by status.

    Attributes:
        well, diverged, failed: The first and the second parameter of each trial, and the trial's key.
    """

    cell: str
    second: str
    well: tuple[Spot, ...]
    diverged: tuple[Spot, ...]
    failed: tuple[Spot, ...]


def find_spots(row: Summary, importances: Sequence[Importance]) -> Spots | None:
    """The learning rate against what mattered most beside it; None where no trial was lost, or fewer than two parameters were searched.

    Without importances the second parameter is the one whose values differ most between the trials that were lost and the others.
    """
    ended = _ended(row)
    if not any(trial.status in LOST for trial, _ in ended):
        return None
    named = [parameters for _, parameters in ended]
    shared = [name for name in differing(named) if all(name in parameters for parameters in named)]
    others = [name for name in shared if name != RATE]
    if RATE not in shared or not others:
        return None
    ranked = rank_parameters(importances, row.cell)
    lost = [trial.status in LOST for trial, _ in ended]
    second = next(
        (name for name in ranked if name in others), None
    ) or max(others, key=lambda name: (_separation([parameters[name] for parameters in named], lost), name))  # fmt: skip

    def places(status: Status) -> tuple[Spot, ...]:
        return tuple((parameters[RATE], parameters[second], trial.key) for trial, parameters in ended if trial.status == status)

    return Spots(row.cell, second, places(Status.COMPLETED), places(Status.DIVERGED), places(Status.FAILED))


def _ended(row: Summary) -> list[tuple[TrialRecord, dict[str, Value]]]:
    ended = [trial for trial in row.searched if trial.status in (Status.COMPLETED, *LOST)]
    return [(trial, row.given[trial.key]) for trial in ended]


def _separation(values: Sequence[Value], lost: Sequence[bool]) -> float:
    """How far a parameter tells the lost trials from the others: the distance of the two groups' mean ranks, as a share of all ranks."""
    order = sort_values(values)
    rank = {value: place / max(1, len(order) - 1) for place, value in enumerate(order)}
    groups = [[rank[value] for value, was_lost in zip(values, lost, strict=True) if was_lost == side] for side in (True, False)]
    return abs(sum(groups[0]) / len(groups[0]) - sum(groups[1]) / len(groups[1])) if all(groups) else 0.0
