"""Numeric series from tables: one row for each time, one or several series in a file or a folder; missing times become missing values."""

# Shapes: T rows of a series, C columns.

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rnnbench.base.errors import DataError
from rnnbench.base.names import printable
from rnnbench.task.files import get_column, is_missing, is_number, is_written_number, parse_number, read_table
from rnnbench.task.times import Stamps, Step, find_step, looks_like_times, parse_times, places_of, seems_meant_as_times, times_after

Gaps = Literal["insert", "rows", "refuse"]
Row = Mapping[str, str]

AUTO, NONE = "auto", "none"
# What a number may be at most: sums of squares stay finite, and 32-bit floats hold it.
MAX_NUMBER = 1e30
# A column of which fewer values are numbers is one of words.
MIN_NUMBERS = 0.5
# Where most steps have no row, the step is the wrong one.
MAX_INSERTED = 0.5


@dataclass(frozen=True)
class Columns:
    """Which columns of a table are read.

    Attributes:
        time: A name, or none; auto: the first that holds times.
        series: The column that tells several series apart, or none.
        values: Columns beside the targets; None: every column of numbers.
        targets: Those to be predicted, which come first; None: all that are read.
    """

    time: str = AUTO
    series: str = NONE
    values: tuple[str, ...] | None = None
    targets: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Series:
    """Values of one series in the order of time; nan where one is missing.

    Attributes:
        name: Empty where there is only one.
        file: Where it is from.
        columns: Names of the C columns, targets first.
        rows: (T,) numbers of the rows in the file, from 1; -1 where a missing time was inserted.
        stamps: Times; None: the table has none.
        step: How far apart rows are; None: rows are counted.
    """

    name: str
    file: Path
    columns: tuple[str, ...]
    values_TC: NDArray[np.float64]
    rows: NDArray[np.int64]
    stamps: Stamps | None = None
    step: Step | None = None

    def __len__(self) -> int:
        return len(self.values_TC)

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"{self.file}, series '{printable(self.name)}'" if self.name else str(self.file)


@dataclass(frozen=True)
class Table:
    """All series that were read, with the same columns.

    Attributes:
        num_targets: How many columns, the first ones, are to be predicted.
        left_out: Columns that hold words.
        time: Name of the time column, or empty.
    """

    series: Sequence[Series]
    num_targets: int
    left_out: tuple[str, ...] = ()
    time: str = ""


def read_series(files: Mapping[str, Path], columns: Columns) -> Table:
    """Every series of a table, or of a folder of tables, each of which is then a series of its own (or several).

    Raises:
        DataError: a column is missing, a value is no number or infinite, times are not ascending, or files differ in their columns.
    """
    tables = [_read_one(path, name if len(files) > 1 else "", columns) for name, path in files.items()]
    first = tables[0]
    for table in tables[1:]:
        if table.series[0].columns != first.series[0].columns:
            names = ", ".join(map(printable, table.series[0].columns))
            raise DataError(
                f"{table.series[0].file}: its columns of numbers are {names}, those of {first.series[0].file} are "
                f"{', '.join(map(printable, first.series[0].columns))}; name those to read in data.columns"
            )
    return replace(first, series=[one for table in tables for one in table.series])


def split_names(text: str) -> list[str]:
    """Names with commas between."""
    return [name for name in (part.strip() for part in text.split(",")) if name]


def regular(series: Series, gaps: Gaps, step: Step | None = None) -> Series:
    """The series with its step, found or given; with `insert` there is a row for every time, with missing values where the file has none.

    Raises:
        DataError: times lie between two steps, too many are missing, or with `refuse` any is.
    """
    if series.stamps is None or (len(series) < 2 and step is None):
        return series
    step = step or find_step(series.stamps)
    if gaps == "rows":
        return replace(series, step=step)
    where = partial(_where, series)
    places = places_of(series.stamps, step, where)
    total = int(places[-1]) + 1
    missing = total - len(series)
    if not missing:
        return replace(series, step=step)
    jump = int((np.diff(places) > 1).argmax())
    apart = int(places[jump + 1] - places[jump])
    begins = f"{where(jump + 1)}: {series.stamps.show(jump + 1)} comes {apart} steps ({step}) after the row before"
    if gaps == "refuse":
        raise DataError(f"{begins}; {missing} of {total} times are missing: set data.gaps to insert or rows")
    if missing > MAX_INSERTED * total:
        raise DataError(f"{begins}; {missing} of {total} times would be missing: set data.gaps to rows, or write rows at equal steps")
    values_TC = np.full((total, series.values_TC.shape[1]), np.nan)
    rows = np.full(total, -1)
    times = np.empty(total, dtype=series.stamps.values.dtype)
    times[0] = series.stamps.values[0]
    times[1:] = times_after(times[0], step, total - 1, are_dates=series.stamps.are_dates)
    values_TC[places], rows[places], times[places] = series.values_TC, series.rows, series.stamps.values
    return replace(series, values_TC=values_TC, rows=rows, stamps=replace(series.stamps, values=times), step=step)


def read_numbers(texts: Sequence[str], where: Callable[[int], str]) -> NDArray[np.float64]:
    """A column of numbers; nan where one is missing (an empty field, NA, NaN, null, `?`).

    Args:
        where: Names a row for messages.
    Raises:
        DataError: a value is no number, infinite or above MAX_NUMBER.
    """
    try:
        # Python takes 1_000 for a number, and numpy too.
        values = np.array([text if "_" not in text else "." for text in texts], dtype=np.float64)
    except ValueError:
        values = np.array([parse_number(text, where(row)) for row, text in enumerate(texts)])
    if bad := find_too_large(values):
        raise DataError(f"{where(bad - 1)}: {values[bad - 1]:g} is no number that can be used; correct it or leave the field empty")
    return values


def find_too_large(values: NDArray[np.float64]) -> int:
    """The number, from 1, of the first value that is infinite or above MAX_NUMBER; 0: there is none."""
    too_large = np.abs(np.nan_to_num(values, nan=0.0, posinf=np.inf, neginf=-np.inf)) > MAX_NUMBER
    return int(too_large.argmax()) + 1 if too_large.any() else 0


def holds_numbers(texts: Sequence[str]) -> bool:
    """Whether a column is one of numbers, perhaps with mistakes or in a form that is not read, and not one of words."""
    given = [text for text in texts if not is_missing(text)]
    return not given or sum(map(is_written_number, given)) >= MIN_NUMBERS * len(given)


def find_time_column(path: Path, rows: Sequence[Row], asked: str, among: Sequence[str]) -> str:
    """The column of times: the one asked for, with auto the first of `among` that holds some; empty: there is none.

    Raises:
        DataError: there is no column of that name, or with auto one whose times are of no form that is known.
    """
    if asked == NONE:
        return ""
    if asked != AUTO:
        get_column(rows, asked, path, "data.time_column")
        return asked
    fields = {name: [row.get(name, "") for row in rows[:20]] for name in among}
    found = next((name for name, texts in fields.items() if looks_like_times(name, texts)), "")
    unknown = next((name for name, texts in fields.items() if seems_meant_as_times(name, texts)), "")
    if unknown and not found:
        shown = next(text.strip() for text in fields[unknown] if text.strip())
        raise DataError(
            f"{path}, column '{printable(unknown)}': '{printable(shown, 40)}' is no time that is known; write times as 2024-01-31 or "
            "2024-01-31 12:00:00, or set data.time_column to none: rows then follow each other as they stand"
        )
    return found


def require_names(path: Path, names: Sequence[str]) -> None:
    """A first line of values instead of names would be lost.

    Raises:
        DataError: every column is called by a number or a time, and these do not count (0, 1, 2, ... or 2019, 2020, ...).
    """
    given = [name for name in names if name]
    if not given or not all(is_number(name) or looks_like_times("", [name]) for name in given):
        return
    if given in (["0"], ["1"]) or (len(given) > 1 and all(map(is_number, given)) and _count_up([float(name) for name in given])):
        return
    raise DataError(
        f"{path}:1: the first line must name the columns, but holds values ({', '.join(map(printable, given[:3]))}); put a line of names "
        "in front"
    )


def _require_row_numbers(path: Path, nameless: Sequence[str]) -> None:
    """A column without a name may be row numbers that some programs write, words, or empty behind a last delimiter: it is not read."""
    if all(map(is_missing, nameless)) or not all(map(is_number, nameless)) or _count_up([float(text) for text in nameless]):
        return
    raise DataError(f"{path}:1: a column of numbers without a name ({', '.join(map(printable, nameless[:3]))}, ...); name it")


def _count_up(numbers: Sequence[float]) -> bool:
    return all(other == one + 1 for one, other in pairwise(numbers))


def _read_one(path: Path, name: str, columns: Columns) -> Table:
    rows = read_table(path)
    names = list(rows[0])
    require_names(path, names)
    series = "" if columns.series == NONE else columns.series
    groups = get_column(rows, series, path, "data.series_column") if series else [""] * len(rows)
    time = find_time_column(path, rows, columns.time, [name for name in names if name != series])
    targets = columns.targets or ()
    listed = list(dict.fromkeys([*targets, *(columns.values or ())]))
    for column in listed:
        get_column(rows, column, path, "data.targets" if column in targets else "data.columns")
        if column in (time, series):
            raise DataError(
                f"{path}: column '{printable(column)}' is the one of {'times' if column == time else 'series'}; it cannot be a value"
            )
    free = [column for column in names if column not in ("", time, series, *listed)] if columns.values is None else []
    _require_row_numbers(path, [row.get("", "") for row in rows])
    of_numbers = [column for column in free if _holds_numbers(path, rows, column)]
    chosen = [*listed, *of_numbers]
    if not chosen:
        raise DataError(f"{path}: no column of numbers among {', '.join(map(printable, names))}; name those to read in data.columns")
    values_TC = np.column_stack([_numbers(path, rows, column) for column in chosen])
    members: dict[str, list[int]] = {}
    for row, group in enumerate(groups):
        members.setdefault(group, []).append(row)
    times = [row[time] for row in rows] if time else None
    found = []
    for group, index in members.items():
        full_name = "/".join(part for part in (name, group) if part)
        series_of_group = Series(full_name, path, tuple(chosen), values_TC[index], np.array(index) + 1)
        found.append(_with_times(series_of_group, [times[row] for row in index], time) if times else series_of_group)
    forms = {one.stamps.form: one for one in found if one.stamps is not None}
    if len(forms) > 1:
        # Each series told by its own order whether months come before days: two answers cannot both be right.
        (form, one), (other_form, other) = list(forms.items())[:2]
        raise DataError(
            f"{path}, column '{printable(time)}': times of series '{printable(one.name)}' are {form}, those of '{printable(other.name)}' "
            f"{other_form}; write all as 2024-01-31"
        )
    return Table(found, len(targets) or len(chosen), tuple(column for column in free if column not in of_numbers), time)


def _with_times(series: Series, texts: Sequence[str], column: str) -> Series:
    where = partial(_where, series, column=column)
    stamps = parse_times(texts, where)
    apart = np.diff(stamps.values)
    if len(apart) and (apart <= 0).any():
        row = int((apart <= 0).argmax()) + 1
        if apart[row - 1] == 0:
            hint = "" if series.name else "; if the file holds several series, name their column in data.series_column"
            raise DataError(f"{where(row)}: the time {stamps.show(row)} is there twice{hint}")
        newest = "the newest row comes first: " if (apart < 0).all() else ""
        raise DataError(f"{where(row)}: {stamps.show(row)} comes after {stamps.show(row - 1)}; {newest}sort the rows by time")
    return replace(series, stamps=stamps)


def _holds_numbers(path: Path, rows: Sequence[Row], column: str) -> bool:
    return holds_numbers(get_column(rows, column, path, "data.columns"))


def _numbers(path: Path, rows: Sequence[Row], column: str) -> NDArray[np.float64]:
    values = read_numbers([row[column] for row in rows], lambda row: f"{path}, row {row + 1}, column '{printable(column)}'")
    if np.isnan(values).all():
        raise DataError(f"{path}, column '{printable(column)}': not one number in {len(values)} rows; leave it out of data.columns")
    return values


def _where(series: Series, row: int, column: str = "") -> str:
    return f"{series.file}, row {series.rows[row]}" + (f", column '{printable(column)}'" if column else "")
