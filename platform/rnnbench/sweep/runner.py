"""The runner: hands out what is pending, records what comes back, and plans the confirmation; the ledger decides when it is done."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rnnbench.base.home import Home
from rnnbench.ledger.records import FINAL, EpochRecord, Status, TrialRecord
from rnnbench.ledger.store import Ledger
from rnnbench.search.plan import Scored, plan_confirm
from rnnbench.search.sweepfile import SweepFile
from rnnbench.sweep.executor import Executor, Queue
from rnnbench.sweep.scoreboard import Scoreboard
from rnnbench.task.catalogue import get_task
from rnnbench.trial.job import Job
from rnnbench.trial.spec import TrialSpec

Files = Mapping[tuple[str, str], Mapping[str, str]]


def is_maximized(task: str) -> bool:
    """Whether the task's metric is better when higher."""
    return get_task(task).metric.direction == "max"


@dataclass
class Runner:
    """Runs one planned sweep to its end, or to where it is stopped.

    Attributes:
        files: Absolute data files by (task, data set).
        observe: Called after each recorded event, for a live view.
    """

    ledger: Ledger
    sweep: SweepFile
    files: Files
    home: Home
    observe: Callable[[Scoreboard], None] = lambda board: None
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        """Reads how the sweep stands."""
        trials = self.ledger.trials(self.sweep.name)
        self.board = Scoreboard(trials, is_maximized)
        # The first trial of each data set computes its baselines; a plan only ever grows at its end.
        firsts: dict[tuple[str, str], str] = {}
        for trial in trials:
            firsts.setdefault((trial.spec.task, trial.spec.data), trial.key)
        self._first = set(firsts.values())

    def run(self, executor: Executor) -> None:
        """Executes until nothing is pending; whatever ends it, no trial stays marked as running.

        Raises:
            KeyboardInterrupt, SystemExit: the person or the system stopped it.
        """
        name, started = self.sweep.name, self.clock()
        self.board.add(self._interrupt())
        try:
            executor.execute(self._next_job, self._record)
        finally:
            self.board.add(self._interrupt())
            self.ledger.record_sitting(name, self.clock() - started, ended=self.is_complete())

    def is_complete(self) -> bool:
        """Whether every planned trial has ended and no confirmation is still to be planned."""
        return all(trial.status in FINAL for trial in self.board.trials.values()) and not self._confirmation()

    def _interrupt(self) -> list[TrialRecord]:
        self.ledger.release_running(self.sweep.name)
        return self.ledger.trials(self.sweep.name)

    def _next_job(self) -> Job | Queue:
        claimed = self.ledger.claim(self.sweep.name, 1)
        if claimed:
            self.board.add(claimed)
            self.observe(self.board)
            return self._job(claimed[0])
        if any(trial.status not in FINAL for trial in self.board.trials.values()):
            return Queue.WAIT
        specs = self._confirmation()
        if not specs:
            return Queue.DONE
        self.ledger.extend_sweep(self.sweep.name, specs)
        self.board.add(self.ledger.trials(self.sweep.name))
        return self._next_job()

    def _job(self, trial: TrialRecord) -> Job:
        spec = trial.spec
        return Job(
            key=trial.key,
            attempt=trial.attempts,
            spec=spec,
            files=self.files[spec.task, spec.data],
            folder=str(self.home.trial_folder(trial.key)),
            threads=self.sweep.resources.cpus,
            baselines=trial.key in self._first,
        )

    def _record(self, event: Mapping[str, Any]) -> None:
        key, attempt = event["key"], event["attempt"]
        trial = self.board.trials[key]
        if event["kind"] == "test_opened":
            self.ledger.record_test_opened(key)
            return
        if event["kind"] == "epoch":
            epoch = EpochRecord(event["epoch"], event["wall_s"], event["metrics"])
            best, best_epoch, last = event["best"], event["best_epoch"], event["last"]
            self.ledger.record_epoch(key, attempt, epoch, best, best_epoch, last)
            trial = replace(trial, best=best, best_epoch=best_epoch, last=last)
        else:
            status = Status(event["status"])
            self.ledger.record_finished(
                key, attempt, status, event["outcome"], event["wall_s"], error=event["error"], category=event["category"]
            )
            trial = replace(trial, status=status, wall_s=event["wall_s"], outcome=event["outcome"], error=event["error"])
        self.board.add([trial])
        self.observe(self.board)

    def _confirmation(self) -> list[TrialSpec]:
        """The confirmation trials that the results so far call for and that are not planned yet."""
        if self.sweep.confirm is None:
            return []
        trials = sorted(self.board.trials.values(), key=lambda trial: trial.position)
        scored = [
            Scored(trial.spec, trial.best)
            for trial in trials
            if trial.status == Status.COMPLETED and trial.spec.stage == "search" and trial.best is not None
        ]
        directions = {task.name: get_task(task.name).metric.direction for task in self.sweep.tasks}
        return [spec for spec in plan_confirm(self.sweep, scored, directions) if spec.key() not in self.board.trials]
