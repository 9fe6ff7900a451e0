"""`rnnbench status | list | show | report`: what the ledger knows."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnnbench.base.errors import UnknownNameError
from rnnbench.cli.options import (
    DbOption,
    HomeOption,
    JsonOption,
    command,
    home_at,
    ledger_flags,
    open_glance,
    open_ledger,
    output,
    place_flags,
    print_json,
    writing,
)

if TYPE_CHECKING:
    from rnnbench.base.home import Home
    from rnnbench.ledger.glance import Glance
    from rnnbench.ledger.records import EpochRecord, LaneStanding, TrialRecord
    from rnnbench.ledger.store import Ledger
    from rnnbench.report.pages import ReportFiles


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("status")(status)
    app.command("list")(list_sweeps)
    app.command("show")(show)
    app.command("report")(report)


def status(
    name: Annotated[str, typer.Argument(metavar="SWEEP")], home: HomeOption = None, db: DbOption = None, as_json: JsonOption = False
) -> None:
    """How a sweep stands: counts and best so far, by task, data set and cell.

    Example: rnnbench status lstm --json
    """
    place = home_at(home)
    submissions = _submissions(place, name)
    try:
        with open_glance(place, db) as glance:
            if as_json:
                print_json(status_document(glance, name) | {"submissions": submissions})
                return
            _print_status(name, _with_values(glance, name))
            for worker in list_workers(glance, name):
                words = f"pid {worker['pid']} on {worker['host']} since {worker['since'][:19]} UTC: {worker['running']} running"
                output().print(words, markup=False, soft_wrap=True)
    except UnknownNameError:
        from rnnbench.base.secrets import redact

        if not submissions:
            raise
        if as_json:
            print_json(_only_submitted(name) | {"submissions": submissions})
            return
        output().print(f"{name}: submitted, nothing recorded yet in {redact(db, {}) if db else place.path}", markup=False, soft_wrap=True)
    for one in submissions:
        output().print(f"{one['kind']} job {one['job']}, {one['at'][:16]}: {one['state']}", markup=False, soft_wrap=True)


def _submissions(place: "Home", name: str) -> list[dict[str, str]]:
    """What was handed to queues, and where each stands there; a look into a folder where nothing was."""
    from rnnbench.base.names import is_safe

    if not is_safe(name) or not place.submissions(name).is_dir():
        return []
    from rnnbench.cluster.queues import read_states
    from rnnbench.cluster.submission import list_submissions

    found = list_submissions(place, name)
    return [
        {"kind": one.kind, "job": one.job, "at": one.at, "script": one.script, "state": state}
        for one, state in zip(found, read_states(found), strict=True)
    ]


def _only_submitted(name: str) -> dict[str, Any]:
    from rnnbench.sweep.scoreboard import status_json

    return status_json(name, [], {}, str, 0.0) | {"status": "submitted"}


def list_sweeps(home: HomeOption = None, db: DbOption = None, as_json: JsonOption = False) -> None:
    """All sweeps of this home.

    Example: rnnbench list
    """
    from rnnbench.cli.columns import Column, Columns
    from rnnbench.cli.columns import show as show_columns

    with open_ledger(home_at(home), db) as ledger:
        sweeps = ledger.list_sweeps()
        with ledger.glance() as glance:
            documents = [status_document(glance, sweep.name) | {"created_at": sweep.created_at.isoformat()} for sweep in sweeps]
    if as_json:
        print_json(documents)
        return
    bests = [document["best"] for document in documents]
    done = [sum(document[status] for status in ("completed", "diverged", "failed")) for document in documents]
    trials = [f"{number}/{document['planned']}" for number, document in zip(done, documents, strict=True)]
    shown = [f"{best['metric']} {best['value']:.4g} ({best['trial'][:8]})" if best else "-" for best in bests]
    columns = [
        Column("sweep", [document["sweep"] for document in documents], left=True),
        Column("status", [document["status"] for document in documents], rank=1, left=True),
        Column("trials", trials, rank=2, left=True),
        Column("best", shown, rank=3, left=True),
        Column("created", [document["created_at"][:16] for document in documents], rank=4, left=True),
    ]
    show_columns(output(), Columns(columns))


def show(
    target: Annotated[str, typer.Argument(metavar="SWEEP[/TRIAL]", help="A sweep, or one of its trials by the start of its key.")],
    home: HomeOption = None,
    db: DbOption = None,
    as_json: JsonOption = False,
) -> None:
    """A sweep's settings, or a trial's settings, curve, status, error, log, and how to run it again.

    Example: rnnbench show lstm/3fa21c07
    """
    place = home_at(home)
    name, _, key = target.partition("/")
    with open_ledger(place, db) as ledger:
        sweep = ledger.get_sweep(name)
        if not key:
            with ledger.glance() as glance:
                if as_json:
                    print_json({"settings": sweep.settings, "environment": sweep.environment, **status_document(glance, name)})
                    return
                _print_sweep(sweep.text, _with_values(glance, name), f"{command()} show {name}/KEY{ledger_flags(place, db)}")
            return
        trial = ledger.get_trial(name, key)
        epochs = ledger.epochs([trial.key]).get(trial.key, [])
    if as_json:
        print_json(_trial_document(trial, epochs))
        return
    again = f"{command()} train --trial {name}/{trial.key[:8]}{place_flags(place, db)}"
    _print_trial(trial, epochs, place.trial_folder(trial.key), again)


def report(
    names: Annotated[list[str], typer.Argument(metavar="SWEEP")],
    out: Annotated[Path | None, typer.Option(help="Folder for the report (default: reports/ in the home).", show_default=False)] = None,
    home: HomeOption = None,
    db: DbOption = None,
) -> None:
    """Write the comparison of one or more sweeps: HTML, Markdown, JSON and figures.

    Example: rnnbench report lstm gru elman --out comparison
    """
    place = home_at(home)
    folder = (out or place.report_folder("-".join(names)[:100])).absolute()
    with open_ledger(place, db) as ledger, writing(folder):
        files = write_sweep_report(ledger, names, place, folder)
    output().print(str(files.html), markup=False, soft_wrap=True)


def status_document(glance: "Glance", name: str, lanes: "list[LaneStanding] | None" = None) -> dict[str, Any]:
    """The document of `status --json`.

    Args:
        lanes: The sweep's standings, where they have been read.
    """
    from rnnbench.sweep.scoreboard import status_json
    from rnnbench.task.catalogue import get_task

    seconds = glance.session_s(name)
    lanes = read_standings(glance, name) if lanes is None else lanes
    specs = {lane.best_key: glance.get_spec(lane.best_key) for lane in lanes if lane.best_key}
    document = status_json(name, lanes, specs, lambda task: get_task(task).metric.name, seconds)
    return document | {"workers": list_workers(glance, name)}


def list_workers(glance: "Glance", name: str) -> list[dict[str, Any]]:
    """The processes that seem to be at work on a sweep, the eldest first."""
    from rnnbench.sweep.lease import is_live

    live = [lease for lease in glance.leases() if lease.sweep == name and is_live(lease)]
    running = glance.running(name) if live else {}
    return [
        {
            "host": lease.holder.host,
            "pid": lease.holder.pid,
            "since": lease.since.isoformat(),
            "joined": lease.joined,
            "running": running.get(lease.holder.token, 0),
        }
        for lease in live
    ]


def write_sweep_report(ledger: "Ledger", names: list[str], home: "Home", folder: Path) -> "ReportFiles":
    """Writes the report of finished or unfinished sweeps.

    Raises:
        UnknownNameError: a sweep never ran; the text has the command that runs it.
    """
    from rnnbench.report.pages import write_report
    from rnnbench.report.study import Study
    from rnnbench.sweep.forecast import find

    studies = []
    for name in names:
        if ledger.find_sweep(name) is None:
            raise UnknownNameError(_never_ran(ledger, name))
        study = Study.read(ledger, name)
        studies.append(replace(study, forecast=find(home, name, study.sweep.settings)))
    return write_report(studies, folder)


def _never_ran(ledger: "Ledger", name: str) -> str:
    from rnnbench.base.errors import InputError
    from rnnbench.base.names import never_ran
    from rnnbench.search.find import find_sweep_file

    try:
        find_sweep_file(name)
    except InputError:
        return never_ran(name, [sweep.name for sweep in ledger.list_sweeps()])
    return f"sweep '{name}' has not run yet; run it with: {command()} sweep {name}"


def read_standings(glance: "Glance", name: str) -> "list[LaneStanding]":
    """How a sweep stands, by task, data set and cell; what a dead driver left behind does not run, whatever the ledger's last word was."""
    from rnnbench.sweep.lease import is_live
    from rnnbench.task.catalogue import is_maximized

    glance.session_s(name)  # says what there is where it is not
    live = {lease.holder.token for lease in glance.leases() if is_live(lease)}
    return glance.standings(name, live, is_maximized)


def _with_values(glance: "Glance", name: str) -> "list[LaneStanding]":
    """How a sweep stands, with what its table needs to say who leads; only an open sweep has that still to be said."""
    lanes = read_standings(glance, name)
    if not any(lane.is_open for lane in lanes):
        return lanes
    values = glance.values(name)
    return [replace(lane, values=tuple(values.get(lane.lane, ()))) for lane in lanes]


def _print_status(name: str, lanes: "list[LaneStanding]") -> None:
    from rnnbench.cli.columns import show as show_columns
    from rnnbench.cli.live import say_standing, score_table
    from rnnbench.ledger.records import Status
    from rnnbench.sweep.scoreboard import find_left

    console = output()
    # As many run at once as do now; where none does, nothing will end.
    running = sum(lane.counts[Status.RUNNING] for lane in lanes)
    left = find_left(lanes, running) if running else None
    show_columns(console, score_table(lanes, left))
    if any(lane.is_open for lane in lanes):
        console.print(say_standing(name, lanes, left), markup=False, soft_wrap=True)


def _print_sweep(text: str, lanes: "list[LaneStanding]", hint: str) -> None:
    from rnnbench.cli.columns import show as show_columns
    from rnnbench.cli.live import score_table

    console = output()
    console.print(text.rstrip(), markup=False)
    console.print()
    show_columns(console, score_table(lanes))
    console.print(f"\none trial: {hint}", markup=False, soft_wrap=True)


def _print_trial(trial: "TrialRecord", epochs: "list[EpochRecord]", folder: Path, again: str) -> None:
    from rich.table import Table

    from rnnbench.report.solved import find_bar, is_unsolved
    from rnnbench.task.catalogue import get_task
    from rnnbench.trial.files import LOG

    card, spec, console = get_task(trial.spec.task), trial.spec, output()
    metric = card.metric.name
    best = "" if trial.best is None else f", best {metric} {trial.best:.6g} in epoch {trial.best_epoch}"
    console.print(f"{spec.task} {spec.cell} trial {trial.key} ({spec.stage}): {trial.status}, attempt {trial.attempts}{best}", markup=False)
    needed = find_bar(card, [trial])
    if needed is not None and is_unsolved(trial, needed, metric):
        level = needed.test_level if trial.outcome.get("test") else needed.level
        console.print(f"unsolved: not clearly better than {metric} {level:.4g}, which needs no memory ({needed.words})", markup=False)
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in sorted({**spec.parameters, "seed": spec.seed, "data": spec.data}.items()):
        table.add_row(name, str(value))
    for name, value in sorted(trial.outcome.items()):
        table.add_row(f"outcome.{name}", str(value))
    console.print(table)
    curve = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("epoch", metric, "", "train_loss", "grad_norm", "seconds"):
        curve.add_column(title, justify="left" if not title else "right")
    values = [epoch.metrics[metric] for epoch in epochs]
    low, high = (min(values), max(values)) if values else (0.0, 0.0)
    for epoch, value in zip(epochs, values, strict=True):
        bar = "#" * (1 + round(29 * (value - low) / (high - low))) if high > low else "#"
        loss, norm = (f"{epoch.metrics[name]:.4g}" for name in ("train_loss", "grad_norm"))
        curve.add_row(str(epoch.epoch), f"{value:.5g}", bar, loss, norm, f"{epoch.wall_s:.1f}")
    console.print(curve)
    if trial.error:
        console.print(f"\n{trial.category or trial.status}:\n{trial.error.rstrip()}", markup=False)
    log = folder / LOG
    where = "" if log.exists() or "host" not in trial.outcome else f" on {trial.outcome['host']}"
    console.print(f"\nlog:         {log}{where}\nrun it again: {again}", markup=False, soft_wrap=True)


def _trial_document(trial: "TrialRecord", epochs: "list[EpochRecord]") -> dict[str, Any]:
    facts = ("key", "group_key", "status", "attempts", "best", "best_epoch", "last", "wall_s", "outcome", "error", "category")
    curve = [{"epoch": epoch.epoch, "wall_s": epoch.wall_s, **epoch.metrics} for epoch in epochs]
    return {"spec": trial.spec.to_dict(), **{name: getattr(trial, name) for name in facts}, "epochs": curve}
