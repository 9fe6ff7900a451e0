"""What comes after the last row of a table: forecasts in the columns' own units, at the times that follow, with a plot."""

# Shapes: T rows, F features, H horizon, K targets, Q quantiles.

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnbench.base.canonical import Plain
from rnnbench.base.errors import DataError
from rnnbench.task.answers import Answer, Curve, Plot, Question
from rnnbench.task.module import Batch, TaskData, TaskModule
from rnnbench.task.series import NONE, Columns, Series, read_series, regular
from rnnbench.task.times import show_time, step_of, times_after
from rnnbench_tasks.forecasting.module import Module
from rnnbench_tasks.forecasting.preparation import Encoded, Preparation, encode
from rnnbench_tasks.forecasting.scales import Scale, learn_scale
from rnnbench_tasks.forecasting.seasons import calendar_features
from rnnbench_tasks.forecasting.settings import MEDIAN, Settings
from rnnbench_tasks.forecasting.units import Units

# Windows of the past that a plot shows before the forecast.
PAST_WINDOWS = 2
MAX_PLOTS = 12


def answer(module: TaskModule, data: TaskData, question: Question) -> Answer:
    """Forecasts of the next `data.horizon` steps of every series of every file.

    Raises:
        DataError: a file lacks a column, has fewer rows than a window or rows at another distance, or a forecast is not finite.
    """
    assert isinstance(module, Module), "a model of this task"
    preparation = module.preparation
    time_name = preparation.time or "row"
    rows: list[dict[str, Plain]] = []
    plots: list[Plot] = []
    for path in question.files:
        for series in _read(path, preparation, module.settings):
            scale, origin = _scale_of(series, preparation, module.settings)
            encoded = encode(series, scale, preparation, module.settings)
            times, found_HKQ = _forecast(module, series, encoded, scale)
            named: dict[str, Plain] = {"file": path.name} if len(question.files) > 1 else {}
            if len(preparation.scales) > 1:
                named |= {"series": series.name, "scaled by": origin}
            for step, time in enumerate(times):
                values: dict[str, Plain] = {}
                for place, column in enumerate(preparation.targets):
                    values |= _values(column, found_HKQ[step, place], module.settings.quantiles)
                rows.append({**named, time_name: time, **values})
            plots += [_plot(module, series, encoded, times, found_HKQ, place) for place in range(len(preparation.targets))]
    return Answer(rows, plots=plots[:MAX_PLOTS])


def _read(path: Path, preparation: Preparation, settings: Settings) -> list[Series]:
    """The series of a file with the columns of training, in the order that they had there, with a row for every step."""
    columns = Columns(
        time=preparation.time or NONE,
        series=preparation.series or NONE,
        values=tuple(preparation.columns[preparation.num_targets :]),
        targets=tuple(preparation.targets),
    )
    step = None if preparation.step is None else step_of(preparation.step)
    found = []
    for series in read_series({path.name: path}, columns).series:
        if len(preparation.scales) > 1 and not preparation.series:
            # Each file of a folder was a series.
            series = replace(series, name=path.name)
        if len(series) < settings.window:
            raise DataError(f"{series.label}: {len(series)} rows, but the model reads a window of {settings.window}")
        if settings.gaps == "rows" or series.stamps is None:
            found.append(replace(series, step=None if series.stamps is None else step))
        else:
            found.append(regular(series, settings.gaps, step))
    return found


def _scale_of(series: Series, preparation: Preparation, settings: Settings) -> tuple[Scale, str]:
    """The scale of a series, and which rows it is from: a series that training has not seen has its own."""
    if len(preparation.scales) == 1 and not preparation.series:
        return next(iter(preparation.scales.values())), "training rows"
    if series.name in preparation.scales:
        return preparation.scales[series.name], "training rows"
    everything = slice(0, len(series))
    return learn_scale(series, everything, everything, preparation.num_targets, 1, settings), "its own rows"


def _forecast(module: Module, series: Series, encoded: Encoded, scale: Scale) -> tuple[list[Plain], Tensor]:
    """Times and forecasts, (H, K, Q), behind the last row."""
    preparation, settings = module.preparation, module.settings
    horizon = settings.horizon
    times: list[Plain] = list(range(len(series) + 1, len(series) + 1 + horizon))
    features_TF = encoded.features_TF[-settings.window :]
    if series.stamps is not None and series.step is not None:
        ahead = times_after(series.stamps.values[-1], series.step, horizon, are_dates=series.stamps.are_dates)
        times = [show_time(time, are_dates=series.stamps.are_dates) for time in ahead]
        if settings.steps_of_inputs > settings.window:
            features_TF = np.vstack([features_TF, _only_calendar(ahead[:-1], preparation)]).astype(np.float32)
    inputs_1TF = torch.from_numpy(features_TF).unsqueeze(0)
    outputs = module(Batch(inputs_1TF, inputs_1TF.new_zeros(1, 1)))
    ordered = outputs.sort(dim=-1).values if settings.has_quantiles else outputs
    units = Units(replace(preparation, scales={"": scale}), settings.transform)
    found_HKQ = units.undo(ordered, torch.from_numpy(encoded.levels_TK[-1:]), torch.tensor([0]))[0]
    if not found_HKQ.isfinite().all():
        raise DataError(f"{series.label}: the forecast is not finite; are its last {settings.window} rows far from those of training?")
    return times, found_HKQ


def _only_calendar(times: NDArray[np.int64], preparation: Preparation) -> NDArray[np.float64]:
    """Rows of which nothing but the time is known."""
    calendar = calendar_features(times, preparation.calendar)
    return np.hstack([np.zeros((len(times), preparation.num_features - calendar.shape[1])), calendar])


def _values(column: str, found_Q: Tensor, quantiles: Sequence[float]) -> dict[str, Plain]:
    """The point forecast under the column's name, and the other quantiles beside it."""
    point = quantiles.index(MEDIAN)
    others = {f"{column} {quantile:g}": float(found_Q[place]) for place, quantile in enumerate(quantiles) if place != point}
    return {column: float(found_Q[point])} | others


def _plot(module: Module, series: Series, encoded: Encoded, times: Sequence[Plain], found_HKQ: Tensor, target: int) -> Plot:
    settings, column = module.settings, module.preparation.targets[target]
    past = range(max(0, len(series) - PAST_WINDOWS * settings.window), len(series))
    known = [row for row in past if encoded.observed_TK[row, target]]
    before: list[Plain] = [row + 1 if series.stamps is None else series.stamps.show(row) for row in known]
    found_HQ = found_HKQ[:, target]
    band = {"low": found_HQ[:, 0].tolist(), "high": found_HQ[:, -1].tolist()} if settings.has_quantiles else {}
    label = f"forecast ({settings.quantiles[0]:g} to {settings.quantiles[-1]:g})" if band else "forecast"
    curves = [
        Curve("known", before, [float(encoded.levels_TK[row, target]) for row in known]),
        Curve(label, list(times), found_HQ[:, settings.quantiles.index(MEDIAN)].tolist(), **band),
    ]
    title = f"{column} of {series.name}" if series.name else column
    return Plot(title, module.preparation.time or "row", column, curves)
