"""Rows of the tables as records, and back."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from rnnbench.ledger.models import DecisionRow, PlannedRow, SweepRow, TrialRow
from rnnbench.ledger.plainjson import decode
from rnnbench.ledger.records import DecisionRecord, Status, SweepRecord, TrialRecord
from rnnbench.trial.spec import TrialSpec

# SQLite takes at most 32766 variables in a statement.
CHUNK = 5000
# Rows that are read at once.
PART = 500


def chunks(items: Sequence[Any], size: int = CHUNK) -> Iterator[Sequence[Any]]:
    """The items in parts that a statement can name."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def select_trials(
    session: Session,
    name: str,
    *,
    statuses: Sequence[Status] = (),
    keys: Sequence[str] = (),
    limit: int | None = None,
    lock: bool = False,
) -> list[TrialRecord]:
    """A sweep's trials in the order of its plan.

    Args:
        limit: At most so many; then those that a scheduler sent on come first.
        lock: Held until the transaction ends, without those that another holds.
    """
    query = select(TrialRow, PlannedRow).join(PlannedRow).where(PlannedRow.sweep == name)
    query = query.order_by(TrialRow.rung.desc(), PlannedRow.position) if limit else query.order_by(PlannedRow.position)
    if statuses:
        query = query.where(TrialRow.status.in_(statuses))
    if keys:
        query = query.where(TrialRow.key.in_(keys))
    if lock:
        query = query.with_for_update(of=TrialRow, skip_locked=True)
    # In parts: a buffer of all rows would take three times the memory of what is made of them.
    rows = session.execute(query.limit(limit).execution_options(yield_per=PART))
    return [_trial_record(trial, place) for trial, place in rows]


def select_decisions(session: Session, name: str, after: int) -> list[DecisionRecord]:
    """A sweep's scheduling decisions after one of them, in order."""
    query = select(DecisionRow).where(DecisionRow.sweep == name, DecisionRow.id > after).order_by(DecisionRow.id)
    return [DecisionRecord(row.id, row.trial_key, row.rung, row.verdict, row.evidence) for row in session.scalars(query)]


def sweep_row(sweep: SweepRecord) -> SweepRow:
    """A new sweep."""
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


def sweep_record(row: SweepRow) -> SweepRecord:
    """A sweep as it stands."""
    return SweepRecord(row.name, row.path, row.text, row.settings, row.environment, row.created_at, row.ended_at, row.session_s)


def trial_values(key: str, spec: TrialSpec) -> dict[str, Any]:
    """A new trial's columns."""
    start = {"status": Status.PENDING, "attempts": 0, "failures": 0, "rung": 0, "outcome": {}}
    return {"key": key, "group_key": spec.group_key(), "spec": spec.to_dict(), **start}


def _trial_record(row: TrialRow, place: PlannedRow) -> TrialRecord:
    return TrialRecord(
        key=row.key,
        group_key=row.group_key,
        position=place.position,
        spec=replace(TrialSpec.from_dict(decode(row.spec)), draw=place.draw, replicate=place.replicate),
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
        failures=row.failures,
        rung=row.rung,
        holder=row.holder,
    )
