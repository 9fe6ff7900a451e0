"""How long the report of a large sweep takes and what memory it needs: `python benchmarks/report.py > benchmarks/results/report.json`.

The trials are invented, with every epoch that a real sweep would have recorded; they are put into a ledger of their own as the ledger
itself stores them, and `rnnbench report` is run on it in a process of its own.
"""

import argparse
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from common import RNNBENCH, machine
from scale import memory_mb
from sqlalchemy import insert

from rnnbench.base.home import Home
from rnnbench.ledger.database import Database
from rnnbench.ledger.models import EpochRow, PlannedRow, SweepRow, TrialRow
from rnnbench.ledger.plainjson import encode
from rnnbench.ledger.records import Status
from rnnbench.trial.spec import TrialSpec

CELLS = ("elman", "gru", "lstm")
NOW = datetime(2026, 1, 2, tzinfo=UTC)
SETTINGS = {
    "task": [{"name": "sequential_digits"}],
    "cells": list(CELLS),
    "search": {"method": "random", "num_samples": 0, "seed": 0},
    "budget": {"max_epochs": 50},
    "space": {
        "network.hidden_size": {"choice": [32, 64, 128]},
        "network.dropout": {"uniform": [0.0, 0.4]},
        "optimizer.lr": {"loguniform": [1e-4, 1.0]},
        "training.batch_size": {"choice": [32, 64]},
        "training.clip_norm": {"loguniform": [0.1, 10.0]},
    },
}
# Rows that are written at once.
PART = 2000


def invent(place: int, num_epochs: int, rng: random.Random) -> tuple[TrialSpec, dict[str, Any], list[dict[str, Any]]]:
    """A trial, its row, and its epochs' rows: better near a rate of 0.01, and the larger the rate the likelier it diverges."""
    cell = CELLS[place % len(CELLS)]
    parameters = {
        "network.hidden_size": rng.choice([32, 64, 128]),
        "network.dropout": rng.uniform(0.0, 0.4),
        "optimizer.lr": 10 ** rng.uniform(-4, 0),
        "training.batch_size": rng.choice([32, 64]),
        "training.clip_norm": 10 ** rng.uniform(-1, 1),
    }
    spec = TrialSpec("search", "sequential_digits", 1, "digits", "f", cell, 1, parameters, seed=place, draw=place // len(CELLS))
    away = math.log10(parameters["optimizer.lr"]) + 2
    diverges = rng.random() < max(0.0, away - 0.5) / 4
    quality = 0.95 - 0.1 * away**2 - 0.1 * parameters["network.dropout"] + 0.02 * CELLS.index(cell) + rng.gauss(0, 0.02)
    best, best_epoch, last, epochs = -1.0, 0, 0.0, []
    for epoch in range(1, (num_epochs // 3 or 1) + 1 if diverges else num_epochs + 1):
        last = min(1.0, max(0.0, quality * (1 - math.exp(-epoch / 8)) + rng.gauss(0, 0.01)))
        if last > best:
            best, best_epoch = last, epoch
        norm = math.exp(rng.gauss(0, 0.5)) * (20 if diverges and epoch > num_epochs // 4 else 1)
        metrics = {
            "accuracy": last,
            "loss": 2.3 * (1 - last),
            "train_loss": 2.2 * (1 - last),
            "grad_norm": norm,
            "clipped_share": min(1.0, norm / 10 / parameters["training.clip_norm"]),
            "lr": parameters["optimizer.lr"],
        }
        epochs.append({"trial_key": spec.key(), "epoch": epoch, "attempt": 1, "wall_s": 0.5 * epoch, "metrics": encode(metrics)})
    outcome = {
        "metrics": {"accuracy": best}, "epochs": len(epochs), "num_parameters": 1000 * parameters["network.hidden_size"], "threads": 1,
        "train_s": 0.4 * len(epochs), "train_flops": 10**9 * (1 + CELLS.index(cell)) * len(epochs), "peak_memory_bytes": 400_000_000,
        "peak_memory_of": "trial", "device": "cpu", "mode": "single", "processor": "some",
        "baselines": {"majority class": 0.1}, "torch": "2", "hidden_size": parameters["network.hidden_size"],
    }  # fmt: skip
    status = Status.DIVERGED if diverges else Status.COMPLETED
    row = {
        "key": spec.key(), "group_key": spec.group_key(), "spec": spec.to_dict(), "status": status.value, "attempts": 1, "best": best,
        "best_epoch": best_epoch, "last": last, "wall_s": 0.5 * len(epochs), "outcome": outcome, "error": None, "category": None,
        "started_at": NOW, "ended_at": NOW, "failures": 0, "rung": 0,
    }  # fmt: skip
    return spec, row, epochs


def fill(home: Home, num_trials: int, num_epochs: int) -> None:
    """A ledger with one sweep."""
    rng = random.Random(0)
    home.path.mkdir(parents=True)
    database = Database.open(home.ledger_url, lambda: NOW)
    with database.transaction() as session:
        sweep = {"name": "large", "path": "large.yaml", "text": "invented\n", "settings": SETTINGS, "created_at": NOW}
        sweep["environment"] = {"rnnbench": "", "versions": {}, "revision": None, "command": "invented"}
        session.execute(insert(SweepRow), [sweep | {"ended_at": NOW, "session_s": 1.0}])
        for start in range(0, num_trials, PART):
            invented = [invent(place, num_epochs, rng) for place in range(start, min(start + PART, num_trials))]
            session.execute(insert(TrialRow), [row for _, row, _ in invented])
            planned = [
                {"sweep": "large", "position": start + place, "trial_key": row["key"], "draw": spec.draw, "replicate": 0, "reused": False}
                for place, (spec, row, _) in enumerate(invented)
            ]
            session.execute(insert(PlannedRow), planned)
            session.execute(insert(EpochRow), [epoch for _, _, epochs in invented for epoch in epochs])
    database.close()


def measure(num_trials: int, num_epochs: int) -> dict[str, Any]:
    """Seconds of `rnnbench report`, its processor time, and the most memory it held."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        home = Home(folder / "runs")
        fill(home, num_trials, num_epochs)
        size = sum(file.stat().st_size for file in home.path.glob("rnnbench.db*"))
        begun = time.perf_counter()
        report = subprocess.Popen([*RNNBENCH, "report", "large", "--out", "report"], cwd=folder, stdout=subprocess.DEVNULL)
        peak_mb = 0.0
        while (ended := os.wait4(report.pid, os.WNOHANG))[0] == 0:
            # Not what the kernel says at the end: that counts what this process held when it forked.
            with suppress(OSError, StopIteration):
                peak_mb = max(peak_mb, memory_mb(report.pid, "VmHWM:"))
            time.sleep(0.02)
        _, status, used = ended
        seconds = time.perf_counter() - begun
        report.returncode = os.waitstatus_to_exitcode(status)
        if report.returncode:
            sys.exit(f"rnnbench report ended with {report.returncode}")
        written = {file.name: file.stat().st_size for file in sorted((folder / "report").glob("report.*"))}
    return {
        "trials": num_trials,
        "epochs": num_epochs,
        "seconds": round(seconds, 2),
        "processor_s": round(used.ru_utime + used.ru_stime, 2),
        "peak_mb": peak_mb,
        "ledger_bytes": size,
        "written_bytes": written,
    }


def main() -> None:
    """Prints one document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=50)
    given = parser.parse_args()
    sizes = [(100, 1), (given.trials, 1), (given.trials, given.epochs)]
    print(json.dumps({"machine": machine(), "reports": [measure(*size) for size in sizes]}, indent=1))


if __name__ == "__main__":
    main()
