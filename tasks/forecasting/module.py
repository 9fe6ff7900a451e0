"""The network around a window: what it reads, what its output is added to, one or several steps ahead, losses and metrics."""

# Shapes: N windows, T steps of a window, F features, K targets, H horizon, Q quantiles (1: the mean), O size of a network's output.

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from rnnbench.base.canonical import Plain
from rnnbench.base.errors import ParameterError
from rnnbench.base.parameters import Value
from rnnbench.cells.network import RecurrentNetwork
from rnnbench.task.module import Batch, TaskData, TaskModule
from rnnbench_tasks.forecasting.examination import examine
from rnnbench_tasks.forecasting.measures import mean_errors, sum_errors
from rnnbench_tasks.forecasting.preparation import preparation_of
from rnnbench_tasks.forecasting.settings import MEDIAN, get_settings
from rnnbench_tasks.forecasting.units import Units
from rnnbench_tasks.forecasting.windows import Asked, unpack

# Added to a window's variance, so that a flat window does not divide by zero; as in Kim et al. 2022 (RevIN).
_EPSILON = 1e-5


class Module(TaskModule):
    """Predicts all steps of the horizon at once, or one after the other.

    With `task.residual: linear` a map of the window, the same for all targets, is learned beside the network: the autoregressive part of
    LSTNet (Lai et al. 2018, arXiv:1703.07015).

    Attributes:
        preparation: Scales and columns, from the data.
        units: The way back to the targets' own units.
    """

    quantiles_Q: Tensor

    def __init__(self, network: RecurrentNetwork, data: TaskData, parameters: Mapping[str, Value]) -> None:
        super().__init__(network, data, parameters)
        self.settings = get_settings(parameters, "")
        self.preparation = preparation_of(data.preparation)
        self.units = Units(self.preparation, self.settings.transform)
        self.num_targets = self.preparation.num_targets
        if self.settings.residual == "linear":
            self.linear = _begin_at_the_last_value(torch.nn.Linear(self.settings.window, self.settings.horizon))
        if self.settings.is_recursive and network.bidirectional:
            raise ParameterError("network.bidirectional: in recursive decoding a network goes on from its state; set it to false")
        self.register_buffer("quantiles_Q", torch.tensor(self.settings.quantiles), persistent=False)

    def forward(self, batch: Batch) -> Tensor:
        """Forecasts in the network's units, (N, H, K, Q); in recursive decoding only the first step while training.

        Of changes, those since the last known value.
        """
        window, num_targets = self.settings.window, self.num_targets
        seen_NTK, rest_NTF = batch.inputs[..., :num_targets], batch.inputs[..., num_targets:]
        if self.settings.apart:
            # Each target becomes a row of its own, beside what else there is.
            rest_NTF = rest_NTF.repeat_interleave(num_targets, dim=0)
            seen_NTK = seen_NTK.mT.flatten(0, 1).unsqueeze(-1)
        found_NHKQ = self._predict(seen_NTK[:, :window], rest_NTF[:, :window], rest_NTF[:, window:])
        if self.settings.apart:
            found_NHKQ = found_NHKQ.squeeze(2).unflatten(0, (-1, num_targets)).transpose(1, 2)
        return found_NHKQ

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Mean over observed targets of the squared or absolute error, or of the pinball loss of all quantiles, in the network's units."""
        asked = unpack(batch.targets, self.num_targets)
        losses_NHK, weights_NHK = self._losses(outputs, asked)
        return (losses_NHK * weights_NHK).sum() / weights_NHK.sum().clamp(min=1)

    def loss_size(self, batch: Batch) -> Tensor:
        """Observed targets of the steps that training predicts."""
        steps = 1 if self.settings.is_recursive else self.settings.horizon
        return unpack(batch.targets, self.num_targets).observed_NSK[:, 1 : 1 + steps].sum()

    def totals(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Sums over observed targets of all windows, steps and columns; see README.md for each."""
        asked = unpack(batch.targets, self.num_targets)
        losses_NHK, weights_NHK = self._losses(outputs.double(), asked)
        found_NHKQ = self.to_units(outputs, asked)
        errors = sum_errors(found_NHKQ, self.point(found_NHKQ), asked, self.units, has_mase=self.has_mase)
        return errors | {"loss": (losses_NHK * weights_NHK).sum()}

    def metrics(self, totals: Mapping[str, float]) -> dict[str, float]:
        """Errors in standard deviations (mse, mae) and in the targets' own units (rmse, mae_units), smape in percent, mase, loss."""
        return mean_errors(totals)

    def examine(self, split: Batch) -> dict[str, Plain]:
        """Errors by step, column and series, coverage, and whether the forecasts beat persistence."""
        return examine(self, split)

    @property
    def has_mase(self) -> bool:
        """Whether every target of every series changes from season to season."""
        return bool((self.units.naive > 0).all())

    @property
    def median(self) -> int:
        """Place of the point forecast among the quantiles."""
        return self.settings.quantiles.index(MEDIAN)

    def to_units(self, outputs: Tensor, asked: Asked) -> Tensor:
        """Forecasts in the targets' own units, (N, H, K, Q); quantiles that cross are sorted (Chernozhukov et al. 2010)."""
        ordered_NHKQ = outputs.sort(dim=-1).values if self.settings.has_quantiles else outputs
        return self.units.undo(ordered_NHKQ, asked.level_NSK[:, 0], asked.series_N)

    def point(self, found_NHKQ: Tensor) -> Tensor:
        """The median, or the mean, (N, H, K)."""
        return found_NHKQ[..., self.median]

    def _losses(self, outputs_NHKQ: Tensor, asked: Asked) -> tuple[Tensor, Tensor]:
        """Losses of each target and their weights, (N, H, K); over as many steps as there are outputs."""
        steps = outputs_NHKQ.shape[1]
        scaled_NHK, weights_NHK = asked.scaled_NSK[:, 1 : 1 + steps], asked.observed_NSK[:, 1 : 1 + steps]
        if self.settings.has_difference:
            scaled_NHK = scaled_NHK.cumsum(dim=1)
        error_NHKQ = scaled_NHK.to(outputs_NHKQ.dtype).unsqueeze(-1) - outputs_NHKQ
        if self.settings.has_quantiles:
            shares_Q = self.quantiles_Q.to(error_NHKQ.dtype)
            losses_NHKQ = torch.maximum(shares_Q * error_NHKQ, (shares_Q - 1) * error_NHKQ)
        else:
            losses_NHKQ = error_NHKQ.abs() if self.settings.loss == "absolute" else error_NHKQ.square()
        return losses_NHKQ.mean(dim=-1), weights_NHK.to(outputs_NHKQ.dtype)

    def _predict(self, seen_NTK: Tensor, rest_NTF: Tensor, ahead_NHF: Tensor) -> Tensor:
        """See `forward`; K are the targets that the network reads.

        Args:
            ahead_NHF: Of the steps behind the window, of which only the calendar is read.
        """
        centre_N1K, spread_N1K = self._normal(seen_NTK)
        seen_NTK = (seen_NTK - centre_N1K) / spread_N1K
        if self.settings.is_recursive:
            found_NHKQ = self._step_by_step(seen_NTK, rest_NTF, ahead_NHF, 1 if self.training else self.settings.horizon).unsqueeze(-1)
        else:
            outputs_NTO, _ = self.network(torch.cat([seen_NTK, rest_NTF], dim=-1))
            head_NX: Tensor = self.head(self.network.summary(outputs_NTO))
            found_NHKQ = head_NX.unflatten(-1, (self.settings.horizon, seen_NTK.shape[-1], len(self.settings.quantiles)))
            if self.settings.residual != "none":
                found_NHKQ = found_NHKQ + self._base(seen_NTK).unsqueeze(-1)
        return found_NHKQ * spread_N1K.unsqueeze(-1) + centre_N1K.unsqueeze(-1)

    def _normal(self, seen_NTK: Tensor) -> tuple[Tensor, Tensor]:
        """What is taken from a window, and what it is then divided by, (N, 1, K)."""
        last_N1K = seen_NTK[:, -1:]
        if self.settings.normalize == "none":
            return torch.zeros_like(last_N1K), torch.ones_like(last_N1K)
        if self.settings.normalize == "last":
            return last_N1K, torch.ones_like(last_N1K)
        variance_N1K = seen_NTK.var(dim=1, correction=0, keepdim=True)
        return seen_NTK.mean(dim=1, keepdim=True), (variance_N1K + _EPSILON).sqrt()

    def _base(self, seen_NTK: Tensor) -> Tensor:
        """The forecast that the network's output is added to, (N, H, K)."""
        horizon = self.settings.horizon
        if self.settings.residual == "last":
            return seen_NTK[:, -1:].expand(-1, horizon, -1)
        if self.settings.residual == "linear":
            base_NKH: Tensor = self.linear(seen_NTK.mT)
            return base_NKH.mT
        season = self.preparation.season
        repeats = -(-horizon // season)
        return seen_NTK[:, -season:].repeat(1, repeats, 1)[:, :horizon]

    def _step_by_step(self, seen_NTK: Tensor, rest_NTF: Tensor, ahead_NHF: Tensor, steps: int) -> Tensor:
        outputs_NTO, state = self.network(torch.cat([seen_NTK, rest_NTF], dim=-1))
        found: list[Tensor] = []
        for step in range(steps):
            predicted_NK = self.head(self.network.summary(outputs_NTO))
            if self.settings.residual != "none":
                back = 1 if self.settings.residual == "last" else self.preparation.season
                known: Sequence[Tensor] = [*seen_NTK[:, -back:].unbind(1), *found]
                predicted_NK = predicted_NK + known[-back]
            found.append(predicted_NK)
            if step + 1 < steps:
                # Nothing of what is predicted is missing; of later rows only their calendar is known.
                masks_NM = predicted_NK.new_zeros(len(predicted_NK), len(self.preparation.masked))
                ahead = [ahead_NHF[:, step, len(self.preparation.masked) :]] if self.preparation.calendar else []
                outputs_N1O, state = self.network(torch.cat([predicted_NK, masks_NM, *ahead], dim=-1).unsqueeze(1), state=state)
                outputs_NTO = outputs_N1O if self.network.pool is None else torch.cat([outputs_NTO, outputs_N1O], dim=1)
        found_NHK = torch.stack(found, dim=1)
        # The sum of changes is the change since the last known value.
        return found_NHK.cumsum(dim=1) if self.settings.has_difference else found_NHK


def _begin_at_the_last_value(linear: torch.nn.Linear) -> torch.nn.Linear:
    """A map that gives the last value of a window for every step."""
    with torch.no_grad():
        linear.weight.zero_()
        linear.bias.zero_()
        linear.weight[:, -1] = 1
    return linear
