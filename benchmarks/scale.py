"""Whether the ten-thousandth trial costs what the hundredth did: one sweep of trivial trials, watched from outside.

Run: python benchmarks/scale.py [--trials 10000] [--executor local]. Prints JSON: milliseconds a trial in each stretch of the sweep,
the driver's memory beside that of a sweep of a hundred, the ledger's size, and how long `rnnbench status` took meanwhile.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from common import RNNBENCH, machine

from rnnbench.base.home import Home
from rnnbench.ledger.store import Ledger

SWEEP = """
task: {{name: adding, length: 2, num_train: 32}}
cells: [elman]
search: {{method: random, num_samples: {trials}, seed: 0}}
budget: {{max_epochs: 1}}
checkpoints: {{keep_best: 10}}
space:
  network.hidden_size: 2
  optimizer.lr: {{loguniform: [1e-4, 1e-1]}}
  training.batch_size: 32
"""
SAMPLE_S = 5.0


def memory_mb(pid: int, what: str) -> float:
    """Of a process, a line of its status: VmRSS, what it holds, or VmHWM, the most it held."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith(what))


def watch(folder: Path, command: list[str]) -> tuple[list[dict[str, float]], float]:
    """Samples taken while the sweep runs, and the most memory its driver held."""
    sweep = subprocess.Popen([*RNNBENCH, *command], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    samples: list[dict[str, float]] = []
    peak, due = 0.0, time.monotonic() + SAMPLE_S
    while sweep.poll() is None:
        time.sleep(0.1)
        with suppress(OSError, StopIteration):  # it has just ended
            peak = max(peak, memory_mb(sweep.pid, "VmHWM:"))
        if time.monotonic() < due:
            continue
        begun = time.perf_counter()
        done = subprocess.run([*RNNBENCH, "status", "scale", "--json"], cwd=folder, capture_output=True, text=True, check=False)
        taken, due = time.perf_counter() - begun, time.monotonic() + SAMPLE_S
        if done.returncode == 0:
            ended = sum(json.loads(done.stdout)[name] for name in ("completed", "failed", "diverged"))
            with suppress(OSError, StopIteration):
                samples.append({"ended": ended, "status_s": round(taken, 3), "driver_mb": round(memory_mb(sweep.pid, "VmRSS:"), 1)})
                print(samples[-1], file=sys.stderr)
    assert sweep.returncode == 0, sweep.returncode
    return samples, peak


def stretches(ended: list[datetime]) -> dict[str, float]:
    """Milliseconds a trial between the ends of these trials."""
    marks = [100 * 10**power * step for power in range(5) for step in (1, 2, 5)]
    marks = [mark for mark in marks if mark < len(ended)] + [len(ended)]
    return {f"{a} to {b}": round(1000 * (ended[b - 1] - ended[a - 1]).total_seconds() / (b - a), 2) for a, b in pairwise(marks)}


def measure(trials: int, executor: str) -> dict[str, Any]:
    """One sweep."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "scale.yaml").write_text(SWEEP.format(trials=trials))
        begun = time.perf_counter()
        samples, peak = watch(folder, ["sweep", "scale.yaml", "--executor", executor, "--tracking-uri", "none"])
        seconds = time.perf_counter() - begun
        home = Home(folder / "runs")
        with Ledger.open(home.ledger_url) as ledger:
            ended = sorted(trial.ended_at for trial in ledger.trials("scale") if trial.ended_at is not None)
        size = sum(file.stat().st_size for file in home.path.glob("rnnbench.db*"))
    return {
        "trials": trials,
        "executor": executor,
        "seconds": seconds,
        "ms_a_trial": stretches(ended),
        "ledger_bytes": size,
        "driver_peak_mb": peak,
        "samples": samples,
    }


def main() -> None:
    """Prints one document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--executor", default="local")
    given = parser.parse_args()
    small = measure(100, given.executor)
    print(json.dumps({"machine": machine(), "hundred": small, **measure(given.trials, given.executor)}, indent=1))


if __name__ == "__main__":
    main()
