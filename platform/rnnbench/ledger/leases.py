"""Leases: who runs which sweep. One row a sweep, changed only by whoever names the token that stands in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from rnnbench.ledger.database import Database
from rnnbench.ledger.models import LeaseRow, SweepRow


@dataclass(frozen=True)
class Holder:
    """A process that runs a sweep.

    Attributes:
        token: Of this run alone.
        process: Tells this process from a later one with the same pid; see `rnnbench.sweep.lease`.
    """

    token: str
    host: str
    pid: int
    process: str


@dataclass(frozen=True)
class LeaseRecord:
    """A lease as it stands; `beats` grows while its holder lives, `stop` is what somebody asks of the holder."""

    sweep: str
    holder: Holder
    since: datetime
    beat_at: datetime
    beats: int
    stop: str | None


class Leases:
    """The leases of one ledger. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, sweep: str) -> LeaseRecord | None:
        """A sweep's lease; None where nobody runs it."""
        with self._database.transaction() as session:
            row = session.get(LeaseRow, sweep)
            return _record(row) if row else None

    def list(self) -> Sequence[LeaseRecord]:
        """Every lease."""
        with self._database.transaction() as session:
            return [_record(row) for row in session.scalars(select(LeaseRow).order_by(LeaseRow.sweep))]

    def take(self, sweep: str, holder: Holder, *, instead_of: LeaseRecord | None) -> LeaseRecord | None:
        """Gives a sweep to a holder, where it is free or still as `instead_of` saw it; None, else the lease that stands there."""
        with self._database.transaction() as session:
            # The sweep's row is there even when no lease is: it orders two who come at once.
            session.get_one(SweepRow, sweep, with_for_update=True)
            row = session.get(LeaseRow, sweep)
            if row is not None:
                found = _record(row)
                if instead_of is None or (found.holder.token, found.beats) != (instead_of.holder.token, instead_of.beats):
                    return found
                session.delete(row)
                session.flush()
            now = self._database.now()
            session.add(LeaseRow(sweep=sweep, **vars(holder), since=now, beat_at=now, beats=0))
            return None

    def beat(self, sweep: str, token: str, seconds: float) -> LeaseRecord | None:
        """Shows that the holder lives, and adds wall clock to the sweep; None where the lease is no longer this token's."""
        with self._database.transaction() as session:
            row = session.get(LeaseRow, sweep, with_for_update=True)
            if row is None or row.token != token:
                return None
            row.beats += 1
            row.beat_at = self._database.now()
            session.get_one(SweepRow, sweep).session_s += seconds
            return _record(row)

    def ask_to_stop(self, sweep: str, what: str) -> LeaseRecord | None:
        """Asks a sweep's holder for something (`cancel`), which it sees at its next beat; None where nobody holds it."""
        with self._database.transaction() as session:
            row = session.get(LeaseRow, sweep, with_for_update=True)
            if row is None:
                return None
            row.stop = what
            return _record(row)

    def drop(self, sweep: str, token: str) -> None:
        """Frees a sweep that this token holds."""
        with self._database.transaction() as session:
            row = session.get(LeaseRow, sweep, with_for_update=True)
            if row is not None and row.token == token:
                session.delete(row)


def _record(row: LeaseRow) -> LeaseRecord:
    holder = Holder(row.token, row.host, row.pid, row.process)
    return LeaseRecord(row.sweep, holder, row.since, row.beat_at, row.beats, row.stop)
