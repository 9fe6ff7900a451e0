"""`rnnbench train`: one trial in this process, with a progress bar; nothing is recorded in the ledger."""

import os
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnnbench.cli.options import CheckpointsOption, DbOption, HomeOption, home_at, open_ledger, output, people, with_sources

if TYPE_CHECKING:
    from rnnbench.base.home import Home
    from rnnbench.ledger.records import SweepRecord, TrialRecord
    from rnnbench.trial.job import Job
    from rnnbench.trial.spec import TrialSpec


@dataclass(frozen=True)
class _Chosen:
    """What is to be trained: a job in no folder, and the recorded trial that it repeats with its sweep, if it does."""

    job: "Job"
    recorded: "TrialRecord | None" = None
    sweep: "SweepRecord | None" = None


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("train")(train)


def train(
    task: Annotated[str | None, typer.Argument(metavar="TASK", help="Task to train on; see rnnbench tasks.", show_default=False)] = None,
    cell: Annotated[str, typer.Option(help="Cell to train; see rnnbench cells.")] = "lstm",
    data: Annotated[str | None, typer.Option(help="Data set of the task (default: the embedded one).", show_default=False)] = None,
    path: Annotated[Path | None, typer.Option(help="Your own file or folder instead of a data set.", show_default=False)] = None,
    changes: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Set a parameter or budget.")] = None,
    trial: Annotated[
        str | None, typer.Option(metavar="SWEEP/KEY", help="Instead of a task: run this recorded trial again.", show_default=False)
    ] = None,
    export: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the trained model into a new folder.", show_default=False)
    ] = None,
    home: HomeOption = None,
    db: DbOption = None,
    checkpoints: CheckpointsOption = None,
) -> None:
    """Train one network and print its curve.

    Example: rnnbench train sequential_digits --cell gru --set optimizer.lr=0.01
    """
    from rnnbench.base.errors import InputError, RnnbenchError

    if (task is None) == (trial is None):
        raise InputError("give a task (rnnbench train sequential_digits) or --trial SWEEP/KEY, one of the two")
    if trial is not None and (changes or path or data):
        raise InputError("--set, --data and --path cannot change a recorded trial; leave them or --trial out")
    if export is not None:
        from rnnbench.trial.export import require_new

        require_new(export)
    place = home_at(home, checkpoints)
    chosen = _fresh(str(task), cell, data, path, changes or [], place, db) if trial is None else _recorded(trial, place, db)
    with tempfile.TemporaryDirectory() as folder:
        final = _run(replace(chosen.job, folder=folder))
        if chosen.recorded is not None:
            equal = final["outcome"].get("best") == chosen.recorded.best
            output().print("equal to the recorded one" if equal else f"the recorded one is {chosen.recorded.best!r}", markup=False)
        if export is not None:
            if final["status"] != "completed":
                raise RnnbenchError(f"the trial has {final['status']}, so there is no model; {export} was not written")
            _export(Path(folder), export, chosen, final)


def _recorded(target: str, place: "Home", db: str | None) -> _Chosen:
    from rnnbench.base.errors import DataError, InputError
    from rnnbench.cells.own import get_source
    from rnnbench.search.sweepfile import read_settings
    from rnnbench.task.catalogue import get_task
    from rnnbench.task.sources import data_home, fingerprint, locate
    from rnnbench.trial.job import Job

    name, _, key = target.partition("/")
    if not key:
        raise InputError(f"--trial {target}: must be SWEEP/KEY; see rnnbench show {name}")
    with open_ledger(place, db) as ledger:
        trial, sweep = ledger.get_trial(name, key), ledger.get_sweep(name)
    spec = trial.spec
    # Makes its own cells known, and says where its own files are.
    own_files = read_settings(sweep.settings, Path(sweep.path), sweep.text).get_choice(spec.task, spec.data).own
    files = {item: str(path) for item, path in locate(get_task(spec.task), spec.data, data_home(os.environ), own_files).items()}
    if fingerprint(get_task(spec.task), spec.data, data_home(os.environ), own_files) != spec.data_fingerprint:
        raise DataError(f"{own_files or spec.data} has changed since that trial, which cannot be repeated with other data")
    own_cell = get_source(spec.cell)
    job = Job(spec.key(), 1, spec, files, "", int(trial.outcome.get("threads", 1)), own_cell=asdict(own_cell) if own_cell else None)
    return _Chosen(replace(job, init_from=_source(spec, place), workers=int(trial.outcome.get("workers", 1))), trial, sweep)


def _fresh(task: str, cell: str, data: str | None, path: Path | None, changes: list[str], place: "Home", db: str | None) -> _Chosen:
    from rnnbench.sweep.gpus import count_gpus, require_gpus
    from rnnbench.sweep.planned import plan_sweep
    from rnnbench.sweep.single import single_sweep

    sweep = single_sweep(task, cell, data, path, changes, os.environ)
    if sweep.resources.gpus:
        require_gpus(sweep.resources.gpus, sweep.resources.workers, count_gpus())
    planned = plan_sweep(with_sources(sweep, place, db, is_new=True), os.environ)
    spec = planned.specs[0]
    return _Chosen(replace(planned.job(spec), init_from=_source(spec, place)))


def _source(spec: "TrialSpec", place: "Home") -> str | None:
    """Where the model that a trial starts from can be read; None: it starts from nothing."""
    from rnnbench.sweep.init_from import source_path

    path = source_path(spec, place)
    return path and str(place.store.get(Path(path)) or path)


def _run(job: "Job") -> dict[str, Any]:
    """Trains, and gives the last event."""
    from rich.progress import Progress

    from rnnbench.base.errors import RnnbenchError
    from rnnbench.task.catalogue import get_task
    from rnnbench.trial.build import read_data
    from rnnbench.trial.door import run_job
    from rnnbench.trial.settings import torch_settings

    spec, console = job.spec, output()
    metric = get_task(spec.task).metric.name
    # What is wrong with the data is one line here, and not a trial that failed; the trial finds it read.
    with people().status("reading the data"), torch_settings(job.threads):
        read_data(spec, job.paths())
    with Progress(console=people(), transient=True) as bar:
        epochs = bar.add_task(f"{spec.task} {spec.cell}", total=spec.budget.max_epochs)

        def report(event: dict[str, Any]) -> None:
            if event["kind"] == "epoch":
                value, loss = event["metrics"][metric], event["metrics"]["train_loss"]
                console.print(f"epoch {event['epoch']}: {metric} {value:.5g}, train loss {loss:.4g}", markup=False)
                bar.advance(epochs)

        final = run_job(job.to_dict(), report)
    if final["status"] == "failed":
        raise RnnbenchError(f"the trial failed:\n{final['error']}")
    outcome: dict[str, Any] = final["outcome"]
    if final["status"] == "diverged":
        console.print(f"diverged: {final['error']}", markup=False)
    else:
        best = f"{metric} {outcome['best']:.6g} in epoch {outcome['best_epoch']}"
        console.print(f"best {best}; {outcome['num_parameters']} parameters, {final['wall_s']:.1f} s", markup=False)
    return final


def _export(trained_in: Path, folder: Path, chosen: _Chosen, final: dict[str, Any]) -> None:
    from rnnbench.base.version import __version__
    from rnnbench.cli.export import write
    from rnnbench.ledger.records import Status, TrialRecord
    from rnnbench.report.model_card import Described
    from rnnbench.trial.files import BEST
    from rnnbench.trial.trained import load_trained

    spec, outcome = chosen.job.spec, final["outcome"]
    trial = TrialRecord(
        key=spec.key(), group_key=spec.group_key(), position=0, spec=spec, status=Status.COMPLETED, reused=False, attempts=1,
        best=outcome["best"], best_epoch=outcome["best_epoch"], last=outcome["last"], wall_s=final["wall_s"], outcome=outcome,
        error=None, category=None, started_at=None, ended_at=None, test_opened_at=None,
    )  # fmt: skip
    versions = {"rnnbench": __version__, "torch": str(outcome["torch"])}
    write(load_trained(trained_in / BEST), folder, Described(trial, [trial], chosen.sweep, outcome["baselines"], versions))
    output().print(f"exported to {folder}; its card is {folder / 'README.md'}", markup=False, soft_wrap=True)
