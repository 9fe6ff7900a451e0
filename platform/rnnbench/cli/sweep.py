"""`rnnbench sweep | resume | cancel`: plan, run, record, report; go on; give up."""

import os
import secrets
import sys
import threading
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnnbench.cli.ending import EXIT_FAILED_TRIALS, say_finished, say_stopped
from rnnbench.cli.options import (
    CheckpointsOption,
    DbOption,
    FileArgument,
    HomeOption,
    JsonOption,
    NameOption,
    SamplesOption,
    SetOption,
    TrackingOption,
    command,
    home_at,
    ledger_flags,
    open_ledger,
    output,
    people,
    read_given,
)
from rnnbench.cli.place import Place

if TYPE_CHECKING:
    from rnnbench.base.home import Home
    from rnnbench.ledger.records import TrialRecord
    from rnnbench.ledger.store import Ledger
    from rnnbench.report.pages import ReportFiles
    from rnnbench.search.sweepfile import SweepFile
    from rnnbench.sweep.executor import Executor
    from rnnbench.sweep.forecast import Forecast
    from rnnbench.sweep.planned import Planned

ExecutorOption = Annotated[
    str,
    typer.Option(
        "--executor",
        help="local: processes of this machine; ray: Ray Tune, here or with --address; inline: one trial after the other in this process; "
        "auto: ray with an --address, else local.",
    ),
]
AddressOption = Annotated[str, typer.Option("--address", help="Which Ray: local (a private one), auto (one that runs here), or host:port.")]
InsecureOption = Annotated[
    bool, typer.Option("--insecure", help="Use a Ray cluster that asks for no token: whoever reaches it can run programs on it.")
]
JoinOption = Annotated[
    bool,
    typer.Option("--join", help="Work on the sweep beside others that have joined it, here or on machines with the same --db and home."),
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("sweep")(sweep)
    app.command("resume")(resume)
    app.command("cancel")(cancel)


def sweep(
    file: FileArgument,
    name: NameOption = None,
    changes: SetOption = None,
    num_samples: SamplesOption = None,
    executor: ExecutorOption = "auto",
    address: AddressOption = "local",
    insecure: InsecureOption = False,
    join: JoinOption = False,
    db: DbOption = None,
    tracking_uri: TrackingOption = None,
    checkpoints: CheckpointsOption = None,
    home: HomeOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the planned trials and stop.")] = False,
    probe: Annotated[bool, typer.Option("--probe", help="First try some batches, and forecast time, memory and disk.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Run the sweep of a file: every trial that is not finished yet, then the report.

    Run again on the same file it resumes: nothing finished runs twice.

    Example: rnnbench sweep search_spaces/lstm.yaml --set budget.max_epochs=5
    """
    from rnnbench.cli.plan_table import print_forecast, print_plan
    from rnnbench.search.find import find_sweep_file
    from rnnbench.sweep.planned import plan_sweep

    place = Place(home_at(home, checkpoints), executor, address, insecure, db, tracking_uri, join)
    place.check()
    read = read_given(find_sweep_file(file), place.home, db, name=name, changes=changes, num_samples=num_samples)
    planned = plan_sweep(read, os.environ)
    if probe or not dry_run:
        place.require_gpus(planned, probe=probe)
        _try_data(planned, place)
    if not dry_run:
        place.require_store()
    forecast = _probe(planned, place) if probe else None
    if dry_run:
        print_plan(planned, as_json, forecast)
        for task in planned.sweep.tasks:
            if task.own is not None and not probe:
                people().print(f"{task.own}: not read now; the sweep reads it once before it starts", markup=False, soft_wrap=True)
        return
    if forecast:
        print_forecast(people(), forecast)
    has_ended = place.has_ended(planned.sweep.name)
    with place.begin(planned, has_ended=has_ended) as begun, open_ledger(place.home, db, must_exist=False) as ledger:
        planned = planned.record(ledger, sys.argv)
        sys.exit(_run(planned, ledger, place, begun, as_json))


def resume(
    name: Annotated[str, typer.Argument(metavar="SWEEP")],
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run failed and cancelled trials again too.")] = False,
    executor: ExecutorOption = "auto",
    address: AddressOption = "local",
    insecure: InsecureOption = False,
    join: JoinOption = False,
    db: DbOption = None,
    tracking_uri: TrackingOption = None,
    checkpoints: CheckpointsOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Go on with a sweep, from the ledger alone: its file need not be there any more.

    Runs what is pending and nothing that finished; interrupted trials continue from their checkpoints.

    Example: rnnbench resume lstm
    """
    from rnnbench.search.sweepfile import read_settings
    from rnnbench.sweep.planned import plan_sweep

    place = Place(home_at(home, checkpoints), executor, address, insecure, db, tracking_uri, join)
    place.check()
    with open_ledger(place.home, db) as ledger:
        record = ledger.get_sweep(name)
        planned = plan_sweep(read_settings(record.settings, Path(record.path), record.text), os.environ)
        place.require_gpus(planned)
        place.require_store()
        planned = planned.record(ledger, sys.argv)
        if retry_failed:
            people().print(f"{ledger.reopen_failed(name)} trials will run again", markup=False)
        with ledger.glance() as glance:
            has_ended = glance.has_ended(name)
        with place.begin(planned, has_ended=has_ended) as begun:
            sys.exit(_run(planned, ledger, place, begun, as_json))


def cancel(name: Annotated[str, typer.Argument(metavar="SWEEP")], home: HomeOption = None, db: DbOption = None) -> None:
    """Give a sweep up: what has not ended is cancelled, what has finished is kept.

    Example: rnnbench cancel lstm
    """
    from rnnbench.sweep.lease import is_live

    with open_ledger(home_at(home), db) as ledger:
        ledger.get_sweep(name)
        leases = [lease for lease in ledger.leases.of(name) if is_live(lease)]
        if leases:
            ledger.leases.ask_to_stop(name, "cancel")
            for lease in leases:
                words = f"asked pid {lease.holder.pid} on {lease.holder.host} to cancel; it saves what runs and stops"
                output().print(words, markup=False)
        else:
            ledger.release_running(name, {lease.holder.token for lease in ledger.leases.of(name)})
            output().print(f"{ledger.cancel(name)} trials cancelled", markup=False)


def _try_data(planned: "Planned", place: Place) -> None:
    """Reads once what nobody has vouched for, so that what is wrong with it is said before anything starts.

    Raises:
        DataError: a trial could not use it.
    """
    from rich.text import Text

    from rnnbench.sweep.preflight import list_readings, try_readings

    readings = list_readings(planned, os.environ)
    if readings and (place.db or place.home.has_results):
        with open_ledger(place.home, place.db) as ledger:
            recorded = [trial.spec for trial in ledger.trials(planned.sweep.name)]
        readings = list_readings(planned, os.environ, recorded)
    if not readings:
        return
    with people().status("") as line:
        findings = try_readings(readings, lambda words: line.update(Text(f"{words}, as its trials will")))
    for finding in findings:
        people().print(f"warning: {finding}", markup=False, soft_wrap=True)


def _probe(planned: "Planned", place: Place) -> "Forecast":
    """Forecasts a sweep, with progress, and keeps that for its report."""
    from rnnbench.sweep.forecast import forecast, save

    with people().status("probing this machine ...") as line:
        found = forecast(
            planned,
            place.concurrent(planned),
            lambda done, total: line.update(f"probing this machine: {done} of {total} trials"),
            places=place.places(planned),
            elsewhere=place.address != "local",
        )
    save(found, place.home, planned.sweep.name)
    return found


def _run(planned: "Planned", ledger: "Ledger", place: Place, executor: "Executor", as_json: bool) -> int:
    from rnnbench.base.errors import SweepHeldError
    from rnnbench.cli.delivery import deliver_end
    from rnnbench.cli.live import LiveView
    from rnnbench.ledger.records import Status, done_of
    from rnnbench.sweep.fusing import Fusing
    from rnnbench.sweep.mirror import Mirror
    from rnnbench.sweep.packing import Packing
    from rnnbench.sweep.runner import Runner
    from rnnbench.sweep.scoreboard import total
    from rnnbench.sweep.stop import Stop

    name, console, where = planned.sweep.name, people(), ledger_flags(place.home, place.db)
    say = partial(console.print, markup=False, soft_wrap=True)
    # Of several workers with one home each has a file of its own: one that stops does not stop the others.
    stop = Stop(place.home.stops / (f"{name}.{secrets.token_hex(8)}" if place.join else name))
    concurrent = place.concurrent(planned)
    runner = Runner(ledger, planned, place.home, stop, fusing=Fusing(planned.sweep.resources.fuse, concurrent, say))
    runner.packing = Packing(concurrent) if place.kind != "inline" else None
    runner.joined = place.join
    counts, trials = total(runner.board.lanes()), runner.board.trials.values()
    reused, cancelled = sum(trial.reused for trial in trials), counts[Status.CANCELLED]
    reuse = f" ({reused} by another sweep: reused)" if reused else ""
    given_up = f", {cancelled} cancelled" if cancelled else ""
    console.print(f"sweep {name}: {counts.total()} trials planned, {done_of(counts)} already done{reuse}{given_up}", markup=False)
    mirror = None
    if place.tracking_uri != "none":
        address = place.tracking_uri or place.home.tracking_uri
        mirror = Mirror(place.db or place.home.ledger_url, address, artifact_root=place.home.artifacts)
        mirror.start()
    try:
        if not runner.is_complete():
            # The report needs seconds of imports; while the executor starts there is time for them.
            threading.Thread(target=_load_report, args=(planned.sweep, list(trials)), daemon=True).start()
            with LiveView(console, name, concurrent) as runner.observe:
                runner.run(executor)
        if stop.reason == "cancel":
            console.print(f"cancelled; what was finished is kept: {command()} status {name}{where}", markup=False)
            return EXIT_FAILED_TRIALS
        if not runner.is_complete():
            return say_stopped(name, place, stop)
        runner.view.forget()
        # Of several workers that end together, one writes the report.
        report = _report(ledger, name, place.home) if runner.ended or not place.join else None
        if report:
            ledger.outbox.add_report(name, report.note)
        if mirror and report:
            deliver_end(ledger, mirror, place.home, name, place.db)
    except SweepHeldError as error:
        raise SweepHeldError(f"{error}{where}") from error
    except (KeyboardInterrupt, SystemExit):
        # Stopped at once, or while the report was written.
        stop.request("interrupt")
        return say_stopped(name, place, stop)
    finally:
        if mirror:
            mirror.stop()
    return say_finished(ledger, name, place, report, as_json=as_json)


def _load_report(sweep: "SweepFile", trials: "list[TrialRecord]") -> None:
    load = import_module("rnnbench.report.pages").load
    load(trials, sweep.search.method, has_scheduler=sweep.scheduler is not None)


def _report(ledger: "Ledger", name: str, place: "Home") -> "ReportFiles":
    from rnnbench.cli.results import write_sweep_report

    return write_sweep_report(ledger, [name], place, place.report_folder(name))
