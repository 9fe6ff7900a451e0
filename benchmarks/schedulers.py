"""What ASHA saves: a random search trained to the end, and three times the draws with poor ones stopped early; the best of each.

So many draws take ASHA about a third of the epochs: the question is whether it then finds something as good.

Run: python benchmarks/schedulers.py [--seeds 10]. Prints JSON, one row for each task.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import machine
from scipy import stats

from rnnbench.base.home import Home
from rnnbench.base.machine import keep_freed_memory
from rnnbench.ledger.store import Ledger
from rnnbench.search.sweepfile import read_sweep
from rnnbench.sweep.executor import InlineExecutor
from rnnbench.sweep.planned import plan_sweep
from rnnbench.sweep.runner import Runner
from rnnbench.task.catalogue import is_maximized

TASKS = {
    "sequential_digits": "task: sequential_digits\ncells: [lstm]\nspace:\n  optimizer.lr: {loguniform: [1e-4, 1e-1]}\n",
    "adding": "task: {name: adding, length: 20, num_train: 1000}\ncells: [gru]\nspace:\n  optimizer.lr: {loguniform: [1e-4, 1e-1]}\n",
    "polyphonic_music": "task: polyphonic_music\ncells: [elman]\nspace:\n  optimizer.lr: {loguniform: [1e-4, 1e-1]}\n",
}
COMMON = """  network.hidden_size: {choice: [16, 32, 64]}
  network.dropout: {choice: [0.0, 0.2]}
  training.batch_size: {choice: [32, 128]}
budget: {max_epochs: 27}
"""
SCHEDULER = "scheduler: {name: asha, grace_period: 1, reduction_factor: 3}\n"
DRAWS = 27
ASHA_DRAWS = 3 * DRAWS


def run(text: str, seed: int, draws: int) -> tuple[float, int]:
    """The best validation value of a sweep, and the epochs of all its trials."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "one.yaml").write_text(f"{text}search: {{method: random, num_samples: {draws}, seed: {seed}}}\n")
        home = Home(folder / "runs")
        home.path.mkdir()
        planned = plan_sweep(read_sweep(folder / "one.yaml"), {})
        with Ledger.open(home.ledger_url) as ledger:
            planned.record(ledger, [])
            runner = Runner(ledger, planned, home)
            runner.run(InlineExecutor())
            assert runner.is_complete()
            trials = ledger.trials("one")
            epochs = ledger.epochs([trial.key for trial in trials])
    best = [trial.best for trial in trials if trial.best is not None]
    return (max if is_maximized(trials[0].spec.task) else min)(best), sum(map(len, epochs.values()))


def measure(task: str, seeds: int) -> dict[str, Any]:
    """Both for each seed; the difference of the best has a paired 95 % interval."""
    text = TASKS[task] + COMMON
    full, asha = [], []
    for seed in range(seeds):
        full.append(run(text, seed, DRAWS))
        asha.append(run(text + SCHEDULER, seed, ASHA_DRAWS))
        print(f"{task}, seed {seed}: random {full[-1]}, ASHA {asha[-1]}", file=sys.stderr, flush=True)
    differences = [stopped[0] - trained[0] for stopped, trained in zip(asha, full, strict=True)]
    half = float(stats.t.ppf(0.975, seeds - 1)) * statistics.stdev(differences) / seeds**0.5
    found = {
        "task": task,
        "seeds": seeds,
        "draws": DRAWS,
        "draws_of_asha": ASHA_DRAWS,
        "random": statistics.fmean(value for value, _ in full),
        "asha": statistics.fmean(value for value, _ in asha),
        "difference": statistics.fmean(differences),
        "interval": [statistics.fmean(differences) - half, statistics.fmean(differences) + half],
        "epochs_of_random": statistics.fmean(count for _, count in full),
        "epochs_of_asha": statistics.fmean(count for _, count in asha),
    }
    return found | {"share_of_epochs": found["epochs_of_asha"] / found["epochs_of_random"]}


def main() -> None:
    """Prints one document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS))
    given = parser.parse_args()
    keep_freed_memory()
    rows = []
    for task in given.tasks:
        rows.append(measure(task, given.seeds))
        print(rows[-1], file=sys.stderr)
    print(json.dumps({"machine": machine(), "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
