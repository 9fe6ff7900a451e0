"""What a careful person would want to know of a table before training on it: gaps, stuck values, splits that differ."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from rnnbench.base.names import printable
from rnnbench.base.parameters import Value
from rnnbench.task.series import Series
from rnnbench_tasks.forecasting.reading import Source, read_source
from rnnbench_tasks.forecasting.settings import get_settings
from rnnbench_tasks.forecasting.windows import Borders

# The same value so many times on end is likelier a stuck sensor than the truth.
STUCK_ROWS = 24
# Standard deviations: a single value so far out is worth a look, and so is a split whose mean lies so far off.
FAR_OUT, SHIFTED = 10.0, 1.0
MAX_LINES = 40


def check_data(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value]) -> list[str]:
    """One line for each thing found; the data stays as it is.

    Raises:
        DataError: the data cannot be used.
    """
    settings = get_settings(parameters, data)
    source = read_source(files, data, settings)
    found = [
        *_of_times(source),
        *(line for one, border in zip(source.table.series, source.borders, strict=True) for line in _of_values(one, border)),
    ]
    if source.table.left_out:
        found.insert(0, f"columns of words, not read: {', '.join(map(printable, source.table.left_out))}")
    more = len(found) - MAX_LINES
    return found if more <= 0 else [*found[:MAX_LINES], f"and {more} more"]


def _of_times(source: Source) -> Iterator[str]:
    for one in source.table.series:
        missing = np.flatnonzero(one.rows < 0)
        if len(missing) and one.stamps is not None:
            shown = ", ".join([*(str(one.stamps.show(row)) for row in missing[:3]), *(["..."] if len(missing) > 3 else [])])
            yield f"{one.label}: {len(missing)} of {len(one)} times are missing ({shown}); see data.gaps"
        if one.stamps is not None and one.step is not None and not len(missing):
            apart = np.diff(one.stamps.values)
            if one.step.unit == "microseconds" and len(np.unique(apart)) > 1:
                yield f"{one.label}: rows are {one.step} apart, but not all; they are taken as they follow each other (data.gaps: rows)"


def _of_values(series: Series, borders: Borders) -> Iterator[str]:
    for place, column in enumerate(series.columns):
        values = series.values_TC[:, place]
        name = f"{series.label}, column '{printable(column)}'"
        in_file = values[series.rows >= 0]
        if missing := int(np.isnan(in_file).sum()):
            first = series.rows[series.rows >= 0][int(np.isnan(in_file).argmax())]
            yield f"{name}: {missing} of {len(in_file)} values are missing, the first in row {first}; see data.missing"
        known = values[~np.isnan(values)]
        if not len(known) or known.min() == known.max():
            yield f"{name}: constant; it tells nothing"
            continue
        if len(in_file) > 1 and (np.diff(in_file) == 1).all():
            yield f"{name}: it counts the rows; leave it out of data.columns, or name it in data.time_column"
            continue
        length, end = _longest_run(values)
        if length >= STUCK_ROWS:
            yield f"{name}: {length} times {values[end]:g} on end up to row {series.rows[end]}"
        train, test = values[: borders.train], values[borders.validation : borders.test]
        if np.isnan(train).all() or np.isnan(test).all() or np.nanstd(train) == 0:
            continue
        mean, deviation = np.nanmean(train), np.nanstd(train)
        distance = np.nan_to_num(np.abs(values - mean) / deviation)
        if distance.max() > FAR_OUT:
            row = int(distance.argmax())
            yield f"{name}, row {series.rows[row]}: {values[row]:g} lies {distance[row]:.0f} standard deviations from the mean"
        shift = (np.nanmean(test) - mean) / deviation
        if abs(shift) > SHIFTED:
            yield f"{name}: the mean of the test rows lies {shift:+.1f} standard deviations from that of the training rows"


def _longest_run(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[int, int]:
    """How often the longest repeated value comes on end, and the place of its last."""
    same = np.diff(values) == 0
    best, length, end = 1, 1, 0
    for place, is_same in enumerate(same, 1):
        length = length + 1 if is_same else 1
        if length > best:
            best, end = length, place
    return best, end
