"""The outbox: what the tracking server has still to hear. What happens and the news of it are written in one transaction."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, delete, func, select, true, update

from rnnbench.ledger.database import Database
from rnnbench.ledger.models import OutboxRow
from rnnbench.ledger.records import OutboxRecord
from rnnbench.ledger.rows import chunks

# An event that is not told in turn with the others: the files that it is about lie in one home, and whoever has that tells it.
REPORT = "report_written"


class Outbox:
    """The events of all sweeps. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._now = database.now
        self._transaction = database.transaction

    def waiting(self, limit: int) -> list[OutboxRecord]:
        """The oldest events that were not delivered yet, without `reports`."""
        return self._waiting(OutboxRow.kind != REPORT, limit)

    def size(self) -> int:
        """How many events of `waiting` there are."""
        query = select(func.count()).select_from(OutboxRow).where(OutboxRow.delivered_at.is_(None), OutboxRow.kind != REPORT)
        with self._transaction() as session:
            return session.scalar(query) or 0

    def add_report(self, sweep: str, note: str) -> None:
        """Takes a sweep's report, with this note; the one before, if it waits, is forgotten."""
        with self._transaction() as session:
            before = delete(OutboxRow).where(OutboxRow.sweep == sweep, OutboxRow.kind == REPORT, OutboxRow.delivered_at.is_(None))
            session.execute(before)
            session.add(OutboxRow(sweep=sweep, kind=REPORT, payload={"note": note}))

    def reports(self, sweep: str | None = None) -> list[OutboxRecord]:
        """The reports, or that of one sweep, that were not delivered yet; the payload has each one's note."""
        return self._waiting((OutboxRow.kind == REPORT) & (OutboxRow.sweep == sweep if sweep else true()))

    def mark_delivered(self, ids: Sequence[int]) -> None:
        """Notes that events were delivered."""
        with self._transaction() as session:
            for chunk in chunks(ids):
                query = update(OutboxRow).where(OutboxRow.id.in_(chunk), OutboxRow.delivered_at.is_(None))
                session.execute(query.values(delivered_at=self._now()))

    def _waiting(self, which: ColumnElement[bool], limit: int | None = None) -> list[OutboxRecord]:
        query = select(OutboxRow).where(OutboxRow.delivered_at.is_(None), which).order_by(OutboxRow.id).limit(limit)
        with self._transaction() as session:
            return [OutboxRecord(row.id, row.sweep, row.kind, row.trial_key, row.payload) for row in session.scalars(query)]
