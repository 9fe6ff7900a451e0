"""The way from the network's units back to those of each series."""

# Shapes: N windows, H horizon, K targets, Q quantiles (1: the mean).

import torch
from torch import Tensor

from rnnbench_tasks.forecasting.preparation import Preparation


class Units(torch.nn.Module):
    """The scales of all series as tensors: from the network's units to each target's own.

    Attributes:
        centre, spread: (series, K), of transformed targets.
        deviation, naive, first: (series, K), in the targets' own units.
    """

    centre: Tensor
    spread: Tensor
    deviation: Tensor
    naive: Tensor
    first: Tensor

    def __init__(self, preparation: Preparation, transform: str) -> None:
        super().__init__()
        self.transform = transform
        for name in ("centre", "spread", "deviation", "naive", "first"):
            rows = [list(getattr(scale, name))[: preparation.num_targets] for scale in preparation.scales.values()]
            self.register_buffer(name, torch.tensor(rows, dtype=torch.float64), persistent=False)

    def undo(self, predicted_NHKQ: Tensor, last_NK: Tensor, series_N: Tensor) -> Tensor:
        """Forecasts in the targets' own units, in float64.

        Args:
            last_NK: The last known values.
        """
        centre_N1K1, spread_N1K1 = self.centre[series_N][:, None, :, None], self.spread[series_N][:, None, :, None]
        predicted_NHKQ = predicted_NHKQ.double() * spread_N1K1
        if self.transform in ("none", "log"):
            level_NHKQ = predicted_NHKQ + centre_N1K1
            return level_NHKQ.exp() if self.transform == "log" else level_NHKQ
        steps_H11 = torch.arange(1, predicted_NHKQ.shape[1] + 1, device=predicted_NHKQ.device)[:, None, None]
        change_NHKQ = predicted_NHKQ + centre_N1K1 * steps_H11
        last_N1K1 = last_NK.double()[:, None, :, None]
        return last_N1K1 * change_NHKQ.exp() if self.transform == "log_difference" else last_N1K1 + change_NHKQ
