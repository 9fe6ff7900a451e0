"""A look straight at a ledger that is a file sees what the open ledger says, and leaves everything else to that."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rnnbench.ledger.glance import Glance, glance_at_file
from rnnbench.ledger.records import EpochRecord, Holder, Status, SweepRecord
from rnnbench.ledger.schema import VERSION_TABLE
from rnnbench.ledger.store import Ledger
from rnnbench.trial.spec import TrialSpec

SPECS = [TrialSpec("search", "adding", 1, "generated", "f", cell, 1, {}, seed) for cell in ("gru", "lstm") for seed in range(2)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A ledger of one sweep: two trials completed, one running, one pending and two slots to draw."""
    path = tmp_path / "a name#1.db"
    path.touch()
    with Ledger.open(f"sqlite:///{path}") as ledger:
        planned = SweepRecord("one", "one.yaml", "", {"replicates": 2}, {}, datetime(2026, 1, 2, tzinfo=UTC))
        ledger.record_sweep(planned, SPECS, [("adding", "generated", "elman", draw) for draw in range(2)], 2)
        ledger.leases.take("one", Holder("alive", "host", 1, "process"))
        for trial, value in zip(ledger.claim("one", 3, "alive"), (0.5, 0.25), strict=False):
            ledger.record_epoch(trial.key, 1, EpochRecord(1, 1.0, {"mse": value}), value, 1, value)
            ledger.record_finished(trial.key, 1, Status.COMPLETED, {}, 1.0)
    return path


def see(glance: Glance) -> list[object]:
    """Everything that a glance says."""
    standings = [glance.standings("one", live, is_maximized) for live in ({"alive"}, ()) for is_maximized in (bool, "".__eq__)]
    specs = [glance.get_spec(lane.best_key) for lane in standings[0] if lane.best_key]
    return [glance.session_s("one"), glance.leases(), standings, specs, glance.values("one"), glance.running("one")]


def test_a_look_at_the_file_says_what_the_open_ledger_says(file: Path) -> None:
    with Ledger.open(f"sqlite:///{file}") as ledger, ledger.glance() as glance:
        opened = see(glance)
    with glance_at_file(file) as glance:
        assert glance is not None
        assert see(glance) == opened
    (lane, *_) = opened[2][0]  # type: ignore[index]
    assert (lane.counts, lane.best) == ({Status.COMPLETED: 2}, 0.5)


def test_a_look_waits_for_no_writer_and_changes_nothing(file: Path) -> None:
    writer = sqlite3.connect(file, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE trials SET best = 0.0")
    with glance_at_file(file) as glance:
        assert glance is not None
        assert glance.values("one") == {("adding", "generated", "gru"): [0.5, 0.25]}
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            glance._execute("DELETE FROM leases", {})
    writer.close()


def test_another_schema_a_damaged_file_and_none_are_left_to_the_open_ledger(file: Path, tmp_path: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '0003'")
    connection.close()
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(b"not a database" * 100)
    for path in (file, damaged, tmp_path / "none.db"):
        with glance_at_file(path) as glance:
            assert glance is None
    assert not (tmp_path / "none.db").exists()
