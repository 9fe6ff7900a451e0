"""Leases: who works on which sweep. One row a holder, changed only by whoever names the token that stands in it."""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from rnnbench.ledger.database import Database
from rnnbench.ledger.models import LeaseRow, SweepRow
from rnnbench.ledger.records import Holder, LeaseRecord

# Rows that refer to a sweep may be added while it is locked: only those who change the same wait for each other.
LOCK = {"key_share": True}


class Leases:
    """The leases of one ledger. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, sweep: str) -> list[LeaseRecord]:
        """A sweep's leases, the eldest first; none where nobody works on it."""
        with self._database.transaction() as session:
            return [_record(row) for row in _rows(session, sweep)]

    def all(self) -> list[LeaseRecord]:
        """Every lease."""
        with self._database.transaction() as session:
            query = select(LeaseRow).order_by(LeaseRow.sweep, LeaseRow.since, LeaseRow.token)
            return [_record(row) for row in session.scalars(query)]

    def take(self, sweep: str, holder: Holder, *, joined: bool = False, gone: Collection[LeaseRecord] = ()) -> LeaseRecord | None:
        """Gives a sweep to a holder, alone or joined to others that have joined; None, else a lease that stands against it.

        Args:
            gone: Leases that are removed where they have not been renewed since.
        """
        with self._database.transaction() as session:
            # The sweep's row is there even when no lease is: it orders those who come at once.
            session.get_one(SweepRow, sweep, with_for_update=LOCK)
            seen = {(lease.holder.token, lease.beats) for lease in gone}
            rows = _rows(session, sweep)
            for row in rows:
                if (row.token, row.beats) not in seen and not (joined and row.joined):
                    return _record(row)
            for row in rows:
                if (row.token, row.beats) in seen:
                    session.delete(row)
            now = self._database.now()
            session.add(LeaseRow(sweep=sweep, joined=joined, **vars(holder), since=now, beat_at=now, beats=0))
            return None

    def beat(self, sweep: str, token: str, seconds: float) -> LeaseRecord | None:
        """Shows that the holder lives; None where its lease is gone.

        Args:
            seconds: Wall clock since its last beat. The eldest holder's is added to the sweep's, as they run side by side.
        """
        with self._database.transaction() as session:
            # First the sweep, then its leases, as in `take`: two who lock in one order never wait for each other.
            swept = session.get_one(SweepRow, sweep, with_for_update=LOCK)
            rows = _rows(session, sweep)
            row = next((row for row in rows if row.token == token), None)
            if row is None:
                return None
            row.beats += 1
            row.beat_at = self._database.now()
            if row is rows[0]:
                swept.session_s += seconds
            return _record(row)

    def ask_to_stop(self, sweep: str, what: str) -> list[LeaseRecord]:
        """Asks a sweep's holders for something (`cancel`), which each sees at its next beat; gives them."""
        with self._database.transaction() as session:
            session.get_one(SweepRow, sweep, with_for_update=LOCK)
            rows = _rows(session, sweep)
            for row in rows:
                row.stop = what
            return [_record(row) for row in rows]

    def drop(self, sweep: str, token: str, beats: int | None = None) -> bool:
        """Removes a lease, where it is given only if it has not been renewed since `beats`; says whether it is away."""
        with self._database.transaction() as session:
            session.get_one(SweepRow, sweep, with_for_update=LOCK)
            row = session.get(LeaseRow, token)
            if row is not None and beats is not None and row.beats != beats:
                return False
            if row is not None:
                session.delete(row)
            return True


def _rows(session: Session, sweep: str) -> list[LeaseRow]:
    query = select(LeaseRow).where(LeaseRow.sweep == sweep).order_by(LeaseRow.since, LeaseRow.token)
    return [*session.scalars(query)]


def _record(row: LeaseRow) -> LeaseRecord:
    holder = Holder(row.token, row.host, row.pid, row.process)
    return LeaseRecord(row.sweep, holder, row.joined, row.since, row.beat_at, row.beats, row.stop)
