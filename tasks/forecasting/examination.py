"""What a confirmed model's test forecasts are worth: by step, column and series, with their coverage, and beside persistence."""

# Shapes: N windows, K targets, H horizon, Q quantiles, X one of them or the series.

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnbench.base.canonical import Plain
from rnnbench.task.module import Batch
from rnnbench_tasks.forecasting.comparison import METHOD, Estimate, by_time, estimate_mean, is_better
from rnnbench_tasks.forecasting.windows import Asked, unpack

if TYPE_CHECKING:
    from rnnbench_tasks.forecasting.module import Module

_PERSISTENCE = "persistence"
# Columns or series beyond this are summed up, not listed.
MAX_LISTED = 50
EXAMPLES = 5


class _Errors:
    """Errors of forecasts, summed by kind of error and axis, and over each window."""

    def __init__(self, module: "Module") -> None:
        self._module = module
        self._by_window: dict[str, list[NDArray[np.float64]]] = {"mse": [], "mase": [], "count": []}
        self._sums: dict[str, Tensor] = {}

    def add(self, level_NHK: Tensor, point_NHK: Tensor, asked: Asked) -> None:
        """Takes a batch."""
        units, weights_NHK = self._module.units, asked.observed_NSK[:, 1:]
        error_NHK = point_NHK - level_NHK
        squared_NHK = (error_NHK / units.deviation[asked.series_N].unsqueeze(1)).square()
        kinds = {"mse": squared_NHK, "squared": error_NHK.square(), "absolute": error_NHK.abs(), "count": torch.ones_like(error_NHK)}
        if self._module.has_mase:
            kinds["mase"] = error_NHK.abs() / units.naive[asked.series_N].unsqueeze(1)
        for name, values_NHK in kinds.items():
            values_NHK = values_NHK * weights_NHK
            of_series_NK = values_NHK.sum(dim=1)
            of_series_XK = values_NHK.new_zeros(len(units.deviation), values_NHK.shape[2]).index_add_(0, asked.series_N, of_series_NK)
            for axis, total in (
                ("step", values_NHK.sum(dim=(0, 2))),
                ("column", values_NHK.sum(dim=(0, 1))),
                ("series", of_series_XK.sum(1)),
            ):
                key = f"{name} by {axis}"
                self._sums[key] = self._sums[key] + total if key in self._sums else total
            if name in self._by_window:
                self._by_window[name].append(values_NHK.sum(dim=(1, 2)).numpy())

    def by_window(self, name: str) -> NDArray[np.float64]:
        """The sum over each window."""
        return np.concatenate(self._by_window[name])

    def listed(self, axis: str, place: int) -> dict[str, Plain]:
        """Errors at one place of an axis."""
        sums = {name.removesuffix(f" by {axis}"): float(total[place]) for name, total in self._sums.items() if name.endswith(f" by {axis}")}
        count = sums.pop("count")
        if not count:
            return {"values": 0}
        mean = {name: total / count for name, total in sums.items()}
        found = {"mse": mean["mse"], "rmse": mean["squared"] ** 0.5, "mae_units": mean["absolute"], "values": int(count)}
        return found | ({"mase": mean["mase"]} if "mase" in mean else {})


def examine(module: "Module", split: Batch) -> dict[str, Plain]:
    """Numbers and tables as plain data; `verdict` says whether the model beats persistence, by the task's metric."""
    ours, persistence = _Errors(module), _Errors(module)
    below_HQ = torch.zeros(module.settings.horizon, len(module.settings.quantiles), dtype=torch.float64)
    inside_H, count_H = torch.zeros(2, module.settings.horizon, dtype=torch.float64)
    times = []
    for rows in module.plan_evaluation(split):
        batch = split.rows(rows)
        asked = unpack(batch.targets, module.num_targets)
        found_NHKQ, level_NHK, weights_NHK = module.to_units(module(batch), asked), asked.level_NSK[:, 1:], asked.observed_NSK[:, 1:]
        ours.add(level_NHK, module.point(found_NHKQ), asked)
        persistence.add(level_NHK, asked.level_NSK[:, :1].expand_as(level_NHK), asked)
        below_NHKQ = (level_NHK.unsqueeze(-1) <= found_NHKQ) * weights_NHK.unsqueeze(-1)
        below_HQ += below_NHKQ.sum(dim=(0, 2))
        within_NHK = (level_NHK >= found_NHKQ[..., 0]) & (level_NHK <= found_NHKQ[..., -1])
        inside_H += (within_NHK * weights_NHK).sum(dim=(0, 2))
        count_H += weights_NHK.sum(dim=(0, 2))
        times.append(asked.time_N.numpy())
    time_N = np.concatenate(times)
    found: dict[str, Plain] = {"windows": len(split), "times": len(np.unique(time_N)), "method": METHOD} | _compare(
        ours, persistence, time_N, ("mse", "mase") if module.has_mase else ("mse",)
    )
    if module.has_mase:
        found |= _with_interval("mase", estimate_mean(by_time(ours.by_window("mase"), ours.by_window("count"), time_N)))
    names = list(module.preparation.scales)
    found["by_step"] = [
        {"step": step + 1, **ours.listed("step", step)} | _prefixed(persistence.listed("step", step))
        for step in range(module.settings.horizon)
    ]
    columns = module.preparation.targets[:MAX_LISTED]
    found["by_column"] = [
        {"column": name, **ours.listed("column", place)} | _prefixed(persistence.listed("column", place))
        for place, name in enumerate(columns)
    ]
    if len(names) > 1:
        found["by_series"] = [
            {"series": name, **ours.listed("series", place)} | _prefixed(persistence.listed("series", place))
            for place, name in enumerate(names[:MAX_LISTED])
        ]
    if module.settings.has_quantiles:
        quantiles = module.settings.quantiles
        found["coverage"] = {"wanted": quantiles[-1] - quantiles[0], "found": float(inside_H.sum() / count_H.sum())}
        found["coverage_by_step"] = (inside_H / count_H.clamp(min=1)).tolist()
        found["share below"] = {
            f"{quantile:g}": float(below) for quantile, below in zip(quantiles, below_HQ.sum(0) / count_H.sum(), strict=True)
        }
    return found | {"examples": _examples(module, split)}


def _examples(module: "Module", split: Batch) -> list[dict[str, Plain]]:
    """Some steps of the last window, of the first target."""
    last = split.rows(torch.tensor([len(split) - 1]))
    asked = unpack(last.targets, module.num_targets)
    said_H = module.point(module.to_units(module(last), asked))[0, :, 0]
    steps = torch.linspace(0, len(said_H) - 1, min(len(said_H), EXAMPLES), dtype=torch.float64).round().long().tolist()
    column = module.preparation.targets[0]
    return [{"step": step + 1, column: float(asked.level_NSK[0, step + 1, 0]), "forecast": float(said_H[step])} for step in steps]


def _compare(ours: _Errors, theirs: _Errors, time_N: NDArray[np.float64], names: Sequence[str]) -> dict[str, Plain]:
    found: dict[str, Plain] = {}
    count_N = ours.by_window("count")
    for name in names:
        difference = estimate_mean(by_time(ours.by_window(name) - theirs.by_window(name), count_N, time_N))
        found[f"{name} of {_PERSISTENCE}"] = float(theirs.by_window(name).sum() / count_N.sum())
        found |= _with_interval(f"{name} less that of {_PERSISTENCE}", difference)
        found[f"better than {_PERSISTENCE} by {name}"] = is_better(difference)
    found["verdict"] = _say(found[f"better than {_PERSISTENCE} by mse"], found, "mse")
    return found


def _say(verdict: str, found: Mapping[str, Plain], name: str) -> str:
    low, high = found[f"{name} less that of {_PERSISTENCE}: low"], found[f"{name} less that of {_PERSISTENCE}: high"]
    interval = "too few windows for an interval" if low is None else f"{name} less that of {_PERSISTENCE}: {low:.4g} to {high:.4g}"
    words = {
        "yes": f"better than {_PERSISTENCE}: yes",
        "no": f"not better than {_PERSISTENCE}: worse",
        "not decided": f"not better than {_PERSISTENCE}: not decided",
    }
    return f"{words[verdict]} ({interval})"


def _with_interval(name: str, estimate: Estimate) -> dict[str, Plain]:
    return {name: estimate.mean, f"{name}: low": estimate.low, f"{name}: high": estimate.high}


def _prefixed(errors: Mapping[str, Plain]) -> dict[str, Plain]:
    return {f"{_PERSISTENCE} {name}": value for name, value in errors.items() if name in ("mse", "mase")}
