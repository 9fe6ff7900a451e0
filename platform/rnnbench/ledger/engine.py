"""Opening the ledger's database: durable SQLite or PostgreSQL, at this program's schema version."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, column, create_engine, event, inspect, select, table
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from rnnbench.base.errors import LedgerError
from rnnbench.base.failpoints import failpoint
from rnnbench.base.filesystem import network_filesystem
from rnnbench.ledger.schema import BUSY_TIMEOUT_S, SCHEMA, VERSION_TABLE


def open_engine(url: str, *, upgrade: bool = True, schema: str = SCHEMA) -> Engine:
    """An engine on a database at the current schema; creates or upgrades it, after a backup where it is SQLite.

    Args:
        schema: Another one for a database that is created, to be upgraded later.
    Raises:
        LedgerError: no such kind of database, it cannot be opened, lies on a network file system, or its schema is newer
            than this program.
    """
    try:
        parsed = make_url(url)
        engine = create_engine(parsed)
    except (ArgumentError, ImportError, ModuleNotFoundError) as error:
        raise LedgerError(f"--db {url}: {error}; use sqlite:////absolute/path.db or postgresql://user@host/name") from error
    if engine.dialect.name == "sqlite":
        _require_local_disk(parsed.database)
        _tune_sqlite(engine)
    try:
        if upgrade:
            _migrate(engine, Path(parsed.database) if engine.dialect.name == "sqlite" and parsed.database else None, schema)
    except DBAPIError as error:
        raise LedgerError(f"the ledger {parsed.render_as_string()} cannot be opened: {str(error.orig).strip()}") from error
    return engine


def _require_local_disk(database: str | None) -> None:
    kind = network_filesystem(Path(database)) if database else None
    if kind is not None:
        raise LedgerError(
            f"the ledger {database} lies on a network file system ({kind}), where SQLite loses data; "
            "use --home or --db on a local disk, or --db postgresql://user@host/name"
        )


def _tune_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:  # the driver's own connection
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_S * 1000}")
        _write_ahead(cursor)
        for pragma in ("synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # BEGIN IMMEDIATE: a read-then-write transaction cannot wait for the lock, it fails at once.
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _write_ahead(cursor: sqlite3.Cursor) -> None:
    """Makes the journal a write-ahead log. Of several processes on a new file one does, and SQLite does not let the others wait."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def schema_versions(engine: Engine) -> tuple[str | None, str]:
    """The schema of a database (None: it has none yet), and the one of this program."""
    with engine.connect() as connection:
        return _schema(connection), SCHEMA


def check_database(engine: Engine) -> list[str]:
    """What is wrong with a database: damaged pages, rows that refer to nothing. Empty where nothing is."""
    with engine.connect() as connection:
        if engine.dialect.name != "sqlite":
            connection.exec_driver_sql("SELECT 1")
            return []
        found = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA integrity_check") if row[0] != "ok"]
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    return found + [f"table {row[0]}, row {row[1]}: refers to a missing row of {row[2]}" for row in broken]


def _schema(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.execute(select(column("version_num")).select_from(table(VERSION_TABLE))).scalar()
    return found


def _migrate(engine: Engine, file: Path | None, schema: str) -> None:
    # One transaction that holds the write lock from its start: of two processes, the second finds the work done.
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7266622)")
        current = _schema(connection)
        if current == schema:
            return
        from alembic import command
        from alembic.config import Config
        from alembic.script import ScriptDirectory

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        scripts = ScriptDirectory.from_config(config)
        assert scripts.get_current_head() == SCHEMA, "a migration was added, and SCHEMA left behind"
        known = {script.revision for script in scripts.walk_revisions()}
        if unknown := {current or schema, schema} - known:
            raise LedgerError(
                f"the ledger has schema {min(unknown)}, newer than this rnnbench; install a newer rnnbench, or use another --home or --db"
            )
        if current is not None and file is not None:
            _back_up(file, file.with_suffix(f".schema-{current}.backup"))
        config.attributes["connection"] = connection
        command.upgrade(config, schema)
        failpoint("ledger.upgrading")


def _back_up(file: Path, backup: Path) -> None:
    """Copies a database as it was last committed; a second connection sees that while the first holds the write lock."""
    partial = backup.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(partial)) as target:
        source.backup(target)
    partial.replace(backup)
