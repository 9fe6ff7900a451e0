"""The MLflow mirror on a real MLflow database: what it shows, and that it never harms or doubles anything."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from rnnbench.base.errors import TrackingError
from rnnbench.ledger.records import EpochRecord, Status, SweepRecord
from rnnbench.ledger.store import Ledger
from rnnbench.sweep.mirror import Mirror
from rnnbench.trial.spec import TrialSpec

pytestmark = pytest.mark.slow
SETTINGS = {"task": [{"name": "adding", "data": "generated"}], "space": {"optimizer.lr": {"loguniform": [0.001, 0.1]}}}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose ledger holds a sweep with a completed and a diverged trial."""
    place = tmp_path_factory.mktemp("home")
    specs = [TrialSpec("search", "adding", 1, "generated", "f", "lstm", 1, {"optimizer.lr": 0.01}, seed) for seed in range(2)]
    with Ledger.open(f"sqlite:///{place / 'rnnbench.db'}") as ledger:
        ledger.record_sweep(SweepRecord("one", "one.yaml", "", SETTINGS, {}, datetime(2026, 1, 2, tzinfo=UTC)), specs)
        for trial, status in zip(ledger.claim("one", 2), (Status.COMPLETED, Status.DIVERGED), strict=True):
            for epoch, value in enumerate((0.5, 0.25), 1):
                ledger.record_epoch(trial.key, 1, EpochRecord(epoch, 0.1 * epoch, {"mse": value}), value, epoch, value)
            ledger.record_finished(trial.key, 1, status, {"num_parameters": 7, "test": {"mse": 0.3}}, 1.0)
        ledger.record_end("one")
    return place


def mirror_of(home: Path, tracking_uri: str | None = None) -> Mirror:
    uri = tracking_uri or f"sqlite:///{home / 'mlflow.db'}"
    return Mirror(f"sqlite:///{home / 'rnnbench.db'}", uri, artifact_root=home / "artifacts")


def test_a_server_that_refuses_every_call_harms_nothing(home: Path) -> None:
    mirror = mirror_of(home, "http://127.0.0.1:1")
    mirror.start()
    assert not mirror.flush(1.0)
    with pytest.raises(TrackingError, match=r"^the report: ") as error:
        mirror.log_report("one", home, "note")
    assert "\n" not in str(error.value)
    mirror.stop()
    with Ledger.open(f"sqlite:///{home / 'rnnbench.db'}") as ledger:
        assert ledger.outbox.size() == 4


def test_every_event_has_one_effect_however_often_it_is_delivered(home: Path) -> None:
    from mlflow import MlflowClient

    assert mirror_of(home).deliver_all() == 4
    # As after a crash between the delivery and its mark: everything is delivered a second time.
    engine = create_engine(f"sqlite:///{home / 'rnnbench.db'}")
    with engine.begin() as connection:
        connection.execute(text("UPDATE outbox SET delivered_at = NULL"))
    engine.dispose()
    assert mirror_of(home).deliver_all() == 4
    assert mirror_of(home).deliver_all() == 0
    client = MlflowClient(tracking_uri=f"sqlite:///{home / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("one")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) == 3
    (parent,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    assert parent.inputs is not None
    (given,) = parent.inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.digest) == ("adding/generated", "f")
    children = [run for run in runs if run is not parent]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert sorted(run.info.status for run in children) == ["FAILED", "FINISHED"]
    for run in children:
        tags, metrics, params = run.data.tags, run.data.metrics, run.data.params
        assert (tags["task"], tags["cell"], params["optimizer.lr"]) == ("adding", "lstm", "0.01")
        assert tags["status"] == ("completed" if run.info.status == "FINISHED" else "diverged")
        assert (metrics["mse"], metrics["best"], metrics["test_mse"], metrics["num_parameters"]) == (0.25, 0.25, 0.3, 7)
        assert {(point.step, point.value) for point in client.get_metric_history(run.info.run_id, "mse")} == {(1, 0.5), (2, 0.25)}


def test_tags_filter_trials_by_what_they_are(home: Path) -> None:
    from mlflow import MlflowClient

    mirror_of(home).deliver_all()
    client = MlflowClient(tracking_uri=f"sqlite:///{home / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("one")
    assert experiment is not None

    def found(words: str) -> list[str]:
        return sorted(run.data.tags["seed"] for run in client.search_runs([experiment.experiment_id], words))

    assert found("tags.cell = 'lstm' and tags.status = 'diverged'") == ["1"]
    assert found("tags.task = 'adding' and tags.stage = 'search'") == ["0", "1"]
    assert found("tags.task = 'adding' and tags.stage = 'confirm'") == []
    with Ledger.open(f"sqlite:///{home / 'rnnbench.db'}") as ledger:
        (group,) = {trial.group_key[:8] for trial in ledger.trials("one")}
    assert found(f"tags.sweep = 'one' and tags.group = '{group}'") == ["0", "1"]


def test_the_runs_of_a_sweep_with_several_data_sets_are_named_by_them(tmp_path: Path) -> None:
    from mlflow import MlflowClient

    entries = [{"name": "forecasting", "data": data} for data in ("lorenz", "etth1")]
    specs = [TrialSpec("search", entry["name"], 1, entry["data"], "f", "lstm", 1, {"optimizer.lr": 0.01}, 0) for entry in entries]
    with Ledger.open(f"sqlite:///{tmp_path / 'rnnbench.db'}") as ledger:
        ledger.record_sweep(SweepRecord("one", "one.yaml", "", {"task": entries}, {}, datetime(2026, 1, 2, tzinfo=UTC)), specs)
        for trial in ledger.claim("one", 2):
            ledger.record_finished(trial.key, 1, Status.COMPLETED, {}, 1.0)
    mirror_of(tmp_path).deliver_all()
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("one")
    assert experiment is not None
    names = {run.info.run_name for run in client.search_runs([experiment.experiment_id])}
    assert names == {"sweep one", *(f"forecasting ({spec.data}) lstm {spec.key()[:8]}" for spec in specs)}


def test_a_report_is_attached_with_its_note(home: Path) -> None:
    from mlflow import MlflowClient

    folder = home / "reports" / "one"
    (folder / "figures").mkdir(parents=True)
    (folder / "report.html").write_text("<p>report</p>")
    (folder / "figures" / "a.png").write_bytes(b"png")
    mirror_of(home).log_report("one", folder, "# the answer")
    client = MlflowClient(tracking_uri=f"sqlite:///{home / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("one")
    assert experiment is not None
    (parent,) = client.search_runs([experiment.experiment_id], "tags.`rnnbench.key` = 'rnnbench.parent'")
    link = f"(#/experiments/{experiment.experiment_id}/runs/{parent.info.run_id}/artifacts/report.html?workflowType=machine_learning)"
    for note in (parent.data.tags["mlflow.note.content"], experiment.tags["mlflow.note.content"]):
        assert note.startswith(f"[The whole report]{link}")
        assert note.endswith("# the answer")
    route = mirror_of(home).find_route("one")
    assert route is not None
    assert f"[Trials]({route})" in experiment.tags["mlflow.note.content"]
    assert route.endswith("&viewStateShareKey=rnnbench")
    assert "mlflow.sharedViewState.rnnbench" in experiment.tags
    assert mirror_of(home).find_route("two") is None
    assert {item.path for item in client.list_artifacts(parent.info.run_id)} == {"figures", "report.html"}
    assert (home / "artifacts" / "one" / parent.info.run_id / "artifacts" / "report.html").exists()
