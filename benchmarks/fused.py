"""Sixteen trials trained together against the same sixteen one by one, in one process with one thread, interleaved.

Run: python benchmarks/fused.py [--cells ...] [--units 16 32 64] [--rounds 3]. Prints JSON: seconds of each round, and the ratio of
the medians with its lowest and highest.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from common import machine

from rnnbench.base.machine import keep_freed_memory
from rnnbench.search.sweepfile import read_sweep
from rnnbench.sweep.planned import plan_sweep
from rnnbench.trial.door import run_jobs
from rnnbench.trial.job import Fuse, Job

CELLS = ("peephole_lstm", "gru_v1", "mut1", "mgu", "slstm", "layer_norm_lstm", "mogrifier_lstm", "fgr")
TRIALS = 16
SWEEP = """
task: sequential_digits
cells: [{cell}]
search: {{method: random, num_samples: {trials}, seed: 0}}
budget: {{max_epochs: 1}}
space:
  task.order: pixels
  network.hidden_size: {units}
  optimizer.lr: {{loguniform: [1e-3, 3e-2]}}
  training.batch_size: 64
"""


def plan(cell: str, units: int, folder: Path) -> list[Job]:
    """The jobs of one cell and size."""
    path = folder / "sweep.yaml"
    path.write_text(SWEEP.format(cell=cell, units=units, trials=TRIALS))
    planned = plan_sweep(read_sweep(path), {})
    return [Job(spec.key(), 1, spec, planned.files[spec.task, spec.data], str(folder / spec.key())) for spec in planned.specs]


def seconds(jobs: Sequence[Job], fuse: Fuse) -> tuple[float, list[float]]:
    """Of all jobs, and each one's training loss."""
    losses: dict[str, float] = {}

    def take(event: dict[str, Any]) -> None:
        if event["kind"] == "finished":
            assert event["status"] == "completed", event["error"]
            losses[event["key"]] = event["outcome"]["metrics"]["train_loss"]

    begun = time.perf_counter()
    run_jobs([replace(job, fuse=fuse).to_dict() for job in jobs], take)
    return time.perf_counter() - begun, [losses[job.key] for job in jobs]


def measure(cell: str, units: int, rounds: int) -> dict[str, Any]:
    """Both ways in each round, after one that warms up."""
    with tempfile.TemporaryDirectory() as name:
        jobs = plan(cell, units, Path(name))
        seconds(jobs[:2], "always")
        together, alone = [], []
        for _ in range(rounds):
            taken, losses = seconds(jobs, "always")
            together.append(taken)
            taken, single_losses = seconds(jobs, "never")
            alone.append(taken)
    ratios = [single / fused for single, fused in zip(alone, together, strict=True)]
    apart = max(abs(fused - single) / single for fused, single in zip(losses, single_losses, strict=True))
    found = {"cell": cell, "units": units, "together_s": together, "alone_s": alone, "ratio": statistics.median(ratios)}
    return found | {"lowest": min(ratios), "highest": max(ratios), "largest_difference_of_a_loss": apart}


def main() -> None:
    """Prints one document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", nargs="+", default=CELLS)
    parser.add_argument("--units", type=int, nargs="+", default=[16, 32, 64])
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    keep_freed_memory()
    rows = []
    for cell in given.cells:
        for units in given.units:
            rows.append(measure(cell, units, given.rounds))
            print(f"{cell} {units}: {rows[-1]['ratio']:.2f} ({rows[-1]['lowest']:.2f}-{rows[-1]['highest']:.2f})", file=sys.stderr)
    print(json.dumps({"machine": machine(), "trials": TRIALS, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
