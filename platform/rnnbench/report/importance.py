"""Which hyper-parameters mattered: functional ANOVA over forests of regression trees (Hutter et al. 2014, Hooker 2007).

A tree splits the space of the parameters into boxes with one value each, so the mean over all other parameters and the variance
that a parameter alone, or a pair beyond its two, accounts for are sums over boxes, without sampling. Each forest grows on another
resample of the trials: intervals say what other trials might have shown.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from rnnbench.base.parameters import Value
from rnnbench.ledger.records import Status, TrialRecord
from rnnbench.report.rows import differing
from rnnbench.report.statistics import TAILS
from rnnbench.report.study import Study
from rnnbench.report.tables import ADAPTIVE, Summary, find_levels, sign_of, to_number, value
from rnnbench.trial.spec import Question

if TYPE_CHECKING:
    # A second of imports: only where there are trials enough.
    from sklearn.tree import DecisionTreeRegressor

LEAST_TRIALS = 20
RATE = "optimizer.lr"
# A value within this share of the way from the best mean to the worst is as good as the best.
BASIN = 0.1
NUM_FORESTS, TREES_OF_FOREST, MOST_LEAVES, MOST_DRAWN = 40, 4, 256, 2000
GRID = 25
_PAIRS_OF = 8  # parameters, by their own shares, of which pairs are looked at

Floats = NDArray[np.float64]
Scale = Literal["linear", "log", "one_minus_log"]


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


@dataclass(frozen=True)
class _Axis:
    """How a parameter becomes a number: its place among `levels`, or itself on a scale."""

    name: str
    scale: Scale
    levels: tuple[Value, ...]
    low: float
    high: float

    def place(self, given: Value) -> float:
        if self.levels:
            return float(self.levels.index(given))
        return _TO[self.scale](to_number(given))

    def grid(self) -> Floats:
        return np.arange(float(len(self.levels))) if self.levels else np.linspace(self.low, self.high, GRID)

    def values(self) -> tuple[Value, ...]:
        return self.levels or tuple(_BACK[self.scale](float(x)) for x in self.grid())


_TO: dict[Scale, Callable[[float], float]] = {"linear": float, "log": math.log10, "one_minus_log": lambda x: -math.log10(1 - x)}
_BACK: dict[Scale, Callable[[float], float]] = {"linear": float, "log": lambda x: 10**x, "one_minus_log": lambda x: 1 - 10**-x}


def find_scales(studies: Sequence[Study]) -> dict[str, Scale]:
    """The scale of each parameter that a sweep file searches on another than a linear one."""
    found: dict[str, Scale] = {}
    for study in studies:
        for name, line in (study.sweep.settings.get("space") or {}).items():
            kinds = set(line) if isinstance(line, Mapping) else set()
            if kinds & {"loguniform", "lograndint"}:
                found[name] = "log"
            elif "one_minus_loguniform" in kinds:
                found[name] = "one_minus_log"
    return found


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
    names = _shared(row)
    axes = [_axis(name, [parameters[name] for parameters in row.tried], scales.get(name, "linear")) for name in names]
    places_ND = np.array([[axis.place(parameters[axis.name]) for axis in axes] for parameters in row.tried])
    forests = _grow(places_ND, np.array([value(trial) for trial in row.completed]), axes, np.random.default_rng(seed))
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


def _axis(name: str, given: Sequence[Value], scale: Scale) -> _Axis:
    levels = find_levels(given)
    if not levels:
        places = [_TO[scale](to_number(one)) for one in given]
        return _Axis(name, scale, (), min(places), max(places))
    return _Axis(name, "linear", tuple(levels), -0.5, len(levels) - 0.5)


@dataclass(frozen=True)
class _Forests:
    """Of each forest: shares of the variance (F, D) and of pairs (F,), and marginals (F, points) of each parameter."""

    main: Floats
    pairs: Mapping[tuple[int, int], Floats]
    marginals: Sequence[Floats]
    explained: float


def _grow(places_ND: Floats, values_N: Floats, axes: Sequence[_Axis], rng: np.random.Generator) -> _Forests:
    number, drawn = len(values_N), min(len(values_N), MOST_DRAWN)
    low_D, high_D = np.array([axis.low for axis in axes]), np.array([axis.high for axis in axes])
    told_N, times_N = np.zeros(number), np.zeros(number)
    forests: list[list[_Boxes]] = []
    for _ in range(NUM_FORESTS):
        rows = rng.integers(number, size=drawn)
        seeds = rng.integers(2**31, size=TREES_OF_FOREST).tolist()
        trees = [_tree(seed).fit(places_ND[rows], values_N[rows]) for seed in seeds]
        out = np.setdiff1d(np.arange(number), rows)
        if len(out):
            told_N[out] += np.mean([tree.predict(places_ND[out]) for tree in trees], axis=0)
            times_N[out] += 1
        forests.append([_Boxes.of(tree, low_D, high_D) for tree in trees])
    seen = times_N > 0
    left = np.sum((values_N[seen] - told_N[seen] / times_N[seen]) ** 2)
    main_FD = np.array([np.mean([boxes.main() for boxes in trees], axis=0) for trees in forests])
    strongest = sorted(np.argsort(-main_FD.mean(axis=0), kind="stable")[:_PAIRS_OF].tolist())
    pairs = {
        (d, e): np.array([np.mean([boxes.pair(d, e) for boxes in trees]) for trees in forests])
        for d, e in itertools.combinations(strongest, 2)
    }
    marginals = [
        np.array([np.mean([boxes.marginal(d, axis.grid()) for boxes in trees], axis=0) for trees in forests]) for d, axis in enumerate(axes)
    ]
    return _Forests(main_FD, pairs, marginals, float(1 - left / np.sum((values_N[seen] - values_N[seen].mean()) ** 2)))


def _tree(seed: int) -> "DecisionTreeRegressor":
    from sklearn.tree import DecisionTreeRegressor

    return DecisionTreeRegressor(max_features=0.7, min_samples_split=5, max_leaf_nodes=MOST_LEAVES, random_state=seed)


class _Boxes:
    """The leaves of a tree: L boxes in the D parameters' ranges, each with a value."""

    def __init__(self, low_LD: Floats, high_LD: Floats, values_L: Floats, low_D: Floats, high_D: Floats) -> None:
        self.low_LD, self.high_LD, self.values_L = low_LD, high_LD, values_L
        self._ranges_D = high_D - low_D
        self._widths_LD = (high_LD - low_LD) / self._ranges_D
        self._volumes_L = self._widths_LD.prod(axis=1)
        self._mean = float(self._volumes_L @ values_L)
        self._variance = float(self._volumes_L @ (values_L - self._mean) ** 2)
        self._main_D: Floats | None = None

    @classmethod
    def of(cls, tree: "DecisionTreeRegressor", low_D: Floats, high_D: Floats) -> "_Boxes":
        nodes = tree.tree_
        lows, highs, values = [], [], []
        waiting = [(0, low_D, high_D)]
        while waiting:
            node, low, high = waiting.pop()
            if nodes.children_left[node] < 0:
                lows.append(low)
                highs.append(high)
                values.append(nodes.value[node].item())
                continue
            d = nodes.feature[node]
            below, above = high.copy(), low.copy()
            below[d] = above[d] = nodes.threshold[node]
            waiting += [(nodes.children_left[node], low, below), (nodes.children_right[node], above, high)]
        return cls(np.array(lows), np.array(highs), np.array(values), low_D, high_D)

    def marginal(self, d: int, at_J: Floats) -> Floats:
        """The mean over all other parameters at values of one, (J,)."""
        means: Floats = self._holds(d, at_J) @ (self.values_L * self._volumes_L / self._widths_LD[:, d])
        return means

    def main(self) -> Floats:
        """Each parameter's share of the variance, (D,)."""
        if self._main_D is None:
            self._main_D = np.array([self._share_of(d) for d in range(len(self._ranges_D))])
        return self._main_D

    def pair(self, d: int, e: int) -> float:
        """The share of two parameters beyond each one's own."""
        if self._variance == 0:
            return 0.0
        edges_J, edges_K = self._edges(d), self._edges(e)
        widths_J, widths_K = np.diff(edges_J) / self._ranges_D[d], np.diff(edges_K) / self._ranges_D[e]
        weights_L = self.values_L * self._volumes_L / (self._widths_LD[:, d] * self._widths_LD[:, e])
        # A box adds its weight to a rectangle of steps: to its corners, of which sums along both axes fill it.
        means_JK = np.zeros((len(edges_J), len(edges_K)))
        for ends_LD, sign_j in ((self.low_LD, 1), (self.high_LD, -1)):
            for other_LD, sign_k in ((self.low_LD, 1), (self.high_LD, -1)):
                corner = np.searchsorted(edges_J, ends_LD[:, d]), np.searchsorted(edges_K, other_LD[:, e])
                np.add.at(means_JK, corner, sign_j * sign_k * weights_L)
        means_JK = means_JK.cumsum(axis=0).cumsum(axis=1)[:-1, :-1]
        both = float(widths_J @ (means_JK - self._mean) ** 2 @ widths_K) / self._variance
        return max(0.0, both - float(self.main()[d] + self.main()[e]))

    def _share_of(self, d: int) -> float:
        if self._variance == 0:
            return 0.0
        middles_J, widths_J = self._steps(d)
        return float(widths_J @ (self.marginal(d, middles_J) - self._mean) ** 2) / self._variance

    def _steps(self, d: int) -> tuple[Floats, Floats]:
        """Where the tree's value changes along one parameter: middles between, and their widths as shares of the range."""
        edges = self._edges(d)
        return (edges[1:] + edges[:-1]) / 2, np.diff(edges) / self._ranges_D[d]

    def _edges(self, d: int) -> Floats:
        """Both ends of every step along one parameter, ascending."""
        edges: Floats = np.unique(np.concatenate([self.low_LD[:, d], self.high_LD[:, d]]))
        return edges

    def _holds(self, d: int, at_J: Floats) -> Floats:
        """Which boxes hold a value of one parameter, (J, L); the range's end belongs to the last."""
        at = np.minimum(at_J, np.nextafter(self.high_LD[:, d].max(), -np.inf))[:, None]
        holds: Floats = ((self.low_LD[:, d] <= at) & (at < self.high_LD[:, d])).astype(np.float64)
        return holds


def _effect(names: tuple[str, ...], shares_F: Floats) -> Effect:
    low, high = np.quantile(shares_F, TAILS)
    return Effect(names, float(shares_F.mean()), float(low), float(high))


def _by_share(effect: Effect) -> float:
    return -effect.share


def _marginal(axis: _Axis, means_FJ: Floats) -> Marginal:
    low, high = np.quantile(means_FJ, TAILS, axis=0)
    lines = (tuple(map(float, line)) for line in (means_FJ.mean(axis=0), low, high))
    return Marginal(axis.name, axis.scale, bool(axis.levels), axis.values(), *lines)
