"""Which hyper-parameters mattered: functional ANOVA over forests of regression trees (Hutter et al. 2014, Hooker 2007).

A tree splits the space of the parameters into boxes with one value each, so the mean over all other parameters and the variance
that a parameter alone, or a pair beyond its two, accounts for are sums over boxes, without sampling. Each forest grows on another
resample of the trials: intervals say what other trials might have shown.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rnnbench.base.parameters import Value
from rnnbench.ledger.records import Status, TrialRecord
from rnnbench.report.axes import Axis, Floats, Scale, make_axis
from rnnbench.report.forests import grow
from rnnbench.report.rows import differing
from rnnbench.report.statistics import TAILS
from rnnbench.report.tables import ADAPTIVE, Summary, sign_of, value
from rnnbench.trial.spec import Question

LEAST_TRIALS = 20
RATE = "optimizer.lr"
# A value within this share of the way from the best mean to the worst is as good as the best.
BASIN = 0.1


@dataclass(frozen=True)
class Effect:
    """The share of the metric's variance that a parameter, or two beyond what each does alone, accounts for: mean and 95 % interval."""

    names: tuple[str, ...]
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Marginal:
    """The mean metric over all other parameters against one, with a 95 % band.

    Attributes:
        at: Values of the parameter, ascending; `levels` says whether they are the only ones.
    """

    name: str
    scale: Scale
    levels: bool
    at: tuple[Value, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class Basin:
    """Learning rates whose mean metric is within BASIN of the best; `open_*`: the range that was searched ends there."""

    low: float
    high: float
    open_low: bool
    open_high: bool

    @property
    def decades(self) -> float:
        """Its width in powers of ten."""
        return math.log10(self.high / self.low)


@dataclass(frozen=True)
class Importance:
    """What one cell's search trials say of its parameters.

    Attributes:
        main, pairs: Effects, largest first.
        explained: R2 of the forests on trials that they did not grow on; without a good one the shares say little.
        left_out: Searched parameters that not every trial had.
    """

    cell: str
    num_trials: int
    explained: float
    main: tuple[Effect, ...]
    pairs: tuple[Effect, ...]
    marginals: tuple[Marginal, ...]
    basin: Basin | None
    left_out: tuple[str, ...]


def rank_parameters(importances: Sequence[Importance], cell: str) -> list[str]:
    """Parameters by what each explains of a cell's results by itself, most first; none where nothing is known of the cell."""
    return [effect.names[0] for one in importances if one.cell == cell for effect in one.main]


def why_not(row: Summary) -> str | None:
    """Why a cell's trials do not tell what mattered; None where they do."""
    if row.median is None and row.completed:
        return "a scheduler stopped trials early, or draws followed from results"
    if len(row.completed) < LEAST_TRIALS:
        return f"{len(row.completed)} completed trials, {LEAST_TRIALS} are needed"
    if not row.searched_parameters:
        return "nothing was searched"
    if np.ptp([value(trial) for trial in row.completed]) == 0:
        return "all trials are equally good"
    lost = row.counts[Status.DIVERGED] + row.counts[Status.FAILED]
    if lost > len(row.completed):
        return f"{lost} trials have no result"
    if not _shared(row):
        return "no parameter that all trials had was searched"
    return None


def may_tell(trials: Iterable[TrialRecord], method: str, *, has_scheduler: bool) -> bool:
    """Whether a sweep's trials, when all have ended well, would tell what mattered for some cell; see `why_not`.

    Args:
        trials: Ended or not.
        has_scheduler: One that stops trials, as it nearly always does.
    """
    if has_scheduler or method in ADAPTIVE:
        return False
    places: dict[tuple[Question, str], list[Mapping[str, Value]]] = {}
    for trial in trials:
        if trial.stage == "search" and trial.status not in (Status.DIVERGED, Status.FAILED, Status.CANCELLED):
            spec = trial.spec
            places.setdefault((spec.question, spec.cell), []).append(spec.parameters)
    return any(len(given) >= LEAST_TRIALS and differing(given) for given in places.values())


def find_importance(row: Summary, scales: Mapping[str, Scale], seed: int = 0) -> Importance | None:
    """What mattered for one cell; None where `why_not` says why."""
    if why_not(row):
        return None
    axes = axes_of(row, scales)
    names = [axis.name for axis in axes]
    places_ND = np.array([[axis.place(parameters[axis.name]) for axis in axes] for parameters in row.tried])
    forests = grow(places_ND, np.array([value(trial) for trial in row.completed]), axes, np.random.default_rng(seed))
    main = sorted((_effect((axis.name,), forests.main[:, d]) for d, axis in enumerate(axes)), key=_by_share)
    pairs = [_effect((axes[d].name, axes[e].name), shares) for (d, e), shares in forests.pairs.items()]
    marginals = [_marginal(axis, forests.marginals[d]) for d, axis in enumerate(axes)]
    return Importance(
        row.cell,
        len(row.completed),
        forests.explained,
        tuple(main),
        tuple(sorted(pairs, key=_by_share)),
        tuple(marginals),
        next((find_basin(one, sign_of(row.task)) for one in marginals if one.name == RATE and one.scale == "log" and not one.levels), None),
        tuple(name for name in row.searched_parameters if name not in names),
    )


def axes_of(row: Summary, scales: Mapping[str, Scale]) -> list[Axis]:
    """An axis for each searched parameter that every completed trial had."""
    return [make_axis(name, [parameters[name] for parameters in row.tried], scales.get(name, "linear")) for name in _shared(row)]


def _shared(row: Summary) -> list[str]:
    """Searched parameters that every trial had."""
    return [name for name in row.searched_parameters if all(name in parameters for parameters in row.tried)]


def find_basin(marginal: Marginal, sign: float) -> Basin:
    """The rates around the best whose mean is within BASIN of it."""
    means = sign * np.array(marginal.mean)
    best = int(means.argmax())
    good = means >= means[best] - BASIN * np.ptp(means)
    first = last = best
    while first > 0 and good[first - 1]:
        first -= 1
    while last < len(means) - 1 and good[last + 1]:
        last += 1
    low, high = marginal.at[first], marginal.at[last]
    assert isinstance(low, float), "a rate is a number"
    assert isinstance(high, float), "a rate is a number"
    return Basin(low, high, first == 0, last == len(means) - 1)


def _effect(names: tuple[str, ...], shares_F: Floats) -> Effect:
    low, high = np.quantile(shares_F, TAILS)
    return Effect(names, float(shares_F.mean()), float(low), float(high))


def _by_share(effect: Effect) -> float:
    return -effect.share


def _marginal(axis: Axis, means_FJ: Floats) -> Marginal:
    low, high = np.quantile(means_FJ, TAILS, axis=0)
    lines = (tuple(map(float, line)) for line in (means_FJ.mean(axis=0), low, high))
    return Marginal(axis.name, axis.scale, bool(axis.levels), axis.values(), *lines)
