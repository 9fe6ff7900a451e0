"""`rnnbench export | export-benchmark`: a trained model, or a study's trials, as a folder to give away."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnnbench.cli.options import CheckpointsOption, DbOption, HomeOption, command, home_at, open_ledger, output, writing
from rnnbench.cli.predict import refused

if TYPE_CHECKING:
    from rnnbench.ledger.records import SweepRecord
    from rnnbench.report.model_card import Described
    from rnnbench.sweep.models import Model
    from rnnbench.trial.trained import Trained


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("export")(export)
    app.command("export-benchmark")(export_benchmark)


def export(
    model: Annotated[str, typer.Argument(metavar="SWEEP[/TRIAL]", help="A sweep (its best confirmed model), or a trial.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
    home: HomeOption = None,
    db: DbOption = None,
    checkpoints: CheckpointsOption = None,
) -> None:
    """Write a trained model into a folder: safetensors, preparation, spec and a model card.

    Example: rnnbench export sms_spam ./spam_filter
    """
    from rnnbench.sweep.models import find_model
    from rnnbench.trial.export import require_new

    require_new(folder)
    place = home_at(home, checkpoints)
    with open_ledger(place, db) as ledger:
        found = find_model(ledger, place, model)
        sweep = ledger.get_sweep(found.sweep)
    with refused():
        trained = found.load()
    write(trained, folder, describe(found, sweep))
    output().print(f"{found.words()}\nexported to {folder}; its card is {folder / 'README.md'}", markup=False, soft_wrap=True)


def export_benchmark(
    names: Annotated[list[str], typer.Argument(metavar="SWEEP")],
    out: Annotated[Path, typer.Option(help="Folder for the benchmark.")],
    home: HomeOption = None,
    db: DbOption = None,
) -> None:
    """Write the trials of one or more sweeps as a tabular benchmark: every curve and cost, for search methods to be tried on.

    Example: rnnbench export-benchmark lstm gru --out ./rnn_table
    """
    from rnnbench.report.study import Study
    from rnnbench.report.tabular import export_tabular

    with open_ledger(home_at(home), db) as ledger:
        studies = [Study.read(ledger, name) for name in names]
    with writing(out):
        number = export_tabular(studies, out)
    output().print(f"{number} trials written to {out}; the card is {out / 'README.md'}", markup=False, soft_wrap=True)


def describe(found: "Model", sweep: "SweepRecord") -> "Described":
    """A sweep's model for its card."""
    from rnnbench.base.version import __version__
    from rnnbench.report.model_card import Described

    versions = {name: sweep.environment.get(name) for name in ("rnnbench", "revision", "python")} | {"rnnbench at export": __version__}
    versions["torch"] = found.trial.outcome.get("torch")
    known = {name: str(version) for name, version in versions.items() if version}
    return Described(found.trial, found.seeds, sweep, found.baselines, known, found.test_baselines)


def write(trained: "Trained", folder: Path, described: "Described") -> None:
    """Exports a model with its card, and says how to ask it."""
    from rnnbench.report.model_card import render
    from rnnbench.task.catalogue import get_task
    from rnnbench.trial import export as exporting

    exporting.export(trained, folder, render(described, folder.absolute().name), described.versions)
    task = get_task(trained.spec.task)
    if task.predict is not None:
        given = "TEXT" if task.predict_input == "lines" else "FILE"
        path = str(folder) if folder.is_absolute() or str(folder).startswith("..") else f"./{folder}"
        output().print(f"ask it: {command()} predict {shlex.quote(path)} --input {given}", markup=False, soft_wrap=True)
