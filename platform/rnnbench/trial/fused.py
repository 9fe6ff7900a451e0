"""Several trials of one shape trained together: their weights are stacked and one pass goes through all of them.

Each trial keeps its own Trainer: its rows, random stream, learning rate, clipping, optimiser, best epoch and checkpoints are those it
has alone, and its weights are views of the stacks (of fewer units: copies, see `trial.padding`). Only the forward and backward pass
are common, so a trial's numbers are those it has alone up to the order of additions.
"""

# Shapes: N trials; those of a batch as in `Batch`, behind N.

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from rnnbench.base.errors import TrialDiverged, TrialsApart
from rnnbench.cells.models import PerModel, models
from rnnbench.cells.network import RecurrentNetwork
from rnnbench.task.module import Batch, TaskData, TaskModule
from rnnbench.trial.build import build_module
from rnnbench.trial.loop import Trainer
from rnnbench.trial.padding import Room
from rnnbench.trial.pulse import Pulse
from rnnbench.trial.sizes import can_pad, padded_size
from rnnbench.trial.spec import TrialSpec

# Rows of an evaluation batch; the same for any number of trials, so that a trial's numbers do not depend on the others.
EVALUATION_ROWS = 128
# Rows on which padding is tried.
CHECKED_ROWS = 8


def can_fuse(module: TaskModule) -> bool:
    """Whether a task's module trains as the contract says, from `forward` and `loss` alone, and all its noise is its one network's."""
    networks = sum(isinstance(part, RecurrentNetwork) for part in module.modules())
    return type(module).training_step is TaskModule.training_step and networks == 1


class FusedTrainer:
    """Trains some trainers' modules together.

    Args:
        trainers: Of one task and shape; each with a stream of its own.
        padded: A module with the units that trainers of fewer are padded to; None: all have the same.
        pulse: Asked between two batches whether to go on.
        after_batch: Called between two batches; a checkpoint of any trainer is then whole.
    """

    def __init__(
        self, trainers: Sequence[Trainer], pulse: Pulse, after_batch: Callable[[], None] = lambda: None, padded: TaskModule | None = None
    ) -> None:
        self.trainers = list(trainers)
        self._pulse = pulse
        self._after_batch = after_batch
        self._padded = padded
        self._stacks: dict[str, Tensor] = {}
        self._stack()

    def take(self, trainers: Sequence[Trainer]) -> None:
        """Goes on with these trainers."""
        if list(trainers) != self.trainers:
            self.trainers = list(trainers)
            self._stack()

    def run_epoch(self, train: Batch, validation: Batch) -> dict[Trainer, dict[str, float] | TrialDiverged]:
        """Trains and validates one epoch of every trial: its metrics, or why it has none.

        Raises:
            TrialInterrupted: see `Pulse.beat`.
        """
        plans = [trainer.start_epoch(train) for trainer in self.trainers]
        partials = [trainer.partial for trainer in self.trainers]
        done = {partial.batches for partial in partials if partial is not None}
        assert len(done) == 1, "trials in one pass stand at the same batch"
        self._template.train()
        for index in range(done.pop(), len(plans[0])):
            self._pulse.beat()
            begun = self._pulse.clock()
            self._train_batch(_rows(train, [plan[index] for plan in plans]))
            share = (self._pulse.clock() - begun) / len(self.trainers)
            for partial in partials:
                assert partial is not None, "an epoch has been started"
                partial.train_s += share
            self._after_batch()
        found: dict[Trainer, dict[str, float] | TrialDiverged] = {}
        for trainer, validated in zip(self.trainers, self._evaluate(validation), strict=True):
            try:
                found[trainer] = trainer.end_epoch(len(train), validated)
            except TrialDiverged as diverged:
                found[trainer] = diverged
        return found

    def _train_batch(self, batches: Sequence[Batch]) -> None:
        for stack in self._stacks.values():
            stack.grad = None
        outputs = self._forward(_stack_batches(batches), 0)
        losses = []
        for trainer, output, batch in zip(self.trainers, outputs.unbind(0), batches, strict=True):
            trainer.clear_gradients()
            losses.append(trainer.module.loss(output, batch))
        torch.stack(losses).sum().backward()
        for place, (trainer, loss, batch) in enumerate(zip(self.trainers, losses, batches, strict=True)):
            for name, weight in trainer.module.named_parameters():
                of_stack = self._stacks[name].grad
                if of_stack is not None:
                    own = self._own_part(trainer, name, of_stack[place], weight)
                    # What the loss reads of the module itself has a gradient there.
                    weight.grad = own if weight.grad is None else weight.grad + own
            trainer.follow(loss.detach(), len(batch))
        self._copy_padded()

    def _evaluate(self, split: Batch) -> list[dict[str, float]]:
        self._template.eval()
        totals: list[dict[str, float]] = [{} for _ in self.trainers]
        with torch.no_grad():
            for rows in torch.arange(len(split)).split(EVALUATION_ROWS):
                self._pulse.beat()
                batch = split.rows(rows)
                outputs = self._forward(batch, None)
                for trainer, total, output in zip(self.trainers, totals, outputs.unbind(0), strict=True):
                    for name, value in trainer.module.totals(output, batch).items():
                        total[name] = total.get(name, 0.0) + float(value)
        return [trainer.module.metrics(total) for trainer, total in zip(self.trainers, totals, strict=True)]

    def _forward(self, batch: Batch, place: int | None) -> Tensor:
        """Outputs of every model, (N, ...), for batches with a model axis at `place`, or one batch for all."""

        def run(weights: dict[str, Tensor], *parts: Tensor | None) -> Any:
            return functional_call(self._template, weights, (Batch(*parts),))  # type: ignore[arg-type]  # the parts of a batch

        parts = (batch.inputs, batch.targets, batch.lengths, batch.target_lengths)
        mapped = torch.vmap(run, in_dims=(0, *(None if part is None else place for part in parts)))
        with models([trainer.stream for trainer in self.trainers]):
            outputs: Tensor = mapped(self._stacks, *parts)
        return outputs

    def _stack(self) -> None:
        """Stacks the weights and makes each trainer's views of them: whatever writes one writes the other."""
        modules = [trainer.module for trainer in self.trainers]
        self._template = _template(modules, self._padded)
        units = self._template.network.hidden_size
        self._rooms = {
            trainer: Room(trainer.module, self._template, (trainer.module.network.hidden_size, units))
            for trainer in self.trainers
            if trainer.module.network.hidden_size != units
        }
        # Of padded trainers: their weights within the stacks, and by themselves.
        self._parts: list[Tensor] = []
        self._owns: list[Tensor] = []
        self._stacks = {name: weight.new_zeros((len(modules), *weight.shape)) for name, weight in self._template.named_parameters()}
        with torch.no_grad():
            for place, (trainer, module) in enumerate(zip(self.trainers, modules, strict=True)):
                for name, weight in module.named_parameters():
                    slot = self._stacks[name][place]
                    if trainer in self._rooms:
                        self._parts.append(self._rooms[trainer].part(name, slot))
                        self._owns.append(self._rooms[trainer].own(name, weight.detach()))
                    else:
                        weight.data = slot.copy_(weight)
        self._copy_padded()
        for name, weight in self._template.named_parameters():
            self._stacks[name].requires_grad_(weight.requires_grad)

    def _copy_padded(self) -> None:
        if self._parts:
            with torch.no_grad():
                torch._foreach_copy_(self._parts, self._owns)

    def _own_part(self, trainer: Trainer, name: str, padded: Tensor, weight: Tensor) -> Tensor:
        if trainer not in self._rooms:
            return padded
        # Whole in memory: torch's fused optimisers take a gradient's numbers in the order in which they lie there.
        return self._rooms[trainer].part(name, padded).reshape(weight.shape).contiguous()

    def require_silence(self, train: Batch) -> None:
        """Looks on some rows whether padding changes nothing.

        Raises:
            TrialsApart: it does.
        """
        if not self._rooms:
            return
        self._template.eval()
        batch = train.rows(torch.arange(min(len(train), CHECKED_ROWS)))
        outputs = self._forward(batch, None)
        outputs.square().sum().backward()
        for place, trainer in enumerate(self.trainers):
            if trainer not in self._rooms:
                continue
            with torch.no_grad():
                alone = trainer.module.eval()(batch)
            if not torch.allclose(outputs[place], alone, rtol=1e-3, atol=1e-4):
                raise TrialsApart("units of zero weights change an output")
            for name in self._stacks:
                if (grad := self._stacks[name].grad) is not None:
                    self._rooms[trainer].part(name, grad[place]).zero_()
                    if grad[place].any():
                        raise TrialsApart(f"units of zero weights have a gradient in {name}")


def build_padded(specs: Sequence[TrialSpec], data: TaskData, device: torch.device | None = None) -> TaskModule | None:
    """A module with the units that these specs, of one shape, are padded to, on a device (None: the CPU); None where all have them."""
    units = [spec.parameters.get("network.hidden_size") for spec in specs]
    if not isinstance(units[0], int) or not can_pad(specs[0].cell, specs[0].parameters):
        return None
    padded = padded_size(units[0])
    if all(one == padded for one in units):
        return None
    return build_module(replace(specs[0], parameters={**specs[0].parameters, "network.hidden_size": padded}), data).to(device)


def _template(modules: Sequence[TaskModule], padded: TaskModule | None) -> TaskModule:
    """A module that stands for all: of what they differ in beside weights, the shares of dropout, it has each one's."""
    template = deepcopy(modules[0] if padded is None else padded)
    networks = [module.network for module in modules]
    template.network.set_noise(*(PerModel(values) for values in zip(*(network.noise_shares() for network in networks), strict=True)))
    return template


def _rows(split: Batch, index: Sequence[Tensor]) -> list[Batch]:
    """The rows of each index, all cut to the longest of all."""
    longest, longest_target = (
        None if lengths is None else max(int(lengths[rows].max()) for rows in index) for lengths in (split.lengths, split.target_lengths)
    )
    return [split.rows(rows, longest, longest_target) for rows in index]


def _stack_batches(batches: Sequence[Batch]) -> Batch:
    def stack(name: str) -> Any:
        parts = [getattr(batch, name) for batch in batches]
        return None if parts[0] is None else torch.stack(parts)

    return Batch(stack("inputs"), stack("targets"), stack("lengths"), stack("target_lengths"))
