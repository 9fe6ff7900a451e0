"""How long a task's first sweep takes: its shipped file on the embedded data, as a newcomer runs it, into an empty home.

Run: python benchmarks/first.py [TASK ...] > benchmarks/results/first.json. Prints JSON: the seconds of each whole command and of its
trials, and what the best cell reached on the test split beside the best method without a recurrent network.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import RNNBENCH, machine

from rnnbench.base.home import Home
from rnnbench.ledger.records import Status
from rnnbench.ledger.store import Ledger
from rnnbench.task.catalogue import get_task, is_maximized, list_tasks

FILES = {"sequential_digits": "compare"}  # of the others each has a file of its own name


def run(task: str, home: Path) -> dict[str, Any]:
    """Runs one task's first sweep to its end, and says what it took and found."""
    name, metric, pick = FILES.get(task, task), get_task(task).metric.name, max if is_maximized(task) else min
    start = time.monotonic()
    done = subprocess.run([*RNNBENCH, "sweep", name, "--home", str(home)], stdout=sys.stderr, check=False)
    seconds = time.monotonic() - start
    if done.returncode:
        sys.exit(f"sweep {name} ended with {done.returncode}")
    with Ledger.open(Home(home.absolute()).ledger_url) as ledger:
        trials = ledger.trials(name)
    unfinished = [trial.key for trial in trials if trial.status != Status.COMPLETED]
    if unfinished:
        sys.exit(f"sweep {name}: {', '.join(unfinished)} did not complete")
    confirmed: dict[str, list[float]] = {}
    for trial in trials:
        if trial.stage == "confirm":
            confirmed.setdefault(trial.cell, []).append(float(trial.outcome["test"][metric]))
    means = {cell: statistics.fmean(values) for cell, values in confirmed.items()}
    best = pick(means, key=means.__getitem__)
    baselines = {name: level for trial in trials for name, level in (trial.outcome.get("test_baselines") or {}).items()}
    row: dict[str, Any] = {"task": task, "sweep": name, "seconds": seconds, "trials": len(trials)}
    row |= {"seconds_a_trial": statistics.median(trial.wall_s or 0.0 for trial in trials), "metric": metric, "cells": means, "best": best}
    return row | {"baseline": pick(baselines.items(), key=lambda item: item[1]) if baselines else None}


def main() -> None:
    """Measures the tasks that are asked for, each in a home of its own."""
    names = [card.name for card in list_tasks()]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=f"of {', '.join(names)}; none: all")
    given = parser.parse_args()
    if unknown := [name for name in given.tasks if name not in names]:
        parser.error(f"no task {unknown[0]}; there are {', '.join(names)}")
    rows = []
    for name in given.tasks or names:
        with tempfile.TemporaryDirectory(prefix="rnnbench-first-") as home:
            rows.append(run(name, Path(home)))
    print(json.dumps({"machine": machine(), "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
