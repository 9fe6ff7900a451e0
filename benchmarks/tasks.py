"""The results of docs/results.md: runs the sweeps of search_spaces/results/ and writes each cell's test value beside its floor and bar.

Run: python benchmarks/tasks.py [NAME ...] [--home runs/results]. A sweep that is finished is not run again, one that was stopped goes on;
what the ledger says of each goes to benchmarks/results/tasks.json, and from there to docs/results.md. --write only writes the page.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from common import RNNBENCH, machine
from ruamel.yaml import YAML

from rnnbench.base.home import Home
from rnnbench.ledger.records import Status, TrialRecord
from rnnbench.ledger.store import Ledger
from rnnbench.report.statistics import t_interval
from rnnbench.task.catalogue import get_task, is_maximized

ROOT = Path(__file__).parents[1]
SWEEPS = ROOT / "search_spaces" / "results"
FOUND = ROOT / "benchmarks" / "results" / "tasks.json"
PAGE = ROOT / "docs" / "results.md"
PERPLEXITY = ("perplexity", "nll")  # the first is the exponential of the second
HEAD = """# Results

What the tasks reach on real data, each row by one command: `rnnbench sweep results/NAME`, and all of them with this page by `python
benchmarks/tasks.py`. Every cell of a row had the same number of draws from the same space; its best configuration by validation was
trained again with fresh seeds, and only these saw the test split. The value is the mean over those seeds with a 95 % interval (Student's
t, cut to what the metric can be). The floor is what a method without a recurrent network reaches on the test split, in the card's metric:
the best of those that the sweep computed beside its confirmed trials, and of the task card's. The bar is what this project asks of itself.
Seconds are the whole command's, all cells together.

"""


def run(name: str, home: Path) -> None:
    """Runs one sweep to its end, or on to it."""
    command = [*RNNBENCH, "sweep", str(SWEEPS / f"{name}.yaml"), "--name", sweep_name(name), "--home", str(home), "--tracking-uri", "none"]
    done = subprocess.run(command, cwd=ROOT, check=False)
    if done.returncode not in (0, 3):
        sys.exit(f"sweep {name} ended with {done.returncode}")


def sweep_name(row: str) -> str:
    """The name of a row's sweep: beside the sweeps of the same names that are no results."""
    return f"results-{row}"


def numbers(trials: list[TrialRecord], metric: str, split: str) -> list[float]:
    """The row's number of each trial."""
    if split == "validation":
        return [float(trial.outcome["metrics"][metric]) for trial in trials]
    found = [{**(trial.outcome.get("examined") or {}), **(trial.outcome["test"] or {})} for trial in trials]
    return [float(one[metric]) for one in found]


def baselines(trials: list[TrialRecord], metric: str, split: str) -> dict[str, float]:
    """What methods without a recurrent network reach on the split, in the row's metric, as far as the sweep computed it."""
    ours = get_task(trials[0].task).metric.name
    where = "baselines" if split == "validation" else "test_baselines"
    known = {name: float(level) for trial in trials for name, level in (trial.outcome.get(where) or {}).items()}
    if metric == ours:
        return known
    if (metric, ours) == PERPLEXITY:
        return {name: math.exp(level) for name, level in known.items()}
    # What the confirmed trials were examined for holds some beside them: "mase of persistence".
    examined = [trial.outcome.get("examined") or {} for trial in trials]
    return {
        name.removeprefix(f"{metric} of "): level for one in examined for name, level in one.items() if name.startswith(f"{metric} of ")
    }


def say(winner: list[TrialRecord]) -> str:
    """What the seeds say of themselves in words, e.g. beside a simple method, with how many say so; empty: nothing."""
    heads = Counter(str(one["verdict"]).partition(" (")[0] for trial in winner if "verdict" in (one := trial.outcome.get("examined") or {}))
    return "; ".join(head if len(heads) == 1 else f"{head} in {count} of {heads.total()} seeds" for head, count in heads.most_common())


def read(row: dict[str, Any], ledger: Ledger) -> dict[str, Any]:
    """What the ledger says of one sweep: each cell's confirmed value, its trials and settings."""
    name, split = sweep_name(row["sweep"]), row.get("split", "test")
    trials = [trial for trial in ledger.trials(name) if trial.status == Status.COMPLETED]
    record, task = ledger.get_sweep(name), trials[0].task
    sign = 1.0 if is_maximized(task) else -1.0
    cells = []
    for cell in dict.fromkeys(trial.cell for trial in trials):
        of_cell = [trial for trial in trials if trial.cell == cell]
        groups: dict[str, list[TrialRecord]] = {}
        for trial in of_cell:
            if trial.stage == "confirm":
                groups.setdefault(trial.group_key, []).append(trial)
        winner = max(groups.values(), key=lambda group: statistics.fmean(sign * (trial.best or 0.0) for trial in group))
        values = numbers(winner, row["metric"], split)
        cells.append(
            {
                "cell": cell,
                "value": statistics.fmean(values),
                "values": values,
                "said": say(winner),
                "trials": sum(trial.stage == "search" for trial in of_cell),
                "keys": [trial.key for trial in winner],
                "num_parameters": winner[0].outcome["num_parameters"],
                "parameters": dict(winner[0].spec.parameters),
                "seconds_a_trial": statistics.median(trial.wall_s or 0.0 for trial in winner),
            }
        )
    spec = trials[0].spec
    return {
        "baselines": baselines(trials, row["metric"], split),
        "task": task,
        "data": spec.data,
        "seconds": record.session_s,
        "cells": cells,
        "machine": machine(),
        "revision": record.environment.get("revision"),
        "fingerprint": spec.data_fingerprint,
    }


def floor_of(row: dict[str, Any]) -> tuple[float, str] | None:
    """What test values have to be better than, and whose it is: the best of the baselines that the sweep computed and the card's floor."""
    card = get_task(row["task"])
    known = [(level, name) for name, level in row.get("baselines", {}).items()]
    floor = card.data[row["data"]].floor if row["data"] in card.data else None
    if floor and row.get("split", "test") == "test" and row["metric"] == card.metric.name:
        known.append((floor.value, floor.baseline))
    elif floor and (row["metric"], card.metric.name) == PERPLEXITY:
        known.append((math.exp(floor.value), floor.baseline))
    return (max if row["better"] == "max" else min)(known, default=None)


def verdict(row: dict[str, Any], cell: dict[str, Any]) -> str:
    """Whether a cell's value meets the row's bar and its task's floor, and what its seeds say."""
    value = cell["value"]
    sign, floor = 1.0 if row["better"] == "max" else -1.0, floor_of(row)
    words = []
    if "bar" in row:
        words.append("met" if sign * value >= sign * row["bar"] else "not met")
    if floor is not None and sign * value <= sign * floor[0]:
        words.append("under the floor")
    if cell.get("said"):
        words.append(cell["said"])
    return ", ".join(words) or "-"


def page(found: dict[str, dict[str, Any]]) -> str:
    """The document."""
    lines = ["| sweep | task, data | cell | value | floor | bar | verdict | draws | weights | seconds |", f"|{'---|' * 10}"]
    for row in found.values():
        floor = floor_of(row)
        shown = f"{floor[0]:.6g} ({floor[1]})" if floor else "-"
        sign = -1.0 if row["better"] == "max" else 1.0
        for place, cell in enumerate(sorted(row["cells"], key=lambda one: sign * one["value"])):
            first = place == 0
            interval = t_interval(cell["values"], get_task(row["task"]).range_of(row["metric"]))
            spread = f"{interval.low:.4g} to {interval.high:.4g}, " if interval else ""
            around = f" ({spread}{len(cell['values'])} seeds)"
            where = f"[{row['sweep']}](../search_spaces/results/{row['sweep']}.yaml)" if first else ""
            split = f" {row['split']}" if "split" in row else ""
            lines.append(
                f"| {where} | {row['task'] + ', ' + row['data'] if first else ''} | {cell['cell']} | {row['metric']}{split} "
                f"{cell['value']:.4g}{around} | {shown if first else ''} | {row.get('bar', '-') if first else ''} | "
                f"{verdict(row, cell)} | {cell['trials']} | {cell['num_parameters']} | {row['seconds']:.0f} |"
                if first
                else f"| | | {cell['cell']} | {row['metric']}{split} {cell['value']:.4g}{around} | | | {verdict(row, cell)} | "
                f"{cell['trials']} | {cell['num_parameters']} | |"
            )
    lines += ["", *(f"- {row['sweep']}: {row['note']}" for row in found.values() if "note" in row)]
    machines = {json.dumps(row["machine"], sort_keys=True): row["machine"] for row in found.values()}
    lines += ["", "Machines and versions:", ""]
    lines += [
        f"- {one['processor']}, {one['cpus']} cores, Python {one['python']}, "
        + ", ".join(f"{name} {version}" for name, version in one["versions"].items())
        for one in machines.values()
    ]
    return HEAD + "\n".join(lines) + "\n"


def save(found: dict[str, dict[str, Any]], known: dict[str, dict[str, Any]]) -> None:
    """Writes what was found, and the page with what the list of rows says of it now."""
    ordered = {name: found[name] for name in known if name in found}
    FOUND.write_text(json.dumps(ordered, indent=1) + "\n")
    PAGE.write_text(page({name: one | known[name] for name, one in ordered.items()}))


def main() -> None:
    """Runs what was asked for and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--home", type=Path, default=ROOT / "runs" / "results")
    parser.add_argument("--write", action="store_true", help="only write the page from what was found before")
    given = parser.parse_args()
    rows = YAML(typ="safe").load((ROOT / "benchmarks" / "tasks.yaml").read_text())
    known = {row["sweep"]: row for row in rows}
    if unknown := [name for name in given.names if name not in known]:
        sys.exit(f"no row {unknown[0]}; there are {', '.join(known)}")
    found: dict[str, dict[str, Any]] = json.loads(FOUND.read_text()) if FOUND.exists() else {}
    for name in [] if given.write else given.names or known:
        for before in [known[name]["after"]] if "after" in known[name] else []:
            run(before, given.home)
        run(name, given.home)
        with Ledger.open(Home(given.home.absolute()).ledger_url) as ledger:
            found[name] = read(known[name], ledger)
        save(found, known)
    save(found, known)


if __name__ == "__main__":
    main()
