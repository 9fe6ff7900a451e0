"""The runner: hands out what is pending, records what comes back, decides and draws what follows; the ledger decides when it is done."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rnnbench.base.errors import DiskFullError, LeaseLostError, StoreError
from rnnbench.base.failpoints import failpoint
from rnnbench.base.home import Home
from rnnbench.ledger.records import FINAL, EpochRecord, Status, TrialRecord
from rnnbench.ledger.store import Ledger
from rnnbench.sweep import slots
from rnnbench.sweep.executor import Executor, Queue
from rnnbench.sweep.fusing import Fusing
from rnnbench.sweep.init_from import source_path
from rnnbench.sweep.lease import hold
from rnnbench.sweep.packing import Packing
from rnnbench.sweep.planned import Planned
from rnnbench.sweep.scoreboard import Scoreboard
from rnnbench.sweep.stop import Stop
from rnnbench.sweep.view import View
from rnnbench.sweep.watch import Watch
from rnnbench.task.catalogue import is_maximized
from rnnbench.trial.job import Fuse, Job
from rnnbench.trial.spec import Lane
from rnnbench.trial.watchdog import verdict_on

# A trial over its time would be so again.
NOT_TRIED_AGAIN = ("timeout",)
# How often to look what others do, and how many times as long as the look itself takes to wait for the next.
LOOK_EVERY_S, LOOK_REST = 1.0, 10.0


@dataclass
class Runner:
    """Runs one planned sweep to its end, or to where it is stopped.

    Attributes:
        stop: Whether, and why, the sweep is to stop.
        observe: Called after each recorded event, for a live view.
        fusing: Which trials train together.
        packing: Which go to a worker at once, to run one after the other; None: each by itself.
        joined: Other processes may work on the sweep at the same time, if they have joined it too.
        ended: Set where this run was the one that found nothing left to do.
    """

    ledger: Ledger
    planned: Planned
    home: Home
    stop: Stop = field(default_factory=lambda: Stop(Path("/nonexistent/stop")))
    observe: Callable[[Scoreboard], None] = lambda board: None
    fusing: Fusing = field(default_factory=Fusing)
    packing: Packing | None = None
    joined: bool = False
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        """Reads how the sweep stands."""
        self.sweep = self.planned.sweep
        self.view = View(self.ledger, self.planned, self.home, self.fusing.may_fuse)
        self.ended = False
        self._token: str | None = None
        self._fault: Exception | None = None
        self._together: set[str] = set()
        self._watch = Watch(self.clock)
        self._look_at = self.clock()
        self._num_workers = 1

    @property
    def board(self) -> Scoreboard:
        """How the sweep stands."""
        return self.view.board

    def run(self, executor: Executor) -> None:
        """Executes until nothing is pending or somebody stops it; whatever ends it, no trial of it stays marked as running.

        Raises:
            SweepHeldError: another process runs this sweep, and one of the two wants it alone.
            DiskFullError: no room left; what was recorded stays.
            LeaseLostError: another process took over what this one had.
            KeyboardInterrupt, SystemExit: stopped at once, see `Stop`.
        """
        name, lost = self.sweep.name, lambda: self.stop.request("lost")
        with hold(self.ledger, name, lost, self.stop.request, joined=self.joined) as holder, self.stop:
            self._token = holder.token
            self._look()
            try:
                executor.execute(self._next_jobs, self._record)
            finally:
                self._end()
        if self._fault is not None:
            raise self._fault

    def is_complete(self) -> bool:
        """Whether every planned trial has ended and nothing is still to be drawn or confirmed."""
        return self.view.is_complete()

    def _next_jobs(self) -> list[Job] | Queue:
        """The next trial, with those that train together with it, or why there is none.

        Whatever goes wrong is kept for `run`: executors have errors of their own.
        """
        try:
            while self.stop.reason is None:
                if self.joined:
                    self._look_now_and_then()
                claimed, how = self._claim()
                if claimed:
                    self.observe(self.board)
                    return [replace(self._job(trial), fuse=how) for trial in claimed]
                if self.view.undrawn:
                    self._draw()
                elif self.board.open:
                    if self._has_others():
                        self._look_now_and_then()
                    return Queue.WAIT
                elif self.joined and self.view.catch_up():
                    continue
                elif specs := self.view.confirmation():
                    self.ledger.extend_sweep(self.sweep.name, specs)
                    self.view.add(self.ledger.trials(self.sweep.name, [spec.key() for spec in specs]))
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
        others = self.view.mates.count(trial) // self._num_workers
        number, how = 1, self.fusing.how(spec, 1 + others) if self.view.mates.may_join(trial) else "never"
        if how != "never":
            number = self.fusing.number(spec, 1 + others)
        elif self.packing is not None:
            number = self.packing.number(spec, 1 + others)
        keys = self.view.mates.first(trial, number - 1)
        if keys:
            claimed += self.ledger.claim(self.sweep.name, len(keys), self._token, keys)
            self._together |= {mate.key for mate in claimed}
        self.view.add(claimed)
        if self.joined:
            self.view.read_curves(trial for trial in claimed if trial.attempts > 1)
        return claimed, how

    def _job(self, trial: TrialRecord) -> Job:
        return replace(
            self.planned.job(trial.spec),
            attempt=trial.attempts,
            folder=str(self.home.trial_folder(trial.key)),
            store=self.home.store_address,
            init_from=source_path(trial.spec, self.home),
            limits=self.sweep.limits,
            until_epoch=self.view.rungs.until_epoch(trial) if self.view.rungs else None,
            stop_file=str(self.stop.file),
            checkpoint_every_s=self.sweep.checkpoints.every_seconds,
            baselines=self.view.computes_baselines(trial),
        )

    def _draw(self) -> None:
        """Fills the next slot, from every result there is; where another was faster, takes what that one drew."""
        if self.joined:
            self.view.catch_up()
        if not self.view.undrawn:
            return
        slot = self.view.undrawn[0]
        sign = -1.0 if is_maximized(slot.task) else 1.0
        specs, evidence = slots.draw(self.planned, slot, self.board.trials.values(), sign)
        if not self.ledger.draw_slot(self.sweep.name, slot.position, specs, evidence):
            self.view.catch_up()
            return
        self.view.undrawn.pop(0)
        self.board.draw(slot)
        self.view.add(self.ledger.trials(self.sweep.name, [spec.key() for spec in specs]))

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
        if self.view.rungs:
            self.view.rungs.note(key, event["epoch"], metrics)
        self.view.add([replace(self.board.trials[key], best=best, best_epoch=best_epoch, last=last)])

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
                self.view.mates.isolate(key)
        elif self.packing is not None and event["wall_s"] is not None:
            self.packing.learn(trial.spec, event["wall_s"])
        if category == "disk_full":
            self._fail(DiskFullError(f"no room left in {self.home.path}; free some, then resume: nothing recorded is lost"))
        elif category == "store":
            self._fail(StoreError(f"{error}; resume the sweep when it is there again: nothing recorded is lost"))
        failures = trial.failures + (status == Status.FAILED)
        again = failures <= self.sweep.retries and category not in NOT_TRIED_AGAIN
        failpoint("runner.before_finished")
        status = self.ledger.record_finished(
            key, attempt, status, event["outcome"], event["wall_s"], error=error, category=category, again=again
        )
        failpoint("runner.after_finished")
        rung = event["outcome"]["epochs"] if status == Status.PAUSED else trial.rung
        trial = replace(trial, status=status, wall_s=event["wall_s"], outcome=event["outcome"], error=error, category=category)
        self.view.add([replace(trial, failures=failures, rung=rung, holder=None)])
        if status in FINAL or status == Status.PAUSED:
            if self.joined and self.view.rungs:
                self.view.catch_up()
            self._decide([trial.lane])

    def _decide(self, lanes: list[Lane]) -> None:
        """Makes a scheduler's decisions; where others were made in the meantime, these are made again with them in sight."""
        rungs, name = self.view.rungs, self.sweep.name
        for lane in lanes if rungs else []:
            while rungs and (made := rungs.decide(lane)):
                self.view.note_decisions(self.ledger.record_decisions(name, made, self.view.decided))
                self.view.add(self.ledger.trials(name, [key for key, *_ in made]))
                if self.joined:
                    self.view.catch_up()

    def _has_others(self) -> bool:
        """Whether what is open hangs on others: not all of it is this one's, or waits for a decision."""
        others = (self.board.trials[key] for key in self.board.open if self.board.trials[key].holder != self._token)
        return any(trial.status != Status.PAUSED for trial in others)

    def _look_now_and_then(self) -> None:
        if self.clock() >= self._look_at:
            self._look()
            self.observe(self.board)

    def _look(self) -> None:
        """Learns what others have done with this sweep's trials, and takes up what those that are gone left behind."""
        started, name = self.clock(), self.sweep.name
        others = [lease for lease in self.ledger.leases.all() if lease.holder.token != self._token]
        gone = self._watch.find_gone(others)
        for lease in gone:
            if lease.sweep == name:
                # Should it wake up, it stops: its trials are others' then.
                self.ledger.leases.drop(name, lease.holder.token, lease.beats)
        self._num_workers = 1 + sum(lease.sweep == name for lease in others if lease not in gone)
        self.ledger.release_running(name, {lease.holder.token for lease in gone if lease.sweep != name})
        self.view.catch_up()
        self._decide(self.view.rungs.lanes() if self.view.rungs else [])
        self._look_at = self.clock() + max(LOOK_EVERY_S, LOOK_REST * (self.clock() - started))

    def _fail(self, error: Exception) -> None:
        self._fault = self._fault or error
        self.stop.request("disk" if isinstance(error, DiskFullError) else "fault")

    def _end(self) -> None:
        name = self.sweep.name
        if self.stop.reason == "lost":
            self._fault = self._fault or LeaseLostError(f"another process has taken over what this one had of sweep '{name}'; it stopped")
        if isinstance(self._fault, DiskFullError | LeaseLostError):
            return  # the ledger takes nothing, or is another's: whoever comes next finds what this one left
        self.ledger.release_running(name, {self._token} if self._token else ())
        if self.stop.reason == "cancel":
            self.ledger.cancel(name)
        self.view.read()
        if self.is_complete():
            self.ended = self.ledger.record_end(name)
