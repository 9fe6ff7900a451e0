"""Which rows train, validate and test, and which part of the training rows is used: seeded, even over classes, never across groups."""

# Shapes: N rows.

import math
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rnnbench.base.errors import DataError

SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}

Rows = NDArray[np.int64]


def split_rows(
    num_rows: int, shares: Mapping[str, float], seed: int, labels: Sequence[Hashable] | None = None, *, where: str = "the data"
) -> dict[str, Rows]:
    """Rows of each split, ascending; with labels every class has its share of each split, to one row.

    Args:
        shares: Of all rows, by split; they add up to 1.
        where: The file or place that an error names.
    Raises:
        DataError: some split would be empty.
    """
    if num_rows < len(shares):
        raise DataError(f"{where}: {num_rows} rows cannot be split into {', '.join(shares)}: each needs at least one")
    order, ends = shuffled(num_rows, seed, labels), _ends(num_rows, shares)
    starts = [0, *ends[:-1]]
    return {name: np.sort(order[start:end]) for name, start, end in zip(shares, starts, ends, strict=True)}


def split_groups(groups: Sequence[Hashable], shares: Mapping[str, float], seed: int, *, where: str = "the data") -> dict[str, Rows]:
    """Rows of each split, ascending, all rows of a group (a speaker, a patient) in one split.

    Groups come in a random order, each to the split that has the least of its share.

    Raises:
        DataError: there are fewer groups than splits.
    """
    members: dict[Hashable, list[int]] = {}
    for row, group in enumerate(groups):
        members.setdefault(group, []).append(row)
    if len(members) < len(shares):
        raise DataError(f"{where}: {len(members)} groups cannot be split into {', '.join(shares)}: each needs at least one")
    found: dict[str, list[int]] = {name: [] for name in shares}
    names = list(members)
    for place in np.random.default_rng(seed).permutation(len(names)):
        rows = members[names[place]]
        target = min(shares, key=lambda name: len(found[name]) / (shares[name] * len(groups)))
        found[target] += rows
    return {name: np.sort(np.array(rows, dtype=np.int64)) for name, rows in found.items()}


def nested_rows(num_rows: int, fraction: float, seed: int, labels: Sequence[Hashable] | None = None) -> Rows:
    """A part of the training rows, ascending: at least one, and every smaller part of the same seed lies within a larger one."""
    if fraction >= 1:
        return np.arange(num_rows)
    return np.sort(shuffled(num_rows, seed, labels)[: max(1, math.ceil(fraction * num_rows - 1e-9))])


def shuffled(num_rows: int, seed: int, labels: Sequence[Hashable] | None = None) -> Rows:
    """All rows in a random order; with labels each class is spread evenly over it."""
    random = np.random.default_rng(seed)
    if labels is None:
        return random.permutation(num_rows)
    members: dict[Hashable, list[int]] = {}
    for row, label in enumerate(labels):
        members.setdefault(label, []).append(row)
    place = np.empty(num_rows)
    for rows in members.values():
        # Where in the order each of its rows comes, as a share: evenly, and each class begins somewhere else.
        place[random.permutation(rows)] = (np.arange(len(rows)) + random.random()) / len(rows)
    return np.argsort(place, kind="stable")


def _ends(num_rows: int, shares: Mapping[str, float]) -> list[int]:
    """Where each split ends: as its share says, and none empty."""
    ends = [round(num_rows * end) for end in np.cumsum(list(shares.values()))]
    for place in range(len(ends)):
        ends[place] = max(ends[place], (ends[place - 1] if place else 0) + 1)
    ends[-1] = num_rows
    for place in range(len(ends) - 2, -1, -1):
        ends[place] = min(ends[place], ends[place + 1] - 1)
    return ends
