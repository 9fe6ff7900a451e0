"""Data-parallel training: each process takes a part of every batch, and all follow the gradient of the whole batch's loss.

Every process (rank) has the data, the weights and the optimiser, and reads the same plan of batches. Of a batch's rows, rank r of N takes
r, r + N, ...: nothing is repeated or left out. Gradients are weighted with what the rank's mean is over, added up over all ranks and
divided by the sum of the weights, then clipped: each rank goes the same step.
"""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import distributed

from rnnbench.base.errors import RnnbenchError
from rnnbench.base.seeds import child
from rnnbench.task.module import Batch
from rnnbench.trial.job import Job
from rnnbench.trial.loop import Trainer

# The network interface that only this machine's programs reach.
_LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"
_INTERFACES = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")


class Ranks(Protocol):
    """The other processes, seen from the first one."""

    @contextmanager
    def step(self, order: Mapping[str, Any]) -> Iterator[None]:
        """Has them train a batch, while this process does its part of it."""


class ParallelTrainer(Trainer):
    """Trains its rank's part of every batch.

    Attributes:
        rank, world: Which of how many processes this is.
        ranks: The others, where this is the first; it alone validates, decides and saves.
    """

    rank = 0
    world = 1
    ranks: Ranks | None = None

    def share(self, rank: int, world: int) -> None:
        """Says which part is this one's.

        Raises:
            RnnbenchError: batches of this module cannot be shared.
        """
        if self.module.carries_state:
            raise RnnbenchError(f"task {self.spec.task} carries state from batch to batch: set resources.workers to 1")
        self.rank, self.world = rank, world

    def descend(self, train: Batch, rows: torch.Tensor) -> None:
        """See Trainer; the loss that is recorded is the whole batch's."""
        assert self.partial is not None, "an epoch has been started"
        part = self._part(train, rows)
        if self.ranks is None:
            self._take(part, len(rows))
            return
        order = {"epoch": self.progress.epoch + 1, "falls": self.progress.num_falls, "batch": self.partial.batches}
        with self.ranks.step(order):
            self._take(part, len(rows))

    def obey(self, order: Mapping[str, Any], train: Batch) -> None:
        """Trains this rank's part of the batch that the first rank has ordered."""
        if self.progress.epoch + 1 != order["epoch"] or self.partial is None:
            self.progress.epoch, self.progress.num_falls, self.partial = order["epoch"] - 1, order["falls"], None
            self._batches: Sequence[torch.Tensor] = self.start_epoch(train)
            self.module.train()
        assert self.partial is not None, "an epoch has been started"
        self.partial.batches = order["batch"]
        self.descend(train, self._batches[order["batch"]])
        self.partial.totals()  # nothing piles up: the first rank keeps them

    def _part(self, train: Batch, rows: torch.Tensor) -> Batch | None:
        own = rows[self.rank :: self.world]
        return train.rows(own) if len(own) else None

    def _take(self, part: Batch | None, num_rows: int) -> None:
        assert self.partial is not None, "an epoch has been started"
        # A stream for each batch and rank: where training goes on needs to know none of the others'.
        place = (self.progress.epoch + 1, self.partial.batches, self.rank)
        self.stream.manual_seed(child(self.spec.seed, "dropout", *place))
        self.clear_gradients()
        size, loss = self.weights[0].new_zeros(()), self.weights[0].new_zeros(())
        if part is not None:
            size += self.module.loss_size(part)
        if part is not None and size > 0:
            loss = self.differentiate(part).float()
        self.follow(_reduce(self.weights, loss, size), num_rows)


def trainer_kind(job: Job) -> type[Trainer]:
    """The trainer of a job: one that takes a part of each batch where it has several workers."""
    return ParallelTrainer if job.workers > 1 else Trainer


def _reduce(weights: Sequence[torch.nn.Parameter], loss: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
    """Makes each gradient that of the mean over all ranks' parts, and returns that mean loss; a weight that none has used has none."""
    used = torch.stack([size.new_tensor(float(weight.grad is not None)) for weight in weights])
    own = [size.new_zeros(weight.numel()) if weight.grad is None else weight.grad.flatten() for weight in weights]
    whole = torch.cat([torch.cat([*own, loss.reshape(1)]) * size, size.reshape(1), used])
    distributed.all_reduce(whole)
    gradients, total, used = whole.split([len(whole) - 1 - len(used), 1, len(used)])
    *found, mean = (gradients / total.clamp(min=1)).split([*(weight.numel() for weight in weights), 1])
    for weight, gradient, users in zip(weights, found, used.tolist(), strict=True):
        weight.grad = gradient.view_as(weight) if users else None
    whole_mean: torch.Tensor = mean.squeeze(0)
    return whole_mean


@contextmanager
def joined(store: Path, rank: int, world: int, timeout_s: float, device: torch.device) -> Iterator[None]:
    """The process is one of a group for as long as the block lasts; they meet at a file that all can write.

    Args:
        timeout_s: After which one that waits for another gives up.
    Raises:
        RuntimeError: the others did not come, or this process is in a group already.
    """
    say_uncaught = sys.excepthook  # torch puts one of its own before it, each time
    before = {name: os.environ.get(name) for name in _INTERFACES}
    os.environ |= dict.fromkeys(_INTERFACES, _LOOPBACK)
    try:
        backend = "gloo" if device.type == "cpu" else "nccl"
        if device.type == "cuda":
            torch.cuda.set_device(device)
        distributed.init_process_group(
            backend, init_method=store.as_uri(), rank=rank, world_size=world, timeout=timedelta(seconds=timeout_s)
        )
        try:
            yield
        finally:
            distributed.destroy_process_group()
    finally:
        sys.excepthook = say_uncaught
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def hand_over(state: bytes | None, size: int, device: torch.device) -> bytes:
    """The first rank's bytes, so many, on every rank; the others give None."""
    content = torch.empty(size, dtype=torch.uint8) if state is None else torch.frombuffer(bytearray(state), dtype=torch.uint8)
    content = content.to(device)
    distributed.broadcast(content, src=0)
    return bytes(content.cpu().numpy())
