"""Transactions on the ledger's database, with its errors in one line's words."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from rnnbench.base.errors import DiskFullError
from rnnbench.base.failpoints import failpoint
from rnnbench.ledger.engine import open_engine
from rnnbench.ledger.turns import take_turn

_FULL = ("disk is full", "no space left", "disk quota", "could not extend file")


class Database:
    """An open database.

    Attributes:
        now: The time that rows are stamped with; order never depends on it.
    """

    def __init__(self, engine: Engine, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._engine = engine
        self.now = now

    @classmethod
    def open(cls, url: str, now: Callable[[], datetime]) -> "Database":
        """See `open_engine`."""
        return cls(open_engine(url), now)

    @property
    def dialect(self) -> str:
        """sqlite or postgresql."""
        return self._engine.dialect.name

    def close(self) -> None:
        """Closes every connection."""
        self._engine.dispose()

    def turn(self, name: str) -> AbstractContextManager[bool]:
        """See `take_turn`."""
        return take_turn(self._engine, name)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """One transaction: all of it or nothing.

        Raises:
            DiskFullError: there is no room for it; what was committed before stays.
        """
        try:
            with Session(self._engine) as session, session.begin():
                yield session
                session.flush()
                failpoint("ledger.before_commit")
        except DBAPIError as error:
            words = str(error.orig).lower()
            if any(sign in words for sign in _FULL):
                raise DiskFullError(
                    f"no room left for the ledger ({error.orig}); free some, then resume: nothing recorded is lost"
                ) from error
            raise
        failpoint("ledger.after_commit")
