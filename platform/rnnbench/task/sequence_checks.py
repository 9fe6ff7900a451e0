"""What a careful person would want to know of a set of sequences before training: duplicates, flat features, lengths, missing values."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from itertools import pairwise

import numpy as np

from rnnbench.base.names import printable
from rnnbench.task.sequences import Sequences
from rnnbench.task.splits import Rows

# The longest sequence in median lengths beyond which padding is most of a batch.
LONG = 10.0
MAX_LINES = 40


def check_sequences(sequences: Sequences, splits: Mapping[str, Rows]) -> list[str]:
    """One line for each thing found."""
    found = [*_of_duplicates(sequences, splits), *_of_features(sequences), *_of_lengths(sequences)]
    if sequences.targets and len(sequences) > 2 and _is_sorted(sequences.targets):
        found.append(f"{sequences.where[0]}: the sequences are sorted by their target; splits are drawn at random, so that it does no harm")
    more = len(found) - MAX_LINES
    return found if more <= 0 else [*found[:MAX_LINES], f"and {more} more"]


def find_duplicates(sequences: Sequences) -> list[list[int]]:
    """Rows that hold the same values, of each such group of at least two."""
    same: dict[bytes, list[int]] = defaultdict(list)
    for row, values in enumerate(sequences.values):
        content = np.nan_to_num(values, nan=np.finfo(np.float64).max) + 0.0  # -0 is 0
        same[blake2b(content.tobytes() + str(values.shape).encode(), digest_size=16).digest()].append(row)
    return [rows for rows in same.values() if len(rows) > 1]


def _of_duplicates(sequences: Sequences, splits: Mapping[str, Rows]) -> list[str]:
    split_of = {int(row): split for split, rows in splits.items() for row in rows}
    groups = find_duplicates(sequences)
    if not groups:
        return []
    first = f"{sequences.where[groups[0][0]]} and {sequences.where[groups[0][1]]}"
    found = [f"{sum(len(rows) - 1 for rows in groups)} sequences are copies of others, e.g. {first}"]
    across = [rows for rows in groups if len({split_of[row] for row in rows if row in split_of}) > 1]
    if across:
        found.append(f"{len(across)} sequences are in two splits, e.g. {sequences.where[across[0][0]]}; results on them are too good")
    if sequences.targets and (other := [rows for rows in groups if len({sequences.targets[row] for row in rows}) > 1]):
        found.append(f"{len(other)} sequences are there with different targets, e.g. {sequences.where[other[0][0]]}")
    return found


def _of_features(sequences: Sequences) -> list[str]:
    steps = np.concatenate(list(sequences.values))
    found = []
    for feature, values in zip(sequences.features, steps.T, strict=True):
        known = values[~np.isnan(values)]
        if len(known) < len(values):
            found.append(
                f"feature '{printable(feature)}': {len(values) - len(known)} of {len(values)} values are missing; see data.missing"
            )
        if len(known) and known.min() == known.max():
            found.append(f"feature '{printable(feature)}': constant ({known[0]:g}); it tells nothing")
    return found


def _of_lengths(sequences: Sequences) -> list[str]:
    lengths = np.array([len(values) for values in sequences.values])
    middle, longest = np.median(lengths), int(lengths.argmax())
    if lengths[longest] > LONG * middle:
        than = f"where half of the sequences have at most {middle:g}; see data.max_length and training.bucketing"
        return [f"{sequences.where[longest]}: {lengths[longest]} steps, {than}"]
    return []


def _is_sorted(targets: Sequence[str]) -> bool:
    """Whether equal targets stand together, several of each."""
    changes = sum(one != other for one, other in pairwise(targets))
    kinds = len(set(targets))
    return 1 < kinds <= len(targets) // 2 and changes == kinds - 1
