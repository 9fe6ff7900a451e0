"""The contract of a task's code: data as whole tensors, and a LightningModule that any trainer can drive."""

# Shapes: N rows, T time, I inputs.

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from rnnbench.base.canonical import Plain
from rnnbench.base.errors import DataError
from rnnbench.base.parameters import Value
from rnnbench.cells.network import RecurrentNetwork

BuildOptimizer = Callable[[Iterable[nn.Parameter]], Optimizer]


class BuildNetwork(Protocol):
    """Makes a network of the trial's cell and `network.*` parameters."""

    def __call__(self, input_size: int, /, **changes: Value) -> RecurrentNetwork:
        """The network for so many inputs; `changes` are `network.*` parameters by their short names that are others for this one."""


# Rows of an evaluation batch; totals are added in float64, so it bounds memory and does not change a metric beyond rounding.
EVALUATION_ROWS = 512
# Batches whose rows are sorted by length together, where rows of similar length share a batch.
BUCKET_BATCHES = 50

Carried = list[tuple[Tensor, ...]]


@dataclass(frozen=True)
class Batch:
    """Rows of a split, or a whole split: tensors whose first axis is the row.

    Attributes:
        inputs: (N, T, I) floats, or (N, T) token numbers.
        targets: First axis N; second T where there is a target for each step, or U where targets are sequences of their own.
        lengths: (N,) valid steps of each row, at least 1; None: all rows are full.
        target_lengths: (N,) valid entries of each row's target, where targets are sequences of their own; else None.
    """

    inputs: Tensor
    targets: Tensor
    lengths: Tensor | None = None
    target_lengths: Tensor | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    def rows(self, index: Tensor, longest: int | None = None, longest_target: int | None = None) -> "Batch":
        """The rows of an index, cut to the longest of them, or to so many steps."""
        lengths = None if self.lengths is None else self.lengths[index]
        target_lengths = None if self.target_lengths is None else self.target_lengths[index]
        inputs, targets = self.inputs[index], self.targets[index]
        if lengths is not None:
            longest = longest or int(lengths.max())
            if target_lengths is None and targets.ndim > 1 and targets.shape[1] == inputs.shape[1]:
                targets = targets[:, :longest]
            inputs = inputs[:, :longest]
        if target_lengths is not None:
            targets = targets[:, : longest_target or int(target_lengths.max())]
        return Batch(inputs, targets, lengths, target_lengths)

    def to(self, device: torch.device) -> "Batch":
        """The same rows on a device."""
        lengths = None if self.lengths is None else self.lengths.to(device)
        target_lengths = None if self.target_lengths is None else self.target_lengths.to(device)
        return Batch(self.inputs.to(device), self.targets.to(device), lengths, target_lengths)

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
        preparation: What turns raw input into tensors and outputs into words: vocabulary, scales, names of classes; plain data. It is
            kept with a trained model, which needs nothing else of its training data.
    """

    splits: Mapping[str, Batch]
    input_size: int
    output_size: int
    facts: Mapping[str, Plain] = field(default_factory=dict)
    preparation: Mapping[str, Plain] = field(default_factory=dict)


class TaskModule(pl.LightningModule):
    """A network with a task's head, loss and metrics.

    A task overrides `forward`, `loss`, `totals` and `metrics`, some also how an epoch is cut into batches; the rest lets a stock
    Lightning Trainer drive it too.

    Attributes:
        build_optimizer: Makes the optimiser from the weights; the trial sets it.
        carried: What a task that carries state from batch to batch keeps in between: None at the start of an epoch or split, and saved
            in checkpoints.
        epoch: The epoch that is being trained, from 1, for what changes from epoch to epoch in a module that trains alone; the trial
            sets it.
        carries_state: Whether it does, so that a row's numbers depend on the batches before.
    """

    carries_state = False

    @classmethod
    def build(cls, build_network: BuildNetwork, data: TaskData, parameters: Mapping[str, Value]) -> "TaskModule":
        """A module with its network; a task with several networks builds each by its number of inputs."""
        return cls(build_network(data.input_size), data, parameters)

    def __init__(self, network: RecurrentNetwork, data: TaskData, parameters: Mapping[str, Value]) -> None:
        super().__init__()
        self.network = network
        self.head = nn.Linear(network.output_size, data.output_size)
        self.task_parameters = dict(parameters)
        self.build_optimizer: BuildOptimizer = partial(Adam, lr=1e-3)
        self.carried: Carried | None = None
        self.epoch = 1
        self._totals: dict[str, Tensor] = {}

    def plan_epoch(self, train: Batch, batch_size: int, generator: torch.Generator) -> Sequence[Tensor]:
        """Row numbers of each training batch of an epoch, in order: a random permutation, with `training.bucketing` sorted by parts."""
        order = torch.randperm(len(train), generator=generator)
        if not self.task_parameters.get("training.bucketing") or train.lengths is None:
            batches: Sequence[Tensor] = order.split(batch_size)
            return batches
        parts = [part[train.lengths[part].argsort(stable=True).cpu()] for part in order.split(batch_size * BUCKET_BATCHES)]
        buckets = [batch for part in parts for batch in part.split(batch_size)]
        return [buckets[place] for place in torch.randperm(len(buckets), generator=generator).tolist()]

    def plan_evaluation(self, split: Batch) -> Sequence[Tensor]:
        """Row numbers of each evaluation batch, every row once; a metric does not depend on it."""
        batches: Sequence[Tensor] = torch.arange(len(split)).split(EVALUATION_ROWS)
        return batches

    def start_from(self, source: "TaskModule", data: TaskData) -> list[str]:
        """Takes what it can use of a trained module, of this task or another, and says what: names of weights.

        Here the recurrent network's weights; a task of tokens takes their embeddings too, each token's own.
        Called once, before the first epoch, and changes values of weights alone: a trial that goes on has them from its checkpoint.

        Args:
            data: The source's, without splits.
        Raises:
            DataError: the two networks differ, so that nothing could be taken.
        """
        ours, theirs = self.network.state_dict(), source.network.state_dict()
        if {name: weight.shape for name, weight in ours.items()} != {name: weight.shape for name, weight in theirs.items()}:
            raise DataError("training.init_from: that model's network is another; give this one the same cell, hidden_size and num_layers")
        self.network.load_state_dict(theirs)
        return [f"network.{name}" for name in ours]

    def examine(self, split: Batch) -> dict[str, Plain]:
        """What is worth its time only once, on the test split of a confirmed trial: numbers by name, and plain data for figures."""
        return {}

    def forward(self, batch: Batch) -> Tensor:
        """The head's outputs for a batch."""
        raise TypeError(f"{type(self).__name__} has no forward")

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """The mean loss whose gradient is followed; a scalar."""
        raise TypeError(f"{type(self).__name__} has no loss")

    def loss_size(self, batch: Batch) -> Tensor | int:
        """How many things the mean of `loss` is over in training: rows, or steps, tokens, units where a task's loss is a mean over those.

        What processes that share a batch weigh their parts with, so that together they follow the gradient of the whole.
        """
        return len(batch)

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

    def on_train_epoch_start(self) -> None:
        """Nothing is carried into an epoch."""
        self.carried = None
        self.epoch = self.current_epoch + 1

    def on_validation_epoch_start(self) -> None:
        """Nothing is carried into a split."""
        self.carried = None

    def on_test_epoch_start(self) -> None:
        """Nothing is carried into a split."""
        self.carried = None

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
