"""The scales of a series, learned from its training rows."""

# Shapes: T rows of a series, C columns of values (the first K are targets).

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnbench.base.errors import DataError
from rnnbench.base.names import printable
from rnnbench.task.series import Series
from rnnbench_tasks.forecasting.settings import Settings

Values = NDArray[np.float64]


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
    transformed_TC = transform_values(series, settings, num_targets)[used]
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


def transform_values(series: Series, settings: Settings, num_targets: int, values_TC: Values | None = None) -> Values:
    """Target columns as logarithms or changes; a change to or from a missing value is missing.

    Args:
        values_TC: Of the series with its gaps filled; None: its own.
    Raises:
        DataError: a value has no logarithm.
    """
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
