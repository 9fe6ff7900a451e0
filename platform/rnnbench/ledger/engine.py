"""Opening the ledger's database: durable SQLite or PostgreSQL, at this program's schema version."""

import shutil
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from rnnbench.base.errors import LedgerError

VERSION_TABLE = "rnnbench_version"
BUSY_TIMEOUT_S = 30


def open_engine(url: str) -> Engine:
    """An engine on a database at the current schema; creates or upgrades it, after a backup where it is SQLite.

    Raises:
        LedgerError: no such kind of database, it cannot be opened, or its schema is newer than this program.
    """
    try:
        parsed = make_url(url)
        engine = create_engine(parsed)
    except (ArgumentError, ImportError, ModuleNotFoundError) as error:
        raise LedgerError(f"--db {url}: {error}; use sqlite:////absolute/path.db or postgresql://user@host/name") from error
    if engine.dialect.name == "sqlite":
        _tune_sqlite(engine)
    try:
        _migrate(engine, Path(parsed.database) if engine.dialect.name == "sqlite" and parsed.database else None)
    except DBAPIError as error:
        raise LedgerError(f"the ledger {parsed.render_as_string()} cannot be opened: {str(error.orig).strip()}") from error
    return engine


def _tune_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:  # the driver's own connection
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (f"busy_timeout={BUSY_TIMEOUT_S * 1000}", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # BEGIN IMMEDIATE: a read-then-write transaction cannot wait for the lock, it fails at once.
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _migrate(engine: Engine, file: Path | None) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    scripts = ScriptDirectory.from_config(config)
    # One transaction that holds the write lock from its start: of two processes, the second finds the work done.
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7266622)")
        current = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()
        if current == scripts.get_current_head():
            return
        if current is not None and current not in {script.revision for script in scripts.walk_revisions()}:
            raise LedgerError(
                f"the ledger has schema {current}, newer than this rnnbench; install a newer rnnbench, or use another --home or --db"
            )
        if current is not None and file is not None:
            shutil.copy2(file, file.with_suffix(f".schema-{current}.backup"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
