"""What somebody who only reaches MLflow gets of a sweep: its report and best model, once, whatever the server did in between."""

import shutil
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import rnnbench
from benchmarks.passing import PassesOn
from rnnbench.base.home import Home
from rnnbench.cli.delivery import deliver_end
from rnnbench.ledger.store import Ledger
from rnnbench.sweep.mirror import Mirror
from rnnbench.sweep.run_view import report_route
from rnnbench.sweep.winner import find_winner
from rnnbench.trial.files import BEST, CARD, PREPARATION, SPEC, WEIGHTS
from tests.faults.test_servers import free_port, mlflow_server
from tests.integration.test_command_line import run
from tests.integration.test_predict import LETTERS

if TYPE_CHECKING:
    from mlflow import MlflowClient

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("asked_tasks")]

WORDS = ["aeioubb", "bcdfgaa", "aa"]
MODEL = "models/asked_letters-generated"
INLINE = ("sweep", "letters.yaml", "--executor", "inline")
DELIVERED = "report and best models of letters delivered"


def connect(folder: Path) -> "MlflowClient":
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{folder / 'runs' / 'mlflow.db'}")


def parent_of(client: "MlflowClient") -> str:
    experiment = client.get_experiment_by_name("letters")
    assert experiment is not None
    (parent,) = client.search_runs([experiment.experiment_id], "tags.`rnnbench.key` = 'rnnbench.parent'")
    run_id: str = parent.info.run_id
    return run_id


def list_paths(client: "MlflowClient", run_id: str, at: str | None = None) -> list[str]:
    """Every artifact that is a file."""
    found: list[str] = []
    for item in client.list_artifacts(run_id, at):
        found += list_paths(client, run_id, item.path) if item.is_dir else [item.path]
    return sorted(found)


@pytest.fixture(scope="module")
def folder(asked_tasks: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a sweep has run with MLflow beside it."""
    place = tmp_path_factory.mktemp("delivered")
    (place / "letters.yaml").write_text(LETTERS)
    done = run(place, *INLINE)
    assert "MLflow has not taken" not in done.stderr
    return place


def test_the_best_model_comes_from_mlflow_as_it_was_trained(folder: Path, tmp_path: Path) -> None:
    client = connect(folder)
    parent = parent_of(client)
    files = [path for path in list_paths(client, parent) if path.startswith("models/")]
    assert files == sorted(f"{MODEL}/{name}" for name in (CARD, PREPARATION, SPEC, WEIGHTS))
    model = Path(client.download_artifacts(parent, MODEL, str(tmp_path)))
    with Ledger.open(Home(folder / "runs").ledger_url) as ledger:
        winner = find_winner(ledger, "letters")
    trained = rnnbench.load(f"letters/{winner.key}", home=folder / "runs")
    assert rnnbench.load("letters", winner.key[:10], home=folder / "runs").ask(WORDS, top=2) == trained.ask(WORDS, top=2)
    assert rnnbench.load(model).ask(WORDS, top=2) == trained.ask(WORDS, top=2)
    own = tmp_path / "exported" / model.name
    run(folder, "export", "letters", str(own))
    assert {path.name: path.read_bytes() for path in model.iterdir()} == {path.name: path.read_bytes() for path in own.iterdir()}
    assert client.get_run(parent).data.tags["rnnbench.models"] == f"asked_letters-generated: {winner.cell} {winner.key[:8]}"


def test_whatever_is_delivered_again_is_there_once(folder: Path) -> None:
    client = connect(folder)
    parent = parent_of(client)
    before = list_paths(client, parent)
    assert run(folder, "sync").stdout == "0 events delivered\n"
    with Ledger.open(Home(folder / "runs").ledger_url) as ledger:
        ledger.outbox.add_report("letters", "# again")  # as when the process died before it marked the delivery
    assert run(folder, "sync").stdout == f"0 events delivered\n{DELIVERED}\n"
    assert run(folder, "sync").stdout == "0 events delivered\n"
    assert parent_of(client) == parent
    assert list_paths(client, parent) == before
    run_of_sweep = client.get_run(parent)
    link = report_route(run_of_sweep.info.experiment_id, parent)
    assert run_of_sweep.data.tags["mlflow.note.content"] == f"[The whole report]({link})\n\n# again"


def test_a_store_of_artifacts_that_fails_is_one_line_and_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "letters.yaml").write_text(LETTERS)
    artifacts = Home(tmp_path / "runs").artifacts
    artifacts.parent.mkdir()
    artifacts.touch()
    done = run(tmp_path, *INLINE)
    (words,) = [line for line in done.stderr.splitlines() if "MLflow" in line]
    assert words.startswith("MLflow has not taken everything yet (the report: ")
    assert words.endswith("the results are safe. Later: rnnbench sync")
    failed = run(tmp_path, "sync", code=1)
    assert failed.stderr.startswith("rnnbench: MLflow does not take the files of letters (")
    assert len(failed.stderr.splitlines()) == 1
    artifacts.unlink()
    assert run(tmp_path, "sync").stdout == f"0 events delivered\n{DELIVERED}\n"
    client = connect(tmp_path)
    assert {"report.html", f"{MODEL}/{WEIGHTS}"} <= set(list_paths(client, parent_of(client)))


def test_a_sweep_without_tracking_is_told_later_and_only_from_its_own_home(tmp_path: Path) -> None:
    (tmp_path / "letters.yaml").write_text(LETTERS)
    run(tmp_path, *INLINE, "--tracking-uri", "none")
    ledger = Home(tmp_path / "runs").ledger_url
    elsewhere = run(tmp_path, "sync", "--home", "other", "--db", ledger, "--tracking-uri", f"sqlite:///{tmp_path}/runs/mlflow.db")
    assert DELIVERED not in elsewhere.stdout
    assert "the report of letters is not in " in elsewhere.stderr
    assert run(tmp_path, "sync").stdout == f"0 events delivered\n{DELIVERED}\n"


def test_a_model_that_is_not_kept_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "letters.yaml").write_text(LETTERS.replace("confirm: {top_k: 1, seeds: 2}\n", "checkpoints: {keep_best: 0}\n"))
    done = run(tmp_path, *INLINE)
    assert "MLflow has not taken" not in done.stderr
    assert not list(Home(tmp_path / "runs").checkpoints.rglob(BEST))
    client = connect(tmp_path)
    found = list_paths(client, parent_of(client))
    assert "report.html" in found
    assert not [path for path in found if path.startswith("models/")]


class _HangsOnModels(PassesOn):
    """A server that takes no model."""

    def before(self) -> None:
        if "/models/" in self.path:
            threading.Event().wait(60)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Addresses of a healthy MLflow and of one in front of it that hangs where models come."""
    port = free_port()
    with mlflow_server(tmp_path, port, "--artifacts-destination"), ThreadingHTTPServer(("127.0.0.1", 0), _HangsOnModels) as hanging:
        hanging.daemon_threads = True
        _HangsOnModels.behind = f"http://127.0.0.1:{port}"
        threading.Thread(target=hanging.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{port}", f"http://127.0.0.1:{hanging.server_address[1]}"
        hanging.shutdown()


def test_the_end_of_a_sweep_does_not_wait_for_a_server_that_hangs_on_models(
    tmp_path: Path, server: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    healthy, hanging = server
    (tmp_path / "letters.yaml").write_text(LETTERS)
    run(tmp_path, *INLINE, "--tracking-uri", healthy)
    run(tmp_path, "sync", "--tracking-uri", healthy)
    models = [path.parent for path in tmp_path.joinpath("artifacts").rglob(WEIGHTS)]
    assert len(models) == 1
    shutil.rmtree(models[0])
    home = Home(tmp_path / "runs")
    with Ledger.open(home.ledger_url) as ledger:
        ledger.outbox.add_report("letters", "# again")
        deliver_end(ledger, Mirror(home.ledger_url, hanging, artifact_root=home.artifacts), home, "letters", None)
        assert "MLflow has not taken everything yet (the best models take long); the results are safe." in capsys.readouterr().err
        assert len(ledger.outbox.reports()) == 1
    assert run(tmp_path, "sync", "--tracking-uri", healthy).stdout == f"0 events delivered\n{DELIVERED}\n"
    assert sorted(path.name for path in models[0].iterdir()) == sorted([CARD, PREPARATION, SPEC, WEIGHTS])
