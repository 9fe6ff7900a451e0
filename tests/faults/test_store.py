"""Checkpoints in an S3 store: trials go on from it on another machine, and a store that is away or damaged loses nothing."""

import json
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import rnnbench.trial.run
from rnnbench.base.errors import StoreError
from rnnbench.base.home import Home
from rnnbench.ledger.records import FINAL, Status
from rnnbench.ledger.store import Ledger
from rnnbench.sweep.executor import InlineExecutor
from rnnbench.trial.door import run_jobs
from rnnbench.trial.files import BEST, LAST, WEIGHTS, previous_of
from rnnbench.trial.job import Job
from tests.contract.sweeps import read_text
from tests.contract.sweeps import run as run_whole
from tests.contract.sweeps import start as plan
from tests.faults.harness import SMALL, kill, made_once, run, start, table
from tests.faults.test_files import DAMAGES, comparable
from tests.faults.test_files import job as plain_job
from tests.s3 import ADDRESS, Server

pytestmark = pytest.mark.timeout(900)

EPOCHS = 6
# Long enough to be killed in the middle.
LONG = """\
name: long
task: sequential_digits
cells: [lstm]
search: {method: random, num_samples: 1, seed: 0}
budget: {max_epochs: 40}
checkpoints: {every_seconds: 0.2, keep_best: 1}
space:
  network.hidden_size: 16
  optimizer.lr: {loguniform: [1e-3, 1e-2]}
  training.batch_size: 64
"""


class Machine:
    """A folder that no other machine sees, in which the jobs of trials run."""

    def __init__(self, folder: Path, *jobs: Job) -> None:
        self.folder = folder
        self.stop = folder / "stop"
        self.jobs = [replace(job, folder=str(folder / job.key), store=ADDRESS, stop_file=str(self.stop)) for job in jobs]

    def run(self, after: int | None = None, then: Any = None) -> tuple[list[dict[str, Any]], list[int]]:
        """Runs the jobs; gives their last events and the epochs of the first.

        Args:
            after: Once the first has trained so many epochs, `then` is called.
        """
        self.folder.mkdir(exist_ok=True)
        finished: dict[str, dict[str, Any]] = {}
        epochs: list[int] = []

        def report(event: dict[str, Any]) -> None:
            if event["kind"] == "finished":
                finished[event["key"]] = event
            elif event["kind"] == "epoch" and event["key"] == self.jobs[0].key:
                epochs.append(event["epoch"])
                if event["epoch"] == after:
                    then()

        run_jobs([job.to_dict() for job in self.jobs], report)
        return [finished[job.key] for job in self.jobs], epochs

    def interrupt(self) -> None:
        self.stop.touch()
        time.sleep(0.25)  # the pulse looks five times a second

    def words(self) -> str:
        return (Path(self.jobs[0].folder) / "trial.log").read_text()

    def files(self) -> list[str]:
        return sorted(path.name for path in Path(self.jobs[0].folder).iterdir())


@pytest.fixture
def jobs(tmp_path: Path) -> list[Job]:
    """Two jobs of one shape."""
    one = plain_job(tmp_path)
    other = replace(one.spec, seed=one.spec.seed + 1)
    return [one, replace(one, spec=other, key=other.key())]


@pytest.fixture
def whole(tmp_path: Path, jobs: list[Job]) -> list[tuple[object, ...]]:
    """What the jobs end with where nothing happens to them and there is no store."""
    found: dict[str, Any] = {}
    run_jobs(
        [replace(job, folder=str(tmp_path / "whole" / job.key)).to_dict() for job in jobs],
        lambda event: found.update({event["key"]: event}),
    )
    return [comparable(found[job.key]) for job in jobs]


def test_a_trial_goes_on_on_another_machine_and_ends_bit_equal(
    s3: Server, jobs: list[Job], whole: list[tuple[object, ...]], tmp_path: Path
) -> None:
    first, other = Machine(tmp_path / "first", jobs[0]), Machine(tmp_path / "other", jobs[0])
    (finished,), _ = first.run(3, first.interrupt)
    assert finished["status"] == "interrupted"
    assert first.files() == ["trial.log"]
    assert sorted(s3.objects()) == [f"{jobs[0].key}.{LAST}", f"{jobs[0].key}.{previous_of(Path(LAST)).name}"]
    (finished,), epochs = other.run()
    assert epochs == [4, 5, 6]
    assert comparable(finished) == whole[0]
    assert other.files() == ["trial.log"]
    assert sorted(s3.objects()) == [f"{jobs[0].key}.{BEST}"]


def test_trials_that_train_together_go_on_on_another_machine(s3: Server, jobs: list[Job], tmp_path: Path) -> None:
    fused = [replace(job, fuse="always") for job in jobs]
    undisturbed_ends, _ = Machine(tmp_path / "undisturbed", *fused).run()
    s3.reset()
    first, other = Machine(tmp_path / "first", *fused), Machine(tmp_path / "other", *fused)
    ends, _ = first.run(3, first.interrupt)
    assert [end["status"] for end in ends] == ["interrupted", "interrupted"]
    ends, epochs = other.run()
    assert epochs == [4, 5, 6]
    assert {end["outcome"]["mode"] for end in ends} == {"fused"}
    assert list(map(comparable, ends)) == list(map(comparable, undisturbed_ends))
    assert sorted(s3.objects()) == sorted(f"{job.key}.{BEST}" for job in jobs)


@pytest.mark.slow
def test_a_trial_of_several_workers_goes_on_on_another_machine(s3: Server, jobs: list[Job], tmp_path: Path) -> None:
    parallel = replace(jobs[0], workers=2)
    (whole,), _ = Machine(tmp_path / "undisturbed", parallel).run()
    s3.reset()
    first, other = Machine(tmp_path / "first", parallel), Machine(tmp_path / "other", parallel)
    first.run(3, first.interrupt)
    (finished,), epochs = other.run()
    assert epochs == [4, 5, 6]
    assert comparable(finished) == comparable(whole)


@pytest.mark.parametrize("damage", ["half", "a signed pickle", "of another shape"])
def test_a_bad_object_gives_way_to_the_one_before(
    damage: str, s3: Server, jobs: list[Job], whole: list[tuple[object, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first, other = Machine(tmp_path / "first", jobs[0]), Machine(tmp_path / "other", jobs[0])
    first.run(3, first.interrupt)
    newest = f"{jobs[0].key}.{LAST}"
    s3.replace(newest, DAMAGES[damage](s3.objects()[newest], tmp_path))
    (finished,), epochs = other.run()
    assert epochs[0] in (3, 4), "it began anew although the one before is good"
    assert comparable(finished) == whole[0]
    assert not (tmp_path / "executed").exists()


def test_a_store_that_is_away_while_a_trial_trains_costs_nothing(
    s3: Server, jobs: list[Job], whole: list[tuple[object, ...]], tmp_path: Path
) -> None:
    machine = Machine(tmp_path / "machine", jobs[0])
    (finished,), epochs = machine.run(2, s3.stop)
    # It came back neither for the last checkpoint nor for the model.
    assert finished["status"] == "interrupted"
    assert finished["category"] == "store"
    assert "the newest checkpoint is on this machine alone" in machine.words()
    assert epochs == [1, 2, 3, 4, 5, 6]
    s3.start()
    (finished,), epochs = machine.run()
    assert epochs == [], "what the store has not taken was on this machine"
    assert comparable(finished) == whole[0]
    assert sorted(s3.objects()) == [f"{jobs[0].key}.{BEST}"]


def test_the_end_of_a_trial_waits_for_a_store(
    s3: Server, jobs: list[Job], whole: list[tuple[object, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            s3.start()

    monkeypatch.setattr(rnnbench.trial.run, "PATIENCE_S", 60.0)
    monkeypatch.setattr("rnnbench.trial.run.time.sleep", wait)
    machine = Machine(tmp_path / "machine", jobs[0])
    (finished,), _ = machine.run(EPOCHS, s3.stop)
    assert comparable(finished) == whole[0]
    assert waits == [1.0, 2.0, 4.0]


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process; programs that tests start have theirs."""
    monkeypatch.setattr(rnnbench.trial.run, "PATIENCE_S", 1.5)


def test_a_sweep_whose_store_goes_away_stops_with_one_line_and_goes_on_later(s3: Server, tmp_path: Path) -> None:
    home = Home(tmp_path / "home", ADDRESS)
    home.path.mkdir()
    with Ledger.open(home.ledger_url) as ledger:
        runner = plan(read_text(SMALL, tmp_path), ledger, home)
        runner.observe = lambda board: s3.stop() if sum(trial.status in FINAL for trial in board.trials.values()) == 2 else None
        with pytest.raises(StoreError, match="resume the sweep when it is there again"):
            runner.run(InlineExecutor())
        assert {trial.status for trial in ledger.trials("small")} == {Status.COMPLETED, Status.INTERRUPTED, Status.PENDING}
        assert ledger.leases.all() == []
        s3.start()
        runner = plan(read_text(SMALL, tmp_path), ledger, home)
        runner.run(InlineExecutor())
        assert runner.is_complete()
        (tmp_path / "alone").mkdir()
        assert table(ledger.trials("small")) == table(run_whole(SMALL, tmp_path / "alone", InlineExecutor()))


def wait_for_object(s3: Server, process: subprocess.Popen[str], logs: Path) -> None:
    """Waits until a trial has trained a dozen epochs and its checkpoint is in the store."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        words = "".join(log.read_text() for log in logs.glob("checkpoints/*/*/trial.log"))
        if words.count("kind=epoch ") > 12 and any(name.endswith(LAST) for name in s3.objects()):
            return
        time.sleep(0.02)
    raise AssertionError(f"no checkpoint came: {process.communicate() if process.poll() is not None else 'time is up'}")


def run_alone(folder: Path) -> None:
    (folder / "long.yaml").write_text(LONG)
    run(folder, "sweep", "long.yaml", "--executor", "inline")
    run(folder, "export", "long", "model")


@pytest.mark.slow
@pytest.mark.parametrize("kept", [True, False], ids=["from the store", "with an empty store from the start"])
def test_a_trial_of_a_killed_machine_goes_on_on_another_without_a_common_folder(
    kept: bool, s3: Server, database_url: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (tmp_path / "long.yaml").write_text(LONG)
    options = ("--join", "--db", database_url, "--checkpoints", ADDRESS)
    first = start(tmp_path, "sweep", "long.yaml", "--home", "first", *options, extra=s3.environ)
    try:
        wait_for_object(s3, first, tmp_path / "first")
    finally:
        kill(first)
    if not kept:
        s3.reset()
    done = run(tmp_path, "sweep", "long.yaml", "--home", "other", *options, extra=s3.environ)
    with Ledger.open(database_url) as ledger:
        (trial,) = ledger.trials("long")
        assert trial.attempts == 2
        assert trial.status == Status.COMPLETED
        (log,) = (tmp_path / "other").rglob("trial.log")
        trained = log.read_text().count("kind=epoch ")
        assert (trained < 35) == kept, f"{trained} of 40 epochs were trained again"
    alone = made_once(tmp_path_factory, "long-alone", run_alone)
    with Ledger.open(f"sqlite:///{alone}/runs/rnnbench.db") as ledger:
        assert table([trial]) == table(ledger.trials("long"))
    # From a third machine, which has nothing.
    third = ("--home", "third", *options[1:])
    run(tmp_path, "export", "long", "model", *third, extra=s3.environ)
    assert (tmp_path / "model" / WEIGHTS).read_bytes() == (alone / "model" / WEIGHTS).read_bytes()
    Image.fromarray(np.full((8, 8), 200, dtype=np.uint8)).save(tmp_path / "digit.png")
    answers = [
        run(tmp_path, "predict", *words, "--input", "digit.png", "--json", extra=s3.environ).stdout
        for words in (("long", *third), ("./model",))
    ]
    assert json.loads(answers[0])["rows"] == json.loads(answers[1])["rows"] != []
    assert sorted(s3.objects()) == [f"{trial.key}.{BEST}"]
    # The killed one may have been between writing a file and handing it over; the third has a copy.
    left = {machine: [path.name for path in (tmp_path / machine).rglob("*.ckpt")] for machine in ("other", "third")}
    assert left == {"other": [], "third": ["kept.best.ckpt"]}
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not [content for content in written if s3.secret.encode() in content]
    assert s3.secret not in done.stdout + done.stderr


@pytest.mark.slow
def test_what_a_sweep_keeps_is_what_is_in_the_store_and_gc_deletes_there(s3: Server, tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL + "checkpoints: {keep_best: 1}\n")
    common = ("--db", f"sqlite:///{tmp_path}/ledger.db")
    extra = {**s3.environ, "RNNBENCH_CHECKPOINTS": ADDRESS}
    run(tmp_path, "sweep", "small.yaml", *common, extra=extra)
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        trials = ledger.trials("small")
    best = [max((trial for trial in trials if trial.cell == cell), key=lambda trial: trial.best or 0.0) for cell in ("elman", "lstm")]
    kept = sorted(f"{trial.key}.{BEST}" for trial in best)
    assert sorted(s3.objects()) == kept
    lost, ended = f"{'ab' * 32}.{BEST}", f"{best[0].key}.{LAST}"
    s3.replace(lost, b"of no trial")
    s3.replace(ended, b"of an ended trial")
    listed = json.loads(run(tmp_path, "gc", *common, "--home", "other", "--json", extra=extra).stdout)
    assert {file["path"]: file["bytes"] for file in listed["files"]} == {f"{ADDRESS}/{lost}": 11, f"{ADDRESS}/{ended}": 17}
    assert len(s3.objects()) == 4
    run(tmp_path, "gc", *common, "--home", "other", "--delete", extra=extra)
    assert sorted(s3.objects()) == kept


def test_a_store_that_refuses_is_one_line_before_anything_starts(s3: Server, tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL)
    wrong = {**s3.environ, "AWS_SECRET_ACCESS_KEY": "not-the-right-one"}
    done = run(tmp_path, "sweep", "small.yaml", "--checkpoints", ADDRESS, extra=wrong, code=2)
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith(f"rnnbench: the store of checkpoints {ADDRESS} does not answer or refuses: ")
    assert "SIGNATURE_DOES_NOT_MATCH" in line
    assert not (tmp_path / "runs").exists()
    assert s3.objects() == {}
    for environ, ok in ((wrong, False), (s3.environ, True)):
        checks = json.loads(run(tmp_path, "doctor", "--checkpoints", ADDRESS, "--json", extra=environ, code=None).stdout)
        assert {check["check"]: check["ok"] for check in checks}["checkpoints"] == ok


@pytest.mark.slow
def test_a_sweep_whose_store_is_away_for_some_seconds_notices_nothing(
    s3: Server, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (tmp_path / "long.yaml").write_text(LONG)
    process = start(tmp_path, "sweep", "long.yaml", "--checkpoints", ADDRESS, extra=s3.environ)
    try:
        wait_for_object(s3, process, tmp_path / "runs")
        s3.stop()
        time.sleep(3)
        s3.start()
        _, words = process.communicate(timeout=200)
        assert process.returncode == 0, words
    finally:
        kill(process)
    alone = made_once(tmp_path_factory, "long-alone", run_alone)
    with Ledger.open(f"sqlite:///{tmp_path}/runs/rnnbench.db") as ledger, Ledger.open(f"sqlite:///{alone}/runs/rnnbench.db") as other:
        assert table(ledger.trials("long")) == table(other.trials("long"))
        assert [trial.attempts for trial in ledger.trials("long")] == [1]
    (log,) = tmp_path.rglob("trial.log")
    assert "does not answer or refuses" in log.read_text()
