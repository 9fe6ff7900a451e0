"""Turns: one process at a time among all that use a ledger; the turn of one that dies is free at once."""

import fcntl
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, func, select


@contextmanager
def take_turn(engine: Engine, name: str) -> Iterator[bool]:
    """Whether the turn of that name is ours for as long as the block runs; never waits.

    PostgreSQL keeps it for a connection; for SQLite it is a lock on a file beside the database.
    """
    if engine.dialect.name == "postgresql":
        number = zlib.crc32(f"rnnbench {name}".encode())
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            mine = bool(connection.scalar(select(func.pg_try_advisory_lock(number))))
            try:
                yield mine
            finally:
                if mine and not connection.invalidated:
                    connection.execute(select(func.pg_advisory_unlock(number)))
        return
    database = engine.url.database
    if not database:
        yield True  # in memory: nobody else has it
        return
    with Path(f"{database}.{name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
