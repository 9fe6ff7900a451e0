"""The ledger: every sweep, trial and epoch. Each method is one transaction."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from types import MappingProxyType, TracebackType

from sqlalchemy import Text, cast, delete, func, select, text, update
from sqlalchemy.orm import Session

from rnnbench.base.canonical import Plain
from rnnbench.base.errors import LeaseLostError, UnknownNameError, UnknownSweepError
from rnnbench.base.names import never_ran, printable
from rnnbench.ledger.database import Database
from rnnbench.ledger.glance import Glance
from rnnbench.ledger.histories import History
from rnnbench.ledger.leases import LOCK, Leases
from rnnbench.ledger.models import AttemptRow, DecisionRow, EpochRow, LeaseRow, OutboxRow, PlannedRow, SlotRow, SweepRow, TrialRow
from rnnbench.ledger.outbox import Outbox
from rnnbench.ledger.plainjson import decode_text, encode
from rnnbench.ledger.planning import REOPENED, Place, add_slots, add_trials, require_extension
from rnnbench.ledger.records import (
    AttemptRecord,
    DecisionRecord,
    EpochRecord,
    SlotRecord,
    Status,
    SweepRecord,
    TrialRecord,
)
from rnnbench.ledger.rows import PART, chunks, select_decisions, select_trials, sweep_record, sweep_row
from rnnbench.trial.spec import Foundation, Lane, TrialSpec

# Trial, rung, verdict and evidence of a scheduler's decision.
Decided = tuple[str, int, str, Mapping[str, Plain]]


class Ledger:
    """An open ledger; use as a context manager or call `close`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._now = database.now
        self._transaction = database.transaction
        self.leases = Leases(database)
        self.outbox = Outbox(database)
        self.turn = database.turn

    @classmethod
    def open(cls, url: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> "Ledger":
        """Opens a database, created or upgraded to this program's schema.

        Raises:
            LedgerError: it cannot be opened, lies where SQLite loses data, or was written by a newer rnnbench.
        """
        return cls(Database.open(url, now))

    def close(self) -> None:
        """Closes every connection."""
        self._database.close()

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def record_sweep(
        self,
        sweep: SweepRecord,
        specs: Sequence[TrialSpec],
        slots: Sequence[Place] = (),
        replicates: int = 1,
        foundations: Mapping[Lane, Foundation] = MappingProxyType({}),
    ) -> None:
        """Takes a sweep with all its search trials, or the slots of an adaptive search, pending; the same again changes nothing.

        Where a sweep of that name exists, what it planned must all be in the new plan: then it is extended.

        Args:
            slots: Task, data set, cell and number of each slot.
            replicates: Trials that each slot will hold.
            foundations: What the trials of each lane will be made of; those of a sweep are all made of the same.
        Raises:
            PlanChangedError: it is not; the text shows the lines of the file that differ.
        """
        with self._transaction() as session:
            if self._database.dialect == "postgresql":
                session.execute(select(func.pg_advisory_xact_lock(func.hashtext(sweep.name))))
            row = session.get(SweepRow, sweep.name, with_for_update=LOCK)
            if row is None:
                session.add(sweep_row(sweep))
                session.flush()
                session.add(OutboxRow(sweep=sweep.name, kind="sweep_planned", payload={}))
            else:
                require_extension(session, row, sweep, specs, slots, foundations)
                row.path, row.text, row.settings = sweep.path, sweep.text, dict(sweep.settings)
            add_trials(session, sweep.name, specs)
            add_slots(session, sweep.name, slots, replicates)

    def extend_sweep(self, name: str, specs: Sequence[TrialSpec]) -> None:
        """Adds trials behind a sweep's plan; those already in it change nothing."""
        with self._transaction() as session:
            # Of two who add the same at once, the second finds it there.
            session.get_one(SweepRow, name, with_for_update=LOCK)
            add_trials(session, name, specs)

    def draw_slot(self, name: str, position: int, specs: Sequence[TrialSpec], evidence: Mapping[str, Plain]) -> bool:
        """Fills a slot with its trials, once; a slot already drawn stays as it is. Says whether it was filled now."""
        with self._transaction() as session:
            session.get_one(SweepRow, name, with_for_update=LOCK)
            row = session.get(SlotRow, (name, position))
            if row is None or row.drawn_at is not None:
                return False  # another was faster, or the sweep was cancelled
            row.drawn_at, row.evidence = self._now(), dict(evidence)
            add_trials(session, name, specs, position)
            return True

    def claim(self, name: str, limit: int, token: str | None = None, keys: Sequence[str] = ()) -> list[TrialRecord]:
        """Marks waiting trials of the plan as running, one attempt more each, and returns them.

        Those that a scheduler sent on come first, then the plan's order: a cohort is decided as early as it can be.

        Args:
            token: Of the lease under which they run.
            keys: Only of these, where there are any.
        Raises:
            LeaseLostError: the lease is no longer this token's.
        """
        with self._transaction() as session:
            if token is not None:
                lease = session.get(LeaseRow, token)
                if lease is None or lease.sweep != name:
                    raise LeaseLostError(f"another process has taken sweep '{name}' over; this one stops")
            waiting = (Status.PENDING, Status.INTERRUPTED)
            found = select_trials(session, name, statuses=waiting, keys=keys, limit=limit, lock=True)
            now = self._now()
            claimed = [replace(t, status=Status.RUNNING, attempts=t.attempts + 1, started_at=now, holder=token) for t in found]
            for trial in claimed:
                values = {"status": trial.status, "attempts": trial.attempts, "started_at": now, "holder": token}
                session.execute(update(TrialRow).where(TrialRow.key == trial.key).values(values))
                attempt = {"trial_key": trial.key, "attempt": trial.attempts, "sweep": name}
                session.add(AttemptRow(**attempt, status=Status.RUNNING, started_at=now))
            return claimed

    def record_epoch(
        self, key: str, attempt: int, epoch: EpochRecord, best: float | None, best_epoch: int | None, last: float | None
    ) -> None:
        """Takes an epoch of a running attempt; an epoch of another attempt, or of a finished trial, changes nothing."""
        with self._transaction() as session:
            row = session.get_one(TrialRow, key, with_for_update=True)
            if row.status != Status.RUNNING or row.attempts != attempt:
                return
            metrics = encode(epoch.metrics)
            session.merge(EpochRow(trial_key=key, epoch=epoch.epoch, attempt=attempt, wall_s=epoch.wall_s, metrics=metrics))
            row.best, row.best_epoch, row.last = best, best_epoch, last

    def record_test_opened(self, key: str) -> None:
        """Notes the moment a trial opened its test split; the first one stays."""
        with self._transaction() as session:
            row = session.get_one(TrialRow, key)
            row.test_opened_at = row.test_opened_at or self._now()

    def record_finished(
        self,
        key: str,
        attempt: int,
        status: Status,
        outcome: Mapping[str, Plain],
        wall_s: float | None,
        *,
        error: str | None = None,
        category: str | None = None,
        again: bool = False,
    ) -> Status:
        """Ends an attempt, and with it the trial unless it is paused, interrupted or tried again; returns the trial's status.

        The news for each sweep that holds the trial is queued in the same transaction. A finished trial is never changed.

        Args:
            again: A failed attempt is followed by another.
        """
        with self._transaction() as session:
            row = session.get_one(TrialRow, key, with_for_update=True)
            if row.status != Status.RUNNING or row.attempts != attempt:
                return Status(row.status)
            tried = session.get(AttemptRow, (key, attempt))
            if tried is not None:
                tried.status, tried.category, tried.error = status, category, error
                tried.wall_s, tried.ended_at = wall_s, self._now()
            row.holder = None
            row.failures += status == Status.FAILED
            if status == Status.INTERRUPTED or (status == Status.FAILED and again):
                row.status = Status.INTERRUPTED
                return Status.INTERRUPTED
            row.status, row.outcome, row.wall_s, row.error, row.category = status, encode(outcome), wall_s, error, category
            epochs = outcome.get("epochs")
            if isinstance(epochs, int):
                # An attempt that resumed from an older checkpoint may have ended before epochs of the one it replaced.
                session.execute(delete(EpochRow).where(EpochRow.trial_key == key, EpochRow.epoch > epochs))
            if status == Status.PAUSED and isinstance(epochs, int):
                row.rung = epochs
            else:
                self._end(session, row)
            return status

    def record_decisions(self, name: str, decisions: Sequence[Decided], after: int = 0) -> list[DecisionRecord]:
        """Takes a scheduler's verdicts (trial, rung, verdict, evidence): the stopped trials end, the others wait to go on.

        Args:
            after: The last decision that these know of; where there are later ones, nothing is taken.
        Returns:
            Every decision after that one: those that were taken now, or those that must be known first.
        """
        with self._transaction() as session:
            session.get_one(SweepRow, name, with_for_update=LOCK)
            if later := select_decisions(session, name, after):
                return later
            for key, rung, verdict, evidence in decisions:
                row = session.get_one(TrialRow, key, with_for_update=True)
                if row.status != Status.PAUSED or row.rung != rung:
                    continue
                now = self._now()
                session.add(DecisionRow(sweep=name, trial_key=key, rung=rung, verdict=verdict, evidence=dict(evidence), decided_at=now))
                if verdict == "stopped":
                    row.status, row.outcome = Status.COMPLETED, {**row.outcome, "stopped_at": rung}
                    self._end(session, row)
                else:
                    row.status = Status.PENDING
            session.flush()
            return select_decisions(session, name, after)

    def release_running(self, name: str, gone: Collection[str] = ()) -> list[str]:
        """Marks as interrupted what a sweep has running under no lease, so that it can be claimed again; returns the keys.

        Args:
            gone: Tokens of leases that stand and count for nothing.
        """
        with self._transaction() as session:
            running = select_trials(session, name, statuses=(Status.RUNNING,), lock=True)
            # Read after the trials: whoever claimed one of them had its lease before.
            held = set(session.scalars(select(LeaseRow.token))) - set(gone)
            keys = [trial.key for trial in running if trial.holder not in held]
            for chunk in chunks(keys):
                session.execute(update(TrialRow).where(TrialRow.key.in_(chunk)).values(status=Status.INTERRUPTED, holder=None))
                query = update(AttemptRow).where(AttemptRow.trial_key.in_(chunk), AttemptRow.status == Status.RUNNING)
                session.execute(query.values(status=Status.INTERRUPTED, ended_at=self._now()))
            return keys

    def cancel(self, name: str) -> int:
        """Ends as cancelled what has not ended and does not run, and closes slots that were not drawn; returns how many trials."""
        with self._transaction() as session:
            waiting = select_trials(session, name, statuses=(Status.PENDING, Status.PAUSED, Status.INTERRUPTED), lock=True)
            for trial in waiting:
                row = session.get_one(TrialRow, trial.key)
                row.status = Status.CANCELLED
                self._end(session, row)
            session.execute(delete(SlotRow).where(SlotRow.sweep == name, SlotRow.drawn_at.is_(None)))
            return len(waiting)

    def reopen_failed(self, name: str) -> int:
        """Makes failed and cancelled trials pending again, because a person asks for it; returns how many."""
        with self._transaction() as session:
            ended = select_trials(session, name, statuses=(Status.FAILED, Status.CANCELLED), lock=True)
            for chunk in chunks([trial.key for trial in ended]):
                session.execute(update(TrialRow).where(TrialRow.key.in_(chunk)).values(REOPENED))
            if ended:
                session.execute(update(SweepRow).where(SweepRow.name == name).values(ended_at=None))
            return len(ended)

    def record_end(self, name: str) -> bool:
        """Notes that nothing is left to do; the first moment stays. Says whether this was it."""
        with self._transaction() as session:
            row = session.get_one(SweepRow, name, with_for_update=LOCK)
            if row.ended_at is not None:
                return False
            row.ended_at = self._now()
            session.add(OutboxRow(sweep=name, kind="sweep_ended", payload={}))
            return True

    def find_sweep(self, name: str) -> SweepRecord | None:
        """A sweep by name."""
        with self._transaction() as session:
            row = session.get(SweepRow, name)
            return sweep_record(row) if row else None

    def get_sweep(self, name: str) -> SweepRecord:
        """A sweep by name.

        Raises:
            UnknownSweepError: none has run; the text has the nearest name.
        """
        found = self.find_sweep(name)
        if found is None:
            raise UnknownSweepError(never_ran(name, [sweep.name for sweep in self.list_sweeps()]))
        return found

    def list_sweeps(self) -> list[SweepRecord]:
        """Every sweep, oldest first."""
        with self._transaction() as session:
            return [sweep_record(row) for row in session.scalars(select(SweepRow).order_by(SweepRow.created_at, SweepRow.name))]

    def trials(self, name: str, keys: Sequence[str] | None = None, statuses: Sequence[Status] = ()) -> list[TrialRecord]:
        """A sweep's trials, or those of some keys or statuses, in the order of its plan."""
        with self._transaction() as session:
            if keys is None:
                return select_trials(session, name, statuses=statuses)
            return [trial for chunk in chunks(sorted(keys)) for trial in select_trials(session, name, keys=chunk, statuses=statuses)]

    @contextmanager
    def glance(self) -> Iterator[Glance]:
        """How sweeps stand, all of one moment: one transaction while the block runs, in which nothing else of this ledger is called."""
        with self._transaction() as session:
            yield Glance(lambda sql, values: session.execute(text(sql), values), self._database.dialect)

    def attempts(self, keys: Sequence[str]) -> dict[str, list[AttemptRecord]]:
        """The attempts at trials by key, in order."""
        found: dict[str, list[AttemptRecord]] = {}
        with self._transaction() as session:
            for chunk in chunks(keys):
                query = select(AttemptRow).where(AttemptRow.trial_key.in_(chunk)).order_by(AttemptRow.trial_key, AttemptRow.attempt)
                for row in session.scalars(query):
                    ended = (Status(row.status), row.category, row.error, row.wall_s, row.started_at, row.ended_at)
                    found.setdefault(row.trial_key, []).append(AttemptRecord(row.trial_key, row.attempt, row.sweep, *ended))
        return found

    def slots(self, name: str) -> list[SlotRecord]:
        """The slots of an adaptive search in the plan's order."""
        query = select(SlotRow).where(SlotRow.sweep == name).order_by(SlotRow.position)
        with self._transaction() as session:
            return [
                SlotRecord(row.position, row.task, row.data, row.cell, row.draw, row.drawn_at is not None, row.evidence)
                for row in session.scalars(query)
            ]

    def undrawn(self, name: str) -> list[int]:
        """The positions of the slots that have no trials yet."""
        query = select(SlotRow.position).where(SlotRow.sweep == name, SlotRow.drawn_at.is_(None)).order_by(SlotRow.position)
        with self._transaction() as session:
            return [*session.scalars(query)]

    def decisions(self, name: str, after: int = 0) -> list[DecisionRecord]:
        """A sweep's scheduling decisions in the order in which they were made, or those after one of them."""
        with self._transaction() as session:
            return select_decisions(session, name, after)

    def keys(self, name: str) -> list[str]:
        """The keys of a sweep's trials in the order of its plan."""
        with self._transaction() as session:
            return [*session.scalars(select(PlannedRow.trial_key).where(PlannedRow.sweep == name).order_by(PlannedRow.position))]

    def holders(self, key: str) -> list[str]:
        """The sweeps that hold a trial."""
        with self._transaction() as session:
            return list(session.scalars(select(PlannedRow.sweep).where(PlannedRow.trial_key == key).order_by(PlannedRow.sweep)))

    def get_trial(self, name: str, key: str) -> TrialRecord:
        """A sweep's trial by the start of its key.

        Raises:
            UnknownNameError: no trial, or several, start so.
        """
        self.get_sweep(name)
        with self._transaction() as session:
            query = select(PlannedRow.trial_key).where(PlannedRow.sweep == name, PlannedRow.trial_key.startswith(key, autoescape=True))
            keys = session.scalars(query.limit(3)).all() if key else []
            found = select_trials(session, name, keys=keys) if keys else []
        if len(found) != 1:
            number = f"{len(found)} trials of sweep '{name}' start" if found else f"no trial of sweep '{name}' starts"
            raise UnknownNameError(f"{number} with '{printable(key)}'; `rnnbench status {name}` names the best")
        return found[0]

    def epochs(self, keys: Sequence[str]) -> dict[str, list[EpochRecord]]:
        """The epochs of trials by key, in order."""
        return {key: list(history) for key, history in self.histories(keys).items()}

    def histories(self, keys: Sequence[str]) -> dict[str, History]:
        """The same in columns, for many trials."""
        found: dict[str, History] = {}
        rows = EpochRow.__table__.c
        with self._transaction() as session:
            # Past the mapper, and with one parse for many texts: there are half a million epochs in a large sweep.
            connection = session.connection()
            for chunk in chunks(keys):
                query = select(rows.trial_key, rows.epoch, rows.wall_s, cast(rows.metrics, Text))
                query = query.where(rows.trial_key.in_(chunk)).order_by(rows.trial_key, rows.epoch)
                for part in connection.execute(query.execution_options(yield_per=PART)).partitions():
                    metrics = decode_text(f"[{','.join([row[3] for row in part])}]")
                    start = 0
                    for key, of_key in groupby(part, itemgetter(0)):
                        _, epochs, walls, _ = zip(*of_key, strict=True)
                        found.setdefault(key, History()).extend(epochs, walls, metrics[start : start + len(epochs)])
                        start += len(epochs)
        return found

    def counts(self, name: str) -> Counter[Status]:
        """A sweep's trials by status."""
        query = select(TrialRow.status, func.count()).join(PlannedRow).where(PlannedRow.sweep == name).group_by(TrialRow.status)
        with self._transaction() as session:
            return Counter({Status(status): number for status, number in session.execute(query)})

    def _end(self, session: Session, row: TrialRow) -> None:
        row.ended_at = self._now()
        for sweep in session.scalars(select(PlannedRow.sweep).where(PlannedRow.trial_key == row.key)).all():
            session.add(OutboxRow(sweep=sweep, kind="trial_finished", trial_key=row.key, payload={}))
