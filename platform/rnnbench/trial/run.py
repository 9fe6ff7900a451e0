"""One trial from start to end: read data, build, continue from the last checkpoint, train, and test where it may."""

import logging
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from rnnbench.base.errors import CheckpointError
from rnnbench.task.catalogue import get_task
from rnnbench.task.load import load_task
from rnnbench.task.module import TaskData
from rnnbench.trial.build import build_module, read_data
from rnnbench.trial.checkpoint import find_checkpoint, save_checkpoint
from rnnbench.trial.job import Job
from rnnbench.trial.loop import Limits, Trainer, evaluate

log = logging.getLogger(__name__)

LAST, BEST = "last.ckpt", "best.ckpt"
# A checkpoint costs some milliseconds: epochs shorter than this are not worth one each.
CHECKPOINT_EVERY_S = 10.0

Send = Callable[[dict[str, Any]], None]


def run_trial(job: Job, send: Send, clock: Callable[[], float] = time.monotonic) -> dict[str, Any]:
    """Trains the job's spec to its end and returns the outcome; epochs are sent as they finish.

    Leaves `best.ckpt` (weights of the best epoch) in the job's folder. The test split is read only in the confirm stage,
    once, after training.

    Raises:
        TrialDiverged, TrialTimeout: how a trial may end without a result.
        DataError: the data cannot be used.
    """
    with torch_settings(job.threads):
        return _run(job, send, clock)


def _run(job: Job, send: Send, clock: Callable[[], float]) -> dict[str, Any]:
    spec, budget, folder = job.spec, job.spec.budget, Path(job.folder)
    started = clock()
    limits = Limits(clock, started + (budget.max_seconds or math.inf))
    card = get_task(spec.task)
    data = read_data(spec, job.paths())
    module = build_module(spec, data)
    trainer = Trainer(spec, module, metric=card.metric.name, maximize=card.metric.direction == "max", limits=limits)
    _continue(trainer, folder / LAST, job.key)
    saved_at = started
    while not trainer.is_done():
        metrics = trainer.run_epoch(data.splits["train"], data.splits["validation"])
        progress = trainer.progress
        if clock() - saved_at > CHECKPOINT_EVERY_S and not trainer.is_done():
            save_checkpoint(folder / LAST, {"key": job.key, **trainer.state()})
            saved_at = clock()
        event = {"kind": "epoch", "epoch": progress.epoch, "wall_s": clock() - started, "metrics": metrics}
        send(event | {"best": progress.best, "best_epoch": progress.best_epoch, "last": progress.last})
    return _finish(job, trainer, data, send)


@contextmanager
def torch_settings(threads: int) -> Iterator[None]:
    """What every trial trains under: its share of threads, flushed denormals, deterministic kernels; all put back after."""
    before = torch.get_num_threads(), _flushes_denormals(), torch.are_deterministic_algorithms_enabled()
    _set_torch(threads, flush=True, deterministic=True)
    try:
        yield
    finally:
        _set_torch(*before)


def _set_torch(threads: int, flush: bool, deterministic: bool) -> None:
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
    # Vanishing gradients become denormal numbers, which slow a CPU down four to eight times.
    torch.set_flush_denormal(flush)
    torch.use_deterministic_algorithms(deterministic, warn_only=True)


def _flushes_denormals() -> bool:
    # torch sets the mode and does not tell it; the processor does.
    return sys.float_info.min / 2 == 0.0


def _continue(trainer: Trainer, path: Path, key: str) -> None:
    try:
        state = find_checkpoint(path)
        if state is None:
            return
        if state.get("key") != key:
            raise CheckpointError(f"{path}: belongs to another trial")
        trainer.restore(state)
    except CheckpointError as error:
        log.warning("checkpoint not used, the trial starts again: %s", error)


def _finish(job: Job, trainer: Trainer, data: TaskData, send: Send) -> dict[str, Any]:
    spec, progress, module = job.spec, trainer.progress, trainer.module
    save_checkpoint(Path(job.folder) / BEST, {"key": job.key, "spec": spec.to_dict(), "module": progress.best_weights})
    (Path(job.folder) / LAST).unlink(missing_ok=True)
    test = None
    if spec.stage == "confirm":
        send({"kind": "test_opened"})
        module.load_state_dict(progress.best_weights)
        test = evaluate(module, read_data(spec, job.paths(), ("test",)).splits["test"], Limits(time.monotonic))
    baselines = load_task(spec.task).baselines(data) if job.baselines else {}
    return {
        "best": progress.best,
        "best_epoch": progress.best_epoch,
        "last": progress.last,
        "epochs": progress.epoch,
        "metrics": progress.best_metrics,
        "test": test,
        "baselines": baselines,
        "num_parameters": sum(weight.numel() for weight in trainer.weights),
        "train_s": progress.train_s,
        "data": dict(data.facts),
        "flush_denormal": True,
        "torch": torch.__version__,
    }
