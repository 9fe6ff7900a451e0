"""A person's own pieces: which files hold them, what they are called, and which split each is in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rnnbench.base.errors import DataError
from rnnbench.base.names import printable
from rnnbench.task.arrays import load_arrays
from rnnbench.task.files import read_lines
from rnnbench.task.splits import SHARES, split_groups
from rnnbench_tasks.polyphonic_music.notes import read_frames
from rnnbench_tasks.polyphonic_music.rolls import Roll, check_roll, read_rolls

TEXTS = (".txt", ".csv")
# Folders, or first parts of an array's name, that say which split a piece is in.
_FOLDERS = {"train": "train", "valid": "validation", "validation": "validation", "test": "test"}


@dataclass(frozen=True)
class Piece:
    """One piece and what it is called: its file, its array, or its place in a .mat file."""

    name: str
    roll: Roll


def read_own(files: Mapping[str, Path], seed: int, splits: Sequence[str]) -> dict[str, list[Piece]]:
    """The asked splits of a person's own pieces.

    As they are in a .mat file, or as the folders train, valid and test say; else seeded, equal pieces all in one split.

    Raises:
        DataError: a file is damaged or holds something else, or there are too few pieces.
    """
    if len(files) == 1 and (path := next(iter(files.values()))).suffix.lower() == ".mat":
        return {name: _numbered(rolls) for name, rolls in read_rolls(path, splits).items()}
    pieces = [piece for name, path in files.items() for piece in read_pieces(path, name)]
    members = _by_folder(pieces) or _by_chance(pieces, seed, next(iter(files.values())))
    return {name: [pieces[number] for number in members[name]] for name in splits}


def read_pieces(path: Path, name: str) -> list[Piece]:
    """The pieces of one file: one of a text file, one for each array of a .npz file.

    Args:
        name: What the file is called.
    Raises:
        DataError: it is neither, or damaged.
    """
    if path.suffix.lower() == ".npz":
        return _read_arrays(path)
    if path.suffix.lower() in TEXTS:
        return [Piece(name, check_roll(read_frames(read_lines(path), str(path)), str(path)))]
    raise DataError(f"{path}: not a piece; give .npz, .txt or .csv files, or a single .mat file")


def _read_arrays(path: Path) -> list[Piece]:
    arrays = load_arrays(path)
    if not arrays:
        raise DataError(f"{path}: holds no arrays; each is a piece, T x 88")
    return [Piece(name, check_roll(array, f"{path}: array '{printable(name)}'")) for name, array in arrays.items()]


def _numbered(rolls: Sequence[Roll]) -> list[Piece]:
    return [Piece(f"piece {number}", roll) for number, roll in enumerate(rolls, 1)]


def _by_folder(pieces: Sequence[Piece]) -> dict[str, list[int]] | None:
    found: dict[str, list[int]] = {name: [] for name in SHARES}
    strays = []
    for number, piece in enumerate(pieces):
        folder, slash, _ = piece.name.partition("/")
        split = _FOLDERS.get(folder) if slash else None
        if split is None:
            strays.append(piece.name)
        else:
            found[split].append(number)
    if len(strays) == len(pieces):
        return None
    if strays:
        raise DataError(f"{printable(strays[0])} is in none of the folders train, valid and test, but other pieces are; move it into one")
    for name, members in found.items():
        if not members:
            raise DataError(f"no piece is in the folder {'valid' if name == 'validation' else name}; put some there, or use no folders")
    return found


def _by_chance(pieces: Sequence[Piece], seed: int, first: Path) -> dict[str, list[int]]:
    contents = [(piece.roll.shape, piece.roll.tobytes()) for piece in pieces]
    if len(set(contents)) < len(SHARES):
        raise DataError(
            f"{first}: {len(set(contents))} different pieces cannot be split into {', '.join(SHARES)}; give a folder of three or more"
        )
    return {name: rows.tolist() for name, rows in split_groups(contents, SHARES, seed).items()}
