"""Forests of regression trees over the space of some parameters, and what each parameter and each pair accounts for in them."""

import itertools
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rnnbench.base.machine import available_cpus
from rnnbench.report.axes import Axis, Floats

if TYPE_CHECKING:
    # A second of imports: only where there are trials enough.
    from sklearn.tree import DecisionTreeRegressor

NUM_FORESTS, TREES_OF_FOREST, MOST_LEAVES, MOST_DRAWN = 40, 4, 256, 2000
_PAIRS_OF = 8  # parameters, by their own shares, of which pairs are looked at


@dataclass(frozen=True)
class Forests:
    """Of each forest: shares of the variance (F, D) and of pairs (F,), and marginals (F, points) of each parameter.

    Attributes:
        explained: R2 on trials that a forest did not grow on.
    """

    main: Floats
    pairs: Mapping[tuple[int, int], Floats]
    marginals: Sequence[Floats]
    explained: float


def grow(places_ND: Floats, values_N: Floats, axes: Sequence[Axis], rng: np.random.Generator) -> Forests:
    """Forests of the values of N trials at their places on D axes."""
    number, drawn = len(values_N), min(len(values_N), MOST_DRAWN)
    low_D, high_D = np.array([axis.low for axis in axes]), np.array([axis.high for axis in axes])
    told_N, times_N = np.zeros(number), np.zeros(number)
    forests: list[list[Boxes]] = []
    # Trees grow outside Python, so that each core can grow one.
    with ThreadPoolExecutor(available_cpus()) as pool:
        for _ in range(NUM_FORESTS):
            rows = rng.integers(number, size=drawn)
            seeds = rng.integers(2**31, size=TREES_OF_FOREST).tolist()
            growing = [pool.submit(grow_tree(seed).fit, places_ND[rows], values_N[rows]) for seed in seeds]
            trees = [tree.result() for tree in growing]
            out = np.setdiff1d(np.arange(number), rows)
            if len(out):
                told_N[out] += np.mean([tree.predict(places_ND[out]) for tree in trees], axis=0)
                times_N[out] += 1
            forests.append([Boxes.of(tree, low_D, high_D) for tree in trees])
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
    return Forests(main_FD, pairs, marginals, float(1 - left / np.sum((values_N[seen] - values_N[seen].mean()) ** 2)))


def grow_tree(seed: int) -> "DecisionTreeRegressor":
    """A tree that has not seen trials yet."""
    from sklearn.tree import DecisionTreeRegressor

    return DecisionTreeRegressor(max_features=0.7, min_samples_split=5, max_leaf_nodes=MOST_LEAVES, random_state=seed)


class Boxes:
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
    def of(cls, tree: "DecisionTreeRegressor", low_D: Floats, high_D: Floats) -> "Boxes":
        """Of a tree, within the parameters' ranges."""
        nodes = tree.tree_
        # Lists, once: an attribute of the tree is a new array each time.
        lefts, rights, features = nodes.children_left.tolist(), nodes.children_right.tolist(), nodes.feature.tolist()
        thresholds, means = nodes.threshold.tolist(), nodes.value.ravel().tolist()
        lows, highs, values = [], [], []
        waiting = [(0, low_D, high_D)]
        while waiting:
            node, low, high = waiting.pop()
            if lefts[node] < 0:
                lows.append(low)
                highs.append(high)
                values.append(means[node])
                continue
            d = features[node]
            below, above = high.copy(), low.copy()
            below[d] = above[d] = thresholds[node]
            waiting += [(lefts[node], low, below), (rights[node], above, high)]
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
