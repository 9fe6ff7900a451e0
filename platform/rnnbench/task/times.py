"""Time stamps of a table: which form a column has, how far apart its rows are, and what comes after the last."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rnnbench.base.canonical import Plain
from rnnbench.base.errors import DataError
from rnnbench.base.names import printable

Unit = Literal["microseconds", "months", "month ends", "business days", "numbers"]

# Names under which a column of plain numbers is taken for time.
TIME_NAMES = ("time", "date", "datetime", "timestamp", "month", "year", "day", "week", "quarter", "period", "ds", "t", "step", "index")
_SECOND, _DAY = 1_000_000, 86_400_000_000
_DATES = (
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%Y.%m.%d",
    "%b %d %Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%d %b %Y",
    "%d %B %Y",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%m-%d-%Y",
    "%d-%m-%Y",
    "%m/%d/%y",
    "%d/%m/%y",
    "%y/%m/%d",
    "%d.%m.%y",
)
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
_MONTHS = ("%Y-%m", "%Y/%m", "%b %Y", "%B %Y", "%b-%Y", "%b-%y", "%m/%Y")
# What datetime.fromisoformat does not read.
_ISO_WITH_HALVES_OF_DAYS = ("%Y-%m-%d %I:%M %p", "%Y-%m-%d %I:%M:%S %p")
_FORMATS = (*(date + clock for date, clock in product(_DATES, _CLOCKS)), *_MONTHS, *_ISO_WITH_HALVES_OF_DAYS)
# Words of a column's name, and the shape of a field, that say time where the form is not known.
_NAMES_OF_TIME = {"date", "time", "datetime", "timestamp", "ds"}
_SHAPE_OF_DATE = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}\b.*")


@dataclass(frozen=True)
class Stamps:
    """Times of rows: microseconds since 1970 (dates), or plain numbers.

    Attributes:
        form: How they were read, in words.
    """

    values: NDArray[Any]
    are_dates: bool
    form: str

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: NDArray[np.int64] | slice) -> "Stamps":
        """Those of some rows."""
        return Stamps(self.values[rows], self.are_dates, self.form)

    def show(self, place: int) -> str | float:
        """One of them as ISO text, or the number."""
        return show_time(self.values[place], are_dates=self.are_dates)


@dataclass(frozen=True)
class Step:
    """How far apart rows are: `size` units; months and business days are no fixed number of seconds."""

    unit: Unit
    size: float

    def to_plain(self) -> dict[str, Plain]:
        """Plain data from which `step_of` makes an equal one."""
        return {"unit": self.unit, "size": self.size}

    def __str__(self) -> str:
        if self.unit != "microseconds":
            return f"{self.size:g} {self.unit[:-1] if self.size == 1 else self.unit}"
        for name, length in (("day", _DAY), ("hour", 3600 * _SECOND), ("minute", 60 * _SECOND)):
            if self.size % length == 0:
                return f"{self.size / length:g} {name}{'' if self.size == length else 's'}"
        return f"{self.size / _SECOND:g} s"


def step_of(plain: Mapping[str, Plain]) -> Step:
    """The step of what `to_plain` gave."""
    return Step(plain["unit"], plain["size"])


def show_time(value: Any, *, are_dates: bool) -> str | float:
    """A time as ISO text (a date alone where the clock is at midnight), or the number."""
    if not are_dates:
        return float(value)
    text = str(np.datetime64(int(value), "us")).removesuffix("T00:00:00.000000").removesuffix(".000000")
    return text.replace("T", " ")


def parse_times(texts: Sequence[str], where: Callable[[int], str]) -> Stamps:
    """The times of a column, all of one form; plain numbers will do.

    Args:
        where: Names a row for messages.
    Raises:
        DataError: a time is missing, or not of the form of those before; or the form is not known, or has two readings.
    """
    texts = [text.strip() for text in texts]
    for row, text in enumerate(texts):
        if not text:
            raise DataError(f"{where(row)}: no time")
    if (numbers := _numbers(texts)) is not None:
        return numbers
    fitting = [form for form in _FORMATS if _fits(form, texts[0])]
    found: list[Stamps] = []
    failed: tuple[int, str] | None = None
    for form in ("ISO", "quarter", *fitting):
        try:
            found.append(Stamps(_parse_all(form, texts), are_dates=True, form=form))
        except _Misfit as misfit:
            if failed is None or misfit.row > failed[0]:
                failed = misfit.row, form
    if not found:
        row, form = failed or (0, "")
        before = f", and the rows before are ({form})" if row else "; write times as 2024-01-31 or 2024-01-31 12:00:00"
        raise DataError(f"{where(row)}: '{printable(texts[row], 40)}' is not a time{before}")
    if len(found) > 1:
        # Months before days or behind them: only the order of the rows can tell.
        ascending = [stamps for stamps in found if (np.diff(stamps.values) > 0).all()]
        if len(ascending) != 1 and any((found[0].values != other.values).any() for other in found[1:]):
            raise DataError(
                f"{where(0)}: '{printable(texts[0], 40)}' can be {' or '.join(one.form for one in found)}; write times as 2024-01-31"
            )
        return (ascending or found)[0]
    return found[0]


def looks_like_times(name: str, texts: Sequence[str]) -> bool:
    """Whether a column is likely one of times: dates, or numbers under a name for time."""
    first = next((text.strip() for text in texts if text.strip()), "")
    if _number(first) is not None:
        return name.strip().lower() in TIME_NAMES
    return any(_fits(form, first) for form in ("ISO", "quarter", *_FORMATS))


def seems_meant_as_times(name: str, texts: Sequence[str]) -> bool:
    """Whether a column that `looks_like_times` does not know is one of times all the same, by its name or the shape of its fields."""
    first = next((text.strip() for text in texts if text.strip()), "")
    if _number(first) is not None or not any(sign.isdigit() for sign in first):
        return False
    is_named = not _NAMES_OF_TIME.isdisjoint(re.split(r"[^a-z]+", name.lower()))
    return is_named or _SHAPE_OF_DATE.fullmatch(first) is not None


def find_step(stamps: Stamps) -> Step:
    """The step that most rows are apart; of dates that come monthly in months, of days without week-ends in business days.

    Args:
        stamps: Ascending, at least two.
    """
    if not stamps.are_dates:
        apart = np.diff(stamps.values)
        values, counts = np.unique(np.round(apart, 9), return_counts=True)
        return Step("numbers", float(values[counts.argmax()]))
    months = _months(stamps.values)
    if months is not None:
        values, counts = np.unique(np.diff(months), return_counts=True)
        are_alike = len(np.unique(_days_into_month(stamps.values))) == 1
        return Step("months" if are_alike else "month ends", int(values[counts.argmax()]))
    values, counts = np.unique(np.diff(stamps.values), return_counts=True)
    size = int(values[counts.argmax()])
    days = stamps.values.astype("datetime64[us]").astype("datetime64[D]")
    if size == _DAY and len(stamps) > 5 and (stamps.values[-1] - stamps.values[0]) > 7 * _DAY and np.is_busday(days).all():
        return Step("business days", 1)
    return Step("microseconds", size)


def places_of(stamps: Stamps, step: Step, where: Callable[[int], str], start: Any = None) -> NDArray[np.int64]:
    """Which step after the first each time is, counted from `start` (default: the first time).

    Raises:
        DataError: a time lies between two steps.
    """
    values = stamps.values
    start = values[0] if start is None else start
    if step.unit in ("months", "month ends"):
        months = _months(np.concatenate([[start], values]))
        offset = None if months is None else months[1:] - months[0]
    elif step.unit == "business days":
        days = values.astype("datetime64[us]").astype("datetime64[D]")
        is_business = np.is_busday(days) & ((values - start) % _DAY == 0)
        offset = np.busday_count(np.datetime64(int(start), "us").astype("datetime64[D]"), days)
        offset = np.where(is_business, offset, -1)
    else:
        offset = values - start
    if offset is None:
        raise DataError(f"{where(0)}: the times are not a whole number of months apart; set data.gaps to rows")
    places: NDArray[np.int64] = np.round(offset / step.size).astype(np.int64)
    off = np.abs(offset - places * step.size) > (1e-3 * step.size if step.unit == "numbers" else 0)
    off |= places < 0
    if off.any():
        row = int(off.argmax())
        shown = stamps.show(row)
        raise DataError(f"{where(row)}: {shown} is not a whole number of steps ({step}) after the first time; set data.gaps to rows")
    return places


def times_after(last: Any, step: Step, count: int, *, are_dates: bool) -> NDArray[Any]:
    """The next times."""
    ahead = np.arange(1, count + 1)
    if not are_dates:
        return np.asarray(last + ahead * step.size, dtype=np.float64)
    if step.unit == "microseconds":
        return np.asarray(int(last) + ahead * int(step.size), dtype=np.int64)
    day = np.datetime64(int(last), "us").astype("datetime64[D]")
    if step.unit == "business days":
        days = np.busday_offset(day, ahead, roll="forward")
    else:
        first = day.astype("datetime64[M]")
        months = first + (ahead * int(step.size)).astype("timedelta64[M]")
        ends = (months + 1).astype("datetime64[D]") - 1
        same = months.astype("datetime64[D]") + (day - first.astype("datetime64[D]"))
        # A month without that day has its last instead.
        days = ends if step.unit == "month ends" else np.minimum(same, ends)
    return np.asarray(days.astype("datetime64[us]").astype(np.int64) + int(last) % _DAY, dtype=np.int64)


class _Misfit(Exception):
    def __init__(self, row: int) -> None:
        super().__init__(row)
        self.row = row


def _months(values: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Months since 1970 of dates that lie on the same day of a month at the same time, or on its last day; None: they do not."""
    if (values % _DAY != values[0] % _DAY).any():
        return None
    days = values.astype("datetime64[us]").astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    within = _days_into_month(values)
    is_last = (days + 1).astype("datetime64[M]") != months
    if len(values) < 2 or not ((within == within[0]).all() or is_last.all()) or (np.diff(months.astype(np.int64)) < 0).any():
        return None
    found: NDArray[np.int64] = months.astype(np.int64)
    return found


def _days_into_month(values: NDArray[np.int64]) -> NDArray[np.int64]:
    days = values.astype("datetime64[us]").astype("datetime64[D]")
    found: NDArray[np.int64] = (days - days.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64)
    return found


def _numbers(texts: Sequence[str]) -> Stamps | None:
    if _number(texts[0]) is None:
        return None
    numbers = [_number(text) for text in texts]
    if any(number is None for number in numbers):
        return None
    values = np.array(numbers, dtype=np.float64)
    if (values == np.round(values)).all():
        low, high = values.min(), values.max()
        if all(len(text) == 8 for text in texts) and low >= 1500_01_01 and high <= 2500_12_31:
            try:
                return Stamps(_parse_all("%Y%m%d", texts), are_dates=True, form="%Y%m%d")
            except _Misfit:
                return Stamps(values, are_dates=False, form="numbers")
        for name, length, bounds in (("Unix seconds", _SECOND, (1e8, 4.2e9)), ("Unix milliseconds", 1000, (1e11, 4.2e12))):
            if bounds[0] <= low and high <= bounds[1]:
                return Stamps(values.astype(np.int64) * length, are_dates=True, form=name)
    return Stamps(values, are_dates=False, form="numbers")


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if np.isfinite(number) else None


def _fits(form: str, text: str) -> bool:
    try:
        _parse(form, text)
    except ValueError:
        return False
    return True


def _parse_all(form: str, texts: Sequence[str]) -> NDArray[np.int64]:
    times = []
    for row, text in enumerate(texts):
        try:
            times.append(_parse(form, text))
        except ValueError as error:
            raise _Misfit(row) from error
    if len({time.tzinfo is None for time in times}) > 1:
        raise _Misfit(next(row for row, time in enumerate(times) if (time.tzinfo is None) != (times[0].tzinfo is None)))
    # A time with a zone is taken to UTC, one without stays what it is.
    naive = [time.replace(tzinfo=None) if time.tzinfo is None else time.astimezone(UTC).replace(tzinfo=None) for time in times]
    found: NDArray[np.int64] = np.array(naive, dtype="datetime64[us]").astype(np.int64)
    return found


def _parse(form: str, text: str) -> datetime:
    """A time, with its zone where it has one."""
    if form == "ISO":
        return datetime.fromisoformat(f"{text[:-4]}Z" if text.endswith(" UTC") else text)
    if form == "quarter":
        year, _, quarter = text.upper().replace("-", "").replace(" ", "").partition("Q")
        if len(year) != 4 or quarter not in ("1", "2", "3", "4"):
            raise ValueError(text)
        return datetime(int(year), 3 * int(quarter) - 2, 1, tzinfo=UTC).replace(tzinfo=None)
    return datetime.strptime(text, form)  # noqa: DTZ007  # a time without a zone stays one
