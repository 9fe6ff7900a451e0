"""The command line as a person uses it: a small sweep in a home of its own, then everything one can ask about it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import rnnbench
from rnnbench.base.errors import UnknownNameError, UnknownSweepError

SMALL = """\
task: sequential_digits
cells: [elman, lstm]
search: {method: random, num_samples: 2, seed: 0}
budget: {max_epochs: 2}
confirm: {top_k: 1, seeds: 2}
space:
  network.hidden_size: {choice: [4, 8]}
  optimizer.lr: {loguniform: [1e-3, 1e-2]}
  training.batch_size: 128
"""
COMMAND = [sys.executable, "-c", "from rnnbench.cli.app import main; main()"]


def run(folder: Path, *arguments: str, code: int = 0, command: Sequence[str] = COMMAND) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RNNBENCH")}
    done = subprocess.run([*command, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == code, done.stderr + done.stdout
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the small sweep has run in process."""
    place = tmp_path_factory.mktemp("person")
    (place / "small.yaml").write_text(SMALL)
    done = run(place, "sweep", "small.yaml", "--executor", "inline")
    assert "report.html" in done.stdout
    assert "Traceback" not in done.stderr
    return place


def test_what_a_sweep_in_another_ledger_says_to_type_next_names_that_ledger(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL)
    there = ("--db", f"sqlite:///{tmp_path / 'elsewhere.db'}")
    words = run(tmp_path, "sweep", "small.yaml", "--executor", "inline", "--tracking-uri", "none", *there).stdout
    (more,) = [line for line in words.splitlines() if line.startswith("compare more:")]
    assert more.endswith(f"sweep study {' '.join(there)}")
    shown = run(tmp_path, "show", "small", *there).stdout
    (one,) = [line for line in shown.splitlines() if "show small/KEY" in line]
    assert " ".join(there) in one


def test_status_has_every_field_of_the_contract(folder: Path) -> None:
    status = json.loads(run(folder, "status", "small", "--json").stdout)
    assert (status["sweep"], status["status"], status["planned"], status["completed"]) == ("small", "completed", 8, 8)
    assert (status["diverged"], status["failed"], status["running"], status["pending"], status["best"]["metric"]) == (
        0,
        0,
        0,
        0,
        "accuracy",
    )
    assert [row["cell"] for row in status["results"]] == ["elman", "lstm"]
    assert status["best"]["value"] == max(row["best"]["value"] for row in status["results"])
    assert status["best"]["params"]["training.batch_size"] == 128
    assert status["seconds"] > 0


def test_the_same_command_again_runs_nothing_and_exits_0(folder: Path) -> None:
    before = (folder / "runs" / "reports" / "small" / "report.json").read_bytes()
    done = run(folder, "sweep", "small.yaml", "--executor", "inline")
    assert "8 already done" in done.stderr
    assert (
        json.loads((folder / "runs" / "reports" / "small" / "report.json").read_bytes())["sweeps"][0]["trials"]
        == (json.loads(before)["sweeps"][0]["trials"])
    )


@pytest.mark.parametrize("again", [("sweep", "small.yaml"), ("resume", "small")])
def test_no_worker_is_started_where_nothing_is_left_to_do(folder: Path, again: tuple[str, ...]) -> None:
    without = [sys.executable, "-c", "import sys; sys.executable = '/no/python'; from rnnbench.cli.app import main; main()"]
    words = ("--executor", "local", "--tracking-uri", "none")
    assert "8 already done" in run(folder, *again, *words, command=without).stderr


def test_a_trial_can_be_shown_and_run_again_with_the_same_result(folder: Path) -> None:
    key = json.loads(run(folder, "status", "small", "--json").stdout)["best"]["trial"][:8]
    shown = run(folder, "show", f"small/{key}").stdout
    assert "optimizer.lr" in shown
    assert f"train --trial small/{key}" in shown
    assert run(folder, "train", "--trial", f"small/{key}").stdout.endswith("equal to the recorded one\n")


def test_an_extended_sweep_keeps_what_it_has(folder: Path) -> None:
    (folder / "more.yaml").write_text(SMALL.replace("confirm: {top_k: 1, seeds: 2}\n", ""))
    run(folder, "sweep", "more.yaml", "--executor", "inline")
    done = run(folder, "sweep", "more.yaml", "--executor", "inline", "--num-samples", "3")
    assert "6 trials planned, 4 already done" in done.stderr
    changed = run(folder, "sweep", "more.yaml", "--executor", "inline", "--set", "search.seed=9", code=2)
    assert "--name more-2" in changed.stderr
    assert changed.stdout == ""


def test_a_report_on_several_sweeps_names_a_sweep_that_never_ran(folder: Path) -> None:
    done = run(folder, "report", "small", "gru", code=2)
    assert done.stderr.strip().endswith("sweep gru")
    assert "Traceback" not in done.stderr


def test_the_mlflow_mirror_holds_every_trial(folder: Path) -> None:
    check = (
        "from mlflow import MlflowClient\n"
        "client = MlflowClient('sqlite:///runs/mlflow.db')\n"
        "runs = client.search_runs([client.get_experiment_by_name('small').experiment_id])\n"
        "print(len(runs), sum('mlflow.parentRunId' in run.data.tags for run in runs), {run.info.status for run in runs})\n"
    )
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run(
        [sys.executable, "-c", check], cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.split("\n")[0] == "9 8 {'FINISHED'}", done.stderr
    assert "0 events delivered" in run(folder, "sync").stdout


def test_a_dry_run_prints_the_plan_and_touches_nothing(tmp_path: Path) -> None:
    document = json.loads(run(tmp_path, "sweep", "compare", "--dry-run", "--json").stdout)
    assert len(document["trials"]) == 30
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sweep", "lstmm"), "did you mean 'lstm'"),
        (("status", "lstm"), "run a sweep first"),
        (
            ("sweep", "lstm", "--set", "optimizer.lr=fast", "--dry-run"),
            "--set optimizer.lr=fast: optimizer.lr is 'fast', must be a number above 0",
        ),
        (("sweep", "lstm", "--executor", "local", "--address", "auto"), "leave one of them out"),
        (("sweep", "lstm", "--executor", "thread"), "must be auto, local, ray or inline"),
        (("cells", "ltsm"), "did you mean 'lstm'"),
        (("tasks", "ading"), "did you mean 'adding'"),
        (("train",), "give a task"),
        (("train", "adding", "--cell", "gruu"), "rnnbench: no cell 'gruu'; did you mean 'gru'?"),
        (("train", "adding", "--data", "jsb"), "rnnbench: task 'adding' has no data set 'jsb'"),
    ],
)
def test_a_mistake_is_one_line_with_what_to_do(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    done = run(tmp_path, *arguments, code=2)
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_a_missing_data_file_is_a_located_line_with_the_command_that_fetches_it(tmp_path: Path) -> None:
    environment = {**os.environ, "RNNBENCH_DATA": str(tmp_path / "data")}
    done = subprocess.run(
        [*COMMAND, "sweep", "jsb"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "jsb.yaml:4:7: data set 'jsb'" in done.stderr
    assert "rnnbench data fetch polyphonic_music jsb" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_driver_killed_half_way_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL)
    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    (undisturbed / "small.yaml").write_text(SMALL)
    run(undisturbed, "sweep", "small.yaml", "--executor", "inline")
    driver = subprocess.Popen(
        [*COMMAND, "sweep", "small.yaml", "--executor", "inline"], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    logs = tmp_path / "runs" / "checkpoints"
    deadline = time.monotonic() + 120
    while len(list(logs.glob("*/*/best.ckpt"))) < 3 and driver.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    driver.send_signal(signal.SIGKILL)
    assert driver.wait() == -signal.SIGKILL
    status = json.loads(run(tmp_path, "status", "small", "--json").stdout)
    assert 2 <= status["completed"] < 8
    run(tmp_path, "sweep", "small.yaml", "--executor", "inline")

    def results(place: Path) -> list[object]:
        trials = json.loads((place / "runs" / "reports" / "small" / "report.json").read_text())["sweeps"][0]["trials"]
        return [(trial["key"], trial["status"], trial["best"], trial["test"]) for trial in trials]

    assert results(tmp_path) == results(undisturbed)


def test_trials_over_their_time_fail_and_the_sweep_says_so(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL.replace("max_epochs: 2", "max_epochs: 2, max_seconds: 0.001"))
    done = run(tmp_path, "sweep", "small.yaml", "--executor", "inline", "--json", code=3)
    status = json.loads(done.stdout)
    assert (status["failed"], status["completed"], status["status"], status["best"]) == (4, 0, "completed", None)
    key = json.loads(run(tmp_path, "sweep", "small.yaml", "--dry-run", "--json").stdout)["trials"][0]["key"]
    assert "timeout:\nthe trial reached budget.max_seconds" in run(tmp_path, "show", f"small/{key[:8]}").stdout


@pytest.mark.slow
def test_ctrl_c_under_ray_ends_cleanly_and_says_how_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL.replace("max_epochs: 2", "max_epochs: 100000"))
    driver = subprocess.Popen(
        [*COMMAND, "sweep", "small.yaml", "--executor", "ray"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not list((tmp_path / "runs").glob("checkpoints/*/*/trial.log")) and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(2)
    driver.send_signal(signal.SIGINT)
    _, words = driver.communicate(timeout=60)
    assert driver.returncode == 130, words
    assert "To go on: rnnbench resume small --executor ray" in words
    assert "Traceback" not in words
    status = json.loads(run(tmp_path, "status", "small", "--json").stdout)
    assert (status["running"], status["pending"], status["status"]) == (0, 4, "pending")


def test_the_best_configuration_is_a_sweep_file_that_trains_it_again(folder: Path, tmp_path: Path) -> None:
    found = json.loads(run(folder, "best", "small", "--as", "json").stdout)
    text = run(folder, "best", "small", "--as", "yaml", "--replicates", "2").stdout
    (tmp_path / "again.yaml").write_text(text)
    run(tmp_path, "sweep", "again.yaml", "--executor", "inline", "--tracking-uri", "none")
    with rnnbench.open(tmp_path / "runs") as results:
        again = results.trials("small-best")
    with rnnbench.open(folder / "runs") as results:
        before = results.trials("small").set_index("trial").loc[found["trial"]]
    assert len(again) == 2
    assert set(again["seed"]).isdisjoint({before["seed"]})
    parameters = [name for name in again.columns if name.startswith(("task.", "data.", "cell.", "network.", "optimizer.", "training."))]
    for name in ("cell", "task", "data", *parameters):
        assert {str(value) for value in again[name]} == {str(before[name])}, name
    assert f"small/{found['trial'][:8]}" in text
    assert "optimizer.lr" in run(folder, "best", "small").stdout
    assert "no sweep 'smal'" in run(folder, "best", "smal", code=2).stderr


def test_compare_is_a_short_table_with_the_answer(folder: Path) -> None:
    (told,) = json.loads(run(folder, "compare", "small", "--json").stdout)
    shown = run(folder, "compare", "small").stdout
    assert "Sequential digits, digits" in shown
    for cell in told["cells"]:
        assert cell["cell"] in shown
        assert cell["seeds"] == 2
    assert " ".join(shown.split()).endswith(" ".join(" ".join(told["answer"]).split()))
    with rnnbench.open(folder / "runs") as results:
        keys = list(results.trials("small").drop_duplicates("optimizer.lr")["trial"])[:2]
    lines = run(folder, "compare", *(f"small/{key[:10]}" for key in keys)).stdout
    assert "optimizer.lr" in lines
    assert "training.batch_size" not in lines  # the same in both
    assert "compare sweeps with sweeps" in run(folder, "compare", "small", f"small/{keys[0][:8]}", code=2).stderr


def test_a_program_reads_sweeps_trials_and_epochs_as_data_frames(folder: Path) -> None:
    with rnnbench.open(folder / "runs") as results:
        assert "small" in set(results.sweeps()["sweep"])
        trials, epochs = results.trials("small"), results.epochs("small")
        with pytest.raises(UnknownSweepError, match="smal"):
            results.trials("smal")
        with pytest.raises(UnknownNameError, match=r"name a sweep: .*small"):
            results.epochs()
    assert len(trials) == 8
    assert list(epochs.groupby("trial").size()) == [2] * 8
    best = epochs.groupby("trial")["accuracy"].max()
    assert best.to_dict() == trials.set_index("trial")["best"].to_dict()
    with pytest.raises(UnknownNameError, match="no results in"):
        rnnbench.open(folder / "nowhere")


def test_the_notebook_runs_on_a_sweep(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = json.loads((Path(__file__).parents[2] / "docs" / "notebook.ipynb").read_text())
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    monkeypatch.chdir(folder)
    known: dict[str, Any] = {}
    for number, text in enumerate(cells):
        exec(compile(text.replace('"compare"', '"small"'), f"cell {number}", "exec"), known)
    assert set(known["searched"]["cell"]) == {"elman", "lstm"}
    assert len(known["confirmed"]) == 4
    assert known["model"].spec.stage == "confirm"
