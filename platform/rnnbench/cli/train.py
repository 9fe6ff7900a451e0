"""`rnnbench train`: one trial in this process, with a progress bar; nothing is recorded in the ledger."""

import tempfile
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnnbench.cli.options import DbOption, HomeOption, home_at, open_ledger, output, people

if TYPE_CHECKING:
    from rnnbench.trial.spec import TrialSpec


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("train")(train)


def train(
    task: Annotated[str | None, typer.Argument(help="Task to train on; see rnnbench tasks.", show_default=False)] = None,
    cell: Annotated[str, typer.Option(help="Cell to train; see rnnbench cells.")] = "lstm",
    data: Annotated[str | None, typer.Option(help="Data set of the task (default: the embedded one).", show_default=False)] = None,
    changes: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Set a parameter or budget.")] = None,
    trial: Annotated[
        str | None, typer.Option(metavar="SWEEP/KEY", help="Instead of a task: run this recorded trial again.", show_default=False)
    ] = None,
    home: HomeOption = None,
    db: DbOption = None,
) -> None:
    """Train one network and print its curve.

    Example: rnnbench train sequential_digits --cell gru --set optimizer.lr=0.01
    """
    from rnnbench.base.errors import InputError

    if (task is None) == (trial is None):
        raise InputError("give a task (rnnbench train sequential_digits) or --trial SWEEP/KEY, one of the two")
    if trial is not None:
        if changes:
            raise InputError("--set cannot change a recorded trial; leave one of --trial and --set out")
        spec, recorded, threads = _recorded(trial, home, db)
    else:
        spec, recorded, threads = _fresh(str(task), cell, data, changes or []), None, 1
    outcome = _run(spec, threads)
    if recorded is not None:
        verdict = "equal to the recorded one" if outcome.get("best") == recorded else f"the recorded one is {recorded!r}"
        output().print(verdict, markup=False)


def _recorded(target: str, home: str | None, db: str | None) -> "tuple[TrialSpec, float | None, int]":
    from rnnbench.base.errors import InputError

    name, _, key = target.partition("/")
    if not key:
        raise InputError(f"--trial {target}: must be SWEEP/KEY; see rnnbench show {name}")
    with open_ledger(home_at(home), db) as ledger:
        trial = ledger.get_trial(name, key)
    return trial.spec, trial.best, int(trial.outcome.get("threads", 1))


def _fresh(task: str, cell: str, data: str | None, changes: list[str]) -> "TrialSpec":
    import os
    from pathlib import Path

    from rnnbench.base.canonical import canonical_json
    from rnnbench.cells.table import resolve_cell
    from rnnbench.search.sweepfile import read_sweep
    from rnnbench.sweep.planned import plan_sweep
    from rnnbench.task.catalogue import get_task
    from rnnbench.task.sources import get_data_card

    # Checked here first: the file below is ours, and its place would tell the person nothing.
    cell = resolve_cell(cell, Path.cwd()).name
    get_data_card(get_task(task), data or get_task(task).default_data)
    chosen = {"name": task} | ({"data": data} if data else {})
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "train.yaml"
        file.write_text(canonical_json({"task": chosen, "cells": [cell], "search": {"num_samples": 1}}))
        return plan_sweep(read_sweep(file, overrides=changes), os.environ).specs[0]


def _run(spec: "TrialSpec", threads: int) -> dict[str, Any]:
    import os

    from rich.progress import Progress

    from rnnbench.base.errors import RnnbenchError
    from rnnbench.task.catalogue import get_task
    from rnnbench.task.sources import data_home, locate
    from rnnbench.trial.door import run_job
    from rnnbench.trial.job import Job

    card, console = get_task(spec.task), output()
    files = {name: str(path) for name, path in locate(card, spec.data, data_home(os.environ)).items()}
    with tempfile.TemporaryDirectory() as folder, Progress(console=people(), transient=True) as bar:
        epochs = bar.add_task(f"{spec.task} {spec.cell}", total=spec.budget.max_epochs)

        def report(event: dict[str, Any]) -> None:
            if event["kind"] == "epoch":
                value, loss = event["metrics"][card.metric.name], event["metrics"]["train_loss"]
                console.print(f"epoch {event['epoch']}: {card.metric.name} {value:.5g}, train loss {loss:.4g}", markup=False)
                bar.advance(epochs)

        final = run_job(Job(spec.key(), 1, spec, files, folder, threads).to_dict(), report)
    if final["status"] == "failed":
        raise RnnbenchError(f"the trial failed:\n{final['error']}")
    outcome: dict[str, Any] = final["outcome"]
    if final["status"] == "diverged":
        console.print(f"diverged: {final['error']}", markup=False)
    else:
        best = f"{card.metric.name} {outcome['best']:.6g} in epoch {outcome['best_epoch']}"
        console.print(f"best {best}; {outcome['num_parameters']} parameters, {final['wall_s']:.1f} s", markup=False)
    return outcome
