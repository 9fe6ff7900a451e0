"""What a trial will cost on this machine, from some batches of it: seconds, memory and disk."""

import math
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import torch

from rnnbench.base.errors import TrialDiverged, TrialTimeout
from rnnbench.base.machine import peak_bytes, restart_peak
from rnnbench.task.module import EVALUATION_ROWS, TaskData
from rnnbench.trial.build import build_module, read_data
from rnnbench.trial.checkpoint import save_checkpoint
from rnnbench.trial.devices import find_device, place
from rnnbench.trial.fused import can_fuse
from rnnbench.trial.job import Cost, Job
from rnnbench.trial.loop import evaluate
from rnnbench.trial.probe import build_trainer, measure
from rnnbench.trial.pulse import Pulse
from rnnbench.trial.settings import torch_settings
from rnnbench.trial.trained import keep

# An epoch that takes longer is not seen to its end.
MAX_TRAIN_S = 2.0
EVALUATED_ROWS = 2 * EVALUATION_ROWS


def measure_cost(jobs: Sequence[Job]) -> Cost:
    """What the first of some jobs takes, trained together with the others if `fuse` says so and it is faster.

    Args:
        jobs: Of one shape; the ones after the first are those that it could train together with.
    Raises:
        DataError: the data cannot be used.
    """
    with torch_settings(jobs[0].threads):
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
    return Cost(alone.start_s, alone.epoch_s * share, len(jobs), memory, alone.disk_bytes, alone.running_bytes)


def _alone(job: Job, data: TaskData) -> Cost:
    restart_peak()
    train, validation = data.splits["train"], data.splits["validation"]
    # The first step pays for what is made once in a process.
    build_trainer(job, data, Pulse(time.monotonic)).module(train.rows(torch.arange(1)))
    begun = time.perf_counter()
    marks: list[float] = []
    pulse = Pulse(time.monotonic)
    trainer = build_trainer(job, data, pulse)
    trainer.after_batch = lambda _: marks.append(time.perf_counter())
    start_s = time.perf_counter() - begun
    pulse.deadline = time.monotonic() + MAX_TRAIN_S
    batches = len(trainer.start_epoch(train))
    marks.append(time.perf_counter())
    try:
        trainer.run_epoch(train, validation.rows(torch.arange(1)))
    except (TrialDiverged, TrialTimeout):
        pulse.deadline = math.inf
    rows = min(len(validation), EVALUATED_ROWS)
    evaluated = time.perf_counter()
    evaluate(trainer.module, validation.rows(torch.arange(rows)), pulse)
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
    return Cost(start_s, epoch_s, 1, peak_bytes(), left, running)
