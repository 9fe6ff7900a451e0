"""Whole sweeps whose trials have several workers: trials that compete for CPUs all end, with the same numbers under any executor."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from rnnbench.base.errors import InputError
from rnnbench.base.home import Home
from rnnbench.ledger.records import Status
from rnnbench.ledger.store import Ledger
from rnnbench.sweep.executor import Executor, InlineExecutor
from rnnbench.sweep.local_executor import LocalExecutor
from rnnbench.sweep.ray_executor import RayExecutor
from rnnbench.trial import ranks
from tests.contract.sweeps import read_text, run, start, table

TEXT = """
name: small
task: sequential_digits
cells: [lstm]
search: {method: random, num_samples: 2, seed: 0}
budget: {max_epochs: 2}
space:
  network.hidden_size: 8
  network.dropout: 0.1
  optimizer.lr: {loguniform: [1e-3, 1e-2]}
  training.batch_size: 100
resources: {workers: 2}
"""

EXECUTORS: dict[str, Callable[[], Executor]] = {
    "local": lambda: LocalExecutor(1, max_concurrent=2, workers=2),
    "ray": lambda: RayExecutor("local", 1, max_concurrent=2, num_cpus=2, workers=2),
}


@pytest.fixture(autouse=True, scope="module")
def _no_process_is_left() -> Iterator[None]:
    yield
    ranks.dismiss_all()


@pytest.mark.slow
@pytest.mark.parametrize("name", EXECUTORS)
def test_trials_of_two_workers_that_compete_for_two_cpus_all_end(name: str, tmp_path: Path) -> None:
    trials = run(TEXT, tmp_path, EXECUTORS[name]())
    assert [trial.status for trial in trials] == [Status.COMPLETED] * 2
    assert {(trial.outcome["mode"], trial.outcome["workers"]) for trial in trials} == {("data_parallel", 2)}
    (tmp_path / "inline").mkdir()
    assert table(trials) == table(run(TEXT, tmp_path / "inline", InlineExecutor()))


@pytest.mark.slow
def test_a_trial_whose_worker_is_killed_is_tried_again_and_ends(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.path.mkdir(parents=True)
    killed: list[int] = []

    def kill(event: Any) -> None:
        if not killed:
            (helper,) = ranks._idle[os.getpid()]
            killed.append(helper.process.pid)
            os.kill(helper.process.pid, signal.SIGKILL)

    with Ledger.open(home.ledger_url) as ledger:
        runner = start(read_text(TEXT.replace("max_epochs: 2", "max_epochs: 20"), tmp_path), ledger, home)
        runner.observe = lambda board: kill(board) if any(t.last is not None for t in board.trials.values()) else None
        started = time.monotonic()
        runner.run(InlineExecutor())
        trials = ledger.trials("small")
    assert killed
    assert sorted(trial.attempts for trial in trials) == [1, 2]
    assert {trial.status for trial in trials} == {Status.COMPLETED}
    assert time.monotonic() - started < 120


@pytest.mark.slow
def test_more_workers_than_any_machine_of_a_cluster_has_cpus_for_are_refused(tmp_path: Path) -> None:
    executor = RayExecutor("local", 2, num_cpus=2, workers=2)
    with pytest.raises(InputError, match="needs 4 CPUs of one machine"):
        executor.execute(lambda: pytest.fail("nothing may be claimed"), lambda event: None)


@pytest.mark.slow
def test_ray_packs_as_many_trials_on_gpus_as_their_shares_allow(tmp_path: Path) -> None:
    """Two GPUs that Ray believes in; the trials themselves compute on the processor."""
    at_once: list[int] = []
    executor = RayExecutor("local", 1, num_cpus=8, gpus=0.5, num_gpus=2)
    home = Home(tmp_path / "home")
    home.path.mkdir(parents=True)
    text = TEXT.replace("workers: 2", "workers: 1, fuse: never").replace("num_samples: 2", "num_samples: 8")
    with Ledger.open(home.ledger_url) as ledger:
        runner = start(read_text(text, tmp_path), ledger, home)
        runner.observe = lambda board: at_once.append(sum(t.status == Status.RUNNING for t in board.trials.values()))
        runner.run(executor)
        trials = ledger.trials("small")
    assert [trial.status for trial in trials] == [Status.COMPLETED] * 8
    assert max(at_once) == 4


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sweep", "small.yaml"], "resources.gpus is 1, this machine has no GPU that torch can use"),
        (["train", "adding", "--set", "resources.gpus=1"], "resources.gpus is 1, this machine has no GPU that torch can use"),
        (["sweep", "small.yaml", "--address", "127.0.0.1:1", "--dry-run", "--probe"], "--probe tries trials on this machine, where torch"),
    ],
    ids=["sweep", "train", "probe for a cluster"],
)
def test_trials_for_gpus_are_refused_on_a_machine_without_before_anything_starts(words: list[str], said: str, tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(TEXT.replace("workers: 2", "gpus: 1"))
    command = [sys.executable, "-c", "from rnnbench.cli.app import main; main()", *words, "--home", str(tmp_path / "home")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"rnnbench: {said}")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "home").exists()
