"""What dates tell of a row, and how many rows a season has."""

# Shapes: T rows of a series.

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rnnbench.base.errors import ParameterError
from rnnbench.task.series import AUTO, NONE, split_names
from rnnbench.task.times import Step

CALENDAR = ("hour", "weekday", "month", "yearday")

_DAY_US = 86_400_000_000


def read_calendar(text: str) -> tuple[str, ...]:
    """The features that `data.calendar` names; all of them for `auto`.

    Raises:
        ParameterError: it names another.
    """
    if text == NONE:
        return ()
    names = CALENDAR if text == AUTO else tuple(split_names(text))
    for name in names:
        if name not in CALENDAR:
            raise ParameterError(f"data.calendar is '{text}', must be auto, none, or some of {', '.join(CALENDAR)} with commas between")
    return names


def calendar_of(calendar: str, step: Step | None, *, has_dates: bool) -> tuple[str, ...]:
    """The calendar features that a series gets; with `auto` those that change from row to row and not from year to year.

    Raises:
        ParameterError: it has no dates.
    """
    asked = read_calendar(calendar)
    if not asked:
        return ()
    if not has_dates or step is None:
        if calendar == AUTO:
            return ()
        raise ParameterError(f"data.calendar is {calendar}, but the data has no column of dates; set it to none")
    if calendar != AUTO:
        return asked
    if step.unit in ("months", "month ends"):
        return ("month",) if step.size < 12 else ()
    size = _DAY_US if step.unit == "business days" else step.size
    bounds = {"hour": _DAY_US, "weekday": 7 * _DAY_US, "yearday": 180 * _DAY_US}
    return tuple(name for name, bound in bounds.items() if size < bound)


def calendar_features(times: NDArray[np.int64], names: Sequence[str]) -> NDArray[np.float64]:
    """Sine and cosine of where in the day, week or year each time (microseconds since 1970) lies, (T, 2 each)."""
    moments = times.astype("datetime64[us]")
    years, months, days = (moments.astype(f"datetime64[{unit}]") for unit in "YMD")
    of_day = (times % _DAY_US) / _DAY_US
    length_of_year = ((years + 1).astype("datetime64[D]") - years.astype("datetime64[D]")).astype(np.int64)
    # 1970 began on a Thursday, the fourth day of a week that begins on Monday.
    shares = {
        "hour": of_day,
        "weekday": ((days.astype(np.int64) + 3) % 7 + of_day) / 7,
        "month": (months.astype(np.int64) % 12) / 12,
        "yearday": ((days - years.astype("datetime64[D]")).astype(np.int64) + of_day) / length_of_year,
    }
    angles = 2 * np.pi * np.stack([shares[name] for name in names], axis=1)
    return np.stack([np.sin(angles), np.cos(angles)], axis=2).reshape(len(times), -1)


def season_of(season: int | None, step: Step | None) -> int:
    """Steps of a season: as set, else 24 for hourly rows, 12 for monthly, 4 for quarterly and 1 for others.

    Source: the M4 competition's frequencies, Makridakis et al. 2020, doi:10.1016/j.ijforecast.2019.04.014.
    """
    if season is not None:
        return season
    if step is not None and step.unit in ("months", "month ends") and 12 % step.size == 0:
        return int(12 / step.size)
    if step is not None and step.unit == "microseconds" and step.size == _DAY_US / 24:
        return 24
    return 1
