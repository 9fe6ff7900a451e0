"""Forecasts without a recurrent network: persistence, seasonal naive, drift, and a linear model of the window."""

# Shapes: N windows, T steps, F features, K targets, H horizon, X = T F numbers of a window, Y = H K numbers of a forecast.

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnbench.task.module import Batch, TaskData
from rnnbench_tasks.forecasting.preparation import Preparation, preparation_of
from rnnbench_tasks.forecasting.units import Units
from rnnbench_tasks.forecasting.windows import Asked, unpack

Forecast = Callable[[Asked], Tensor]
Matrix = NDArray[np.float64]

# What bounds the linear model's time; the latest steps of a window are kept, and training windows evenly spread.
MAX_NUMBERS, MAX_WINDOWS = 1500, 8000
PENALTIES = tuple(10.0**power for power in range(-2, 7))
# The last share of the training windows chooses the penalty.
HELD_OUT = 0.2
_ROWS = 2048


def baselines(data: TaskData, split: str) -> dict[str, float]:
    """Error on a split, in the card's metric, of each simple forecast."""
    preparation = preparation_of(data.preparation)
    units = Units(preparation, "none")
    judged = data.splits[split]
    forecasts: dict[str, Forecast] = {"persistence": _persistence, "drift": lambda asked: _drift(asked, units)}
    if preparation.season > 1:
        forecasts["seasonal naive"] = lambda asked: _seasonal(asked, preparation.season)
    found = {name: _mean_squared_error(judged, forecast, units, preparation) for name, forecast in forecasts.items()}
    return found | {"linear model of the window (ridge)": _ridge(data.splits["train"], judged, units, preparation)}


def _mean_squared_error(split: Batch, forecast: Forecast, units: Units, preparation: Preparation) -> float:
    total, count = 0.0, 0.0
    for rows in torch.arange(len(split)).split(_ROWS):
        asked = unpack(split.targets[rows], preparation.num_targets)
        error_NHK = (forecast(asked) - asked.level_NSK[:, 1:]) / units.deviation[asked.series_N].unsqueeze(1)
        weights_NHK = asked.observed_NSK[:, 1:]
        total, count = total + float((error_NHK.square() * weights_NHK).sum()), count + float(weights_NHK.sum())
    return total / count


def _persistence(asked: Asked) -> Tensor:
    return asked.level_NSK[:, :1].expand(-1, asked.level_NSK.shape[1] - 1, -1)


def _seasonal(asked: Asked, season: int) -> Tensor:
    """The values of the last season known, again and again."""
    horizon = asked.level_NSK.shape[1] - 1
    before_NHK = asked.season_NSK[:, 1 : 1 + season]
    return before_NHK.repeat(1, -(-horizon // season), 1)[:, :horizon]


def _drift(asked: Asked, units: Units) -> Tensor:
    """The straight line through the first value of the series and the last."""
    last_NK, first_NK = asked.level_NSK[:, 0], units.first[asked.series_N]
    steps_H = torch.arange(1, asked.level_NSK.shape[1], dtype=torch.float64)
    slope_NK = (last_NK - first_NK) / asked.place_N.clamp(min=1).unsqueeze(1)
    return last_NK.unsqueeze(1) + steps_H[:, None] * slope_NK.unsqueeze(1)


def _ridge(train: Batch, validation: Batch, units: Units, preparation: Preparation) -> float:
    """A penalised linear map from the window (its values less the last ones) to the change of the targets since then.

    The penalty is the one that is best on the last part of the training windows, which are then used too.
    """
    chosen = torch.linspace(0, len(train) - 1, min(len(train), MAX_WINDOWS), dtype=torch.float64).round().long().unique()
    inputs_NX, changes_NY = _arrange(train.rows(chosen), units, preparation)
    parts = max(1, int(len(inputs_NX) * (1 - HELD_OUT)))
    early, late = slice(0, parts), slice(parts, None)
    errors = [
        np.square(model(inputs_NX[late]) - changes_NY[late]).mean() for model in fit_ridge(inputs_NX[early], changes_NY[early], PENALTIES)
    ]
    penalty = PENALTIES[int(np.argmin(errors))] if parts < len(inputs_NX) else PENALTIES[-1]
    model = fit_ridge(inputs_NX, changes_NY, (penalty,))[0]
    total, count = 0.0, 0.0
    for rows in torch.arange(len(validation)).split(_ROWS):
        batch = validation.rows(rows)
        inputs, changes = _arrange(batch, units, preparation)
        weights = unpack(batch.targets, preparation.num_targets).observed_NSK[:, 1:].flatten(1).numpy()
        total, count = total + float((np.square(model(inputs) - changes) * weights).sum()), count + float(weights.sum())
    return total / count


def fit_ridge(inputs_NX: Matrix, targets_NY: Matrix, penalties: tuple[float, ...]) -> list[Callable[[Matrix], Matrix]]:
    """Linear models with an intercept that minimise the squared error plus each penalty times the squared weights of scaled inputs."""
    mean_X, mean_Y = inputs_NX.mean(axis=0), targets_NY.mean(axis=0)
    spread_X = inputs_NX.std(axis=0)
    spread_X[spread_X < 1e-12] = 1.0
    scaled_NX = (inputs_NX - mean_X) / spread_X
    values_X, vectors_XX = np.linalg.eigh(scaled_NX.T @ scaled_NX)
    seen_XY = vectors_XX.T @ (scaled_NX.T @ (targets_NY - mean_Y))

    def build(penalty: float) -> Callable[[Matrix], Matrix]:
        weights_XY = vectors_XX @ (seen_XY / (np.maximum(values_X, 0) + penalty)[:, None])
        return lambda new_NX: (new_NX - mean_X) / spread_X @ weights_XY + mean_Y

    return [build(penalty) for penalty in penalties]


def _arrange(batch: Batch, units: Units, preparation: Preparation) -> tuple[Matrix, Matrix]:
    """Windows as rows of numbers, and the changes of the targets in standard deviations."""
    asked = unpack(batch.targets, preparation.num_targets)
    deviation_N1K = units.deviation[asked.series_N].unsqueeze(1)
    changes_NHK = (asked.level_NSK[:, 1:] - asked.level_NSK[:, :1]) / deviation_N1K
    num_targets = preparation.num_targets
    # Later steps are there for their calendar alone.
    inputs_NTF = batch.inputs[:, : preparation.window]
    inputs_NTF = inputs_NTF[:, -max(1, MAX_NUMBERS // inputs_NTF.shape[2]) :].double()
    if preparation.transform in ("none", "log"):
        inputs_NTF = torch.cat([inputs_NTF[..., :num_targets] - inputs_NTF[:, -1:, :num_targets], inputs_NTF[..., num_targets:]], dim=-1)
    return inputs_NTF.flatten(1).numpy(), changes_NHK.flatten(1).numpy()
