"""One trial from start to end: read data, build, continue from the last checkpoint, train, and test where it may."""

import logging
import math
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import torch

from rnnbench.base.errors import CheckpointError, TrialInterrupted, TrialLost
from rnnbench.task.catalogue import get_task
from rnnbench.task.load import load_task
from rnnbench.task.module import TaskData
from rnnbench.trial.build import build_module, read_data
from rnnbench.trial.checkpoint import candidates, save_rotating
from rnnbench.trial.devices import find_device, gpu_peak_bytes, matrix_settings, name_of, place, restart_gpu_peak
from rnnbench.trial.files import BEST, LAST, remove_rotating
from rnnbench.trial.flops import count_epoch
from rnnbench.trial.flow import measure_flow
from rnnbench.trial.job import Job
from rnnbench.trial.latency import measure_latency
from rnnbench.trial.loop import Trainer, evaluate
from rnnbench.trial.parallel import ParallelTrainer, trainer_kind
from rnnbench.trial.parameters import INIT_FROM
from rnnbench.trial.pulse import Pulse
from rnnbench.trial.ranks import Team, gathered
from rnnbench.trial.settings import torch_settings
from rnnbench.trial.trained import keep, start_from
from rnnbench.trial.watchdog import guarded

log = logging.getLogger(__name__)


Send = Callable[[dict[str, Any]], None]

# Epochs that may not have been recorded yet when a checkpoint is written: whoever passes them on may die first.
RECENT_S = 120.0
MAX_RECENT = 1000
# Of the trial's time, for measuring how long its network takes to answer.
LATENCY_SHARE = 0.005


def run_trial(job: Job, send: Send, clock: Callable[[], float] = time.monotonic, *, alone: bool = False) -> dict[str, Any]:
    """Trains the job's spec to its end, or to where a scheduler or a person stops it, and returns the outcome.

    Epochs are sent as they finish. Leaves `best.ckpt` (weights of the best epoch) in the job's folder, and beside it what a
    later attempt continues from, unless the trial is at its end. The test split is read only in the confirm stage, once,
    after training.

    Args:
        alone: Whether this process may be ended from outside when the trial breaks its limits (a worker may, a person's
            own program may not).
    Returns:
        The outcome; its `status` is completed, paused (see `Job.until_epoch`) or interrupted (see `Job.stop_file`).
    Raises:
        TrialDiverged, TrialTimeout: how a trial may end without a result.
        DataError: the data cannot be used.
        DiskFullError: no room for a checkpoint.
    """
    with torch_settings(job.threads), matrix_settings(job):
        return Attempt(job, send, clock).run(alone=alone)


class Attempt:
    """One attempt at one trial, alone or together with others."""

    def __init__(self, job: Job, send: Send, clock: Callable[[], float], stream: torch.Generator | None = None) -> None:
        self.job = job
        self.send = send
        self.clock = clock
        self.stream = stream
        self.last = Path(job.folder) / LAST
        self.card = get_task(job.spec.task)
        self.started = clock()
        self.earlier_s = 0.0  # of the attempts that this one continues
        self.shared_s: float | None = None  # its share of the process's time, where it is one of several
        self.saved_at = self.started
        self._recent: deque[tuple[float, dict[str, Any]]] = deque(maxlen=MAX_RECENT)
        self.pulse = Pulse(clock, stop_file=job.stop_file)
        self.device = find_device(job)
        restart_gpu_peak(self.device)
        self.team: Team | None = None

    def run(self, *, alone: bool) -> dict[str, Any]:
        """Trains alone; see `run_trial`."""
        with guarded([self.job]) if alone else nullcontext(lambda: None) as self.pulse.alive, ExitStack() as stack:
            self.team = stack.enter_context(gathered(self.job, alone=alone)) if self.job.workers > 1 else None
            data = read_data(self.job.spec, self.job.paths())
            trainer, placed = self.continued(data), place(data, self.device)
            limit = self.job.limits.max_seconds
            self.pulse.deadline = math.inf if limit is None else self.started + limit - self.earlier_s
            try:
                if self.team is not None and not self.is_at_end(trainer):
                    assert isinstance(trainer, ParallelTrainer), "as it was made"
                    stack.enter_context(self.team.start(trainer, self.pulse))
                while not self.is_at_end(trainer):
                    self.tell(trainer, trainer.run_epoch(placed.splits["train"], placed.splits["validation"]))
                    self.save_when_due(trainer)
                return self.end(trainer, data)
            except TrialInterrupted:
                return self.interrupted(trainer)
            except TrialLost as lost:
                self.lose(trainer, data, lost)

    def is_late(self) -> bool:
        """Whether the trial is over its time."""
        return self.elapsed_s() > (self.job.limits.max_seconds or math.inf)

    def elapsed_s(self) -> float:
        """Wall clock of the trial over all its attempts."""
        return self.earlier_s + (self.clock() - self.started if self.shared_s is None else self.shared_s)

    def continued(self, data: TaskData) -> Trainer:
        """A trainer where the newest usable checkpoint left it; whatever is wrong with one, the next serves, or the start.

        The last epochs before that are sent again, for they may have been lost with their messenger; twice told, they count once.
        """
        for state in candidates(self.last):
            trainer = self._trainer(data)
            try:
                if state["key"] != self.job.key:
                    raise CheckpointError("belongs to another trial")
                trainer.restore(state)
                self.earlier_s, recent = float(state["elapsed_s"]), list(state["recent"])
            except Exception as error:  # noqa: BLE001 - a checkpoint is a file: anything may stand in it
                log.warning("checkpoint not used, it does not fit this trial: %s", error)
            else:
                for event in recent:
                    self._send_epoch(event | {"kind": "epoch_again"})
                return trainer
        return self._trainer(data, fresh=True)

    def _trainer(self, data: TaskData, *, fresh: bool = False) -> Trainer:
        """A trainer; a fresh one has the weights that `training.init_from` gives, another is about to take those of a checkpoint."""
        metric, maximize = self.card.metric.name, self.card.metric.direction == "max"
        module = build_module(self.job.spec, data)
        if fresh and (source := self.job.spec.parameters.get(INIT_FROM)) is not None:
            assert self.job.init_from is not None, "a job says where the model is that its trial starts from"
            start_from(module, Path(self.job.init_from), str(source))
        module.to(self.device)
        return trainer_kind(self.job)(
            self.job.spec, module, metric=metric, maximize=maximize, pulse=self.pulse, after_batch=self.save_when_due, stream=self.stream
        )

    def is_at_end(self, trainer: Trainer) -> bool:
        """Whether the trial is done, or where a scheduler wants it back."""
        until = self.job.until_epoch
        return trainer.is_done() or (until is not None and trainer.progress.epoch >= until)

    def interrupted(self, trainer: Trainer) -> dict[str, Any]:
        """Saves the trial where it stands, and its outcome."""
        self._save(trainer)
        return self._outcome(trainer, "interrupted")

    def lose(self, trainer: Trainer, data: TaskData, lost: TrialLost) -> NoReturn:
        """Raises what ended the trial, with what it cost until then."""
        lost.outcome |= {**self._cost(trainer), "train_flops": self._flops(trainer, data)}
        raise lost

    def tell(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        """Sends an epoch."""
        progress = trainer.progress
        event = {"kind": "epoch", "epoch": progress.epoch, "wall_s": self.elapsed_s(), "metrics": metrics}
        self._send_epoch(event | {"best": progress.best, "best_epoch": progress.best_epoch, "last": progress.last})

    def _send_epoch(self, event: dict[str, Any]) -> None:
        now = self.clock()
        self._recent.append((now, event))
        while self._recent[0][0] < now - RECENT_S:
            self._recent.popleft()
        self.send(event)

    def save_when_due(self, trainer: Trainer) -> None:
        """Saves what a later attempt continues from, if the last time is long ago."""
        if self.clock() - self.saved_at > self.job.checkpoint_every_s:
            self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        recent = [event for _, event in self._recent]
        save_rotating(self.last, {"key": self.job.key, "elapsed_s": self.elapsed_s(), "recent": recent, **trainer.state()})
        self.saved_at = self.clock()

    def end(self, trainer: Trainer, data: TaskData) -> dict[str, Any]:
        """Saves the best weights, tests where it may, and the outcome."""
        spec, progress = self.job.spec, trainer.progress
        keep(spec, progress.best_weights, data, self.job.own_cell).save(Path(self.job.folder) / BEST)
        outcome = self._outcome(trainer, "completed" if trainer.is_done() else "paused")
        outcome["train_flops"] = self._flops(trainer, data)
        outcome["data"] = dict(data.facts)
        if self.job.baselines and spec.stage == "search":
            outcome["baselines"] = load_task(spec.task).baselines(data, "validation")
        if not trainer.is_done():
            self._save(trainer)
            return outcome
        if spec.stage == "confirm":
            self.send({"kind": "test_opened"})
            # A task's own examination may compute beside the model: on the processor all of it finds each other.
            trainer.module.to("cpu").load_state_dict(progress.best_weights)
            test = read_data(spec, self.job.paths(), ("test",)).splits["test"]
            outcome["test"] = evaluate(trainer.module, test, self.pulse)
            if self.job.baselines:
                both = replace(data, splits={"train": data.splits["train"], "test": test})
                outcome["test_baselines"] = load_task(spec.task).baselines(both, "test")
            with torch.inference_mode():
                outcome["examined"] = trainer.module.examine(test)
            outcome["gradient_flow"] = measure_flow(trainer.module, data.splits["validation"])
            batch_size = spec.parameters["training.batch_size"]
            assert isinstance(batch_size, int)
            budget_s = LATENCY_SHARE * outcome["elapsed_s"]
            outcome["latency"] = measure_latency(trainer.module, data.splits["validation"], batch_size, budget_s)
        remove_rotating(self.last)
        return outcome

    def _flops(self, trainer: Trainer, data: TaskData) -> int:
        """Of what has been trained, a part of an epoch too."""
        train = data.splits["train"]
        return round(trainer.epochs_trained(train) * count_epoch(self.job.spec, trainer.module, train))

    def _outcome(self, trainer: Trainer, status: str) -> dict[str, Any]:
        progress = trainer.progress
        return {
            **self._cost(trainer),
            "status": status,
            "best": progress.best,
            "best_epoch": progress.best_epoch,
            "last": progress.last,
            "epochs": progress.epoch,
            "metrics": progress.best_metrics,
            "test": None,
            "baselines": {},
            "test_baselines": {},
        }

    def _cost(self, trainer: Trainer) -> dict[str, Any]:
        """What is known of a trial however it ends."""
        on_gpu = {"peak_gpu_bytes": gpu_peak_bytes(self.device)} if self.device.type == "cuda" else {}
        helpers = {"peaks_of_helpers": peaks} if self.team and (peaks := self.team.find_peaks()) else {}
        return {
            **on_gpu,
            **helpers,
            "device": name_of(self.device),
            "elapsed_s": self.elapsed_s(),
            "hidden_size": trainer.module.network.hidden_size,
            "num_parameters": sum(weight.numel() for weight in trainer.weights),
            "train_s": trainer.seconds_trained(),
            "flush_denormal": True,
            "torch": torch.__version__,
        }
