"""The contract of a task's code: data as whole tensors, and a LightningModule that any trainer can drive."""

# Shapes: N rows, T time, I inputs.

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from rnnbench.base.canonical import Plain
from rnnbench.base.parameters import Value
from rnnbench.cells.network import RecurrentNetwork

BuildOptimizer = Callable[[Iterable[nn.Parameter]], Optimizer]


@dataclass(frozen=True)
class Batch:
    """Rows of a split, or a whole split: tensors whose first axis is the row.

    Attributes:
        inputs: (N, T, I) floats, or (N, T) token numbers.
        targets: First axis N; second T where there is a target for each step.
        lengths: (N,) valid steps of each row, at least 1; None: all rows are full.
    """

    inputs: Tensor
    targets: Tensor
    lengths: Tensor | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    def rows(self, index: Tensor, longest: int | None = None) -> "Batch":
        """The rows of an index, cut to the longest of them, or to so many steps."""
        if self.lengths is None:
            return Batch(self.inputs[index], self.targets[index])
        lengths = self.lengths[index]
        longest = longest or int(lengths.max())
        stepwise = self.targets.ndim > 1 and self.targets.shape[1] == self.inputs.shape[1]
        targets = self.targets[index, :longest] if stepwise else self.targets[index]
        return Batch(self.inputs[index, :longest], targets, lengths)

    def to(self, device: torch.device) -> "Batch":
        """The same rows on a device."""
        lengths = None if self.lengths is None else self.lengths.to(device)
        return Batch(self.inputs.to(device), self.targets.to(device), lengths)

    def mask(self) -> Tensor:
        """(N, T), true at valid steps."""
        num_rows, num_steps = self.inputs.shape[:2]
        if self.lengths is None:
            return torch.ones(num_rows, num_steps, dtype=torch.bool, device=self.inputs.device)
        return torch.arange(num_steps, device=self.inputs.device) < self.lengths.unsqueeze(1)


@dataclass(frozen=True)
class TaskData:
    """What a task reads.

    Attributes:
        splits: Those asked for, of train, validation and test.
        input_size: Inputs of the network, I.
        output_size: Size of what the head predicts.
        facts: Rows of each split and whatever else a reader of the report should know; plain data.
    """

    splits: Mapping[str, Batch]
    input_size: int
    output_size: int
    facts: Mapping[str, Plain] = field(default_factory=dict)


class TaskModule(pl.LightningModule):
    """A network with a task's head, loss and metrics.

    A task overrides `forward`, `loss`, `totals` and `metrics`; the rest lets a stock Lightning Trainer drive it too.

    Attributes:
        build_optimizer: Makes the optimiser from the weights; the trial sets it.
    """

    def __init__(self, network: RecurrentNetwork, data: TaskData, parameters: Mapping[str, Value]) -> None:
        super().__init__()
        self.network = network
        self.head = nn.Linear(network.output_size, data.output_size)
        self.task_parameters = dict(parameters)
        self.build_optimizer: BuildOptimizer = partial(Adam, lr=1e-3)
        self._totals: dict[str, Tensor] = {}

    def forward(self, batch: Batch) -> Tensor:
        """The head's outputs for a batch."""
        raise TypeError(f"{type(self).__name__} has no forward")

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """The mean loss whose gradient is followed; a scalar."""
        raise TypeError(f"{type(self).__name__} has no loss")

    def totals(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Sums over the batch, in float64, that add up over a split, so that a metric does not depend on the batch size."""
        raise TypeError(f"{type(self).__name__} has no totals")

    def metrics(self, totals: Mapping[str, float]) -> dict[str, float]:
        """A split's metrics from its totals; holds the card's metric and `loss`."""
        raise TypeError(f"{type(self).__name__} has no metrics")

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of one batch."""
        return self.loss(self(batch), batch)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Adds a batch to the split's totals."""
        for name, total in self.totals(self(batch), batch).items():
            self._totals[name] = self._totals[name] + total if name in self._totals else total

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Adds a batch to the split's totals."""
        self.validation_step(batch, batch_idx)

    def on_validation_epoch_end(self) -> None:
        """Logs the split's metrics."""
        totals = {name: float(total) for name, total in self._totals.items()}
        self._totals.clear()
        self.log_dict(self.metrics(totals))

    def on_test_epoch_end(self) -> None:
        """Logs the split's metrics."""
        self.on_validation_epoch_end()

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Moves a batch where a Lightning Trainer wants it."""
        return batch.to(device)

    def configure_optimizers(self) -> Optimizer:
        """The optimiser that `build_optimizer` makes."""
        return self.build_optimizer(self.parameters())
