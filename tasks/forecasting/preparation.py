"""From the values of a series to what the network reads, in the units of its scale."""

# Shapes: T rows of a series, C columns of values (the first K are targets), F features.

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from rnnbench.base.canonical import Plain
from rnnbench.base.errors import DataError
from rnnbench.base.names import printable
from rnnbench.task.series import Series
from rnnbench.task.times import Stamps
from rnnbench_tasks.forecasting.scales import Scale, Values, transform_values
from rnnbench_tasks.forecasting.seasons import calendar_features
from rnnbench_tasks.forecasting.settings import Settings


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
    transformed_TC = transform_values(series, settings, num_targets, filled_TC)
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
