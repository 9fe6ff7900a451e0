"""From the values of a series to what the network reads, with scales learned from training rows; and from its outputs back to the units."""

# Shapes: T rows of a series, C columns of values (the first K are targets), F features, H steps of the horizon.

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from rnnbench.base.canonical import Plain
from rnnbench.base.errors import DataError
from rnnbench.base.names import printable
from rnnbench.task.series import Series
from rnnbench.task.times import Stamps
from rnnbench_tasks.forecasting.settings import Settings

Values = NDArray[np.float64]

_DAY_US = 86_400_000_000


@dataclass(frozen=True)
class Scale:
    """What is known of one series from its training rows; lists have an entry for each column, or each target.

    Attributes:
        centre, spread: Of transformed columns: what is subtracted, and then divided by.
        level: What stands for a value before the first one known: the mean of each column.
        deviation: Standard deviation of each target, in its own units: the unit of the metric.
        naive: Mean absolute change of each target over a season: the unit of MASE; 0 where it never changes.
        first: The first value of each target.
    """

    centre: Sequence[float]
    spread: Sequence[float]
    level: Sequence[float]
    deviation: Sequence[float]
    naive: Sequence[float]
    first: Sequence[float]


@dataclass(frozen=True)
class Preparation:
    """All that new rows need to become features, and outputs to become forecasts.

    Attributes:
        columns: Those that are read, targets first.
        masked: Columns with a feature that tells where a value is missing.
        calendar: Calendar features, two numbers each.
        window, season: Steps.
        transform: Of the targets, see the card.
        step: How far apart rows are, as plain data; None: rows are counted.
        time, series: Names of these columns; empty: none.
        scales: By the name of the series.
    """

    columns: Sequence[str]
    num_targets: int
    masked: Sequence[str]
    calendar: Sequence[str]
    window: int
    season: int
    transform: str
    step: Mapping[str, Plain] | None
    time: str
    series: str
    scales: Mapping[str, Scale]

    @property
    def num_features(self) -> int:
        """Size of a step, F."""
        return len(self.columns) + len(self.masked) + 2 * len(self.calendar)

    @property
    def targets(self) -> Sequence[str]:
        """Names of the target columns."""
        return self.columns[: self.num_targets]

    def to_plain(self) -> dict[str, Plain]:
        """Plain data from which `preparation_of` makes an equal one."""
        return asdict(self)


def preparation_of(plain: Mapping[str, Plain]) -> Preparation:
    """The preparation of what `to_plain` gave."""
    return Preparation(**{**plain, "scales": {name: Scale(**scale) for name, scale in plain["scales"].items()}})


@dataclass(frozen=True)
class Encoded:
    """A series as the network reads it.

    Attributes:
        features_TF: Scaled columns, masks, calendar.
        levels_TK: Targets in their own units, missing ones filled.
        observed_TK: Where they are not missing.
        can_end_T: Whether a window may end here: not inside a gap that was filled with the help of later values.
        first: The first row that can be read: 1 where changes are.
    """

    features_TF: NDArray[np.float32]
    levels_TK: Values
    observed_TK: NDArray[np.bool_]
    can_end_T: NDArray[np.bool_]
    first: int


def learn_scale(series: Series, train: slice, used: slice, num_targets: int, season: int, settings: Settings) -> Scale:
    """The scale of a series.

    Args:
        train: Its training rows, which set the units of metrics.
        used: Those that `data.train_fraction` leaves, from which all else is learned.
    Raises:
        DataError: a column has no training value, or a target is constant.
    """
    raw_TC = series.values_TC[used]
    for column, values in zip(series.columns, raw_TC.T, strict=True):
        if np.isnan(values).all():
            raise DataError(
                f"{series.label}, column '{printable(column)}': not one number in its {len(values)} training rows; leave it out"
            )
    transformed_TC = _transform(series, settings, num_targets)[used]
    low, high = np.nanmin(raw_TC, axis=0), np.nanmax(raw_TC, axis=0)
    for column, least, most in zip(series.columns[:num_targets], low, high, strict=False):
        if least == most:
            raise DataError(
                f"{series.label}, target column '{printable(column)}': constant ({least:g}) in its {len(raw_TC)} training rows; "
                "nothing can be learned about it: name the targets in data.targets"
            )
    whole_TK = series.values_TC[train, :num_targets]
    if season >= len(whole_TK):
        raise DataError(f"{series.label}: data.season is {season}, but there are {len(whole_TK)} training rows")
    centre, spread = _centre_and_spread(transformed_TC, settings.scaling)
    return Scale(
        centre=centre.tolist(),
        spread=spread.tolist(),
        level=np.nanmean(raw_TC, axis=0).tolist(),
        deviation=np.nanstd(whole_TK, axis=0).tolist(),
        naive=_naive_error(whole_TK, season).tolist(),
        first=[float(column[~np.isnan(column)][0]) for column in series.values_TC[:, :num_targets].T],
    )


def encode(series: Series, scale: Scale, preparation: Preparation, settings: Settings) -> Encoded:
    """A series in the units of its scale.

    Raises:
        DataError: a value is missing and none may be, or no logarithm can be taken.
    """
    num_targets = preparation.num_targets
    missing_TC = np.isnan(series.values_TC)
    if settings.missing == "refuse" and missing_TC.any():
        row, column = np.argwhere(missing_TC)[0]
        inserted = series.rows[row] < 0
        where = f"the inserted time {_time_of(series, row)}" if inserted else f"row {series.rows[row]}"
        raise DataError(f"{series.label}, {where}, column '{printable(series.columns[column])}': no value; set data.missing to hold")
    filled_TC, bridged_TC = _fill(series.values_TC, scale.level, straight=settings.missing == "interpolate")
    transformed_TC = _transform(series, settings, num_targets, filled_TC)
    scaled_TC = (transformed_TC - np.array(scale.centre)) / np.array(scale.spread)
    if settings.has_difference:
        scaled_TC[0, :num_targets] = 0
    masks = [missing_TC[:, series.columns.index(column)] for column in preparation.masked]
    parts = [scaled_TC, np.array(masks, dtype=np.float64).T] if masks else [scaled_TC]
    if preparation.calendar:
        assert series.stamps is not None, "a calendar needs times"
        parts.append(calendar_features(series.stamps.values, preparation.calendar))
    return Encoded(
        np.hstack(parts).astype(np.float32),
        filled_TC[:, :num_targets],
        ~missing_TC[:, :num_targets],
        np.logical_not(bridged_TC.any(axis=1)),
        first=1 if settings.has_difference else 0,
    )


def calendar_features(times: NDArray[np.int64], names: Sequence[str]) -> Values:
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


def _transform(series: Series, settings: Settings, num_targets: int, values_TC: Values | None = None) -> Values:
    """Target columns as logarithms or changes; a change to or from a missing value is missing."""
    found_TC = np.array(series.values_TC if values_TC is None else values_TC)
    if settings.has_log:
        low_TK = series.values_TC[:, :num_targets] <= 0
        if low_TK.any():
            row, column = np.argwhere(low_TK)[0]
            raise DataError(
                f"{series.label}, row {series.rows[row]}, column '{printable(series.columns[column])}': {series.values_TC[row, column]:g} "
                f"has no logarithm; set data.transform to none or difference"
            )
        found_TC[:, :num_targets] = np.log(found_TC[:, :num_targets])
    if settings.has_difference:
        found_TC[1:, :num_targets] = np.diff(found_TC[:, :num_targets], axis=0)
        found_TC[0, :num_targets] = np.nan
    return found_TC


def _centre_and_spread(values_TC: Values, scaling: str) -> tuple[Values, Values]:
    num_columns = values_TC.shape[1]
    # A change has no value where one of two neighbours is missing: a column may have none at all.
    if scaling == "none":
        return np.zeros(num_columns), np.ones(num_columns)
    centre, spread = np.zeros(num_columns), np.ones(num_columns)
    for place, column in enumerate(values_TC.T):
        known = column[~np.isnan(column)]
        if not len(known):
            continue
        centre[place] = known.mean() if scaling == "standard" else known.min()
        if known.min() < known.max():
            spread[place] = known.std() if scaling == "standard" else known.max() - known.min()
    return centre, spread


def _naive_error(values_TK: Values, season: int) -> Values:
    """Mean absolute change over a season; 0 where no two values are known that are so far apart. Source: Hyndman and Koehler 2006."""
    changes_TK = np.abs(values_TK[season:] - values_TK[:-season])
    known_TK = ~np.isnan(changes_TK)
    found: Values = np.where(known_TK, changes_TK, 0).sum(axis=0) / np.maximum(known_TK.sum(axis=0), 1)
    return found


def _fill(values_TC: Values, level: Sequence[float], *, straight: bool) -> tuple[Values, NDArray[np.bool_]]:
    """Values without a gap, and where later values helped to fill one."""
    filled_TC, bridged_TC = np.array(values_TC), np.zeros(values_TC.shape, dtype=np.bool_)
    rows = np.arange(len(values_TC))
    for column in range(values_TC.shape[1]):
        missing = np.isnan(values_TC[:, column])
        if not missing.any():
            continue
        last_known = np.maximum.accumulate(np.where(missing, -1, rows))
        held = np.where(last_known < 0, level[column], values_TC[last_known, column])
        filled_TC[missing, column] = held[missing]
        if straight and not missing.all():
            known = rows[~missing]
            inside = missing & (rows > known[0]) & (rows < known[-1])
            filled_TC[inside, column] = np.interp(rows[inside], known, values_TC[known, column])
            bridged_TC[:, column] = inside
    return filled_TC, bridged_TC


def _time_of(series: Series, row: int) -> str:
    stamps: Stamps | None = series.stamps
    return "" if stamps is None else str(stamps.show(row))
