"""The runner: hands out what is pending, records what comes back, decides and draws what follows; the ledger decides when it is done."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rnnbench.base.errors import DiskFullError, LeaseLostError
from rnnbench.base.failpoints import failpoint
from rnnbench.base.home import Home
from rnnbench.base.machine import return_freed_memory
from rnnbench.ledger.records import FINAL, EpochRecord, Lane, Status, TrialRecord
from rnnbench.ledger.store import Ledger
from rnnbench.search.plan import Scored, num_points, plan_confirm
from rnnbench.search.schedulers import Scheduler
from rnnbench.sweep import slots
from rnnbench.sweep.executor import Executor, Queue
from rnnbench.sweep.fusing import Fusing
from rnnbench.sweep.init_from import source_keys, source_path
from rnnbench.sweep.keeping import Keeping
from rnnbench.sweep.lease import hold, is_live
from rnnbench.sweep.mates import Mates
from rnnbench.sweep.packing import Packing
from rnnbench.sweep.planned import Planned
from rnnbench.sweep.rungs import Rungs
from rnnbench.sweep.scoreboard import Scoreboard
from rnnbench.sweep.stop import Stop
from rnnbench.task.catalogue import get_task, is_maximized, question_of
from rnnbench.trial.job import Fuse, Job
from rnnbench.trial.spec import TrialSpec
from rnnbench.trial.watchdog import verdict_on

# A trial over its time would be so again.
NOT_TRIED_AGAIN = ("timeout",)
# How often to look what another sweep makes of a trial that both hold.
LOOK_EVERY_S = 1.0


@dataclass
class Runner:
    """Runs one planned sweep to its end, or to where it is stopped.

    Attributes:
        stop: Whether, and why, the sweep is to stop.
        observe: Called after each recorded event, for a live view.
        fusing: Which trials train together.
        packing: Which go to a worker at once, to run one after the other; None: each by itself.
    """

    ledger: Ledger
    planned: Planned
    home: Home
    stop: Stop = field(default_factory=lambda: Stop(Path("/nonexistent/stop")))
    observe: Callable[[Scoreboard], None] = lambda board: None
    fusing: Fusing = field(default_factory=Fusing)
    packing: Packing | None = None
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        """Reads how the sweep stands."""
        self.sweep = self.planned.sweep
        self._token: str | None = None
        self._fault: Exception | None = None
        self._looked = self.clock()
        self._together: set[str] = set()
        self._read()

    def run(self, executor: Executor) -> None:
        """Executes until nothing is pending or somebody stops it; whatever ends it, no trial stays marked as running.

        Raises:
            SweepHeldError: another process runs this sweep.
            DiskFullError: no room left; what was recorded stays.
            LeaseLostError: another process took the sweep over.
            KeyboardInterrupt, SystemExit: stopped at once, see `Stop`.
        """
        name = self.sweep.name
        with hold(self.ledger, name, lambda: self.stop.request("lost"), self.stop.request) as holder, self.stop:
            self._token = holder.token
            self._release()
            self._decide(self._rungs.lanes() if self._rungs else [])
            try:
                executor.execute(self._next_jobs, self._record)
            finally:
                self._end()
        if self._fault is not None:
            raise self._fault

    def is_complete(self) -> bool:
        """Whether every planned trial has ended and nothing is still to be drawn or confirmed."""
        return not self.board.open and not self._undrawn and not self._confirmation()

    def forget(self) -> None:
        """Lets go of every trial: the ledger has them all, and whoever reads them next needs the room."""
        self.board, self._mates = Scoreboard(()), Mates(self.fusing.may_fuse)
        self._rungs: Rungs | None = None
        self._keeping = Keeping(self.home, self.sweep.checkpoints, lambda key: True)
        return_freed_memory()

    def _read(self) -> None:
        name = self.sweep.name
        self.forget()
        trials = self.ledger.trials(name)
        self._undrawn = [slot for slot in self.ledger.slots(name) if not slot.drawn]
        self.board = Scoreboard(trials, self._undrawn, self.sweep.replicates)
        # The first trial of each question to each data set computes its baselines; a plan only ever grows at its end.
        firsts: dict[tuple[str, str, object], str] = {}
        for trial in trials:
            spec = trial.spec
            firsts.setdefault((spec.task, spec.data, question_of(spec.task, spec.parameters)), trial.key)
        self._first = set(firsts.values())
        self._keeping = Keeping(self.home, self.sweep.checkpoints, self._is_needed)
        self._keeping.add(trials)
        self._mates = Mates(self.fusing.may_fuse)
        self._mates.add(trials)
        self._rungs = self._read_rungs(self.sweep.scheduler, trials) if self.sweep.scheduler else None

    def _is_needed(self, key: str) -> bool:
        """Whether the model of a trial of this sweep may be needed outside of it."""
        return len(self.ledger.holders(key)) > 1 or key in source_keys(self.ledger)

    def _read_rungs(self, scheduler: Scheduler, trials: list[TrialRecord]) -> Rungs:
        total = num_points(self.sweep.search, self.sweep.space) if self.planned.slots else None
        rungs = Rungs(scheduler, self.sweep.budget.max_epochs, total, _signed_metric)
        rungs.add(trials)
        rungs.add_epochs(self.ledger.epochs([trial.key for trial in trials]))
        rungs.add_decisions(self.ledger.decisions(self.sweep.name))
        return rungs

    def _next_jobs(self) -> list[Job] | Queue:
        """The next trial, with those that train together with it, or why there is none.

        Whatever goes wrong is kept for `run`: executors have errors of their own.
        """
        try:
            while self.stop.reason is None:
                claimed, how = self._claim()
                if claimed:
                    self._add(claimed)
                    self.observe(self.board)
                    return [replace(self._job(trial), fuse=how) for trial in claimed]
                if self._undrawn:
                    self._draw()
                elif self.board.open:
                    self._look_at_others()
                    return Queue.WAIT
                elif specs := self._confirmation():
                    self.ledger.extend_sweep(self.sweep.name, specs)
                    self._add(self.ledger.trials(self.sweep.name, [spec.key() for spec in specs]))
                else:
                    return Queue.DONE
        except Exception as error:  # noqa: BLE001 - see above
            self._fail(error)
        return Queue.DONE

    def _claim(self) -> tuple[list[TrialRecord], Fuse]:
        """Claims the next trial, and those that go to the same worker: to train together with it, or one after the other."""
        claimed = self.ledger.claim(self.sweep.name, 1, self._token)
        if not claimed:
            return [], "never"
        trial, spec = claimed[0], claimed[0].spec
        self._together.discard(trial.key)
        others = self._mates.count(trial)
        number, how = 1, self.fusing.how(spec, 1 + others) if self._mates.may_join(trial) else "never"
        if how != "never":
            number = self.fusing.number(spec, 1 + others)
        elif self.packing is not None:
            number = self.packing.number(spec, 1 + others)
        keys = self._mates.first(trial, number - 1)
        if keys:
            claimed += self.ledger.claim(self.sweep.name, len(keys), self._token, keys)
            self._together |= {mate.key for mate in claimed}
        return claimed, how

    def _job(self, trial: TrialRecord) -> Job:
        return replace(
            self.planned.job(trial.spec),
            attempt=trial.attempts,
            folder=str(self.home.trial_folder(trial.key)),
            init_from=source_path(trial.spec, self.home),
            limits=self.sweep.limits,
            until_epoch=self._rungs.until_epoch(trial) if self._rungs else None,
            stop_file=str(self.stop.file),
            checkpoint_every_s=self.sweep.checkpoints.every_seconds,
            baselines=trial.key in self._first,
        )

    def _draw(self) -> None:
        slot = self._undrawn[0]
        sign = -1.0 if is_maximized(slot.task) else 1.0
        specs, evidence = slots.draw(self.planned, slot, self.board.trials.values(), sign)
        self.ledger.draw_slot(self.sweep.name, slot.position, specs, evidence)
        self._undrawn.pop(0)
        self.board.draw(slot)
        if not self._first:
            self._first.add(specs[0].key())
        self._add(self.ledger.trials(self.sweep.name, [spec.key() for spec in specs]))

    def _record(self, event: Mapping[str, Any]) -> None:
        if self._fault is not None:
            return
        try:
            if event["kind"] == "test_opened":
                self.ledger.record_test_opened(event["key"])
            elif event["kind"] == "probed":
                self.fusing.learn(self.board.trials[event["key"]].spec, event)
            elif event["kind"] in ("epoch", "epoch_again"):
                self._record_epoch(event)
            else:
                self._record_finished(event)
        except Exception as error:  # noqa: BLE001 - see _next_jobs
            self._fail(error)
        self.observe(self.board)

    def _record_epoch(self, event: Mapping[str, Any]) -> None:
        key, metrics = event["key"], event["metrics"]
        best, best_epoch, last = event["best"], event["best_epoch"], event["last"]
        self.ledger.record_epoch(key, event["attempt"], EpochRecord(event["epoch"], event["wall_s"], metrics), best, best_epoch, last)
        if self._rungs:
            self._rungs.note(key, event["epoch"], metrics)
        self._add([replace(self.board.trials[key], best=best, best_epoch=best_epoch, last=last)])

    def _record_finished(self, event: Mapping[str, Any]) -> None:
        key, attempt, category, error = event["key"], event["attempt"], event["category"], event["error"]
        trial = self.board.trials[key]
        status = Status(event["status"])
        if category == "worker_killed":
            category, error = verdict_on(self.home.trial_folder(key), attempt) or (category, error)
            if category == "worker_killed" and self.stop.reason == "terminate":
                # Whoever ends this process has ended its workers too: a scheduler, a machine that goes down.
                status = Status.INTERRUPTED
            if key in self._together:
                # Nobody knows which of them it was: each goes on alone, and what happens then is its own.
                status = Status.INTERRUPTED
                self._mates.isolate(key)
        elif self.packing is not None and event["wall_s"] is not None:
            self.packing.learn(trial.spec, event["wall_s"])
        if category == "disk_full":
            self._fail(DiskFullError(f"no room left in {self.home.path}; free some, then resume: nothing recorded is lost"))
        failures = trial.failures + (status == Status.FAILED)
        again = failures <= self.sweep.retries and category not in NOT_TRIED_AGAIN
        failpoint("runner.before_finished")
        status = self.ledger.record_finished(
            key, attempt, status, event["outcome"], event["wall_s"], error=error, category=category, again=again
        )
        failpoint("runner.after_finished")
        rung = event["outcome"]["epochs"] if status == Status.PAUSED else trial.rung
        trial = replace(trial, status=status, wall_s=event["wall_s"], outcome=event["outcome"], error=error, category=category)
        self._add([replace(trial, failures=failures, rung=rung, holder=None)])
        if status in FINAL or status == Status.PAUSED:
            self._decide([(trial.spec.task, trial.spec.cell)])

    def _decide(self, lanes: list[Lane]) -> None:
        if self._rungs is None:
            return
        for lane in lanes:
            made = self._rungs.decide(lane)
            if made:
                self.ledger.record_decisions(self.sweep.name, made)
                self._add(self.ledger.trials(self.sweep.name, [key for key, *_ in made]))

    def _add(self, trials: list[TrialRecord]) -> None:
        self.board.add(trials)
        self._keeping.add(trials)
        self._mates.add(trials)
        if self._rungs:
            self._rungs.add(trials)

    def _look_at_others(self) -> None:
        """Learns of trials that another sweep runs, and takes up those that it left."""
        others = (key for key in self.board.open if self.board.trials[key].holder != self._token)
        if all(self.board.trials[key].status == Status.PAUSED for key in others):
            return
        if self.clock() - self._looked >= LOOK_EVERY_S:
            self._looked = self.clock()
            self._release()

    def _release(self) -> None:
        live = {lease.holder.token for lease in self.ledger.leases.list() if is_live(lease)}
        self.ledger.release_running(self.sweep.name, live)
        trials = self.ledger.trials(self.sweep.name)
        if self._rungs:
            fresh = [trial.key for trial in trials if trial.key in self.board.open and trial.status in FINAL]
            self._rungs.add_epochs(self.ledger.epochs(fresh))
        self._add(trials)
        self._decide(self._rungs.lanes() if self._rungs else [])

    def _fail(self, error: Exception) -> None:
        self._fault = self._fault or error
        self.stop.request("disk" if isinstance(error, DiskFullError) else "fault")

    def _end(self) -> None:
        if self.stop.reason == "lost":
            self._fault = self._fault or LeaseLostError(f"another process has taken sweep '{self.sweep.name}' over; this one stopped")
        if isinstance(self._fault, DiskFullError | LeaseLostError):
            return  # the ledger takes nothing, or is another's: the next start finds what this one left
        live = {lease.holder.token for lease in self.ledger.leases.list() if is_live(lease)} - {self._token}
        self.ledger.release_running(self.sweep.name, live)
        if self.stop.reason == "cancel":
            self.ledger.cancel(self.sweep.name)
        self._read()
        if self.is_complete():
            self.ledger.record_end(self.sweep.name)

    def _confirmation(self) -> list[TrialSpec]:
        """The confirmation trials that the results so far call for and that are not planned yet."""
        trials = sorted(self.board.trials.values(), key=lambda trial: trial.position)
        if self.sweep.confirm is None or any(trial.status == Status.CANCELLED for trial in trials):
            return []
        scored = [
            Scored(trial.spec, trial.best)
            for trial in trials
            if trial.status == Status.COMPLETED and trial.spec.stage == "search" and trial.best is not None
        ]
        directions = {task.name: get_task(task.name).metric.direction for task in self.sweep.tasks}
        return [spec for spec in plan_confirm(self.sweep, scored, directions) if spec.key() not in self.board.trials]


def _signed_metric(task: str) -> tuple[str, float]:
    return get_task(task).metric.name, 1.0 if is_maximized(task) else -1.0
