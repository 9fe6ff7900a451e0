"""What `rnnbench sweep` and `resume` say last: the table, what failed, the answer, and the commands that come next."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnbench.cli.options import command, home_flag, ledger_flags, output, people, place_flags, print_json
from rnnbench.cli.place import Place

if TYPE_CHECKING:
    from rnnbench.ledger.store import Ledger
    from rnnbench.report.pages import ReportFiles
    from rnnbench.sweep.stop import Stop

EXIT_FAILED_TRIALS = 3
MAX_LISTED_FAILURES = 5


def say_finished(ledger: "Ledger", name: str, place: Place, report: "ReportFiles | None", *, as_json: bool) -> int:
    """Prints the end of a sweep that is complete, and returns the exit status: 0, or 3 where a trial failed or was cancelled."""
    from rnnbench.cli.columns import show
    from rnnbench.cli.live import score_table, seconds
    from rnnbench.cli.results import read_standings, status_document
    from rnnbench.ledger.records import Status
    from rnnbench.sweep.scoreboard import total

    with ledger.glance() as glance:
        lanes = read_standings(glance, name)
        document = status_document(glance, name, lanes) if as_json else {}
    counts = total(lanes)
    if as_json:
        print_json(document)
    else:
        console = output()
        show(console, score_table(lanes))
        _print_failures(console, ledger, name, place)
        for words_of_one in report.answers if report else ():
            console.print(f"\n{words_of_one}", markup=False)
        sweep = ledger.get_sweep(name)
        console.print(f"\nfinished in {seconds(sweep.session_s)}", markup=False)
        html = report.html if report else place.home.report_folder(name) / "report.html"
        _print_next_steps(console, name, html, place, sweep.settings)
    return EXIT_FAILED_TRIALS if counts[Status.FAILED] or counts[Status.CANCELLED] else 0


def _print_failures(console: Any, ledger: "Ledger", name: str, place: Place) -> None:
    from rnnbench.base.names import printable
    from rnnbench.ledger.records import Status

    failed = ledger.trials(name, statuses=[Status.FAILED])
    for trial in failed[:MAX_LISTED_FAILURES]:
        last_line = (trial.error or "").rstrip().rpartition("\n")[2]
        words = f"failed: {trial.spec.cell} {trial.key[:8]} ({trial.category}) {printable(last_line, 160)}"
        console.print(words, markup=False, soft_wrap=True)
    if failed:
        more = f"{len(failed) - MAX_LISTED_FAILURES} more failed. " if len(failed) > MAX_LISTED_FAILURES else ""
        again = f"{command()} resume {name} --retry-failed{place_flags(place.home, place.db)}"
        words = f"{more}One in full: {command()} show {name}/{failed[0].key[:8]}{ledger_flags(place.home, place.db)}; again: {again}"
        console.print(words, markup=False, soft_wrap=True)


def say_stopped(name: str, place: Place, stop: "Stop") -> int:
    """Prints how a sweep that was stopped goes on, and returns the exit status."""
    words = f"\nstopped; what was finished is kept. To go on: {command()} resume {name}{place.flags()}"
    people().print(words, markup=False, soft_wrap=True)
    return stop.exit_code


def _print_next_steps(console: Any, name: str, report: Path, place: Place, settings: Mapping[str, Any]) -> None:
    from rnnbench.task.catalogue import get_task

    # From one cell on to several, from several on one task to several tasks.
    others = "study" if len(settings["cells"]) > 1 and name != "study" else "compare"
    stored, tasks = place_flags(place.home, place.db), settings["task"]
    console.print(f"\nreport:       {report}", markup=False, soft_wrap=True)
    console.print(f"MLflow:       {command()} ui {name}{home_flag(place.home)}", markup=False, soft_wrap=True)
    card = get_task(tasks[0]["name"])
    if len(tasks) == 1 and card.predict is not None:
        given = "TEXT" if card.predict_input == "lines" else "FILE"
        console.print(f"ask it:       {command()} predict {name} --input {given}{stored}", markup=False, soft_wrap=True)
    console.print(f"compare more: {command()} sweep {others}{stored}", markup=False, soft_wrap=True)
