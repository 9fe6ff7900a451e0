"""Whole sweeps beside those of others: the same short trials, the same data, whole commands, interleaved.

Run: python benchmarks/sweep.py [--trials 32 128] [--rounds 3] [--only ours bare ...]. Prints JSON: see `measure`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import RNNBENCH, machine, write_rows

from rnnbench.base.home import Home
from rnnbench.ledger.store import Ledger
from rnnbench.search.sweepfile import read_sweep
from rnnbench.sweep.planned import plan_sweep

PEERS = Path(__file__).parent / "peers"
SWEEP = """
task: sequential_digits
cells: [lstm]
search: {{method: random, num_samples: {trials}, seed: 0}}
budget: {{max_epochs: 3}}
space:
  task.order: pixels
  network.hidden_size: 32
  optimizer.lr: {{loguniform: [1e-3, 3e-2]}}
  training.batch_size: 64
"""
# Seconds, and the best validation accuracy of each trial.
Run = tuple[float, list[float]]


def run_ours(folder: Path, _trials: int, *options: str) -> Run:
    """`rnnbench sweep`, tracking on."""
    command = [*RNNBENCH, "sweep", "short.yaml", *options]
    begun = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    seconds = time.perf_counter() - begun
    with Ledger.open(Home(folder / "runs").ledger_url) as ledger:
        trials = sorted(ledger.trials("short"), key=lambda trial: trial.position)
        return seconds, [trial.best or 0.0 for trial in trials]


def run_peer(script: str, *options: str) -> Callable[[Path, int], Run]:
    """A peer's whole command, or those of its seconds that it says count."""

    def run(folder: Path, _trials: int) -> Run:
        command = [sys.executable, str(PEERS / script), "data.npz", "rates.json", "scratch", *options]
        command = [str(folder / word) if word in ("data.npz", "rates.json", "scratch") else word for word in command]
        begun = time.perf_counter()
        done = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        seconds = time.perf_counter() - begun
        printed = json.loads(done.stdout.strip().splitlines()[-1])
        return printed.get("seconds", seconds), printed["best"]

    return run


RUNS: dict[str, Callable[[Path, int], Run]] = {
    "rnnbench": run_ours,
    "rnnbench, under Ray": lambda folder, trials: run_ours(folder, trials, "--executor", "ray"),
    "rnnbench, tracking off": lambda folder, trials: run_ours(folder, trials, "--tracking-uri", "none"),
    "Tune": run_peer("tune.py"),
    "Tune, actors reused": run_peer("tune.py", "--reuse"),
    "Optuna, two processes": run_peer("optuna_two.py"),
    "bare loop": run_peer("bare_loop.py"),
    "bare loop, two processes": run_peer("bare_two.py"),
}


def prepare(folder: Path, trials: int) -> None:
    """The sweep file, and for the peers the same rows and learning rates."""
    (folder / "short.yaml").write_text(SWEEP.format(trials=trials))
    (folder / "scratch").mkdir()
    planned = plan_sweep(read_sweep(folder / "short.yaml"), os.environ)
    (folder / "rates.json").write_text(json.dumps([spec.parameters["optimizer.lr"] for spec in planned.specs]))
    write_rows(planned.specs[0], folder / "data.npz")


def measure(trials: int, rounds: int, kinds: list[str]) -> dict[str, Any]:
    """Every kind once in each round: seconds, their ratio to rnnbench's in the same round, and the mean best accuracy."""
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    accuracy: dict[str, float] = {}
    for number in range(rounds):
        for kind in kinds:
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                prepare(folder, trials)
                taken, best = RUNS[kind](folder, trials)
            assert len(best) == trials, f"{kind}: {len(best)} results"
            seconds[kind].append(taken)
            accuracy[kind] = statistics.fmean(best)
            print(f"{trials} trials, round {number + 1}: {kind} {taken:.1f} s, accuracy {accuracy[kind]:.3f}", file=sys.stderr)
    table = {}
    for kind, values in seconds.items():
        ratios = [one / ours for one, ours in zip(values, seconds[kinds[0]], strict=True)]
        table[kind] = {
            "seconds": [round(value, 2) for value in values],
            "median": round(statistics.median(values), 2),
            "over_ours": round(statistics.median(ratios), 3),
            "lowest_and_highest": [round(min(ratios), 3), round(max(ratios), 3)],
            "accuracy": round(accuracy[kind], 4),
        }
    return table


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, nargs="+", default=[32, 128])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=list(RUNS), default=list(RUNS))
    given = parser.parse_args()
    kinds = ["rnnbench", *(kind for kind in given.only if kind != "rnnbench")]
    print(json.dumps({"machine": machine(), "trials": {number: measure(number, given.rounds, kinds) for number in given.trials}}, indent=1))


if __name__ == "__main__":
    main()
