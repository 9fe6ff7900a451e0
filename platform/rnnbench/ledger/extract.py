"""Sweeps as files that travel: their rows of the ledger as Parquet, and back into another ledger, whatever its database.

An extract holds all that a report is made of. Left out are who works on a sweep, what the tracking server has still to hear, and what
names the machine: its name, process numbers, the sweep file's folder. Values stand as SQLite holds them, JSON as text.
"""

import json
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, Select, Table, insert, select

from rnnbench.base.errors import LedgerError, UnknownSweepError
from rnnbench.base.files import write_atomic
from rnnbench.base.version import __version__
from rnnbench.ledger.engine import open_engine
from rnnbench.ledger.models import AttemptRow, Base, DecisionRow, EpochRow, PlannedRow, SlotRow, SweepRow, TrialRow
from rnnbench.ledger.schema import SCHEMA

ABOUT = "extract.json"
# Those that others refer to first.
TABLES = tuple(
    Base.metadata.tables[row.__tablename__] for row in (SweepRow, TrialRow, PlannedRow, SlotRow, DecisionRow, AttemptRow, EpochRow)
)
# What belongs to a trial, and the column that says to which.
OF_TRIALS = {TrialRow.__tablename__: "key", AttemptRow.__tablename__: "trial_key", EpochRow.__tablename__: "trial_key"}
# Of a trial's outcome.
PRIVATE = ("host", "process_id")
ROWS_AT_ONCE = 5000


def extract(engine: Engine, names: Sequence[str], folder: Path) -> int:
    """Writes sweeps to a folder, a file for each table; returns how many trials they hold.

    Raises:
        UnknownSweepError: one is not in the ledger.
        OSError: the folder cannot be written.
    """
    with _scratch(SCHEMA) as (path, scratch):
        with engine.connect() as source, scratch.begin() as target:
            missing = set(names) - set(source.scalars(select(SweepRow.name)))
            if missing:
                raise UnknownSweepError(f"no sweep is called {min(missing)}")
            for table in TABLES:
                _add(target, table, (_without_places(row) for row in source.execute(_rows_of(table, names)).mappings()))
        with closing(sqlite3.connect(path)) as database:
            for table in TABLES:
                write_atomic(folder / f"{table.name}.parquet", to_parquet(database.execute(f"SELECT * FROM {table.name}")))  # noqa: S608 - ours
            count: int = database.execute("SELECT count(*) FROM trials").fetchone()[0]
    tables = [table.name for table in TABLES]
    about = {"rnnbench": __version__, "schema": SCHEMA, "sweeps": list(names), "trials": count, "tables": tables}
    write_atomic(folder / ABOUT, json.dumps(about, indent=1) + "\n")
    return count


def restore(folder: Path, engine: Engine) -> list[str]:
    """Adds the sweeps of an extract, also one of an older schema, to a ledger; returns their names.

    Of a trial that the ledger has already, its own rows stay.

    Raises:
        LedgerError: the folder is no extract, it is of a newer program, or the ledger has a sweep of one of its names.
    """
    about = _read_about(folder)
    names: list[str] = about["sweeps"]
    with _scratch(about["schema"]) as (path, scratch):
        with closing(sqlite3.connect(path)) as database, database:
            for table in about["tables"]:
                _fill(database, table, folder)
        upgraded = open_engine(str(scratch.url))
        with upgraded.connect() as source, engine.begin() as target:
            taken = set(names) & set(target.scalars(select(SweepRow.name)))
            if taken:
                raise LedgerError(f"the ledger already has a sweep called {min(taken)}; use another --home or --db")
            held = set(target.scalars(select(TrialRow.key)))
            for table in TABLES:
                rows = map(dict, source.execute(select(table)).mappings())
                trial = OF_TRIALS.get(table.name)
                _add(target, table, (row for row in rows if trial is None or row[trial] not in held))
        upgraded.dispose()
    return names


@contextmanager
def _scratch(schema: str) -> Iterator[tuple[Path, Engine]]:
    """An empty SQLite ledger of a schema, which is deleted in the end."""
    with tempfile.TemporaryDirectory(prefix="rnnbench-extract-") as folder:
        path = Path(folder) / "rnnbench.db"
        engine = open_engine(f"sqlite:///{path}", schema=schema)
        try:
            yield path, engine
        finally:
            engine.dispose()


def _rows_of(table: Table, names: Sequence[str]) -> Select[Any]:
    """A table's rows of some sweeps, in the order of its key."""
    planned = select(PlannedRow.trial_key).where(PlannedRow.sweep.in_(names))
    if table.name in OF_TRIALS:
        condition = table.c[OF_TRIALS[table.name]].in_(planned)
    else:
        condition = table.c["name" if table.name == SweepRow.__tablename__ else "sweep"].in_(names)
    return select(table).where(condition).order_by(*table.primary_key.columns)


def _without_places(row: RowMapping) -> dict[str, Any]:
    found = dict(row)
    if "path" in found:
        found["path"] = Path(found["path"]).name
    if "outcome" in found:
        found["outcome"] = {name: value for name, value in found["outcome"].items() if name not in PRIVATE}
    if "holder" in found:
        found["holder"] = None
    return found


def _add(connection: Connection, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    rows = iter(rows)
    while part := list(islice(rows, ROWS_AT_ONCE)):
        connection.execute(insert(table), part)


def to_parquet(rows: sqlite3.Cursor) -> bytes:
    """A query's result as the content of a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [column[0] for column in rows.description]
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({name: list(column) for name, column in zip(names, columns, strict=True)}), sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _fill(database: sqlite3.Connection, table: str, folder: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / f"{table}.parquet"
    try:
        found = pq.read_table(path)
        names = ", ".join(f'"{name}"' for name in found.column_names)
        places = ", ".join("?" * found.num_columns)
        columns = [column.to_pylist() for column in found.columns]
        database.executemany(f"INSERT INTO {table} ({names}) VALUES ({places})", zip(*columns, strict=True))  # noqa: S608 - ours
    except (OSError, pa.ArrowException, sqlite3.Error) as error:
        raise LedgerError(f"{path} is damaged or no part of an extract: {error}") from error


def _read_about(folder: Path) -> dict[str, Any]:
    try:
        about: dict[str, Any] = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        names = {name: list(map(str, about[name])) for name in ("sweeps", "tables")}
        schema = str(about["schema"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LedgerError(f"{folder} is no extract of rnnbench db extract: {error}") from error
    if not all(table.isidentifier() for table in names["tables"]):
        raise LedgerError(f"{folder / ABOUT}: {names['tables']} are no names of tables")
    return {**names, "schema": schema}
