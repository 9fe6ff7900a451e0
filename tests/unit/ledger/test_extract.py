"""Extracts of a ledger: what went out comes back, into any ledger, and names no machine."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from sqlalchemy import Engine, select

from rnnbench.base.errors import LedgerError, UnknownSweepError
from rnnbench.base.home import Home
from rnnbench.ledger.engine import open_engine
from rnnbench.ledger.extract import ABOUT, PRIVATE, TABLES, extract, restore, to_parquet
from rnnbench.ledger.schema import SCHEMA
from rnnbench.ledger.store import Ledger
from rnnbench.search.sweepfile import read_sweep
from rnnbench.sweep.executor import InlineExecutor
from rnnbench.sweep.planned import plan_sweep
from rnnbench.sweep.runner import Runner

SWEEP = """name: {name}
task: {{name: adding, length: 10, num_train: 64}}
cells: [elman]
space: {{network.hidden_size: 4, optimizer.lr: {{choice: [0.01, 0.001]}}}}
search: {{method: random, num_samples: 3, seed: 1}}
scheduler: {{name: asha, grace_period: 1, reduction_factor: 2}}
budget: {{max_epochs: 2}}
"""
LEDGERS = Path(__file__).parents[2] / "ledgers"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """With two sweeps that share their trials."""
    place = Home(tmp_path_factory.mktemp("home"))
    for name in ("one", "two"):
        path = place.path / f"{name}.yaml"
        path.write_text(SWEEP.format(name=name))
        planned = plan_sweep(read_sweep(path), {})
        with Ledger.open(place.ledger_url) as ledger:
            planned.record(ledger, [])
            Runner(ledger, planned, place).run(InlineExecutor())
    return place


@pytest.fixture
def engine(home: Home) -> Iterator[Engine]:
    engine = open_engine(home.ledger_url)
    yield engine
    engine.dispose()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path / 'other.db'}")
    yield engine
    engine.dispose()


def rows(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    with engine.connect() as connection:
        return {
            table.name: [dict(row) for row in connection.execute(select(table).order_by(*table.primary_key)).mappings()] for table in TABLES
        }


def test_what_is_restored_is_what_was_extracted_without_the_machine(engine: Engine, other: Engine, tmp_path: Path) -> None:
    extract(engine, ["one", "two"], tmp_path / "out")
    assert restore(tmp_path / "out", other) == ["one", "two"]
    wanted = rows(engine)
    assert wanted["trials"]
    assert wanted["decisions"]
    for trial in wanted["trials"]:
        assert trial["outcome"].keys() >= set(PRIVATE)
        trial["outcome"] = {name: value for name, value in trial["outcome"].items() if name not in PRIVATE}
    for sweep in wanted["sweeps"]:
        sweep["path"] = f"{sweep['name']}.yaml"
    assert rows(other) == wanted


def test_an_extract_holds_its_sweeps_alone(engine: Engine, other: Engine, tmp_path: Path) -> None:
    assert extract(engine, ["two"], tmp_path / "out") == 3
    restore(tmp_path / "out", other)
    found = rows(other)
    assert [sweep["name"] for sweep in found["sweeps"]] == ["two"]
    assert {row["sweep"] for row in found["planned"]} == {"two"}


def test_trials_that_a_ledger_has_stay_as_they_are(engine: Engine, other: Engine, tmp_path: Path) -> None:
    for name in ("one", "two"):
        extract(engine, [name], tmp_path / name)
        restore(tmp_path / name, other)
    found = rows(other)
    assert len(found["trials"]) == 3
    assert len(found["planned"]) == 6


def test_a_sweep_that_is_there_already_is_refused_and_nothing_is_written(engine: Engine, other: Engine, tmp_path: Path) -> None:
    extract(engine, ["one"], tmp_path / "out")
    restore(tmp_path / "out", other)
    before = rows(other)
    with pytest.raises(LedgerError, match="already has a sweep called one"):
        restore(tmp_path / "out", other)
    assert rows(other) == before


def test_a_sweep_that_nobody_knows_is_refused(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(UnknownSweepError, match="no sweep is called three"):
        extract(engine, ["three"], tmp_path / "out")


@pytest.mark.parametrize("dump", sorted(LEDGERS.glob("*.sql")), ids=lambda path: path.stem)
def test_an_extract_of_every_older_schema_comes_back(dump: Path, other: Engine, tmp_path: Path) -> None:
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(dump.read_text())
        (schema,) = database.execute("SELECT version_num FROM rnnbench_version").fetchone()
        present = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        tables = [table.name for table in TABLES if table.name in present]
        for table in tables:
            (tmp_path / f"{table}.parquet").write_bytes(to_parquet(database.execute(f"SELECT * FROM {table}")))
    (tmp_path / ABOUT).write_text(json.dumps({"schema": schema, "sweeps": ["one"], "tables": tables}))
    restore(tmp_path, other)
    with Ledger.open(str(other.url)) as ledger:
        trials = ledger.trials("one")
        assert [trial.status.value for trial in trials] == ["completed", "pending"]
        assert [epoch.metrics["mse"] for epoch in ledger.epochs([trials[0].key])[trials[0].key]] == [0.5, 0.25]


def test_a_newer_schema_and_a_folder_that_is_none_are_refused(engine: Engine, other: Engine, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="no extract"):
        restore(tmp_path, other)
    extract(engine, ["one"], tmp_path)
    about = json.loads((tmp_path / ABOUT).read_text())
    assert about["schema"] == SCHEMA
    (tmp_path / ABOUT).write_text(json.dumps(about | {"schema": "9999"}))
    with pytest.raises(LedgerError, match="schema 9999, newer"):
        restore(tmp_path, other)
    (tmp_path / ABOUT).write_text(json.dumps(about))
    (tmp_path / "trials.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(LedgerError, match=r"trials\.parquet is damaged"):
        restore(tmp_path, other)
    assert rows(other)["sweeps"] == []


def test_the_files_are_tables_that_anything_reads(engine: Engine, tmp_path: Path) -> None:
    extract(engine, ["one"], tmp_path)
    epochs = pq.read_table(tmp_path / "epochs.parquet")
    assert {"trial_key", "epoch", "metrics"} <= set(epochs.column_names)
    assert epochs.num_rows == len(rows(engine)["epochs"])
