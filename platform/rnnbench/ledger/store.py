"""The ledger: every sweep, trial and epoch, and what the tracking server has still to hear. Each method is one transaction."""

import difflib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from sqlalchemy import Engine, delete, func, select, update
from sqlalchemy.orm import Session

from rnnbench.base.canonical import Plain
from rnnbench.base.errors import PlanChangedError, UnknownNameError
from rnnbench.base.names import printable, suggest
from rnnbench.ledger.engine import open_engine
from rnnbench.ledger.models import EpochRow, OutboxRow, PlannedRow, SweepRow, TrialRow
from rnnbench.ledger.plainjson import decode, encode
from rnnbench.ledger.records import FINAL, EpochRecord, OutboxRecord, Status, SweepRecord, TrialRecord
from rnnbench.trial.spec import TrialSpec

# SQLite takes at most 32766 variables in a statement.
_CHUNK = 5000


class Ledger:
    """An open ledger; use as a context manager or call `close`."""

    def __init__(self, engine: Engine, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._now = now

    @classmethod
    def open(cls, url: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> "Ledger":
        """Opens a database, created or upgraded to this program's schema.

        Raises:
            LedgerError: it cannot be opened, or was written by a newer rnnbench.
        """
        return cls(open_engine(url), now)

    def close(self) -> None:
        """Closes every connection."""
        self._engine.dispose()

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def record_sweep(self, sweep: SweepRecord, specs: Sequence[TrialSpec]) -> None:
        """Takes a sweep and all its search trials, pending; the same again changes nothing.

        Where a sweep of that name exists, its planned search trials must all be in `specs`: then it is extended.

        Raises:
            PlanChangedError: they are not; the text shows the lines of the file that differ.
        """
        with self._transaction() as session:
            row = session.get(SweepRow, sweep.name)
            if row is None:
                session.add(_sweep_row(sweep))
                session.flush()
                session.add(OutboxRow(sweep=sweep.name, kind="sweep_planned", payload={}))
            else:
                self._require_extension(session, row, sweep, specs)
                row.path, row.text, row.settings = sweep.path, sweep.text, dict(sweep.settings)
            self._extend(session, sweep.name, specs)

    def extend_sweep(self, name: str, specs: Sequence[TrialSpec]) -> None:
        """Adds trials behind a sweep's plan; those already in it change nothing."""
        with self._transaction() as session:
            self._extend(session, name, specs)

    def claim(self, name: str, limit: int) -> list[TrialRecord]:
        """Marks the first `limit` waiting trials of the plan as running, one attempt more each, and returns them."""
        with self._transaction() as session:
            found = self._trials(session, name, statuses=(Status.PENDING, Status.INTERRUPTED), limit=limit)
            claimed = [replace(t, status=Status.RUNNING, attempts=t.attempts + 1, started_at=self._now()) for t in found]
            for trial in claimed:
                values = {"status": trial.status, "attempts": trial.attempts, "started_at": trial.started_at}
                session.execute(update(TrialRow).where(TrialRow.key == trial.key).values(values))
            return claimed

    def record_epoch(
        self, key: str, attempt: int, epoch: EpochRecord, best: float | None, best_epoch: int | None, last: float | None
    ) -> None:
        """Takes an epoch of a running attempt; an epoch of another attempt, or of a finished trial, changes nothing."""
        with self._transaction() as session:
            row = session.get_one(TrialRow, key)
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
    ) -> None:
        """Ends a trial, and queues the news for each sweep that holds it; a finished trial is never changed."""
        with self._transaction() as session:
            row = session.get_one(TrialRow, key)
            if row.status in FINAL or row.attempts != attempt:
                return
            row.status, row.outcome, row.wall_s, row.error, row.category = status, encode(outcome), wall_s, error, category
            row.ended_at = self._now()
            epochs = outcome.get("epochs")
            if isinstance(epochs, int):
                # An attempt that resumed from an older checkpoint may have ended before epochs of the one it replaced.
                session.execute(delete(EpochRow).where(EpochRow.trial_key == key, EpochRow.epoch > epochs))
            for sweep in session.scalars(select(PlannedRow.sweep).where(PlannedRow.trial_key == key)).all():
                session.add(OutboxRow(sweep=sweep, kind="trial_finished", trial_key=key, payload={}))

    def release_running(self, name: str) -> list[str]:
        """Marks a sweep's running trials as interrupted, so that they can be claimed again; returns their keys."""
        with self._transaction() as session:
            keys = [trial.key for trial in self._trials(session, name, statuses=(Status.RUNNING,))]
            for chunk in _chunks(keys):
                session.execute(update(TrialRow).where(TrialRow.key.in_(chunk)).values(status=Status.INTERRUPTED))
            return keys

    def record_sitting(self, name: str, seconds: float, *, ended: bool) -> None:
        """Adds the wall clock of one sitting to a sweep, and its end where nothing is left to do."""
        with self._transaction() as session:
            row = session.get_one(SweepRow, name)
            row.session_s += seconds
            if ended and row.ended_at is None:
                row.ended_at = self._now()
                session.add(OutboxRow(sweep=name, kind="sweep_ended", payload={}))

    def find_sweep(self, name: str) -> SweepRecord | None:
        """A sweep by name."""
        with self._transaction() as session:
            row = session.get(SweepRow, name)
            return _sweep_record(row) if row else None

    def get_sweep(self, name: str) -> SweepRecord:
        """A sweep by name.

        Raises:
            UnknownNameError: none has run; the text has the nearest name.
        """
        found = self.find_sweep(name)
        if found is None:
            raise UnknownNameError(
                f"no sweep '{printable(name)}' has run here{suggest(name, [sweep.name for sweep in self.list_sweeps()])}"
            )
        return found

    def list_sweeps(self) -> list[SweepRecord]:
        """Every sweep, oldest first."""
        with self._transaction() as session:
            return [_sweep_record(row) for row in session.scalars(select(SweepRow).order_by(SweepRow.created_at, SweepRow.name))]

    def trials(self, name: str) -> list[TrialRecord]:
        """A sweep's trials in the order of its plan."""
        with self._transaction() as session:
            return self._trials(session, name)

    def get_trial(self, name: str, key: str) -> TrialRecord:
        """A sweep's trial by the start of its key.

        Raises:
            UnknownNameError: no trial, or several, start so.
        """
        self.get_sweep(name)
        found = [trial for trial in self.trials(name) if key and trial.key.startswith(key)]
        if len(found) != 1:
            number = "no trial" if not found else f"{len(found)} trials"
            raise UnknownNameError(f"{number} of sweep '{name}' start with '{printable(key)}'; `rnnbench status {name}` names the best")
        return found[0]

    def epochs(self, keys: Sequence[str]) -> dict[str, list[EpochRecord]]:
        """The epochs of trials by key, in order."""
        found: dict[str, list[EpochRecord]] = {}
        with self._transaction() as session:
            for chunk in _chunks(keys):
                query = select(EpochRow).where(EpochRow.trial_key.in_(chunk)).order_by(EpochRow.trial_key, EpochRow.epoch)
                for row in session.scalars(query):
                    found.setdefault(row.trial_key, []).append(EpochRecord(row.epoch, row.wall_s, decode(row.metrics)))
        return found

    def counts(self, name: str) -> Counter[Status]:
        """A sweep's trials by status."""
        query = select(TrialRow.status, func.count()).join(PlannedRow).where(PlannedRow.sweep == name).group_by(TrialRow.status)
        with self._transaction() as session:
            return Counter({Status(status): number for status, number in session.execute(query)})

    def outbox(self, limit: int) -> list[OutboxRecord]:
        """The oldest events that were not delivered yet."""
        query = select(OutboxRow).where(OutboxRow.delivered_at.is_(None)).order_by(OutboxRow.id).limit(limit)
        with self._transaction() as session:
            return [OutboxRecord(row.id, row.sweep, row.kind, row.trial_key, row.payload) for row in session.scalars(query)]

    def mark_delivered(self, ids: Sequence[int]) -> None:
        """Notes that events were delivered."""
        with self._transaction() as session:
            for chunk in _chunks(ids):
                query = update(OutboxRow).where(OutboxRow.id.in_(chunk), OutboxRow.delivered_at.is_(None))
                session.execute(query.values(delivered_at=self._now()))

    def outbox_size(self) -> int:
        """How many events wait for delivery."""
        with self._transaction() as session:
            return session.scalar(select(func.count()).select_from(OutboxRow).where(OutboxRow.delivered_at.is_(None))) or 0

    @contextmanager
    def _transaction(self) -> Iterator[Session]:
        with Session(self._engine) as session, session.begin():
            yield session

    def _extend(self, session: Session, name: str, specs: Sequence[TrialSpec]) -> None:
        planned = set(session.scalars(select(PlannedRow.trial_key).where(PlannedRow.sweep == name)))
        position = len(planned)
        fresh = {key: spec for spec in specs if (key := spec.key()) not in planned}
        known: dict[str, str] = {}
        for chunk in _chunks(list(fresh)):
            known |= dict(session.execute(select(TrialRow.key, TrialRow.status).where(TrialRow.key.in_(chunk))).all())
        rows = [_trial_row(key, spec) for key, spec in fresh.items() if key not in known]
        session.add_all(rows)
        session.flush()
        for key, spec in fresh.items():
            reused = known.get(key) in FINAL
            place = {"position": position, "draw": spec.draw, "replicate": spec.replicate, "reused": reused}
            session.add(PlannedRow(sweep=name, trial_key=key, **place))
            if reused:
                session.add(OutboxRow(sweep=name, kind="trial_finished", trial_key=key, payload={}))
            position += 1
        if fresh:
            session.execute(update(SweepRow).where(SweepRow.name == name).values(ended_at=None))

    def _require_extension(self, session: Session, row: SweepRow, sweep: SweepRecord, specs: Sequence[TrialSpec]) -> None:
        keys = {spec.key() for spec in specs}
        searched = [trial.key for trial in self._trials(session, row.name) if trial.spec.stage == "search"]
        if set(searched) <= keys:
            return
        old, new = row.text.splitlines(), sweep.text.splitlines()
        lines = [line for line in difflib.unified_diff(old, new, n=0, lineterm="") if not line.startswith(("---", "+++", "@@"))]
        shown = (
            "; ".join(printable(line) for line in lines[:6]) or "the settings given on the command line, the data or a version of the code"
        )
        raise PlanChangedError(
            f"sweep '{row.name}' exists with another plan, and what it planned is not part of the new one. "
            f"What differs: {shown}. Give the new one a name of its own: --name {row.name}-2"
        )

    def _trials(self, session: Session, name: str, *, statuses: Sequence[Status] = (), limit: int | None = None) -> list[TrialRecord]:
        query = select(TrialRow, PlannedRow).join(PlannedRow).where(PlannedRow.sweep == name).order_by(PlannedRow.position)
        if statuses:
            query = query.where(TrialRow.status.in_(statuses))
        return [_trial_record(trial, place) for trial, place in session.execute(query.limit(limit))]


def _chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), _CHUNK):
        yield items[start : start + _CHUNK]


def _sweep_row(sweep: SweepRecord) -> SweepRow:
    return SweepRow(
        name=sweep.name,
        path=sweep.path,
        text=sweep.text,
        settings=dict(sweep.settings),
        environment=dict(sweep.environment),
        created_at=sweep.created_at,
        ended_at=sweep.ended_at,
        session_s=sweep.session_s,
    )


def _sweep_record(row: SweepRow) -> SweepRecord:
    return SweepRecord(row.name, row.path, row.text, row.settings, row.environment, row.created_at, row.ended_at, row.session_s)


def _trial_row(key: str, spec: TrialSpec) -> TrialRow:
    return TrialRow(key=key, group_key=spec.group_key(), spec=spec.to_dict(), status=Status.PENDING, attempts=0, outcome={})


def _trial_record(row: TrialRow, place: PlannedRow) -> TrialRecord:
    return TrialRecord(
        key=row.key,
        group_key=row.group_key,
        position=place.position,
        spec=replace(TrialSpec.from_dict(row.spec), draw=place.draw, replicate=place.replicate),
        status=Status(row.status),
        reused=place.reused,
        attempts=row.attempts,
        best=row.best,
        best_epoch=row.best_epoch,
        last=row.last,
        wall_s=row.wall_s,
        outcome=decode(row.outcome),
        error=row.error,
        category=row.category,
        started_at=row.started_at,
        ended_at=row.ended_at,
        test_opened_at=row.test_opened_at,
    )
