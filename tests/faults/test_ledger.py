"""The ledger under many hands, old schemas, moving clocks, and thousands of trials."""

import os
import random
import secrets
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rnnbench.base.errors import LeaseLostError, LedgerError, SweepHeldError
from rnnbench.base.filesystem import network_filesystem
from rnnbench.base.home import Home
from rnnbench.ledger import engine as engine_module
from rnnbench.ledger.records import EpochRecord, Holder, Status, SweepRecord
from rnnbench.ledger.schema import SCHEMA
from rnnbench.ledger.store import Ledger
from rnnbench.search.schedulers import decide, kept
from rnnbench.search.sweepfile import read_sweep
from rnnbench.sweep import lease as lease_module
from rnnbench.sweep import slots
from rnnbench.sweep.executor import InlineExecutor, NextJobs, Queue, Record
from rnnbench.sweep.lease import hold
from rnnbench.sweep.planned import Planned, plan_sweep
from rnnbench.sweep.runner import Runner
from rnnbench.sweep.stop import Stop
from rnnbench.trial.door import run_jobs
from rnnbench.trial.spec import TrialSpec
from tests.faults.harness import SIXTY, SMALL, environment, run, table

LEDGERS = Path(__file__).parents[1] / "ledgers"
OLDER = [dump for dump in sorted(LEDGERS.glob("*.sql")) if dump.stem != SCHEMA]
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

HAND = """
import sys
from rnnbench.ledger.records import EpochRecord, Status
from rnnbench.ledger.store import Ledger

claimed = 0
with Ledger.open(sys.argv[1]) as ledger:
    while trials := ledger.claim("one", 1):
        (trial,) = trials
        claimed += 1
        for epoch in (1, 2, 3):
            ledger.record_epoch(trial.key, 1, EpochRecord(epoch, 0.1 * epoch, {"mse": 1 / epoch}), 1 / epoch, epoch, 1 / epoch)
        ledger.record_finished(trial.key, 1, Status.COMPLETED, {"epochs": 3}, 0.3)
print(claimed)
"""


def specs(number: int) -> list[TrialSpec]:
    return [
        TrialSpec("search", "adding", 1, "generated", "f", "lstm", 1, {"optimizer.lr": 0.01}, seed, draw=seed) for seed in range(number)
    ]


def record(name: str = "one") -> SweepRecord:
    return SweepRecord(name, "one.yaml", "", {}, {}, START)


def test_fault_15_eight_processes_on_one_database(database_url: str, long: bool) -> None:
    trials = 500 if long else 200
    with Ledger.open(database_url) as ledger:
        ledger.record_sweep(record(), specs(trials))
    hands = [
        subprocess.Popen(
            [sys.executable, "-c", HAND, database_url], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(8)
    ]
    results = [hand.communicate(timeout=280) for hand in hands]
    assert [hand.returncode for hand in hands] == [0] * 8, [words[-500:] for _, words in results]
    assert sum(int(claimed) for claimed, _ in results) == trials
    with Ledger.open(database_url) as ledger:
        found = ledger.trials("one")
        assert [(trial.status, trial.attempts) for trial in found] == [(Status.COMPLETED, 1)] * trials
        assert {len(curve) for curve in ledger.epochs([trial.key for trial in found]).values()} == {3}
        assert ledger.outbox.size() == trials + 1
    engine = engine_module.open_engine(database_url)
    assert engine_module.check_database(engine) == []
    engine.dispose()


@pytest.fixture
def clock() -> "Clock":
    return Clock()


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    def jump(self, days: float) -> None:
        self.now += timedelta(days=days)


@pytest.mark.parametrize("days", [1.0, -1.0])
def test_fault_20_a_clock_that_jumps_a_day_changes_no_order(days: float, database_url: str, clock: Clock) -> None:
    with Ledger.open(database_url, now=clock) as ledger:
        ledger.record_sweep(record(), specs(4))
        for number in range(4):
            (trial,) = ledger.claim("one", 1)
            assert trial.position == number
            clock.jump(days)
            ledger.record_epoch(trial.key, 1, EpochRecord(1, 0.5, {"mse": 1.0}), 1.0, 1, 1.0)
            if number == 2:
                ledger.release_running("one")
                clock.jump(-days)
                (trial,) = ledger.claim("one", 1)
                assert (trial.position, trial.attempts) == (2, 2)
            ledger.record_finished(trial.key, trial.attempts, Status.COMPLETED, {"epochs": 1}, 0.5)
        events = [event.trial_key for event in ledger.outbox.waiting(100) if event.kind == "trial_finished"]
        assert events == [trial.key for trial in ledger.trials("one")]
        assert [trial.wall_s for trial in ledger.trials("one")] == [0.5] * 4


@pytest.mark.parametrize("days", [1.0, -1.0, 0.0])
def test_fault_20_and_16_a_lease_is_judged_by_beats_where_clocks_disagree(
    days: float, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A holder on another machine whose clock is a day off, alive and then silent."""
    alive = True

    def sleep(seconds: float) -> None:
        if alive:
            ledger.leases.beat("one", "other", 0.1)

    monkeypatch.setattr("rnnbench.sweep.lease.time.sleep", sleep)
    with Ledger.open(database_url, now=lambda: datetime.now(UTC) + timedelta(days=days)) as ledger:
        ledger.record_sweep(record(), specs(1))
        assert ledger.leases.take("one", Holder("other", "elsewhere", 7, "x")) is None
        with pytest.raises(SweepHeldError, match="pid 7 on elsewhere, since "), hold(ledger, "one", _never, _never_asked):
            pass
        alive = False
        if days == 0.0:
            # Silent for less than the lease: still held.
            with pytest.raises(SweepHeldError), hold(ledger, "one", _never, _never_asked):
                pass
            monkeypatch.setattr(lease_module, "LEASE_S", -1.0)
        with hold(ledger, "one", _never, _never_asked) as holder:
            assert ledger.claim("one", 1, holder.token)[0].holder == holder.token
            with pytest.raises(LeaseLostError):
                ledger.claim("one", 1, "other")
            assert ledger.leases.beat("one", "other", 1.0) is None
        assert ledger.leases.of("one") == []


def _never() -> None:
    pytest.fail("the lease was lost")


def _never_asked(what: str) -> None:
    pytest.fail(f"asked to {what}")


MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /srv rw,relatime shared:2 - nfs4 server:/srv rw,vers=4.2
31 30 8:2 / /srv/local rw,relatime shared:3 - xfs /dev/sdb1 rw
32 22 0:41 / /mnt/with\\040space rw,relatime - cifs //server/share rw
33 22 0:42 / /lustre rw - lustre mds@tcp:/fs rw
34 22 0:43 / /mnt/ssh rw - fuse.sshfs me@host: rw
35 22 0:44 / /tmp rw - tmpfs tmpfs rw
36 22 0:45 / /over rw - nfs server:/x rw
37 22 8:3 / /over rw - ext4 /dev/sdc1 rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/me/runs/rnnbench.db", "nfs4"), ("/srv/local/runs/rnnbench.db", None), ("/mnt/with space/a.db", "cifs"),
        ("/lustre/a/b/c.db", "lustre"), ("/mnt/ssh/a.db", "fuse.sshfs"), ("/tmp/a.db", None), ("/var/a.db", None),
        ("/srvs/a.db", None), ("/over/a.db", None),
    ],
)  # fmt: skip
def test_fault_19_a_network_file_system_is_told_from_a_local_disk(path: str, kind: str | None) -> None:
    assert network_filesystem(Path(path), MOUNTS) == kind


def test_fault_19_sqlite_on_a_network_file_system_is_refused_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "network_filesystem", lambda path: "nfs4")
    with pytest.raises(LedgerError, match=r"network file system \(nfs4\).*--db postgresql://"):
        Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")
    assert list(tmp_path.iterdir()) == []


def restore(dump: Path, path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(dump.read_text())
    connection.close()


@pytest.mark.parametrize("dump", OLDER, ids=lambda path: path.stem)
def test_fault_25_an_upgrade_killed_half_way_can_be_repeated_and_its_backup_opens(dump: Path, tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    restore(dump, path)
    program = f"from rnnbench.ledger.store import Ledger; Ledger.open('sqlite:///{path}')"
    extra = {"RNNBENCH_FAILPOINT": "ledger.upgrading"}
    killed = subprocess.run([sys.executable, "-c", program], env=environment(extra), capture_output=True, check=False)
    assert killed.returncode == -9
    backup = tmp_path / f"old.schema-{dump.stem}.backup"
    assert backup.exists()
    for place in (path, backup):
        with Ledger.open(f"sqlite:///{place}") as ledger:
            assert [trial.status for trial in ledger.trials("one")] == [Status.COMPLETED, Status.PENDING]
        engine = engine_module.open_engine(f"sqlite:///{place}")
        assert engine_module.check_database(engine) == []
        assert engine_module.schema_versions(engine)[0] == engine_module.schema_versions(engine)[1]
        engine.dispose()


class Shuffled:
    """Takes several jobs at once and lets them end in a random order: what many workers do, in one process."""

    def __init__(self, workers: int, seed: int) -> None:
        self._workers = workers
        self._random = random.Random(seed)

    def execute(self, next_jobs: NextJobs, record: Record) -> None:
        running: list[list[dict[str, Any]]] = []
        while True:
            while len(running) < self._workers and isinstance(jobs := next_jobs(), list):
                events: list[dict[str, Any]] = []
                run_jobs([job.to_dict() for job in jobs], events.append)
                running.append(events)
            if not running:
                assert next_jobs() is Queue.DONE
                return
            chosen = self._random.choice(running)
            record(chosen.pop(0))
            running = [events for events in running if events]


def run_sweep(text: str, folder: Path, executor: Any) -> tuple[Ledger, Planned, Runner]:
    folder.mkdir()
    (folder / "sweep.yaml").write_text(text)
    home = Home(folder / "runs")
    home.path.mkdir()
    ledger = Ledger.open(home.ledger_url)
    planned = plan_sweep(read_sweep(folder / "sweep.yaml"), os.environ)
    planned.record(ledger, [])
    runner = Runner(ledger, planned, home, Stop(home.stops / "x"))
    runner.run(executor)
    assert runner.is_complete()
    return ledger, planned, runner


SCHEDULED = (
    SIXTY.replace("num_samples: 28", "num_samples: 9")
    .replace("cells: [elman, lstm]", "cells: [elman]")
    .replace("confirm: {top_k: 1, seeds: 2}\n", "")
)


@pytest.mark.parametrize("scheduler", ["asha", "halving", "hyperband"])
def test_fault_26_decisions_are_the_same_with_any_number_of_workers(scheduler: str, tmp_path: Path) -> None:
    text = SCHEDULED.replace("name: asha", f"name: {scheduler}")
    tables, decisions = [], []
    for workers in (1, 2, 5):
        ledger, _, _ = run_sweep(text, tmp_path / str(workers), Shuffled(workers, seed=workers))
        tables.append(table(ledger.trials("sixty")))
        decisions.append(sorted((each.key, each.rung, each.verdict, each.evidence["cohort"]) for each in ledger.decisions("sixty")))
        # Each decision follows again from the values recorded with it.
        for each in ledger.decisions("sixty"):
            goes_on = each.evidence["group"] in kept(each.evidence["values"], 2)
            assert each.verdict == ("promoted" if goes_on else "stopped")
        ledger.close()
    assert tables[0] == tables[1] == tables[2]
    assert decisions[0] == decisions[1] == decisions[2]
    assert {verdict for _, _, verdict, _ in decisions[0]} == {"promoted", "stopped"}


@pytest.mark.parametrize("scheduler", ["{name: asha, mode: async, grace_period: 1, reduction_factor: 2}", "{name: median}"])
def test_fault_26_decisions_made_at_once_are_recorded_with_their_numbers(scheduler: str, tmp_path: Path) -> None:
    text = SCHEDULED.replace("{name: asha, grace_period: 1, reduction_factor: 2}", scheduler)
    ledger, planned, _ = run_sweep(text, tmp_path / "run", Shuffled(3, seed=4))
    decisions = ledger.decisions("sixty")
    assert {each.verdict for each in decisions} == {"promoted", "stopped"}
    for each in decisions:
        evidence = each.evidence
        if "median" in evidence:
            goes_on = evidence["others"] < 3 or evidence["value"] >= evidence["median"]
        else:
            goes_on = evidence["better"] < max(1, -(-(evidence["others"] + 1) // 2))
        assert each.verdict == ("promoted" if goes_on else "stopped")
    stopped = {trial.key: trial.stopped_at for trial in ledger.trials("sixty") if trial.stopped_at is not None}
    assert stopped == {each.key: each.rung for each in decisions if each.verdict == "stopped"}
    assert planned.sweep.scheduler is not None
    assert decide(planned.sweep.scheduler, 4, 9, []) == []
    ledger.close()


@pytest.mark.parametrize("method", ["tpe", "cmaes"])
def test_fault_26_adaptive_draws_replay_from_the_ledger(method: str, tmp_path: Path) -> None:
    text = SMALL.replace("method: random, num_samples: 3", f"method: {method}, num_samples: 14").replace("[elman, lstm]", "[elman]")
    text += "  network.dropout: {uniform: [0.0, 0.5]}\n"
    ledger, planned, _ = run_sweep(text, tmp_path / "one", InlineExecutor())
    drawn = ledger.slots("small")
    keys = [trial.key for trial in ledger.trials("small")]
    assert [slot.drawn for slot in drawn] == [True] * 14
    for slot, key in zip(drawn, keys, strict=True):
        assert slot.evidence is not None
        assert [spec.key() for spec in slots.redraw(planned, slot, slot.evidence)] == [key]
    # Once the model is trusted the draws follow the results: other results, other draws.
    last = drawn[-1]
    assert last.evidence is not None
    turned = {"seen": [{**one, "value": -float(one["value"])} for one in last.evidence["seen"]]}
    assert slots.redraw(planned, last, turned)[0].key() != keys[-1]
    again, _, _ = run_sweep(text, tmp_path / "again", InlineExecutor())
    assert [trial.key for trial in again.trials("small")] == keys
    many, _, _ = run_sweep(text, tmp_path / "many", Shuffled(4, seed=1))
    assert [trial.key for trial in many.trials("small")][:10] == keys[:10]
    assert {trial.status for trial in many.trials("small")} == {Status.COMPLETED}
    for each in (ledger, again, many):
        each.close()


class Trivial:
    """Ends every trial at once with two epochs, and measures this process on the way."""

    def __init__(self, sampled_at: set[int], database: Path) -> None:
        self.samples: dict[int, tuple[int, int, int]] = {}
        self._sampled_at = sampled_at
        self._database = database

    def execute(self, next_jobs: NextJobs, record: Record) -> None:
        number = 0
        while isinstance(jobs := next_jobs(), list):
            (job,) = jobs
            stamp = {"key": job.key, "attempt": job.attempt}
            for epoch in (1, 2):
                metrics = {"accuracy": 0.5, "train_loss": 1.0, "grad_norm": 1.0, "lr": 0.01, "train_s": 0.1}
                event = {"kind": "epoch", "epoch": epoch, "wall_s": 0.1, "metrics": metrics, "best": 0.5, "best_epoch": 1, "last": 0.5}
                record(stamp | event)
            outcome = {"epochs": 2, "metrics": metrics, "test": None, "num_parameters": 100, "train_s": 0.2, "data": {}}
            ended = {"kind": "finished", "status": "completed", "outcome": outcome, "error": None, "category": None, "wall_s": 0.2}
            record(stamp | ended)
            number += 1
            if number in self._sampled_at:
                size = sum(file.stat().st_size for file in self._database.parent.glob("rnnbench.db*"))
                self.samples[number] = resident_bytes(), len(os.listdir("/proc/self/fd")), size


def resident_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


def test_fault_28_many_trials_take_no_more_memory_or_descriptors(tmp_path: Path, long: bool) -> None:
    total = 5000 if long else 600
    text = SMALL.replace("num_samples: 3", f"num_samples: {total}").replace("[elman, lstm]", "[elman]")
    (tmp_path / "sweep.yaml").write_text(text)
    home = Home(tmp_path / "runs")
    home.path.mkdir()
    planned = plan_sweep(read_sweep(tmp_path / "sweep.yaml"), os.environ)
    executor = Trivial({total // 10, total // 2, total}, home.path / "rnnbench.db")
    with Ledger.open(home.ledger_url) as ledger:
        planned.record(ledger, [])
        runner = Runner(ledger, planned, home, Stop(home.stops / "x"))
        runner.run(executor)
        assert runner.is_complete()
    (early, middle, late) = (executor.samples[number] for number in sorted(executor.samples))
    print(f"memory {early[0] / 1e6:.0f} to {late[0] / 1e6:.0f} MB, descriptors {early[1]} to {late[1]}, database {early[2]} to {late[2]}")
    assert late[0] < 1.1 * early[0]
    assert late[1] <= early[1] + 2
    # Linear: the second half of the trials takes no more than the plan and the first half did.
    assert late[2] - middle[2] <= 1.1 * (middle[2] - early[2]) * (0.5 / 0.4)


def test_fault_28_no_secret_of_the_environment_is_written(tmp_path: Path) -> None:
    from tests.faults.harness import faulty

    token = f"tok_{secrets.token_hex(12)}"
    (tmp_path / "faulty.yaml").write_text(faulty(["secret", "none"]))
    extra = {"FAULTY_API_TOKEN": token, "AWS_SECRET_ACCESS_KEY": f"aws_{token}"}
    done = run(tmp_path, "sweep", "faulty.yaml", "--executor", "inline", "--set", "retries=0", code=3, extra=extra, tracking=True)
    written = [path for path in (tmp_path / "runs").rglob("*") if path.is_file()]
    assert len(written) > 5
    for path in written:
        content = path.read_bytes()
        assert token.encode() not in content, path
        assert b"hunter22" not in content, path
    assert token not in done.stdout + done.stderr
    with Ledger.open(Home(tmp_path / "runs").ledger_url) as ledger:
        errors = [trial.error for trial in ledger.trials("faulty") if trial.error]
    assert "the token is *** at postgresql://me:***@host/db" in errors[0]
