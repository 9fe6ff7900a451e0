"""`rnnbench sweep`: plan, run, record, report."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnnbench.cli.options import (
    DbOption,
    HomeOption,
    JsonOption,
    TrackingOption,
    command,
    home_at,
    home_flag,
    open_ledger,
    output,
    people,
    print_json,
)

if TYPE_CHECKING:
    from rnnbench.base.home import Home
    from rnnbench.ledger.store import Ledger
    from rnnbench.report.pages import ReportFiles
    from rnnbench.sweep.mirror import Mirror
    from rnnbench.sweep.planned import Planned

EXIT_FAILED_TRIALS = 3
EXIT_INTERRUPTED = 130


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("sweep")(sweep)


def sweep(
    file: Annotated[str, typer.Argument(help="A sweep file, or the name of one that ships with rnnbench (lstm, compare, ...).")],
    name: Annotated[str | None, typer.Option(help="Name of the sweep (default: the file's).", show_default=False)] = None,
    changes: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the file.")] = None,
    num_samples: Annotated[int | None, typer.Option(help="Draws per task and cell.", show_default=False)] = None,
    executor: Annotated[str, typer.Option(help="ray, or inline: one trial after the other in this process.")] = "ray",
    address: Annotated[str, typer.Option(help="Which Ray: local (a private one), auto (one that runs here), or host:port.")] = "local",
    db: DbOption = None,
    tracking_uri: TrackingOption = None,
    home: HomeOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the planned trials and stop.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Run the sweep of a file: every trial that is not finished yet, then the report.

    Run again on the same file it resumes: nothing finished runs twice.

    Example: rnnbench sweep search_spaces/lstm.yaml --set budget.max_epochs=5
    """
    from rnnbench.base.errors import InputError
    from rnnbench.cli.plan_table import print_plan
    from rnnbench.search.find import find_sweep_file
    from rnnbench.search.sweepfile import read_sweep
    from rnnbench.sweep.planned import plan_sweep

    if executor not in ("ray", "inline"):
        raise InputError(f"--executor is {executor!r}, must be ray or inline")
    planned = plan_sweep(read_sweep(find_sweep_file(file), name=name, overrides=changes or [], num_samples=num_samples), os.environ)
    if dry_run:
        print_plan(planned, as_json)
        return
    place = home_at(home)
    with open_ledger(place, db, must_exist=False) as ledger:
        sys.exit(_run(planned, ledger, place, executor, address, db, tracking_uri, as_json))


def _run(
    planned: "Planned",
    ledger: "Ledger",
    place: "Home",
    executor: str,
    address: str,
    db: str | None,
    tracking_uri: str | None,
    as_json: bool,
) -> int:
    from rnnbench.cli.live import LiveView, score_table, seconds
    from rnnbench.ledger.records import FINAL, Status
    from rnnbench.sweep.executor import Executor, InlineExecutor
    from rnnbench.sweep.mirror import Mirror
    from rnnbench.sweep.ray_executor import RayExecutor, available_cpus
    from rnnbench.sweep.runner import Runner

    words, name, resources = people(), planned.sweep.name, planned.sweep.resources
    planned.record(ledger, sys.argv)
    trials = ledger.trials(name)
    done, reused = sum(trial.status in FINAL for trial in trials), sum(trial.reused for trial in trials)
    reuse = f" ({reused} by another sweep: reused)" if reused else ""
    words.print(f"sweep {name}: {len(trials)} trials planned, {done} already done{reuse}", markup=False)
    concurrent = 1
    chosen: Executor = InlineExecutor()
    if executor == "ray":
        concurrent = max(1, min(resources.max_concurrent or available_cpus(), available_cpus() // resources.cpus))
        chosen = RayExecutor(address, resources.cpus, resources.max_concurrent)
    mirror = Mirror(db or place.ledger_url, tracking_uri or place.tracking_uri, artifact_root=place.artifacts)
    mirror.start()
    try:
        runner = Runner(ledger, planned.sweep, planned.files, place)
        if not runner.is_complete():
            with LiveView(words, name, concurrent) as view:
                runner.observe = view
                runner.run(chosen)
        if not runner.is_complete():
            return _interrupted(place)
        report = _report(ledger, name, place)
        _deliver(mirror, name, report, place)
    except KeyboardInterrupt:
        return _interrupted(place)
    finally:
        mirror.stop()
    counts = runner.board.counts()
    if as_json:
        print_json(_status(ledger, name))
    else:
        console = output()
        console.print(score_table(runner.board))
        for words_of_one in report.answers:
            console.print(f"\n{words_of_one}", markup=False)
        console.print(f"\nfinished in {seconds(ledger.get_sweep(name).session_s)}", markup=False)
        _print_next_steps(console, name, report.html, place)
    return EXIT_FAILED_TRIALS if counts[Status.FAILED] or counts[Status.CANCELLED] else 0


def _interrupted(place: "Home") -> int:
    people().print(
        f"\nstopped; what was finished is kept. To go on: {_again()}{home_flag(place) if '--home' not in sys.argv else ''}",
        markup=False,
        soft_wrap=True,
    )
    return EXIT_INTERRUPTED


def _again() -> str:
    import shlex

    return " ".join([command(), *map(shlex.quote, sys.argv[1:])])


def _report(ledger: "Ledger", name: str, place: "Home") -> "ReportFiles":
    from rnnbench.cli.results import write_sweep_report

    return write_sweep_report(ledger, [name], place.report_folder(name))


def _deliver(mirror: "Mirror", name: str, report: "ReportFiles", place: "Home") -> None:
    if not (mirror.flush(60.0) and mirror.log_report(name, report.html.parent, report.note)):
        people().print(
            f"MLflow has not taken everything yet; the results are safe. Later: {command()} sync{home_flag(place)}", markup=False
        )


def _status(ledger: "Ledger", name: str) -> dict[str, Any]:
    from rnnbench.cli.results import status_document

    return status_document(ledger, name)


def _print_next_steps(console: Any, name: str, report: Path, place: "Home") -> None:
    flag, others = home_flag(place), "lstm" if name == "compare" else "compare"
    console.print(f"\nreport:       {report}", markup=False, soft_wrap=True)
    console.print(f"MLflow:       {command()} ui{flag}", markup=False, soft_wrap=True)
    console.print(f"compare more: {command()} sweep {others}{flag}", markup=False, soft_wrap=True)
