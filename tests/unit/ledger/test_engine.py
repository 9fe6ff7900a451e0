"""Opening a ledger: created once, never opened by an older program, readable from every stored version."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect

from rnnbench.base.errors import LedgerError
from rnnbench.ledger.engine import open_engine
from rnnbench.ledger.models import Base
from rnnbench.ledger.records import SlotRecord
from rnnbench.ledger.store import Ledger

LEDGERS = Path(__file__).parents[2] / "ledgers"


def shape(url: str) -> dict[str, object]:
    engine = create_engine(url)
    found = inspect(engine)
    tables: dict[str, object] = {
        table: (
            sorted((column["name"], str(column["type"]), column["nullable"]) for column in found.get_columns(table)),
            sorted((str(index["name"]), tuple(index["column_names"]), bool(index["unique"])) for index in found.get_indexes(table)),
            sorted(tuple(key["constrained_columns"]) for key in found.get_foreign_keys(table)),
            tuple(found.get_pk_constraint(table)["constrained_columns"]),
        )
        for table in found.get_table_names()
        if table != "rnnbench_version"
    }
    engine.dispose()
    return tables


def test_the_migrations_give_the_tables_of_the_models(tmp_path: Path) -> None:
    open_engine(f"sqlite:///{tmp_path / 'migrated.db'}").dispose()
    engine = create_engine(f"sqlite:///{tmp_path / 'models.db'}")
    Base.metadata.create_all(engine)
    engine.dispose()
    assert shape(f"sqlite:///{tmp_path / 'migrated.db'}") == shape(f"sqlite:///{tmp_path / 'models.db'}")


@pytest.mark.parametrize("dump", sorted(LEDGERS.glob("*.sql")), ids=lambda path: path.stem)
def test_every_stored_ledger_opens_with_what_it_held(dump: Path, tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(dump.read_text())
    connection.close()
    with Ledger.open(f"sqlite:///{path}") as ledger:
        assert [sweep.name for sweep in ledger.list_sweeps()] == ["one"]
        trials = ledger.trials("one")
        assert [trial.status.value for trial in trials] == ["completed", "pending"]
        assert trials[0].key == trials[0].spec.key()
        assert [epoch.metrics["mse"] for epoch in ledger.epochs([trials[0].key])[trials[0].key]] == [0.5, 0.25]


@pytest.mark.parametrize(("said", "data"), [("generated", "generated"), ({"path": "/some/place/mine.csv"}, "path:mine.csv")])
def test_a_slot_from_before_data_sets_were_named_gets_that_of_its_sweeps_settings(said: object, data: str, tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with sqlite3.connect(path) as connection:
        connection.executescript((LEDGERS / "0003.sql").read_text())
        connection.execute("UPDATE sweeps SET settings = json_set(settings, '$.task[0].data', json(?))", (json.dumps(said),))
    connection.close()
    with Ledger.open(f"sqlite:///{path}") as ledger:
        assert ledger.slots("one") == [SlotRecord(2, "adding", data, "lstm", 7, False, None)]
        with ledger.glance() as glance:
            assert [lane.lane for lane in glance.standings("one", (), lambda task: False)][-1] == ("adding", data, "lstm")


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    Ledger.open(f"sqlite:///{path}").close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE rnnbench_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(LedgerError, match="schema 9999, newer than this rnnbench"):
        Ledger.open(f"sqlite:///{path}")


@pytest.mark.parametrize("url", ["nonsense", "mongodb://host/x", "sqlite:////proc/none/ledger.db"])
def test_a_database_that_cannot_be_opened_is_one_line(url: str) -> None:
    with pytest.raises(LedgerError) as error:
        Ledger.open(url)
    assert "\n" not in str(error.value)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_text("dear diary, this is not a database at all" * 50)
    with pytest.raises(LedgerError, match="not a database"):
        Ledger.open(f"sqlite:///{path}")


@pytest.mark.slow
def test_processes_that_open_a_new_ledger_at_once_both_succeed(tmp_path: Path) -> None:
    code = f"from rnnbench.ledger.store import Ledger; print(Ledger.open('sqlite:///{tmp_path / 'new.db'}').outbox.size())"
    processes = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [process.communicate(timeout=60)[0] for process in processes] == ["0\n"] * 4
