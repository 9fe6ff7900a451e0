"""Errors of forecasts: sums that add up over a split, and the metrics that are made of them."""

# Shapes: N windows, S steps (the last known row, then the horizon H), K targets, Q quantiles (1: the mean).

from collections.abc import Mapping

import torch
from torch import Tensor

from rnnbench_tasks.forecasting.units import Units
from rnnbench_tasks.forecasting.windows import Asked


def sum_errors(found_NHKQ: Tensor, point_NHK: Tensor, asked: Asked, units: Units, *, has_mase: bool) -> dict[str, Tensor]:
    """Sums over observed targets of all windows, steps and columns, and their count; see README.md for each.

    Args:
        found_NHKQ: Forecasts in the targets' own units, as is `point_NHK`, the mean or the median.
        has_mase: Whether every series has a unit of MASE.
    """
    level_NHK, weights_NHK = asked.level_NSK[:, 1:], asked.observed_NSK[:, 1:].to(torch.float64)
    error_NHK = point_NHK - level_NHK
    scaled_NHK = error_NHK / units.deviation[asked.series_N].unsqueeze(1)
    size_NHK = level_NHK.abs() + point_NHK.abs()
    found = {
        "squared_scaled": scaled_NHK.square(),
        "absolute_scaled": scaled_NHK.abs(),
        "squared": error_NHK.square(),
        "absolute": error_NHK.abs(),
        # 0 where both are 0.
        "symmetric": torch.where(size_NHK > 0, 200 * error_NHK.abs() / size_NHK.clamp(min=torch.finfo(size_NHK.dtype).tiny), 0.0),
    }
    if has_mase:
        found["mase"] = error_NHK.abs() / units.naive[asked.series_N].unsqueeze(1)
    if found_NHKQ.shape[-1] > 1:
        found["covered"] = ((found_NHKQ[..., 0] <= level_NHK) & (level_NHK <= found_NHKQ[..., -1])).double()
    return {name: (values_NHK * weights_NHK).sum() for name, values_NHK in found.items()} | {"count": weights_NHK.sum()}


def mean_errors(totals: Mapping[str, float]) -> dict[str, float]:
    """Metrics from sums over a split: mse and mae in standard deviations, rmse and mae_units in the targets' units, smape in percent."""
    mean = {name: total / totals["count"] for name, total in totals.items()}
    found = {
        "mse": mean["squared_scaled"],
        "mae": mean["absolute_scaled"],
        "rmse": mean["squared"] ** 0.5,
        "mae_units": mean["absolute"],
        "smape": mean["symmetric"],
        "loss": mean["loss"],
    }
    found |= {"mase": mean["mase"]} if "mase" in mean else {}
    return found | ({"coverage": mean["covered"]} if "covered" in mean else {})
