"""What a careful person would want to know of a set of pieces before training on it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from rnnbench.base.names import printable
from rnnbench_tasks.polyphonic_music.pieces import Piece
from rnnbench_tasks.polyphonic_music.rolls import LOWEST

# The longest piece of a split beside the usual one, from which on sorting by length saves much.
_MUCH_LONGER = 3
_NAMED = 5


def find_oddities(pieces: Mapping[str, Sequence[Piece]]) -> list[str]:
    """One line for each thing that is odd in the pieces of all splits; none where nothing is."""
    return [*_twice(pieces), *_silent(pieces), *_never_trained(pieces), *_long(pieces)]


def _twice(pieces: Mapping[str, Sequence[Piece]]) -> list[str]:
    places: dict[bytes, list[tuple[str, str]]] = defaultdict(list)
    for split, of_split in pieces.items():
        for piece in of_split:
            places[piece.roll.tobytes()].append((split, piece.name))
    groups = [group for group in places.values() if len(group) > 1]
    across = [group for group in groups if len({split for split, _ in group}) > 1]
    within = [group for group in groups if len({split for split, _ in group}) == 1]
    found = []
    if across:
        found.append(f"{_count(across, 'piece')} in more than one split, e.g. {_name(_one_of_each(across[0]))}")
    if within:
        found.append(f"{_count(within, 'piece')} more than once in one split, e.g. {_name(within[0])}")
    return found


def _silent(pieces: Mapping[str, Sequence[Piece]]) -> list[str]:
    silent = [(split, piece.name) for split, of_split in pieces.items() for piece in of_split if not piece.roll.any()]
    return [f"{_count(silent, 'piece')} without a note, e.g. {_name(silent[:1])}"] if silent else []


def _never_trained(pieces: Mapping[str, Sequence[Piece]]) -> list[str]:
    sounds = {split: np.any([piece.roll.any(axis=0) for piece in of_split], axis=0) for split, of_split in pieces.items()}
    found = []
    for split in sounds.keys() - {"train"}:
        keys = [str(LOWEST + key) for key in np.flatnonzero(sounds[split] & ~sounds["train"])]
        if keys:
            listed = ", ".join(keys[:_NAMED]) + (", ..." if len(keys) > _NAMED else "")
            found.append(f"{_count(keys, 'key')} in {split} and never in train (MIDI numbers {listed})")
    return sorted(found)


def _long(pieces: Mapping[str, Sequence[Piece]]) -> list[str]:
    lengths = [len(piece.roll) for piece in pieces["train"]]
    median = int(np.median(lengths))
    if max(lengths) < _MUCH_LONGER * median:
        return []
    return [f"train: the longest piece has {max(lengths)} frames, the median {median}: training.bucketing: true saves padding"]


def _one_of_each(group: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The first piece of each split."""
    return list({split: (split, name) for split, name in reversed(group)}.values())[::-1]


def _count(things: Sequence[object], noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"


def _name(group: Sequence[tuple[str, str]]) -> str:
    return " and ".join(f"{split} {printable(name)}" for split, name in group[:2])
