"""The MLflow mirror: delivers the ledger's outbox, late if it must, never in a trial's way. The only file that imports mlflow.

One experiment for each sweep, a parent run, and a child run for each finished trial. A run is found again by its key before
one is made, so an event delivered twice, or half before a crash, has one effect. Of all processes on one ledger, one
at a time delivers: two who look for the same run at once would both make it.
"""

import json
import logging
import os
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnbench.base.errors import TrackingError
from rnnbench.base.failpoints import failpoint
from rnnbench.base.names import printable
from rnnbench.base.secrets import redact
from rnnbench.ledger.records import EpochRecord, OutboxRecord, Status, TrialRecord
from rnnbench.ledger.store import Ledger
from rnnbench.search.sweepfile import list_choices
from rnnbench.sweep import run_view
from rnnbench.task.catalogue import tell_apart

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, Run

log = logging.getLogger(__name__)

_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
    # Standard output is for data.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # The outbox retries; the client must not hold it for minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
BATCH_EVENTS = 50
TURN = "mirror"
POLL_S = 0.5
LONGEST_WAIT_S = 60.0
# How long the end of a sweep waits for an event that hangs.
PATIENCE_S = 1.0
# MLflow's limits for one log_batch.
MAX_METRICS, MAX_PARAMS = 1000, 100
MAX_VALUE_CHARS, MAX_DIGEST_CHARS = 500, 36

PARENT = "rnnbench.parent"
# Where the parent run has the sweep's best models, and the tag that says which they are.
MODELS, MODELS_TAG = "models", "rnnbench.models"
# Of a report's folder, beside its figures.
ATTACHED = ("report.html", "report.md", "report.json", "report.tex", "trials.csv", "trials.parquet")


class Mirror:
    """Delivers one ledger's outbox to one tracking server.

    Args:
        tracking_uri: Absolute, e.g. sqlite:////absolute/mlflow.db or http://127.0.0.1:5000.
        artifact_root: Where a database without a server keeps artifacts; a server keeps them itself.

    Attributes:
        is_server: Whether the address is that of a server, which others may slow down.
    """

    def __init__(self, ledger_url: str, tracking_uri: str, *, artifact_root: Path) -> None:
        self._ledger_url = ledger_url
        self._tracking_uri = tracking_uri
        # A path of this machine means nothing to a server, nor to who reads there.
        self.is_server = tracking_uri.startswith(("http://", "https://"))
        self._artifact_root = None if self.is_server else artifact_root
        self._ended = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._failures = 0

    def start(self) -> None:
        """Delivers in the background from now on."""
        self._thread = threading.Thread(target=self._run, name="mlflow-mirror", daemon=True)
        self._thread.start()

    def flush(self, timeout_s: float) -> bool:
        """Waits until everything is delivered; False when the time is up or the server fails once more."""
        deadline, failures = time.monotonic() + timeout_s, self._failures
        with Ledger.open(self._ledger_url) as ledger:
            while ledger.outbox.size():
                if time.monotonic() > deadline or self._failures > failures:
                    return False
                self._wake.set()
                time.sleep(0.05)
        return True

    def stop(self) -> None:
        """Ends the background delivery after the event in hand; one that hangs is left behind, to be delivered again."""
        self._ended.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=PATIENCE_S)

    def deliver_all(self) -> int:
        """Delivers everything in this thread, or waits while another process does; returns how many events it was.

        Raises:
            TrackingError: the server does not take it; what was taken stays marked.
        """
        delivered = 0
        with Ledger.open(self._ledger_url) as ledger:
            while ledger.outbox.size():
                try:
                    with ledger.turn(TURN) as is_mine:
                        if is_mine:
                            for _ in _deliver_waiting(ledger, self._delivery(ledger)):
                                delivered += 1
                            break
                except Exception as error:
                    waiting = ledger.outbox.size()
                    raise TrackingError(
                        f"MLflow at {redact(self._tracking_uri, {})} took {delivered} events and then no more ({_one_line(error)}); "
                        f"{waiting} wait in the ledger, run rnnbench sync again later"
                    ) from error
                time.sleep(POLL_S)
        return delivered

    def find_route(self, sweep: str) -> str | None:
        """Where MLflow's page shows the sweep's trials, below the server's address; None where MLflow has no such sweep."""
        experiment = self._client().get_experiment_by_name(sweep)
        return run_view.view_route(experiment.experiment_id, has_view=run_view.TAG in experiment.tags) if experiment else None

    def log_report(self, sweep: str, folder: Path, note: str) -> None:
        """Attaches a report's files to the sweep's parent run and sets its note.

        Raises:
            TrackingError: the server did not take all of it.
        """
        self._attach("the report", lambda delivery: delivery.attach_report(sweep, folder, note))

    def log_models(self, sweep: str, folder: Path, words: str) -> None:
        """Attaches exported models, a folder each, to the sweep's parent run, and sets its tag to which they are.

        Raises:
            TrackingError: the server did not take all of them.
        """
        self._attach("the best models", lambda delivery: delivery.attach_models(sweep, folder, words))

    def _attach(self, what: str, attach: "Callable[[_Delivery], None]") -> None:
        try:
            with Ledger.open(self._ledger_url) as ledger:
                attach(self._delivery(ledger))
        except Exception as error:
            raise TrackingError(f"{what}: {_one_line(error)}") from error

    def _client(self) -> "MlflowClient":
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        for noisy in ("alembic", "mlflow"):
            # What goes wrong is said once by us; MLflow would print a traceback for each event.
            logging.getLogger(noisy).setLevel(logging.CRITICAL)
        from mlflow import MlflowClient

        if self._tracking_uri.startswith("sqlite:///"):
            create_database(Path(self._tracking_uri.removeprefix("sqlite:///")))
        return MlflowClient(tracking_uri=self._tracking_uri)

    def _delivery(self, ledger: Ledger) -> "_Delivery":
        return _Delivery(ledger, self._client, self._artifact_root)

    def _run(self) -> None:
        wait_s, warned = POLL_S, False
        with Ledger.open(self._ledger_url) as ledger:
            while not self._ended.is_set():
                try:
                    with ledger.turn(TURN) as is_mine:
                        delivery = self._delivery(ledger)
                        while is_mine:
                            for _ in _deliver_waiting(ledger, delivery):
                                if self._ended.is_set():
                                    return
                            wait_s = POLL_S
                            if self._rest(wait_s):
                                return
                except Exception as error:  # noqa: BLE001 - whatever a tracking server does, the sweep is not its victim
                    if not warned:
                        log.warning("MLflow does not answer, the results wait in the ledger (rnnbench sync): %s", str(error)[:300])
                    warned, wait_s = True, min(2 * wait_s, LONGEST_WAIT_S)
                    self._failures += 1
                self._rest(wait_s)

    def _rest(self, seconds: float) -> bool:
        """Waits, or until somebody waits for the delivery; says whether it has ended."""
        self._wake.wait(seconds)
        self._wake.clear()
        return self._ended.is_set()


def _deliver_waiting(ledger: Ledger, delivery: "_Delivery") -> Iterator[OutboxRecord]:
    """Delivers what waits, and gives each event once it is marked. Only for who has the turn."""
    while events := ledger.outbox.waiting(BATCH_EVENTS):
        for event in events:
            delivery.deliver(event)
            ledger.outbox.mark_delivered([event.id])
            yield event


def _one_line(error: Exception) -> str:
    return printable(" ".join(str(error).split()), 200)


def create_database(path: Path) -> None:
    """Makes MLflow's database whole or not at all: it takes seconds, and one that was left half made is never opened again."""
    if path.exists():
        return
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        made = Path(folder) / path.name
        store = SqlAlchemyStore(f"sqlite:///{made}", folder)  # type: ignore[no-untyped-call]
        store.engine.dispose()
        # The default experiment would keep its artifacts in the temporary folder.
        with closing(sqlite3.connect(made)) as connection, connection:
            connection.execute("UPDATE experiments SET artifact_location = ?", ((path.parent / "artifacts" / "0").as_uri(),))
        # A link fails where another process was faster, and then its database is as good.
        with suppress(FileExistsError):
            os.link(made, path)


class _Delivery:
    """Turns events into MLflow's experiments and runs. What it remembers of them holds while nobody else writes there."""

    def __init__(self, ledger: Ledger, connect: Callable[[], "MlflowClient"], artifact_root: Path | None) -> None:
        self._ledger = ledger
        self._connect = connect
        self._artifact_root = artifact_root
        self._experiments: dict[str, str] = {}
        self._parents: dict[str, str] = {}
        self._data: set[tuple[str, str, str]] = set()
        self._titles: dict[str, dict[tuple[str, str], str]] = {}
        # Experiments that this process made, and the keys of its runs there.
        self._new: dict[str, set[str]] = {}

    @cached_property
    def _client(self) -> "MlflowClient":
        return self._connect()

    def deliver(self, event: OutboxRecord) -> None:
        """Has one event's effect, however often it is called."""
        failpoint("mirror.before_delivery")
        parent_id = self._parent(event.sweep)
        if event.kind == "trial_finished" and event.trial_key is not None:
            trial = self._ledger.get_trial(event.sweep, event.trial_key)
            self._log_data(parent_id, trial)
            self._log_trial(event.sweep, parent_id, trial, self._ledger.epochs([trial.key]).get(trial.key, []))
        elif event.kind == "sweep_ended":
            self._client.set_terminated(parent_id, "FINISHED")
        failpoint("mirror.after_delivery")

    def attach_report(self, sweep: str, folder: Path, note: str) -> None:
        """Puts a report's files and a note on the sweep's parent run, and the note on its experiment."""
        run_id = self._parent(sweep)
        for name in ATTACHED:
            if (folder / name).exists():
                self._client.log_artifact(run_id, str(folder / name))
        if (folder / "figures").is_dir():
            self._client.log_artifacts(run_id, str(folder / "figures"), "figures")
        experiment = self._experiment(sweep)
        # Links of MLflow's page to itself, whatever the server's address.
        report = f"[The whole report]({run_view.report_route(experiment, run_id)})"
        trials = f"[{run_view.NAME}]({run_view.view_route(experiment, has_view=True)})"
        # First: folded, a note shows its first line.
        self._client.set_tag(run_id, "mlflow.note.content", f"{report}\n\n{note}")
        self._client.set_experiment_tag(experiment, "mlflow.note.content", f"{report} | {trials}\n\n{note}")

    def attach_models(self, sweep: str, folder: Path, words: str) -> None:
        """Puts exported models on the sweep's parent run; one of the same name is replaced."""
        run_id = self._parent(sweep)
        self._client.log_artifacts(run_id, str(folder), MODELS)
        self._client.set_tag(run_id, MODELS_TAG, words)

    def _experiment(self, sweep: str) -> str:
        if sweep not in self._experiments:
            found = self._client.get_experiment_by_name(sweep)
            if found is None:
                location = None if self._artifact_root is None else (self._artifact_root / sweep).as_uri()
                # The tag makes MLflow show its model-training pages first.
                kind = {"mlflow.experimentKind": "custom_model_development"}
                self._experiments[sweep] = self._client.create_experiment(sweep, artifact_location=location, tags=kind)
                self._new[sweep] = set()
            else:
                self._experiments[sweep] = found.experiment_id
        return self._experiments[sweep]

    def _parent(self, sweep: str) -> str:
        """The id of the sweep's parent run."""
        if sweep not in self._parents:
            run = self._find(sweep, PARENT) or self._create_parent(sweep)
            self._parents[sweep] = run.info.run_id
        return self._parents[sweep]

    def _create_parent(self, sweep: str) -> "Run":
        record = self._ledger.get_sweep(sweep)
        tags = {"rnnbench.key": PARENT, "rnnbench.sweep": sweep, "mlflow.note.content": f"Sweep `{sweep}` of rnnbench."}
        tags |= {"mlflow.source.name": str(record.environment.get("command", "rnnbench")), "mlflow.user": ""}
        start = round(record.created_at.timestamp() * 1000)
        experiment = self._experiment(sweep)
        self._client.set_experiment_tag(experiment, run_view.TAG, run_view.build_view(record))
        return self._client.create_run(experiment, start_time=start, tags=tags, run_name=f"sweep {sweep}")

    def _log_data(self, parent_id: str, trial: TrialRecord) -> None:
        """Names a data set of the sweep, with its digest, on the parent run; MLflow takes one that it has for the same."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        name, digest = f"{trial.spec.task}/{trial.spec.data}", trial.spec.data_fingerprint[:MAX_DIGEST_CHARS]
        if (parent_id, name, digest) in self._data:
            return
        self._data.add((parent_id, name, digest))
        dataset = Dataset(name, digest, "rnnbench", json.dumps({"task": trial.spec.task, "data": trial.spec.data}))
        self._client.log_inputs(parent_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])

    def _find(self, sweep: str, key: str) -> "Run | None":
        experiment = self._experiment(sweep)
        if key not in self._new.get(sweep, {key}):
            self._new[sweep].add(key)
            return None  # nobody else has put it there
        runs = self._client.search_runs([experiment], f"tags.`rnnbench.key` = '{key}'", max_results=1)
        return runs[0] if runs else None

    def _title(self, sweep: str, trial: TrialRecord) -> str:
        """What tells the runs of a sweep of several tasks or data sets apart in a list; empty in a sweep of one."""
        if sweep not in self._titles:
            self._titles[sweep] = tell_apart(list_choices(self._ledger.get_sweep(sweep).settings))
        titles = self._titles[sweep]
        return f"{titles[trial.task, trial.spec.data]} " if len(titles) > 1 else ""

    def _log_trial(self, sweep: str, parent_id: str, trial: TrialRecord, epochs: Sequence[EpochRecord]) -> None:
        run = self._find(sweep, trial.key)
        if run is None:
            tags = {
                "rnnbench.key": trial.key,
                "mlflow.parentRunId": parent_id,
                "sweep": sweep,
                "task": trial.spec.task,
                "data": trial.spec.data,
                "cell": trial.spec.cell,
                "seed": str(trial.spec.seed),
                "stage": trial.spec.stage,
                "status": trial.status,
                "key": trial.key[:8],
                "group": trial.group_key[:8],
                "draw": str(trial.spec.draw),
                "replicate": str(trial.spec.replicate),
            }
            name = f"{self._title(sweep, trial)}{trial.cell} {trial.key[:8]}" + (" confirm" if trial.stage == "confirm" else "")
            start = _milliseconds(trial.started_at)
            run = self._client.create_run(self._experiment(sweep), start_time=start, tags=tags, run_name=name)
        run_id = run.info.run_id
        for metrics, params in _batches(_metrics(trial, epochs), _params(trial)):
            self._client.log_batch(run_id, metrics=metrics, params=params)
        status = "FINISHED" if trial.status == Status.COMPLETED else "FAILED"
        self._client.set_terminated(run_id, status, end_time=_milliseconds(trial.ended_at))


def _metrics(trial: TrialRecord, epochs: Sequence[EpochRecord]) -> "list[Metric]":
    from mlflow.entities import Metric

    start, end = _milliseconds(trial.started_at) or 0, _milliseconds(trial.ended_at) or 0
    found = [
        Metric(name, float(value), start + round(epoch.wall_s * 1000), epoch.epoch)
        for epoch in epochs
        for name, value in epoch.metrics.items()
    ]
    facts: dict[str, Any] = {"best": trial.best, "best_epoch": trial.best_epoch, "wall_s": trial.wall_s}
    facts |= {name: trial.outcome.get(name) for name in ("num_parameters", "train_flops", "peak_memory_bytes")}
    facts |= {f"latency_{name}": (trial.outcome.get("latency") or {}).get(name) for name in ("one_ms", "batch_ms")}
    facts |= {f"test_{name}": value for name, value in (trial.outcome.get("test") or {}).items()}
    last = epochs[-1].epoch if epochs else 0
    # First the facts: MLflow's comparison opens on the metric that was logged first.
    return [Metric(name, float(value), end, last) for name, value in facts.items() if value is not None] + found


def _params(trial: TrialRecord) -> "list[Param]":
    from mlflow.entities import Param

    # Not the seed, which is a tag: as a number it would be an axis of every comparison.
    values = {"cell": trial.spec.cell, "task": trial.spec.task, "data": trial.spec.data, **trial.spec.parameters}
    return [Param(name, str(value)[:MAX_VALUE_CHARS]) for name, value in values.items()]


def _batches(metrics: "list[Metric]", params: "list[Param]") -> "Iterable[tuple[list[Metric], list[Param]]]":
    for start in range(0, max(len(metrics), 1), MAX_METRICS - MAX_PARAMS):
        yield metrics[start : start + MAX_METRICS - MAX_PARAMS], params[:MAX_PARAMS] if start == 0 else []
    for start in range(MAX_PARAMS, len(params), MAX_PARAMS):
        yield [], params[start : start + MAX_PARAMS]


def _milliseconds(moment: Any) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)
