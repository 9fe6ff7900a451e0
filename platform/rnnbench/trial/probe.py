"""Whether trials of one shape train faster together than one by one, here and now: some batches of both, on models of its own."""

import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch

from rnnbench.base.machine import peak_bytes, resident_bytes, restart_peak, return_freed_memory
from rnnbench.task.catalogue import get_task
from rnnbench.task.module import Batch, TaskData, TaskModule
from rnnbench.trial.build import build_module
from rnnbench.trial.devices import find_device, settle
from rnnbench.trial.fused import FusedTrainer, build_padded
from rnnbench.trial.job import Job
from rnnbench.trial.loop import Trainer
from rnnbench.trial.parallel import trainer_kind
from rnnbench.trial.pulse import Pulse

# Batches that are timed, after one that is not; the quickest counts, since other work only ever adds.
BATCHES = 3
# With less gain a trial alone is as good, and what happens to it is its own.
WORTHWHILE = 1.15


def measure(jobs: Sequence[Job], data: TaskData, pulse: Pulse) -> dict[str, Any]:
    """What training these trials costs here, together and one by one; under the caller's settings of torch.

    Returns:
        `single_s` and `fused_s`, seconds of a training batch (fused: a trial's share); `number` of trials that trained together;
        `worthwhile`, whether that is faster; `batches` of an epoch; `bytes_each`, memory that each takes while they train together.
    Raises:
        TrialInterrupted: see `Pulse.beat`.
    """
    train, batch_size = data.splits["train"], jobs[0].spec.parameters["training.batch_size"]
    assert isinstance(batch_size, int)
    few = train.rows(torch.arange(min(len(train), batch_size * (BATCHES + 1))))
    one_row = data.splits["validation"].rows(torch.arange(1))
    specs = [job.spec for job in jobs]
    # Where units differ, one of the middle stands for all.
    middle = sorted(jobs, key=lambda job: str(job.spec.parameters.get("network.hidden_size")))[len(jobs) // 2]
    single = _quickest([build_trainer(middle, data, pulse)], few, one_row, pulse)
    return_freed_memory()
    restart_peak()
    before = resident_bytes()
    padded = build_padded(specs, data, train.inputs.device)
    fused = _quickest([build_trainer(job, data, pulse) for job in jobs], few, one_row, pulse, padded) / len(jobs)
    return {
        "single_s": single,
        "fused_s": fused,
        "number": len(jobs),
        "worthwhile": single > WORTHWHILE * fused,
        "batches": -(-len(train) // batch_size),
        "bytes_each": max(0, peak_bytes() - before) // len(jobs),
    }


def build_trainer(job: Job, data: TaskData, pulse: Pulse) -> Trainer:
    """A trainer of a job's own module that nobody keeps, with a random stream of its own."""
    device = find_device(job)
    metric, stream = get_task(job.spec.task).metric, torch.Generator(device)
    module, maximize = build_module(job.spec, data).to(device), metric.direction == "max"
    return trainer_kind(job)(job.spec, module, metric=metric.name, maximize=maximize, pulse=pulse, stream=stream)


def _quickest(trainers: Sequence[Trainer], train: Batch, validation: Batch, pulse: Pulse, padded: TaskModule | None = None) -> float:
    """Seconds of the quickest batch of one trainer alone, or of several together."""
    marks = [time.perf_counter()]

    def mark(*_: Any) -> None:
        settle(train.inputs.device)
        marks.append(time.perf_counter())

    if len(trainers) > 1:
        FusedTrainer(trainers, pulse, mark, padded).run_epoch(train, validation)
    else:
        trainers[0].after_batch = mark
        trainers[0].run_epoch(train, validation)
    return min(later - earlier for earlier, later in pairwise(marks))
