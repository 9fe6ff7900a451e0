"""One long trial under rnnbench, tracking on, beside plain Lightning: whole commands at once, each on a core of its own, cores swapped.

Run: python benchmarks/long.py [--epochs 1000] [--units 128] [--rounds 2]. Prints JSON: seconds of each round and the ratios.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from common import RNNBENCH, machine, write_rows

from rnnbench.base.home import Home
from rnnbench.ledger.store import Ledger
from rnnbench.search.sweepfile import read_sweep
from rnnbench.sweep.planned import plan_sweep

LR = 1e-3
SWEEP = """
task: sequential_digits
cells: [lstm]
search: {{method: random, num_samples: 1, seed: 0}}
budget: {{max_epochs: {epochs}}}
space:
  task.order: pixels
  network.hidden_size: {units}
  optimizer.lr: {lr}
  training.batch_size: 64
"""


def prepare(folder: Path, epochs: int, units: int) -> None:
    """The sweep file, and for the peer the same rows."""
    path = folder / "long.yaml"
    path.write_text(SWEEP.format(epochs=epochs, units=units, lr=LR))
    write_rows(plan_sweep(read_sweep(path), os.environ).specs[0], folder / "data.npz")


def run(words: list[str], core: int, folder: Path) -> float:
    """Seconds of a command on one core."""
    begun = time.perf_counter()
    subprocess.run(["taskset", "-c", str(core), *words], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begun


def main() -> None:
    """Both at once in each round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=1000)
    parser.add_argument("--units", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    peer = str(Path(__file__).parent / "peers" / "plain_lightning.py")
    rounds = []
    for number in range(given.rounds):
        with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(2) as both:
            folder, first = Path(name), number % 2
            prepare(folder, given.epochs, given.units)
            ours = [*RNNBENCH, "sweep", "long.yaml"]
            theirs = [sys.executable, peer, "data.npz", str(LR), str(given.units), str(given.epochs)]
            mine = both.submit(run, ours, first, folder)
            other = both.submit(run, theirs, 1 - first, folder)
            row = {"rnnbench_s": mine.result(), "lightning_s": other.result()}
            with Ledger.open(Home(folder / "runs").ledger_url) as ledger:
                (trial,) = ledger.trials("long")
            rounds.append(row | {"ratio": row["rnnbench_s"] / row["lightning_s"], "trial_s": trial.wall_s, "best": trial.best})
            print(rounds[-1], file=sys.stderr)
    ratio = statistics.median(row["ratio"] for row in rounds)
    print(json.dumps({"machine": machine(), **vars(given), "rounds": rounds, "ratio": ratio}, indent=1))


if __name__ == "__main__":
    main()
