"""What MLflow gets of a finished sweep beside its trials: the report and the best models, at its end if it takes them, else by `sync`."""

import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

from rnnbench.base.errors import CheckpointError, TrackingError
from rnnbench.base.files import write_atomic
from rnnbench.base.names import printable
from rnnbench.cli.export import describe
from rnnbench.cli.options import command, people, place_flags

if TYPE_CHECKING:
    from rnnbench.base.home import Home
    from rnnbench.ledger.records import OutboxRecord
    from rnnbench.ledger.store import Ledger
    from rnnbench.sweep.mirror import Mirror

# How long the end of a sweep waits for MLflow: for a database, whose tables this process may still be making; for a server, whose
# slowness should not be the sweep's, a share of what the sweep took.
FLUSH_S, LEAST_FLUSH_S, FLUSH_SHARE = 30.0, 1.0, 0.02
# Larger models, all of a sweep together, are left to `sync`, which somebody waits for who wants them.
MAX_MODELS_BYTES = 100_000_000


def deliver_end(ledger: "Ledger", mirror: "Mirror", home: "Home", name: str, db: str | None) -> None:
    """Waits for MLflow as long as the end of a sweep may; what it has not taken then is said in a line, and waits for `sync`."""
    patience_s = max(LEAST_FLUSH_S, FLUSH_SHARE * ledger.get_sweep(name).session_s) if mirror.is_server else FLUSH_S
    deadline = time.monotonic() + min(FLUSH_S, patience_s)
    try:
        if not mirror.flush(deadline - time.monotonic()):
            raise TrackingError("some trials wait")
        for event in ledger.outbox.reports(name):
            # Beside the report, so that they cost no time of their own; a server that hangs is left behind.
            models: Future[None] = Future()
            threading.Thread(target=_resolve, args=(models, ledger, mirror, home, name), daemon=True).start()
            _log_report(mirror, home, event)
            models.result(max(0.0, deadline - time.monotonic()))
            ledger.outbox.mark_delivered([event.id])
    except (TrackingError, TimeoutError) as error:
        why = "the best models take long" if isinstance(error, TimeoutError) else str(error)
        later = f"Later: {command()} sync{place_flags(home, db)}"
        people().print(f"MLflow has not taken everything yet ({why}); the results are safe. {later}", markup=False, soft_wrap=True)


def deliver_reports(ledger: "Ledger", mirror: "Mirror", home: "Home") -> Iterator[str]:
    """Delivers the reports of this home that wait, with the best models of their sweeps, and gives the name of each sweep.

    Raises:
        TrackingError: the server does not take one; it waits on.
    """
    for event in ledger.outbox.reports():
        if not (home.report_folder(event.sweep) / "report.json").is_file():
            words = f"the report of {event.sweep} is not in {home.path}: rnnbench sync --home where it ran delivers it"
            people().print(words, markup=False, soft_wrap=True)
            continue
        try:
            _log_report(mirror, home, event)
            _log_models(ledger, mirror, home, event.sweep)
        except TrackingError as error:
            words = f"MLflow does not take the files of {event.sweep} ({error}); they wait, run rnnbench sync again later"
            raise TrackingError(words) from error
        ledger.outbox.mark_delivered([event.id])
        yield event.sweep


def _resolve(models: "Future[None]", ledger: "Ledger", mirror: "Mirror", home: "Home", name: str) -> None:
    try:
        _log_models(ledger, mirror, home, name, MAX_MODELS_BYTES)
        models.set_result(None)
    except TrackingError as error:
        models.set_exception(error)
    except Exception as error:  # noqa: BLE001 - whatever it is, the sweep is not its victim
        models.set_exception(TrackingError(f"the best models: {type(error).__name__}: {printable(str(error), 200)}"))


def _log_report(mirror: "Mirror", home: "Home", event: "OutboxRecord") -> None:
    mirror.log_report(event.sweep, home.report_folder(event.sweep), str(event.payload["note"]))


def _log_models(ledger: "Ledger", mirror: "Mirror", home: "Home", name: str, max_bytes: float = float("inf")) -> None:
    """Exports the best model of each question that a sweep asked, without torch, and hands them over.

    Raises:
        TrackingError: the server does not take them, or they have more bytes.
    """
    from rnnbench.report.model_card import render
    from rnnbench.sweep.models import find_best_models
    from rnnbench.trial.kept import read_kept

    found = find_best_models(ledger, home, name)
    size = sum(model.path.stat().st_size for model in found.values())
    if size > max_bytes:
        raise TrackingError(f"the best models have {size / 1e6:.0f} MB")
    sweep = ledger.get_sweep(name)
    with tempfile.TemporaryDirectory(prefix="rnnbench-models-") as place:
        told = []
        for folder, model in found.items():
            described = describe(model, sweep)
            try:
                files = read_kept(model.path).to_files(render(described, folder), described.versions)
            except CheckpointError as error:
                people().print(f"not among MLflow's models: {error}", markup=False, soft_wrap=True)
                continue
            for file, content in files.items():
                write_atomic(Path(place) / folder / file, content)
            told.append(f"{folder}: {model.trial.cell} {model.trial.key[:8]}")
        if told:
            mirror.log_models(name, Path(place), "\n".join(told))
