"""Sets of numeric sequences of unequal length, each with a label, a number or a group: long tables, .npz, .ts, folders of tables."""

# Shapes: T steps of a sequence, F features, N sequences, S steps of all sequences together.

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnbench.base.errors import DataError
from rnnbench.base.names import printable
from rnnbench.task.arrays import load_arrays
from rnnbench.task.files import TABLES, get_column, kind_of, read_table
from rnnbench.task.series import AUTO, NONE, find_time_column, find_too_large, holds_numbers, read_numbers, require_names
from rnnbench.task.times import parse_times
from rnnbench.task.ts_format import read_ts

LABELS = "labels.csv"
_OF_SPLIT = re.compile(r"(?:^|.*[_.-])(train|validation|valid|val|test)", re.IGNORECASE)
_SPLITS = {"train": "train", "validation": "validation", "valid": "validation", "val": "validation", "test": "test"}


@dataclass(frozen=True)
class Names:
    """Columns of a long table, or of labels.csv.

    Attributes:
        target: The label or number of each sequence; None: it is not asked for.
        time: auto: a column of times, if there is one, orders nothing but must ascend; none.
        group: none: sequences have no group.
        features: None: every column of numbers. Files without names of columns (.npz, .ts) must have as many.
    """

    target: str | None
    sequence: str = "id"
    time: str = AUTO
    group: str = NONE
    features: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Sequences:
    """What was read; nan where a value is missing.

    Attributes:
        where: File and name of each sequence, for messages.
        targets: Words of labels or numbers; empty where not asked for.
        groups: Empty: none.
        splits: The split each sequence is in by its file's name; empty: files say nothing.
    """

    features: tuple[str, ...]
    names: Sequence[str]
    values: Sequence[NDArray[np.float64]]
    where: Sequence[str]
    targets: Sequence[str] = ()
    groups: Sequence[str] = ()
    splits: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.values)


def read_sequences(files: Mapping[str, Path], names: Names) -> Sequences:
    """All sequences of a file or folder, in the order in which they are found.

    A folder holds `labels.csv` (file, target and group of each table), or files whose names end in train, validation or test.

    Raises:
        DataError: a file cannot be read, sequences have different features, one is empty, or a value is no number or infinite.
    """
    if len(files) == 1:
        (path,) = files.values()
        return _checked(_read_file(path, names))
    listed = next((name for name in files if PurePosixPath(name).name == LABELS), None)
    if listed is not None:
        return _checked(_read_folder(files, listed, names))
    parts = {name: split_of(name) for name in files if _is_data(name)}
    folder = next(iter(files.values())).parent
    if not parts or None in parts.values():
        odd = next((name for name, split in parts.items() if split is None), "")
        raise DataError(
            f"{folder}: of several files each must say its split in its name (..._train.ts, ..._test.ts), or there must be a {LABELS} "
            f"with the columns file and {names.target or 'label'}" + (f"; {printable(odd)} says none" if odd else "")
        )
    return _checked(_joined([(_read_file(files[name], names), str(split)) for name, split in parts.items()]))


def split_of(name: str) -> str | None:
    """The split that a file's name ends in, as in `GunPoint_TRAIN.ts`; None: none."""
    found = _OF_SPLIT.fullmatch(PurePosixPath(name).name.removesuffix(".gz").rsplit(".", 1)[0])
    return _SPLITS[found[1].lower()] if found else None


def parse_targets(sequences: Sequences) -> NDArray[np.float64]:
    """The targets as numbers.

    Raises:
        DataError: one is missing or no number.
    """
    numbers = read_numbers(sequences.targets, lambda row: f"{sequences.where[row]}, target")
    for row in np.flatnonzero(np.isnan(numbers)).tolist():
        raise DataError(f"{sequences.where[row]}: no target; leave the sequence out")
    return numbers


def _read_file(path: Path, names: Names) -> Sequences:
    name = kind_of(path.name)
    if name.endswith(".ts"):
        return _read_ts(path, names)
    if name.endswith(".npz"):
        return _read_npz(path, names)
    if name.endswith(TABLES):
        return _read_long(path, names)
    raise DataError(f"{path}: sequences are read from {', '.join(TABLES)}, .npz and .ts files")


def _is_data(name: str) -> bool:
    return kind_of(name).endswith((*TABLES, ".ts", ".npz"))


def _read_long(path: Path, names: Names) -> Sequences:
    """A table with a row for each step: id, perhaps time, features, and the same target and group in all rows of a sequence."""
    rows = read_table(path)
    ids = get_column(rows, names.sequence, path, "data.id_column")
    targets = _targets(path, rows, names)
    groups = get_column(rows, names.group, path, "data.group_column") if names.group != NONE else None
    time = _time_column(path, rows, names, {names.sequence, names.target, names.group})
    taken = {names.sequence, names.target, names.group, time}
    features, values_SF = _features(path, rows, names, taken)
    members: dict[str, list[int]] = {}
    for row, one in enumerate(ids):
        if not one.strip():
            raise DataError(f"{path}, row {row + 1}: column '{printable(names.sequence)}' is empty: which sequence is it of?")
        members.setdefault(one, []).append(row)
    for index in members.values():
        for column, what in ((targets, names.target), (groups, names.group)):
            if column:
                _require_one_value(path, column, index, str(what))
        if time:
            _require_order(path, [rows[row][time] for row in index], index, time)
    return Sequences(
        features,
        names=list(members),
        values=[values_SF[index] for index in members.values()],
        where=[f"{path}, {names.sequence} '{printable(one, 40)}'" for one in members],
        targets=[targets[index[0]] for index in members.values()] if targets else (),
        groups=[groups[index[0]] for index in members.values()] if groups else (),
    )


def _targets(path: Path, rows: Sequence[Mapping[str, str]], names: Names) -> list[str] | None:
    """Labels without the spaces around them, which nobody sees."""
    return None if names.target is None else [text.strip() for text in get_column(rows, names.target, path, "data.target_column")]


def _read_folder(files: Mapping[str, Path], listed: str, names: Names) -> Sequences:
    """A table for each sequence, and one that lists them."""
    path, folder = files[listed], PurePosixPath(listed).parent
    rows = read_table(path)
    places = get_column(rows, "file", path, "a column 'file'")
    targets = _targets(path, rows, names)
    groups = get_column(rows, names.group, path, "data.group_column") if names.group != NONE else ()
    found = []
    for row, place in enumerate(places):
        name = (folder / place).as_posix()
        if name not in files or name == listed:
            raise DataError(f"{path}, row {row + 1}: there is no file {printable(place)}")
        steps = read_table(files[name])
        time = _time_column(files[name], steps, names, set())
        if time:
            _require_order(files[name], [step[time] for step in steps], range(len(steps)), time)
        found.append(_features(files[name], steps, names, {time}))
        if found[-1][0] != found[0][0]:
            raise DataError(f"{files[name]}: columns {', '.join(found[-1][0])}, but {printable(places[0])} has {', '.join(found[0][0])}")
    where = [str(files[(folder / place).as_posix()]) for place in places]
    return Sequences(found[0][0], places, [values for _, values in found], where, targets or (), groups)


def _read_npz(path: Path, names: Names) -> Sequences:
    """`x` (N, T, F) or (N, T), padded behind `lengths` or with nan, or (S, F) one after the other with `lengths`; `y`, perhaps `groups`."""
    arrays = load_arrays(path, "save x as numbers, padded to (N, T, F) with lengths, or as all rows one after the other with lengths")
    if "x" not in arrays:
        raise DataError(f"{path}: holds {', '.join(arrays) or 'nothing'}, but no array x")
    x, lengths = arrays["x"], arrays.get("lengths")
    if x.dtype.kind not in "buif" or x.ndim not in (2, 3):
        raise DataError(f"{path}: x is {x.dtype} with {x.ndim} axes, must be numbers of shape (N, T, F), (N, T), or (S, F) with lengths")
    if not x.size:
        raise DataError(f"{path}: x is {'x'.join(map(str, x.shape))}: it holds no value")
    x = x.astype(np.float64)
    if lengths is not None and (lengths.ndim != 1 or lengths.dtype.kind not in "ui" or len(lengths) == 0 or lengths.min() < 1):
        raise DataError(f"{path}: lengths must be whole numbers from 1, one for each sequence")
    if lengths is not None and x.ndim == 2 and (len(lengths) != len(x) or int(lengths.sum()) == len(x)):
        if int(lengths.sum()) != len(x):
            raise DataError(f"{path}: lengths add up to {int(lengths.sum())}, but x has {len(x)} rows")
        values = np.split(x, np.cumsum(lengths)[:-1])
    else:
        x = x[:, :, None] if x.ndim == 2 else x
        if lengths is None:
            valid: NDArray[np.bool_] = np.asarray(~np.isnan(x).all(axis=2))
            lengths = np.where(valid.any(axis=1), x.shape[1] - valid[:, ::-1].argmax(axis=1), 0)
        if len(lengths) != len(x) or lengths.max() > x.shape[1]:
            raise DataError(
                f"{path}: lengths has {len(lengths)} entries up to {int(lengths.max())}, but x is {'x'.join(map(str, x.shape))}"
            )
        values = [row[:length] for row, length in zip(x, lengths, strict=True)]
    found = {}
    for name, is_asked in (("y", names.target is not None), ("groups", names.group != NONE)):
        if is_asked and name not in arrays:
            raise DataError(f"{path}: holds {', '.join(arrays)}, but no array {name}")
        if is_asked and arrays[name].shape != (len(values),):
            raise DataError(f"{path}: {name} has shape {arrays[name].shape}, must have one entry for each of {len(values)} sequences")
        found[name] = _words(arrays[name]) if is_asked else []
    features = _without_names(path, values[0].shape[1], names)
    where = [f"{path}, sequence {number}" for number in range(1, len(values) + 1)]
    return Sequences(features, [str(number) for number in range(1, len(values) + 1)], values, where, found["y"], found["groups"])


def _words(array: NDArray[Any]) -> list[str]:
    """Labels or numbers as text, nan as none."""
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8", "replace")
    return ["" if one != one else str(one).strip() for one in array.tolist()]


def _read_ts(path: Path, names: Names) -> Sequences:
    content = read_ts(path)
    if names.target is not None and not content.targets:
        raise DataError(f"{path}: its head says neither @classLabel nor @targetLabel true, so that its sequences have no target")
    if names.group != NONE:
        raise DataError(f"{path}: a .ts file has no groups; set data.group_column to none")
    numbers = [str(number) for number in range(1, len(content.values) + 1)]
    where = [f"{path}:{line}" for line in content.lines]
    return Sequences(
        _without_names(path, content.values[0].shape[1], names),
        numbers,
        content.values,
        where,
        content.targets if names.target is not None else (),
    )


def _without_names(path: Path, count: int, names: Names) -> tuple[str, ...]:
    if names.features is not None and len(names.features) != count:
        raise DataError(f"{path}: {count} features, must be {len(names.features)}: {', '.join(map(printable, names.features))}")
    return names.features or tuple(f"x{number}" for number in range(1, count + 1))


def _features(
    path: Path, rows: Sequence[Mapping[str, str]], names: Names, taken: set[str | None]
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    if names.features is not None:
        columns = list(names.features)
    else:
        columns = [name for name in rows[0] if name and name not in taken and holds_numbers([row.get(name, "") for row in rows])]
    require_names(path, list(rows[0]))
    if not columns:
        raise DataError(f"{path}: no column of numbers among {', '.join(map(printable, rows[0]))}; name those to read in data.columns")
    texts = [get_column(rows, column, path, "data.columns") for column in columns]

    def where(column: str) -> Callable[[int], str]:
        return lambda row: f"{path}, row {row + 1}, column '{printable(column)}'"

    return tuple(columns), np.column_stack([read_numbers(one, where(column)) for one, column in zip(texts, columns, strict=True)])


def _time_column(path: Path, rows: Sequence[Mapping[str, str]], names: Names, taken: set[str | None]) -> str:
    listed = names.features or ()
    return find_time_column(path, rows, names.time, [name for name in rows[0] if name not in taken and name not in listed])


def _require_one_value(path: Path, column: Sequence[str], index: Sequence[int], what: str) -> None:
    first = column[index[0]]
    for row in index:
        if column[row] != first:
            found = f"'{printable(column[row], 40)}', but row {index[0] + 1} of the same sequence has '{printable(first, 40)}'"
            raise DataError(f"{path}, row {row + 1}, column '{printable(what)}': {found}")


def _require_order(path: Path, texts: Sequence[str], index: Sequence[int], column: str) -> None:
    stamps = parse_times(texts, lambda row: f"{path}, row {index[row] + 1}, column '{printable(column)}'")
    behind = np.flatnonzero(np.diff(stamps.values) <= 0)
    if len(behind):
        row = int(behind[0]) + 1
        found = "the same time as" if stamps.values[row] == stamps.values[row - 1] else "an earlier time than"
        raise DataError(f"{path}, row {index[row] + 1}: {found} row {index[row - 1] + 1} of the same sequence; sort the rows by time")


def _joined(parts: Sequence[tuple[Sequences, str]]) -> Sequences:
    first = parts[0][0]
    for one, _ in parts[1:]:
        if one.features != first.features:
            raise DataError(f"{one.where[0]}: features {', '.join(one.features)}, but {first.where[0]} has {', '.join(first.features)}")

    def all_of(name: str) -> list[Any]:
        return [item for one, _ in parts for item in getattr(one, name)]

    splits = [split for one, split in parts for _ in range(len(one))]
    return Sequences(first.features, all_of("names"), all_of("values"), all_of("where"), all_of("targets"), all_of("groups"), splits)


def _checked(sequences: Sequences) -> Sequences:
    for values, where in zip(sequences.values, sequences.where, strict=True):
        if not len(values):
            raise DataError(f"{where}: a sequence without a step")
        for place in range(values.shape[1]):
            if step := find_too_large(values[:, place]):
                raise DataError(
                    f"{where}, step {step}, feature {sequences.features[place]}: {values[step - 1, place]:g} is no number that can be used"
                )
    for target, where in zip(sequences.targets, sequences.where, strict=False):
        if not target.strip():
            raise DataError(f"{where}: no target")
    return sequences
