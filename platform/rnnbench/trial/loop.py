"""The lean trainer: drives a LightningModule over whole-tensor batches, epoch by epoch.

It calls what a stock Lightning Trainer would call, without the millisecond a batch that one costs. Every random number of
epoch k comes from a stream named after k, and a checkpoint within an epoch holds where that stream stands, so a trial
continued from a checkpoint is bit-equal to one never interrupted.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.optim import Optimizer

from rnnbench.base.errors import TrialDiverged
from rnnbench.base.seeds import child
from rnnbench.task.module import Batch, Carried, TaskModule
from rnnbench.trial.devices import default_stream, lowered, precision_of
from rnnbench.trial.optimizer import clip_gradients, lr_scale
from rnnbench.trial.pulse import Pulse
from rnnbench.trial.spec import TrialSpec

Weights = dict[str, torch.Tensor]


@dataclass
class Progress:
    """Where a training run stands after an epoch; with weights and optimiser it is all that a checkpoint needs.

    Attributes:
        epoch: Epochs done.
        best, best_epoch, best_metrics, best_weights: Of the best validation metric so far; of equal ones, of the lowest loss.
        rise_epoch: The first epoch whose metric was as good as the best; what patience counts from.
        stall: Epochs since the rate fell or the metric was best, for the plateau schedule.
        num_falls: How often the plateau schedule lowered the rate.
        train_s: Seconds inside training steps, validation not counted.
    """

    epoch: int = 0
    best: float | None = None
    best_epoch: int | None = None
    rise_epoch: int = 0
    last: float | None = None
    best_metrics: dict[str, float] = field(default_factory=dict)
    best_weights: Weights = field(default_factory=dict)
    stall: int = 0
    num_falls: int = 0
    train_s: float = 0.0


@dataclass
class Partial:
    """Where a training run stands within an epoch, after a batch.

    Attributes:
        batches: Batches done.
        sums: Of the loss over rows, of the gradient's norm, and of clipped steps.
        train_s: Seconds inside training steps of this epoch, before this process took it up.
        random_state: Of the stream that dropout draws from; filled in for a checkpoint, as is
        carried: what the module carries from batch to batch.
    """

    batches: int = 0
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    train_s: float = 0.0
    random_state: torch.Tensor | None = None
    carried: Carried | None = None

    def __post_init__(self) -> None:
        """Nothing waits to be summed."""
        self._waiting: list[tuple[int, torch.Tensor, torch.Tensor, torch.Tensor | None]] = []

    def add(self, rows: int, loss: torch.Tensor, norm: torch.Tensor, clipped: torch.Tensor | None) -> None:
        """Takes a batch; its numbers stay on the device until they are asked for."""
        self._waiting.append((rows, loss, norm, clipped))
        self.batches += 1

    def state(self, stream: torch.Generator, carried: Carried | None) -> dict[str, Any]:
        """Plain values and tensors that make an equal one."""
        place = {"batches": self.batches, "sums": self.totals(), "train_s": self.train_s}
        return place | {"random_state": stream.get_state(), "carried": carried}

    def totals(self) -> list[float]:
        """The sums over all batches so far."""
        if self._waiting:
            rows, losses, norms, clipped = zip(*self._waiting, strict=True)
            # Alike for all batches of an epoch: either something clips or nothing does.
            were_clipped = [0.0] * len(rows) if clipped[0] is None else torch.stack(clipped).tolist()
            for of_batch in zip(rows, torch.stack(losses).tolist(), torch.stack(norms).tolist(), were_clipped, strict=True):
                num_rows, loss, norm, was_clipped = of_batch
                self.sums = [self.sums[0] + num_rows * loss, self.sums[1] + norm, self.sums[2] + was_clipped]
            self._waiting.clear()
        return self.sums


class Trainer:
    """Trains one module for one spec.

    Args:
        maximize: Whether the task's metric is better when higher.
        metric: Name of the task's metric among the module's metrics.
        pulse: Asked between two batches whether to go on.
        after_batch: Called between two batches; a checkpoint of that moment is whole.
        stream: What dropout draws from; None: torch's default one.
    """

    def __init__(
        self,
        spec: TrialSpec,
        module: TaskModule,
        *,
        metric: str,
        maximize: bool,
        pulse: Pulse,
        after_batch: Callable[["Trainer"], None] = lambda trainer: None,
        stream: torch.Generator | None = None,
    ) -> None:
        self.spec = spec
        self.module = module
        self.optimizer: Optimizer = module.configure_optimizers()
        self.weights = [weight for weight in module.parameters() if weight.requires_grad]
        self.progress = Progress()
        self.partial: Partial | None = None
        self.device = self.weights[0].device
        self.stream = default_stream(self.device) if stream is None else stream
        # Of fp16, whose small gradients would vanish.
        self._scaler = torch.amp.GradScaler(self.device.type) if precision_of(spec) == "fp16" else None
        self._base_lrs = [group["lr"] for group in self.optimizer.param_groups]
        self._metric = metric
        self._sign = 1.0 if maximize else -1.0
        self._pulse = pulse
        self.after_batch = after_batch

    def is_done(self) -> bool:
        """Whether the budget's epochs or its patience are used up."""
        done, budget = self.progress, self.spec.budget
        waited = done.epoch - done.rise_epoch
        return done.epoch >= budget.max_epochs or (budget.patience is not None and done.epoch > 0 and waited >= budget.patience)

    def epochs_trained(self, train: Batch) -> float:
        """Epochs done, and the part of one whose batches have been trained."""
        return self.progress.epoch + (self.partial.batches / len(self._plan(train)) if self.partial else 0.0)

    def seconds_trained(self) -> float:
        """Seconds inside training steps, of an epoch that has not ended too."""
        return self.progress.train_s + (self.partial.train_s if self.partial else 0.0)

    def run_epoch(self, train: Batch, validation: Batch) -> dict[str, float]:
        """Trains and validates one epoch and returns its metrics.

        Raises:
            TrialDiverged: the loss, the gradient's norm or a validation metric is not finite.
            TrialTimeout, TrialInterrupted: see `Pulse.beat`.
        """
        batches = self.start_epoch(train)
        partial = self.partial
        assert partial is not None, "an epoch has been started"
        before_s = partial.train_s
        started = self._pulse.clock()
        self.module.train()
        for rows in batches[partial.batches :]:
            self._pulse.beat()
            self.descend(train, rows)
            partial.train_s = before_s + self._pulse.clock() - started
            self.after_batch(self)
        return self.end_epoch(len(train), evaluate(self.module, validation, self._pulse))

    def start_epoch(self, train: Batch) -> Sequence[torch.Tensor]:
        """The epoch's batches, as row numbers; sets the learning rate and the random stream, or goes on within the epoch."""
        parameters = self.spec.parameters
        epoch = self.module.epoch = self.progress.epoch + 1
        scale = lr_scale(parameters, epoch, self.spec.budget.max_epochs, self.progress.num_falls)
        for group, base_lr in zip(self.optimizer.param_groups, self._base_lrs, strict=True):
            group["lr"] = base_lr * scale
        if self.partial is None:
            self.partial = Partial()
            self.stream.manual_seed(child(self.spec.seed, "dropout", epoch))
            self.module.carried = None
        elif self.partial.random_state is not None:
            self.stream.set_state(self.partial.random_state)
            carried = self.partial.carried
            self.module.carried = carried and [tuple(part.to(self.device) for part in layer) for layer in carried]
        return self._plan(train)

    def _plan(self, train: Batch) -> Sequence[torch.Tensor]:
        batch_size = self.spec.parameters["training.batch_size"]
        assert isinstance(batch_size, int)
        order = torch.Generator().manual_seed(child(self.spec.seed, "order", self.progress.epoch + 1))
        return self.module.plan_epoch(train, batch_size, order)

    def descend(self, train: Batch, rows: torch.Tensor) -> None:
        """Goes a step down the gradient of the mean loss of some rows."""
        assert self.partial is not None, "an epoch has been started"
        self.clear_gradients()
        self.follow(self.differentiate(train.rows(rows)), len(rows))

    def differentiate(self, batch: Batch) -> torch.Tensor:
        """Adds the gradients of a batch's mean loss, which it returns."""
        assert self.partial is not None, "an epoch has been started"
        with lowered(self.spec, self.device):
            loss = self.module.training_step(batch, self.partial.batches)
        (loss if self._scaler is None else self._scaler.scale(loss)).backward()
        return loss.detach()

    def clear_gradients(self) -> None:
        """Before a backward pass: what `zero_grad` does, which asks the profiler about it each time."""
        for weight in self.weights:
            weight.grad = None

    def follow(self, loss: torch.Tensor, rows: int) -> None:
        """Goes a step down the gradients of a batch, whose mean loss is given."""
        if self._scaler is not None:
            self._scaler.unscale_(self.optimizer)
        norm, clipped = clip_gradients(self.weights, self.spec.parameters)
        if self._scaler is None:
            self.optimizer.step()
        else:
            self._scaler.step(self.optimizer)
            self._scaler.update()
            # A step that fp16 could not hold is left out, and the next ones are scaled less: that is no divergence.
            norm = torch.where(norm.isfinite(), norm, 0.0)
        assert self.partial is not None, "an epoch has been started"
        self.partial.add(rows, loss, norm, clipped)

    def end_epoch(self, num_rows: int, validated: Mapping[str, float]) -> dict[str, float]:
        """Takes the epoch into `progress` and returns its metrics.

        Raises:
            TrialDiverged: one of them is not finite.
        """
        partial, epoch = self.partial, self.progress.epoch + 1
        assert partial is not None, "an epoch has been started"
        loss_sum, norm_sum, clipped_sum = partial.totals()
        metrics = {
            "train_loss": loss_sum / num_rows,
            "grad_norm": norm_sum / partial.batches,
            "clipped_share": clipped_sum / partial.batches,
            "lr": float(self.optimizer.param_groups[0]["lr"]),
            "train_s": partial.train_s,
            **validated,
        }
        _require_finite(metrics, epoch)
        self.progress.train_s += partial.train_s
        self.partial = None
        self._record(epoch, metrics)
        return metrics

    def state(self) -> dict[str, Any]:
        """Tensors and plain values that `restore` reads back, after any batch or epoch."""
        partial = None if self.partial is None else self.partial.state(self.stream, self.module.carried)
        scaler = {} if self._scaler is None else {"scaler": self._scaler.state_dict()}
        return {
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "progress": vars(self.progress),
            "partial": partial,
            **scaler,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continues from what `state` gave.

        Raises:
            Exception: of many kinds, where it does not fit; build a new trainer then.
        """
        self.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self._scaler is not None:
            self._scaler.load_state_dict(state["scaler"])
        self.progress = Progress(**state["progress"])
        self.partial = None if state["partial"] is None else Partial(**state["partial"])

    def _record(self, epoch: int, metrics: Mapping[str, float]) -> None:
        value, progress = metrics[self._metric], self.progress
        progress.epoch, progress.last = epoch, value
        is_better = progress.best is None or self._sign * value > self._sign * progress.best
        if is_better or (value == progress.best and metrics["loss"] < progress.best_metrics["loss"]):
            progress.best, progress.best_epoch, progress.best_metrics = value, epoch, dict(metrics)
            progress.best_weights = {name: tensor.clone() for name, tensor in self.module.state_dict().items()}
        if is_better:
            progress.rise_epoch, progress.stall = epoch, 0
            return
        progress.stall += 1
        patience = self.spec.parameters.get("training.lr_patience")
        if isinstance(patience, int) and progress.stall > patience:
            progress.num_falls, progress.stall = progress.num_falls + 1, 0


def evaluate(module: TaskModule, split: Batch, pulse: Pulse) -> dict[str, float]:
    """The task's metrics over a whole split, without gradients or dropout."""
    module.eval()
    module.carried = None
    totals: dict[str, float] = {}
    with torch.inference_mode():
        for rows in module.plan_evaluation(split):
            pulse.beat()
            batch = split.rows(rows)
            for name, total in module.totals(module(batch), batch).items():
                totals[name] = totals.get(name, 0.0) + float(total)
    module.carried = None
    return module.metrics(totals)


def _require_finite(metrics: Mapping[str, float], epoch: int) -> None:
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise TrialDiverged(f"{name} is {value} in epoch {epoch}")
