"""The driver dies: killed, interrupted, told to end, out of room."""

import contextlib
import json
import os
import pty
import random
import signal
import sqlite3
import subprocess
import termios
import time
import uuid
from pathlib import Path

import pytest

from rnnbench.ledger.records import EpochRecord, Status
from tests.faults import harness
from tests.faults.harness import COMMAND, ENDLESS, SIXTY, SMALL, check_history, environment, kill, open_ledger, result, run, start

EXECUTORS = ["inline", "local", pytest.param("ray", marks=pytest.mark.slow)]


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return harness.undisturbed(tmp_path_factory, "sixty", SIXTY)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("executor", harness.LOCAL_FIRST)
def test_fault_01_a_driver_killed_at_random_moments_loses_nothing(executor: str, tmp_path: Path, undisturbed: bytes, long: bool) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    moments = random.Random(seed)
    (tmp_path / "sixty.yaml").write_text(SIXTY)
    kills, effective = (25 if long else 3), 0
    for _ in range(kills):
        before = _ended(tmp_path)
        driver = start(tmp_path, "sweep", "sixty.yaml", "--executor", executor)
        # From the first imports, over the start of the executor, to some trials further.
        with contextlib.suppress(subprocess.TimeoutExpired):
            driver.wait(moments.uniform(0.5, 7.0 if executor == "inline" else 20.0))
        kill(driver)
        after = _ended(tmp_path)
        assert before <= after, "a trial that had ended is open again"
        effective += len(after) > len(before)
    done = run(tmp_path, "resume", "sixty", "--executor", executor)
    assert "Traceback" not in done.stderr
    print(f"{kills} kills, {effective} of them after progress")
    check_history(tmp_path, "sixty")
    assert result(tmp_path, "sixty") == undisturbed


def _ended(folder: Path) -> set[tuple[str, int]]:
    """Keys and attempts of the trials that have ended."""
    if not (folder / "runs" / "rnnbench.db").exists():
        return set()
    with open_ledger(folder) as ledger:
        if ledger.find_sweep("sixty") is None:
            return set()
        return {(trial.key, trial.attempts) for trial in ledger.trials("sixty") if trial.ended_at is not None}


FAILPOINTS = [
    *("ledger.before_commit:12", "runner.after_finished:6", "mirror.after_delivery:2"),
    *(
        pytest.param(f"{name}:{count}", marks=pytest.mark.slow)
        for name, count in (
            *(("ledger.before_commit", 1), ("ledger.before_commit", 25), ("ledger.after_commit", 3), ("ledger.after_commit", 15)),
            *(("runner.before_finished", 2), ("runner.after_finished", 1)),
            *(("mirror.before_delivery", 2), ("mirror.after_delivery", 1), ("mirror.after_delivery", 4)),
        )
    ),
]


@pytest.mark.parametrize("failpoint", FAILPOINTS)
def test_fault_02_killed_around_a_commit_or_a_delivery(failpoint: str, tmp_path: Path, small: bytes) -> None:
    (tmp_path / "small.yaml").write_text(SMALL)
    run(
        tmp_path,
        "sweep",
        "small.yaml",
        "--executor",
        "inline",
        code=-signal.SIGKILL,
        extra={"RNNBENCH_FAILPOINT": failpoint},
        tracking=True,
    )
    run(tmp_path, "sweep", "small.yaml", "--executor", "inline", tracking=True)
    run(tmp_path, "db", "check")
    check_history(tmp_path, "small")
    assert result(tmp_path, "small") == small
    run(tmp_path, "sync")
    assert _finished_runs(tmp_path) == {trial[1]: 1 for trial in _trials(tmp_path)}


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return harness.undisturbed(tmp_path_factory, "small", SMALL)


def _trials(folder: Path) -> list[tuple[object, ...]]:
    with open_ledger(folder) as ledger:
        return harness.table(ledger.trials("small"))


def _finished_runs(folder: Path) -> dict[str, int]:
    """How many finished MLflow runs each key has."""
    import sqlite3

    with contextlib.closing(sqlite3.connect(folder / "runs" / "mlflow.db")) as connection:
        rows = connection.execute(
            "SELECT value, COUNT(*) FROM tags JOIN runs USING (run_uuid) WHERE key = 'rnnbench.key' AND value != 'rnnbench.parent' "
            "AND runs.status = 'FINISHED' AND runs.lifecycle_stage = 'active' GROUP BY value"
        )
        return dict(rows.fetchall())


@pytest.mark.parametrize("executor", EXECUTORS)
def test_fault_03_sigterm_saves_within_its_grace(executor: str, tmp_path: Path) -> None:
    (tmp_path / "endless.yaml").write_text(ENDLESS)
    mark = f"RNNBENCH_TEST_MARK={uuid.uuid4()}"
    driver = start(tmp_path, "sweep", "endless.yaml", "--executor", executor, extra=dict([mark.split("=")]), tracking=True)
    harness.wait_for_epoch(tmp_path, driver, 2)
    begun = time.monotonic()
    driver.send_signal(signal.SIGTERM)
    _, words = driver.communicate(timeout=60)
    assert driver.returncode == 143, words
    assert time.monotonic() - begun < 25
    assert "To go on: rnnbench resume endless" in words
    assert "Traceback" not in words, words
    assert harness.wait_until_gone(mark) == {}
    with open_ledger(tmp_path) as ledger:
        trials = ledger.trials("endless")
        assert {trial.status for trial in trials} == {Status.INTERRUPTED, Status.PENDING}
        assert ledger.leases.of("endless") == []
    interrupted = [trial for trial in trials if trial.status == Status.INTERRUPTED]
    for trial in interrupted:
        folder = tmp_path / "runs" / "checkpoints" / trial.key[:2] / trial.key
        assert (folder / "last.ckpt").exists(), "nothing to continue from"
    before = _curve(tmp_path, interrupted[0].key)
    again = start(tmp_path, "resume", "endless", "--executor", executor)
    deadline = time.monotonic() + 90
    while len(_curve(tmp_path, interrupted[0].key)) <= len(before) and time.monotonic() < deadline and again.poll() is None:
        time.sleep(0.1)
    again.send_signal(signal.SIGTERM)
    again.communicate(timeout=60)
    curve = _curve(tmp_path, interrupted[0].key)
    assert len(curve) > len(before), "the interrupted trial was not taken up again"
    assert curve[: len(before)] == before, "the second attempt began anew: epochs have other times"
    assert [epoch.epoch for epoch in curve] == list(range(1, len(curve) + 1))


def _curve(folder: Path, key: str) -> list[EpochRecord]:
    with open_ledger(folder) as ledger:
        return ledger.epochs([key]).get(key, [])


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("presses", [1, 2])
def test_fault_04_ctrl_c_once_and_twice(executor: str, presses: int, tmp_path: Path) -> None:
    (tmp_path / "endless.yaml").write_text(ENDLESS)
    mark = f"RNNBENCH_TEST_MARK={uuid.uuid4()}"
    master, terminal = pty.openpty()
    before = termios.tcgetattr(terminal)
    driver = subprocess.Popen(
        [*COMMAND, "sweep", "endless.yaml", "--executor", executor], cwd=tmp_path, env=environment(dict([mark.split("=")])),
        stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
    )  # fmt: skip
    shown = _Screen(master)
    deadline = time.monotonic() + 90
    while "running" not in shown.text() or not list(tmp_path.glob("runs/checkpoints/*/*/trial.log")):
        assert driver.poll() is None, shown.text()
        assert time.monotonic() < deadline, shown.text()
        time.sleep(0.05)
    time.sleep(1)
    for _ in range(presses):
        # What a terminal does: to every process of the foreground group.
        os.killpg(driver.pid, signal.SIGINT)
        time.sleep(0.01)
    while driver.poll() is None and time.monotonic() < deadline:
        shown.text()
        time.sleep(0.05)
    words = shown.text()
    assert driver.wait(5) == 130, words
    assert "rnnbench resume endless" in words
    assert "Traceback" not in words, words
    assert termios.tcgetattr(terminal) == before
    assert words.rfind("\x1b[?25h") >= words.rfind("\x1b[?25l"), "the cursor stays hidden"
    os.close(terminal)
    os.close(master)
    assert harness.wait_until_gone(mark) == {}
    with open_ledger(tmp_path) as ledger:
        assert Status.RUNNING not in {trial.status for trial in ledger.trials("endless")}
    status = json.loads(run(tmp_path, "status", "endless", "--json").stdout)
    assert (status["status"], status["running"], status["pending"]) == ("pending", 0, 6)


class _Screen:
    """What a terminal has shown so far."""

    def __init__(self, master: int) -> None:
        os.set_blocking(master, False)
        self._master = master
        self._shown = b""

    def text(self) -> str:
        with contextlib.suppress(BlockingIOError, OSError):
            while content := os.read(self._master, 65536):
                self._shown += content
        return self._shown.decode(errors="replace")


def test_fault_16_a_sweep_started_twice_is_refused_with_its_holder(tmp_path: Path) -> None:
    (tmp_path / "endless.yaml").write_text(ENDLESS)
    first = start(tmp_path, "sweep", "endless.yaml", "--executor", "inline")
    try:
        harness.wait_for_epoch(tmp_path, first)
        for command in (("sweep", "endless.yaml"), ("resume", "endless")):
            done = run(tmp_path, *command, "--executor", "inline", code=2)
            words = done.stderr.splitlines()[-1]
            assert f"being run by pid {first.pid} on {os.uname().nodename}, since 20" in words
            assert "Traceback" not in done.stderr
        assert json.loads(run(tmp_path, "status", "endless", "--json").stdout)["status"] == "running"
        kill(first)
        # Its process has ended, which this machine can tell: it is taken over at once.
        second = start(tmp_path, "resume", "endless", "--executor", "inline")
        try:
            deadline = time.monotonic() + 60
            while _holder(tmp_path) != second.pid and time.monotonic() < deadline and second.poll() is None:
                time.sleep(0.1)
            assert _holder(tmp_path) == second.pid
            run(tmp_path, "cancel", "endless")
            _, words = second.communicate(timeout=60)
            assert second.returncode == 3
            assert "cancelled" in words
        finally:
            kill(second)
        assert json.loads(run(tmp_path, "status", "endless", "--json").stdout)["cancelled"] == 6
    finally:
        kill(first)


def _holder(folder: Path) -> int | None:
    with open_ledger(folder) as ledger:
        leases = ledger.leases.of("endless")
        return leases[0].holder.pid if leases else None


def test_fault_21_a_pre_empted_job_is_requeued_and_goes_on(tmp_path: Path, long: bool) -> None:
    """What Slurm does to a job: SIGTERM, then the same command again. A real Slurm is tested with deploy/slurm."""
    text = SMALL.replace("max_epochs: 2", "max_epochs: 12")
    (tmp_path / "small.yaml").write_text(text)
    reference = tmp_path / "reference"
    reference.mkdir()
    (reference / "small.yaml").write_text(text)
    run(reference, "sweep", "small.yaml", "--executor", "inline")
    for restart in range(3 if long else 1):
        driver = start(tmp_path, "sweep", "small.yaml", "--executor", "inline", extra={"SLURM_RESTART_COUNT": str(restart)})
        deadline = time.monotonic() + 60
        while driver.poll() is None and len(list(tmp_path.glob("runs/checkpoints/*/*/trial.log"))) <= 2 * restart:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        driver.send_signal(signal.SIGTERM)
        assert driver.wait(60) in (143, 0)
        driver.communicate()
    run(tmp_path, "sweep", "small.yaml", "--executor", "inline")
    check_history(tmp_path, "small")
    assert result(tmp_path, "small") == result(reference, "small")


def test_a_scheduler_that_ends_every_process_of_a_job_fails_no_trial(tmp_path: Path) -> None:
    """What Slurm does to a cancelled job: SIGTERM to the driver, the workers and what watches them, all at once."""
    (tmp_path / "endless.yaml").write_text(ENDLESS + "checkpoints: {every_seconds: 0.05}\n")
    mark = f"RNNBENCH_TEST_MARK={uuid.uuid4()}"
    driver = start(tmp_path, "sweep", "endless.yaml", "--executor", "local", extra=dict([mark.split("=")]))
    harness.wait_for_epoch(tmp_path, driver, 20)
    # Workers first: those that died of it would be seen before the driver knows that it is to stop.
    for pid in sorted(harness.marked_processes(mark), reverse=True):
        os.kill(pid, signal.SIGTERM)
    _, words = driver.communicate(timeout=60)
    assert driver.returncode == 128 + signal.SIGTERM, words
    with contextlib.closing(sqlite3.connect(tmp_path / "runs" / "rnnbench.db")) as ledger:
        attempts = {status for (status,) in ledger.execute("select status from attempts")}
    # Handed back with what they had saved: the next run of the sweep goes on from there.
    assert attempts == {"interrupted"}
    assert harness.wait_until_gone(mark) == {}
