"""A worker dies, hangs, takes too much, or its trial's numbers go wrong: the trial says so and the sweep goes on."""

import json
import os
import signal
import sys
import textwrap
import uuid
from pathlib import Path

import pytest

from rnnbench.ledger.records import Status, TrialRecord
from tests.faults import harness
from tests.faults.harness import ENDLESS, SMALL, check_history, faulty, open_ledger, run, start


def by_fault(folder: Path) -> dict[str, TrialRecord]:
    with open_ledger(folder) as ledger:
        return {str(trial.spec.parameters["cell.fault"]): trial for trial in ledger.trials("faulty")}


@pytest.mark.parametrize("executor", ["local", "ray"])
def test_fault_05_a_killed_worker_is_replaced_and_its_trial_goes_on(executor: str, tmp_path: Path) -> None:
    text = faulty(["none", "die_once"]).replace("retries: 0", "retries: 1").replace("max_epochs: 2", "max_epochs: 3")
    (tmp_path / "faulty.yaml").write_text(text)
    run(tmp_path, "sweep", "faulty.yaml", "--executor", executor, extra={"FAULTY_MARKER": str(tmp_path / "died")})
    trials = by_fault(tmp_path)
    assert {trial.status for trial in trials.values()} == {Status.COMPLETED}
    assert (trials["none"].attempts, trials["die_once"].attempts, trials["die_once"].failures) == (1, 2, 1)
    with open_ledger(tmp_path) as ledger:
        first, second = ledger.attempts([trials["die_once"].key])[trials["die_once"].key]
    assert (first.status, first.category, second.status) == (Status.FAILED, "worker_killed", Status.COMPLETED)
    # The same trial without the fault: dying changed nothing.
    assert trials["die_once"].best == trials["none"].best or trials["die_once"].spec.seed != trials["none"].spec.seed


@pytest.mark.slow
def test_fault_05_a_worker_killed_late_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "endless.yaml").write_text(ENDLESS + "checkpoints: {every_seconds: 0.05}\n")
    mark = f"RNNBENCH_TEST_MARK={uuid.uuid4()}"
    driver = start(tmp_path, "sweep", "endless.yaml", "--executor", "ray", extra=dict([mark.split("=")]))
    harness.wait_for_epoch(tmp_path, driver, 20)
    # Ray's own helpers are called ray::...Agent; the test below ends those.
    workers = [pid for pid, line in harness.marked_processes(mark).items() if line.startswith("ray::") and "Agent" not in line]
    assert workers
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    log = harness.wait_for_second_attempt(tmp_path, driver)
    driver.send_signal(signal.SIGTERM)
    driver.communicate(timeout=60)
    assert "attempt=1" in log.read_text().split()
    with open_ledger(tmp_path) as ledger:
        curve = ledger.epochs([log.parent.name])[log.parent.name]
    assert [epoch.epoch for epoch in curve] == list(range(1, len(curve) + 1))
    assert harness.wait_until_gone(mark) == {}


def test_fault_06_a_private_ray_that_dies_is_started_again(tmp_path: Path) -> None:
    (tmp_path / "endless.yaml").write_text(ENDLESS.replace("num_samples: 3", "num_samples: 1"))
    mark = f"RNNBENCH_TEST_MARK={uuid.uuid4()}"
    driver = start(tmp_path, "sweep", "endless.yaml", "--executor", "ray", extra=dict([mark.split("=")]))
    harness.wait_for_epoch(tmp_path, driver, 1)
    (raylet,) = [pid for pid, line in harness.marked_processes(mark).items() if "/raylet " in line]
    os.kill(raylet, signal.SIGKILL)
    harness.wait_for_second_attempt(tmp_path, driver)
    driver.send_signal(signal.SIGTERM)
    _, words = driver.communicate(timeout=60)
    assert driver.returncode == 128 + signal.SIGTERM, words
    assert "are started again" in words
    with open_ledger(tmp_path) as ledger:
        trials = ledger.trials("endless")
    # Nobody's trial has failed.
    assert {(trial.status, trial.failures) for trial in trials} == {(Status.INTERRUPTED, 0)}
    assert harness.wait_until_gone(mark) == {}


NODE_LOST = """
import os, sys, threading, time
from pathlib import Path
import ray
from ray.cluster_utils import Cluster
from rnnbench.base.home import Home
from rnnbench.ledger.store import Ledger
from rnnbench.search.sweepfile import read_sweep
from rnnbench.sweep.planned import plan_sweep
from rnnbench.sweep.ray_executor import RayExecutor
from rnnbench.sweep.runner import Runner
from rnnbench.sweep.stop import Stop

home = Home(Path("runs").absolute())
home.path.mkdir()
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
lost = cluster.add_node(num_cpus=1)
cluster.wait_for_nodes()
planned = plan_sweep(read_sweep(Path("small.yaml")), os.environ)

def lose() -> None:
    while len(list(Path("runs/checkpoints").glob("*/*/trial.log"))) < 2:
        time.sleep(0.05)
    time.sleep(1.0)
    cluster.remove_node(lost, allow_graceful=False)
    print("node removed", flush=True)

threading.Thread(target=lose, daemon=True).start()
with Ledger.open(home.ledger_url) as ledger:
    planned.record(ledger, [])
    runner = Runner(ledger, planned, home, Stop(home.stops / "small"))
    runner.run(RayExecutor(cluster.address, 1, insecure=True))
    print("complete", runner.is_complete(), flush=True)
cluster.shutdown()
"""


@pytest.mark.slow
def test_fault_06_the_trials_of_a_lost_node_run_elsewhere(tmp_path: Path) -> None:
    import subprocess

    (tmp_path / "small.yaml").write_text(SMALL.replace("max_epochs: 2", "max_epochs: 150").replace("cells:", "retries: 0\ncells:"))
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(NODE_LOST)],
        cwd=tmp_path, env=harness.environment({"RAY_AUTH_MODE": "disabled"}), capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert "complete True" in done.stdout, done.stdout + done.stderr[-3000:]
    assert "node removed" in done.stdout
    with open_ledger(tmp_path) as ledger:
        trials = ledger.trials("small")
        attempts = ledger.attempts([trial.key for trial in trials])
    assert {trial.status for trial in trials} == {Status.COMPLETED}
    lost = [attempt for tries in attempts.values() for attempt in tries if attempt.status == Status.INTERRUPTED]
    assert [attempt.category for attempt in lost] == ["node_lost"]
    assert {trial.failures for trial in trials} == {0}, "a pre-emption was counted as a failure"
    check_history(tmp_path, "small")


@pytest.fixture(scope="session", params=["local", pytest.param("ray", marks=pytest.mark.slow)])
def greedy_and_stuck(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sweep of three trials, two of which break their limits, and what it printed."""

    def make(folder: Path) -> None:
        text = faulty(["allocate", "hang", "none"], "resources: {memory_gb: 1.5}")
        (folder / "faulty.yaml").write_text(text.replace("max_silent_seconds: 600", "max_silent_seconds: 12"))
        mark = f"RNNBENCH_TEST_MARK={uuid.uuid4()}"
        done = run(folder, "sweep", "faulty.yaml", "--executor", request.param, code=3, extra=dict([mark.split("=")]))
        assert harness.wait_until_gone(mark) == {}
        (folder / "shown.txt").write_text(done.stdout)

    return harness.made_once(tmp_path_factory, f"limits-{request.param}", make)


def test_fault_07_a_trial_over_its_memory_fails_and_the_sweep_goes_on(greedy_and_stuck: Path) -> None:
    trials = by_fault(greedy_and_stuck)
    assert (trials["allocate"].status, trials["allocate"].category) == (Status.FAILED, "oom")
    assert "resources.memory_gb (1.5)" in str(trials["allocate"].error)
    assert trials["none"].status == Status.COMPLETED
    assert f"failed: faulty {trials['allocate'].key[:8]} (oom)" in (greedy_and_stuck / "shown.txt").read_text()


def test_fault_08_a_trial_whose_numbers_are_not_finite_diverged(tmp_path: Path) -> None:
    more = "scheduler: {name: halving, grace_period: 1, reduction_factor: 2}"
    (tmp_path / "faulty.yaml").write_text(faulty(["nan", "none"], more))
    done = run(tmp_path, "sweep", "faulty.yaml", "--executor", "inline", "--json")
    trials = by_fault(tmp_path)
    assert (trials["nan"].status, trials["none"].status) == (Status.DIVERGED, Status.COMPLETED)
    assert "nan in epoch 1" in str(trials["nan"].error)
    with open_ledger(tmp_path) as ledger:
        decisions = ledger.decisions("faulty")
    assert [(each.key, each.verdict) for each in decisions] == [(trials["none"].key, "promoted")]
    assert decisions[0].evidence["values"][trials["nan"].group_key] is None
    status = json.loads(done.stdout, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    assert (status["diverged"], status["completed"], status["best"]["trial"]) == (1, 1, trials["none"].key)
    report = (tmp_path / "runs" / "reports" / "faulty" / "report.json").read_text()
    json.loads(report, parse_constant=lambda name: pytest.fail(f"{name} in report.json"))
    assert "diverged" in (tmp_path / "runs" / "reports" / "faulty" / "report.html").read_text()


@pytest.mark.parametrize("executor", harness.LOCAL_FIRST)
def test_fault_09_an_exception_is_recorded_with_its_traceback(executor: str, tmp_path: Path) -> None:
    (tmp_path / "faulty.yaml").write_text(faulty(["raise", "long", "none"]))
    done = run(tmp_path, "sweep", "faulty.yaml", "--executor", executor, code=3)
    trials = by_fault(tmp_path)
    assert {name: trial.status for name, trial in trials.items()} == {
        "raise": Status.FAILED, "long": Status.FAILED, "none": Status.COMPLETED
    }  # fmt: skip
    assert "RuntimeError: the constructor of the faulty cell" in str(trials["raise"].error)
    assert "faulty_network.py" in str(trials["raise"].error)
    assert trials["raise"].category == "error"
    assert len(str(trials["long"].error).encode()) <= 65_536
    assert f"failed: faulty {trials['raise'].key[:8]} (error) RuntimeError: the constructor" in done.stdout
    assert "resume faulty --retry-failed" in done.stdout
    assert "Traceback" not in done.stderr
    shown = run(tmp_path, "show", f"faulty/{trials['raise'].key[:8]}").stdout
    assert "Traceback (most recent call last)" in shown
    again = run(tmp_path, "resume", "faulty", "--retry-failed", "--executor", executor, code=3)
    assert "2 trials will run again" in again.stderr
    assert by_fault(tmp_path)["raise"].attempts == 2
    assert by_fault(tmp_path)["none"].attempts == 1


def test_fault_10_a_trial_that_stops_reporting_is_ended(greedy_and_stuck: Path) -> None:
    trials = by_fault(greedy_and_stuck)
    assert (trials["hang"].status, trials["hang"].category) == (Status.FAILED, "hang")
    assert "budget.max_silent_seconds is 12" in str(trials["hang"].error)
    assert trials["none"].status == Status.COMPLETED


@pytest.mark.slow
def test_fault_10_a_stuck_trial_over_its_time_is_ended_from_outside(tmp_path: Path) -> None:
    (tmp_path / "faulty.yaml").write_text(faulty(["hang", "none"]).replace("max_silent_seconds: 600", "max_seconds: 3"))
    run(tmp_path, "sweep", "faulty.yaml", "--executor", "ray", code=3)
    trials = by_fault(tmp_path)
    assert (trials["hang"].status, trials["hang"].category) == (Status.FAILED, "timeout")
    assert trials["none"].status == Status.COMPLETED
