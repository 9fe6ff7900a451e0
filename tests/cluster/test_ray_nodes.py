"""A Ray of several nodes on one machine: nodes are lost, others join late, and every trial of the sweep ends exactly once."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rnnbench.ledger.records import Status
from rnnbench.ledger.store import Ledger
from tests.cluster.hosts import write_token
from tests.faults.harness import SMALL, check_history, environment, open_ledger, start

pytestmark = pytest.mark.slow

# Keeps the nodes, and does what it is told line by line. The head runs no trial, every other node one at a time.
NODES = """
import sys
from ray.cluster_utils import Cluster

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
workers = []
try:
    print(cluster.address, flush=True)
    for line in sys.stdin:
        word, *rest = line.split()
        if word == "add":
            workers.append(cluster.add_node(num_cpus=1))
            cluster.wait_for_nodes()
        else:
            cluster.remove_node(workers[int(rest[0])], allow_graceful=False)
        print("done", flush=True)
finally:
    cluster.shutdown()
"""
LONG = SMALL.replace("max_epochs: 2", "max_epochs: 80").replace("num_samples: 3", "num_samples: 4").replace("cells:", "retries: 0\ncells:")


class Nodes:
    """The nodes, as another process keeps them."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.address = self._read()

    def say(self, words: str) -> None:
        """`add`, or `lose N`: the Nth that was added, as when its power is cut."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{words}\n")
        self._process.stdin.flush()
        assert self._read() == "done"

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        assert line, f"the nodes ended: {self._process.communicate()[1][-3000:]}"
        return line


@contextmanager
def ray_nodes(env: dict[str, str]) -> Iterator[Nodes]:
    """A head, and nothing beside it yet."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", NODES], env=env, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield Nodes(process)
        finally:
            process.communicate(timeout=60)  # closes its input, at which it ends the nodes


def wait_until(ledger: Ledger, driver: subprocess.Popen[str], folder: Path, completed: int) -> None:
    """Waits for so many trials to be completed, and for another one to train."""
    deadline = time.monotonic() + 150
    while time.monotonic() < deadline:
        assert driver.poll() is None, driver.communicate()
        trials = ledger.trials("small")
        begun = {log.parent.name for log in folder.glob("runs/checkpoints/*/*/trial.log") if "kind=epoch" in log.read_text()}
        ended = {trial.key for trial in trials if trial.status == Status.COMPLETED}
        if len(ended) >= completed and begun - ended:
            return
        time.sleep(0.1)
    raise AssertionError(f"{completed} trials did not end: {[trial.status for trial in ledger.trials('small')]}")


@pytest.mark.parametrize(
    ("workers", "steps"),
    [
        # What is left then runs on the node that joined late, and nowhere else.
        pytest.param(1, [(1, "add"), (2, "lose 0")], id="two nodes, one joins late and the first is lost"),
        pytest.param(2, [(1, "lose 0"), (1, "add"), (3, "lose 1")], id="three nodes, both workers are lost and one joins between"),
    ],
)
def test_a_sweep_outlives_its_nodes_with_every_trial_once(workers: int, steps: list[tuple[int, str]], tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(LONG)
    secret = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(write_token(tmp_path)), "RAY_USAGE_STATS_ENABLED": "0"}
    with ray_nodes(environment(secret)) as nodes:
        for _ in range(workers):
            nodes.say("add")
        driver = start(tmp_path, "sweep", "small.yaml", "--address", nodes.address, extra=secret)
        try:
            while not (tmp_path / "runs" / "rnnbench.db").exists() and driver.poll() is None:
                time.sleep(0.1)
            with open_ledger(tmp_path) as ledger:
                for completed, words in steps:
                    wait_until(ledger, driver, tmp_path, completed)
                    nodes.say(words)
            output, words = driver.communicate(timeout=200)
        finally:
            if driver.poll() is None:
                driver.kill()
                driver.communicate()
    assert driver.returncode == 0, f"{output}\n{words[-3000:]}"
    with open_ledger(tmp_path) as ledger:
        trials = ledger.trials("small")
        attempts = ledger.attempts([trial.key for trial in trials])
    assert [trial.status for trial in trials] == [Status.COMPLETED] * 8
    assert {trial.failures for trial in trials} == {0}, "a lost node was counted as a failure"
    broken = [attempt.category for tries in attempts.values() for attempt in tries if attempt.status == Status.INTERRUPTED]
    assert broken == ["node_lost"] * sum(words.startswith("lose") for _, words in steps)
    check_history(tmp_path, "small")
