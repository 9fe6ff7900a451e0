"""A small real sweep that finishes in seconds, planned and run the way the command line does it."""

import os
from collections.abc import Sequence
from pathlib import Path

from rnnbench.base.home import Home
from rnnbench.ledger.records import TrialRecord
from rnnbench.ledger.store import Ledger
from rnnbench.search.sweepfile import SweepFile, read_sweep
from rnnbench.sweep.executor import Executor
from rnnbench.sweep.fusing import Fusing
from rnnbench.sweep.planned import plan_sweep
from rnnbench.sweep.runner import Runner
from rnnbench.sweep.stop import Stop

SMALL = """
name: small
task: sequential_digits
cells: [elman, lstm]
search: {method: random, num_samples: 2, seed: 0}
budget: {max_epochs: 2}
confirm: {top_k: 1, seeds: 2}
space:
  network.hidden_size: {choice: [4, 8]}
  network.dropout: 0.1
  optimizer.lr: {loguniform: [1e-3, 1e-2]}
  training.batch_size: 128
"""


def read_text(text: str, folder: Path, overrides: Sequence[str] = ()) -> SweepFile:
    """The sweep file of a text."""
    path = folder / "small.yaml"
    path.write_text(text)
    return read_sweep(path, overrides=overrides)


def start(sweep: SweepFile, ledger: Ledger, home: Home) -> Runner:
    """Plans and records a sweep; returns the runner that would run it."""
    planned = plan_sweep(sweep, os.environ)
    planned.record(ledger, [])
    fusing = Fusing(sweep.resources.fuse, concurrent=2)
    return Runner(ledger, planned, home, Stop(home.stops / sweep.name), fusing=fusing)


def run(text: str, folder: Path, executor: Executor) -> list[TrialRecord]:
    """Runs a sweep's text to its end in a home of its own and returns its trials."""
    home = Home(folder / "home")
    home.path.mkdir(parents=True)
    with Ledger.open(home.ledger_url) as ledger:
        runner = start(read_text(text, folder), ledger, home)
        runner.run(executor)
        assert runner.is_complete()
        return ledger.trials("small")


def table(trials: Sequence[TrialRecord]) -> list[tuple[object, ...]]:
    """What must repeat bit for bit: keys in order, status, attempts, metrics of the best epoch and of the test set."""
    shown: list[tuple[object, ...]] = []
    for trial in trials:
        metrics = {name: value for name, value in trial.outcome["metrics"].items() if not name.endswith("_s")}
        shown.append((trial.position, trial.key, trial.status, trial.attempts, trial.best, trial.last, metrics, trial.outcome["test"]))
    return shown
