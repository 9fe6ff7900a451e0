"""Eight processes on one sweep, in PostgreSQL with MLflow beside it: one is killed, one is asked to go, and nothing runs twice."""

import json
import shlex
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from rnnbench.ledger.records import FINAL, Status
from rnnbench.ledger.store import Ledger
from tests.faults.harness import SMALL, kill, run, start
from tests.postgresql import create_database

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

MANY = SMALL.replace("num_samples: 3", "num_samples: 12").replace("max_epochs: 2", "max_epochs: 8")


def test_eight_workers_join_one_sweep_and_one_is_killed(tmp_path: Path, postgresql_address: str) -> None:
    ledger_url, tracking = (create_database(postgresql_address, f"joined_{name}") for name in ("ledger", "mlflow"))
    (tmp_path / "small.yaml").write_text(MANY)
    options = ("--db", ledger_url, "--tracking-uri", tracking, "--executor", "inline", "--join")
    workers = [start(tmp_path, "sweep", "small.yaml", *options) for _ in range(8)]
    try:
        with Ledger.open(ledger_url) as ledger:
            running = _wait_for_two_who_run(ledger)
            killed = next(worker for worker in workers if worker.pid == running[0])
            asked = next(worker for worker in workers if worker.pid == running[1])
            alone = run(tmp_path, "resume", "small", "--db", ledger_url, code=2)
            assert "is being run by pid" in alone.stderr
            assert alone.stderr.rstrip().endswith(f"rnnbench cancel small --db {shlex.quote(ledger_url)}")
            assert "work beside it with --join" in alone.stderr
            shown = json.loads(run(tmp_path, "status", "small", "--db", ledger_url, "--json").stdout)["workers"]
            assert {worker["pid"] for worker in shown} >= set(running)
            kill(killed)
            asked.send_signal(signal.SIGTERM)
            ends = [(worker, *worker.communicate(timeout=800)) for worker in workers if worker is not killed]
            codes = {worker.pid: worker.returncode for worker, _, _ in ends}
            assert codes.pop(asked.pid) == 143
            assert set(codes.values()) == {0}, [words[-2000:] for _, _, words in ends]
            trials = ledger.trials("small")
            assert len(trials) == 24
            assert {trial.status for trial in trials} <= FINAL - {Status.FAILED, Status.CANCELLED}
            for attempts in ledger.attempts([trial.key for trial in trials]).values():
                *before, last = [attempt.status for attempt in attempts]
                assert set(before) <= {Status.INTERRUPTED}
                assert last in (Status.COMPLETED, Status.DIVERGED)
            assert not any("MLflow does not answer" in words for _, _, words in ends), [words[-2000:] for _, _, words in ends]
            # On a slow machine the sweep does not wait for MLflow's tables; whatever was delivered by then is not told twice.
            run(tmp_path, "sync", "--db", ledger_url, "--tracking-uri", tracking)
            assert ledger.outbox.size() == 0
            assert ledger.leases.all() == []
            keys = {trial.key for trial in trials}
        assert (tmp_path / "runs" / "reports" / "small" / "report.html").exists()
        engine = create_engine(tracking)
        with engine.connect() as connection:
            found = Counter(connection.scalars(text("SELECT value FROM tags WHERE key = 'rnnbench.key'")))
            statuses = set(connection.scalars(text("SELECT status FROM runs")))
        engine.dispose()
        assert found == Counter({**dict.fromkeys(keys, 1), "rnnbench.parent": 1})
        assert statuses <= {"FINISHED", "FAILED"}
    finally:
        for worker in workers:
            kill(worker)


def _wait_for_two_who_run(ledger: Ledger) -> list[int]:
    """Ids of two processes that run a trial each."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        if ledger.find_sweep("small") is not None:
            with ledger.glance() as glance:
                busy = glance.running("small")
            pids = [lease.holder.pid for lease in ledger.leases.of("small") if busy[lease.holder.token]]
            if len(pids) > 1:
                return pids[:2]
        time.sleep(0.1)
    raise AssertionError("no two workers came to run a trial each")
