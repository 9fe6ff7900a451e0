"""One trial from start to end: read data, build, continue from the last checkpoint, train, and test where it may."""

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import torch

from rnnbench.base.errors import CheckpointError, StoreError, TrialInterrupted, TrialLost
from rnnbench.base.store import open_store
from rnnbench.task.catalogue import get_task
from rnnbench.task.load import load_task
from rnnbench.task.module import TaskData
from rnnbench.trial.build import build_module, read_data
from rnnbench.trial.checkpoint import candidates, save_rotating
from rnnbench.trial.devices import find_device, gpu_peak_bytes, matrix_settings, name_of, place, restart_gpu_peak
from rnnbench.trial.files import BEST, LAST, previous_of, rotating
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
Found = TypeVar("Found")

# Epochs that may not have been recorded yet when a checkpoint is written: whoever passes them on may die first.
RECENT_S = 120.0
MAX_RECENT = 1000
# Of the trial's time, for measuring how long its network takes to answer.
LATENCY_SHARE = 0.005
# How long the beginning and the end of a trial wait for a store that is away, and the longest pause between two tries.
PATIENCE_S, LONGEST_WAIT_S = 60.0, 10.0
# In between, a store that did not take a checkpoint is left alone for so many times as long as asking it took.
AWAY_REST = 10.0


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
        StoreError: the store was away for too long when the trial began or ended.
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
        self.store = open_store(job.store)
        self.card = get_task(job.spec.task)
        self.started = clock()
        self.earlier_s = 0.0  # of the attempts that this one continues
        self.shared_s: float | None = None  # its share of the process's time, where it is one of several
        self.saved_at = self.started
        self._ask_at = self.started
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
        for state in self._states():
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

    def _states(self) -> Iterable[dict[str, Any]]:
        """What the trial may continue from, the furthest first."""
        own = candidates(*rotating(self.last))
        if self.job.store is None:
            return own
        copies = [copy for place in rotating(self.last) if (copy := self._patiently(partial(self.store.get, place)))]
        # What a store that was away has missed is on the machine that saved it.
        found = sorted([*candidates(*copies), *own], key=_standing, reverse=True)
        for copy in copies:
            copy.unlink()
        return found

    def _patiently(self, ask: Callable[[], Found]) -> Found:
        """Asks the store, again for a while where it is away.

        Raises:
            StoreError: it was away for too long.
        """
        deadline, wait_s = self.clock() + PATIENCE_S, 1.0
        while True:
            try:
                return ask()
            except StoreError as error:
                if self.clock() + wait_s > deadline:
                    raise
                log.warning("again in %.0f s: %s", wait_s, error)
            self.pulse.alive()
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def _trainer(self, data: TaskData, *, fresh: bool = False) -> Trainer:
        """A trainer; a fresh one has the weights that `training.init_from` gives, another is about to take those of a checkpoint."""
        metric, maximize = self.card.metric.name, self.card.metric.direction == "max"
        module = build_module(self.job.spec, data)
        if fresh and (source := self.job.spec.parameters.get(INIT_FROM)) is not None:
            assert self.job.init_from is not None, "a job says where the model is that its trial starts from"
            model = Path(self.job.init_from)
            start_from(module, self._patiently(partial(self.store.get, model)) or model, str(source))
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
            self._save(trainer, ask=self.clock() >= self._ask_at)

    def _save(self, trainer: Trainer, *, ask: bool = True) -> None:
        recent = [event for _, event in self._recent]
        save_rotating(self.last, {"key": self.job.key, "elapsed_s": self.elapsed_s(), "recent": recent, **trainer.state()})
        self.saved_at = self.clock()
        if not ask:
            return
        try:
            self.store.put(self.last, before=previous_of(self.last))
        except StoreError as error:
            log.warning("the newest checkpoint is on this machine alone: %s", error)
            self._ask_at = self.clock() + AWAY_REST * (self.clock() - self.saved_at)

    def end(self, trainer: Trainer, data: TaskData) -> dict[str, Any]:
        """Saves the best weights, tests where it may, and the outcome."""
        spec, progress = self.job.spec, trainer.progress
        best = Path(self.job.folder) / BEST
        keep(spec, progress.best_weights, data, self.job.own_cell).save(best)
        try:
            self._patiently(partial(self.store.put, best))
        except StoreError:
            self._save(trainer)  # whoever comes next on this machine has nothing else to do
            raise
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
        # What is left there the driver removes.
        with suppress(StoreError):
            self.store.delete(*rotating(self.last))
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


def _standing(state: Mapping[str, Any]) -> tuple[int, int]:
    """Epochs and batches that a checkpoint is from the start; of one that is no trial's, nothing."""
    try:
        partial_epoch = state["partial"]
        return int(state["progress"]["epoch"]), 0 if partial_epoch is None else int(partial_epoch["batches"])
    except (KeyError, TypeError, ValueError):
        return -1, -1
