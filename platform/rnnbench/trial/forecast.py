"""What a trial will cost on this machine, from some batches of it: seconds, memory and disk."""

import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import torch

from rnnbench.base.errors import TrialDiverged, TrialTimeout
from rnnbench.base.machine import peak_bytes, restart_peak
from rnnbench.task.module import EVALUATION_ROWS, TaskData
from rnnbench.trial.build import build_module, read_data
from rnnbench.trial.checkpoint import save_checkpoint
from rnnbench.trial.devices import find_device, matrix_settings, place, settle
from rnnbench.trial.fused import can_fuse
from rnnbench.trial.job import Cost, Job
from rnnbench.trial.loop import Trainer, evaluate
from rnnbench.trial.parallel import ParallelTrainer
from rnnbench.trial.probe import build_trainer, measure
from rnnbench.trial.pulse import Pulse
from rnnbench.trial.ranks import gathered
from rnnbench.trial.settings import torch_settings
from rnnbench.trial.trained import keep

# An epoch that takes longer is not seen to its end.
MAX_TRAIN_S = 2.0
EVALUATED_ROWS = 2 * EVALUATION_ROWS


def measure_cost(jobs: Sequence[Job]) -> Cost:
    """What the first of some jobs takes, trained together with the others if `fuse` says so and it is faster.

    Of a job with several workers their processes are started too, and train it as they would.

    Args:
        jobs: Of one shape; the ones after the first are those that it could train together with.
    Raises:
        DataError: the data cannot be used.
        RanksLostError: a worker's process failed, and why.
    """
    with torch_settings(jobs[0].threads), matrix_settings(jobs[0]):
        data = place(read_data(jobs[0].spec, jobs[0].paths()), find_device(jobs[0]))
        alone = _alone(jobs[0], data)
        module = build_module(jobs[0].spec, data)
        if len(jobs) == 1 or jobs[0].fuse == "never" or not can_fuse(module):
            return alone
        found = measure(jobs, data, Pulse(time.monotonic))
    if jobs[0].fuse == "auto" and not found["worthwhile"]:
        return alone
    share = found["fused_s"] / found["single_s"]
    memory = alone.memory_bytes + found["bytes_each"] * (len(jobs) - 1)
    return replace(alone, epoch_s=alone.epoch_s * share, together=len(jobs), memory_bytes=memory, gpu_bytes=_gpu_bytes(data))


def _alone(job: Job, data: TaskData) -> Cost:
    restart_peak()
    train, validation = data.splits["train"], data.splits["validation"]
    device = train.inputs.device
    # The first step pays for what is made once in a process, the first trial of several workers for their processes.
    with _trainer(job, data, Pulse(time.monotonic)) as (trainer, _):
        trainer.module(train.rows(torch.arange(1)))
    begun = time.perf_counter()
    marks: list[float] = []
    pulse = Pulse(time.monotonic)

    def mark(*_: object) -> None:
        settle(device)
        marks.append(time.perf_counter())

    with _trainer(job, data, pulse) as (trainer, others):
        trainer.after_batch = mark
        start_s = time.perf_counter() - begun
        pulse.deadline = time.monotonic() + MAX_TRAIN_S
        batches = len(trainer.start_epoch(train))
        mark()
        try:
            trainer.run_epoch(train, validation.rows(torch.arange(1)))
        except (TrialDiverged, TrialTimeout):
            pulse.deadline = math.inf
        of_others = max(map(peak_bytes, others), default=0)
    rows = min(len(validation), EVALUATED_ROWS)
    evaluated = time.perf_counter()
    evaluate(trainer.module, validation.rows(torch.arange(rows)), pulse)
    settle(device)
    validation_s = (time.perf_counter() - evaluated) * len(validation) / rows
    gaps = [later - earlier for earlier, later in pairwise(marks)]
    # The first batch warms up; where it is the only one, it has to do.
    gaps = gaps[1:] or gaps
    epoch_s = batches * sum(gaps) / len(gaps) + validation_s
    ended = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="rnnbench-probe-") as folder:
        state = trainer.state()
        left = keep(job.spec, state["module"], data, job.own_cell).save(Path(folder) / "best")
        start_s += time.perf_counter() - ended
        # Two of them are kept, each with the best weights so far.
        running = 2 * (save_checkpoint(Path(folder) / "last", state) + left)
    size = torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else 0
    return Cost(start_s, epoch_s, 1, max(of_others, peak_bytes()), left, running, _gpu_bytes(data), size)


@contextmanager
def _trainer(job: Job, data: TaskData, pulse: Pulse) -> Iterator[tuple[Trainer, list[int]]]:
    """A job's trainer, and the processes of its other workers, which train with it while the block lasts."""
    trainer = build_trainer(job, data, pulse)
    if not isinstance(trainer, ParallelTrainer):
        yield trainer, []
        return
    with gathered(job, alone=False) as team, team.start(trainer, pulse):
        yield trainer, [helper.process.pid for helper in team.helpers]


def _gpu_bytes(data: TaskData) -> int:
    device = data.splits["train"].inputs.device
    return torch.cuda.max_memory_reserved(device) if device.type == "cuda" else 0
