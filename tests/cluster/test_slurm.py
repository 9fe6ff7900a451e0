"""`rnnbench submit slurm` on a real Slurm of this machine: to the end, pre-empted, cancelled, drained, refused."""

import json
import sqlite3
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from rnnbench.ledger.records import Status
from rnnbench.ledger.store import Ledger
from tests.cluster.box import Box, missing_programs, run_box
from tests.postgresql import create_database

MISSING = missing_programs()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(MISSING), reason=f"needs a Slurm: {', '.join(MISSING)} not on the path, see make cluster-tools"),
]
COMMAND = [sys.executable, "-c", "from rnnbench.cli.app import main; main()"]
TWELVE = """\
task: sequential_digits
cells: [lstm]
search: {method: random, num_samples: 12, seed: 0}
budget: {max_epochs: 1}
space:
  network.hidden_size: {choice: [4, 8]}
  optimizer.lr: {loguniform: [1e-3, 1e-2]}
  training.batch_size: 128
"""
# Some seconds a trial, so that there is a half way.
SLOWER = ["--set", "budget.max_epochs=20", "--set", "training.batch_size=16"]


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A Slurm with two nodes."""
    with run_box(tmp_path_factory.mktemp("box")) as box:
        yield box


def run(box: Box, folder: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """rnnbench in a folder that holds the sweep's file."""
    (folder / "twelve.yaml").write_text(TWELVE)
    done = subprocess.run([*COMMAND, *arguments], cwd=folder, env=box.environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, done.stderr + done.stdout
    return done


def submit(box: Box, folder: Path, *arguments: str) -> str:
    """Submits the sweep of twelve trials; gives the job's number."""
    words = run(box, folder, "submit", "slurm", "twelve.yaml", *arguments).stdout
    assert words.startswith("submitted twelve as slurm job ")
    return words.split("\n")[0].rpartition(" ")[2]


def status(box: Box, folder: Path) -> dict[str, Any]:
    """The document of `status --json`."""
    document = json.loads(run(box, folder, "status", "twelve", "--json").stdout)
    assert isinstance(document, dict)
    return document


def log(folder: Path, job: str) -> str:
    """What a job wrote, in the submission's folder."""
    return (folder / "runs" / "submissions" / "twelve" / f"slurm-{job}.log").read_text()


def wait_for_trials(box: Box, folder: Path, number: int) -> None:
    """Waits until some trials have completed, but not all."""
    box.wait((folder / "runs" / "rnnbench.db").exists, "the sweep has started")
    box.wait(lambda: len(attempts(folder, "completed")) >= number, f"{number} trials have completed")
    assert len(attempts(folder, "completed")) < 12


def attempts(folder: Path, *how: str) -> list[tuple[str, str]]:
    """Trial and status of every attempt in the ledger, or of those that ended so; none before the ledger has its tables."""
    with closing(sqlite3.connect(f"file:{folder / 'runs' / 'rnnbench.db'}?mode=ro", uri=True)) as ledger:
        if not ledger.execute("select 1 from sqlite_master where name = 'attempts'").fetchone():
            return []
        rows = ledger.execute("select trial_key, status from attempts").fetchall()
    return [(key, status) for key, status in rows if status in how or not how]


def assert_every_trial_completed_once(folder: Path) -> None:
    """Twelve trials, each with one attempt that completed; every other attempt was interrupted."""
    rows = attempts(folder)
    completed = [key for key, how in rows if how == "completed"]
    assert len(completed) == len(set(completed)) == 12
    assert {how for _, how in rows} <= {"completed", "interrupted"}


def test_two_nodes_run_a_sweep_of_twelve_trials_to_the_end(box: Box, tmp_path: Path) -> None:
    job = submit(box, tmp_path, "--nodes", "2", "--cpus-per-node", "2", "--time", "10")
    folder = tmp_path / "runs" / "submissions" / "twelve"
    token = folder / f".token-{job}"
    box.wait(token.exists, "the job has a token")
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    box.wait_for_state(job, "COMPLETED", "FAILED", "CANCELLED")
    assert box.state(job) == "COMPLETED", log(tmp_path, job)
    assert "Ray has 2 of 2 nodes" in log(tmp_path, job)
    document = status(box, tmp_path)
    assert (document["status"], document["planned"], document["completed"]) == ("completed", 12, 12)
    assert [(one["kind"], one["job"], one["state"]) for one in document["submissions"]] == [("slurm", job, "COMPLETED")]
    assert f"slurm job {job}" in run(box, tmp_path, "status", "twelve").stdout
    assert_every_trial_completed_once(tmp_path)
    assert not token.exists()
    assert not list(Path("/tmp").glob(f"rnnbench-{job}-*"))


@pytest.mark.parametrize(("partition", "nodes"), [("low", 2), ("hard", 1)], ids=["told before", "at once"])
def test_a_job_pre_empted_half_way_is_queued_again_and_goes_on_with_every_trial_once(
    box: Box, tmp_path: Path, partition: str, nodes: int
) -> None:
    job = submit(box, tmp_path, "--nodes", str(nodes), "--cpus-per-node", "2", "--time", "10", "--partition", partition, *SLOWER)
    box.wait_for_state(job, "RUNNING")
    wait_for_trials(box, tmp_path, 3)
    words = ["--partition=high", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap=sleep 2"]
    more_important = box.ask("sbatch", "--parsable", *words)
    box.wait_for_state(more_important, "COMPLETED")
    before = status(box, tmp_path)["completed"]
    assert box.restarts(job) == 1
    assert 3 <= before < 12
    box.wait_for_state(job, "COMPLETED", "FAILED", "CANCELLED")
    assert box.state(job) == "COMPLETED", log(tmp_path, job)
    assert f"12 trials planned, {before} already done" in log(tmp_path, job)
    assert "does not queue the job again" not in log(tmp_path, job)
    if partition == "low":
        assert "saved; queued again" in log(tmp_path, job)
    assert status(box, tmp_path)["completed"] == 12
    assert_every_trial_completed_once(tmp_path)


def test_a_cancelled_job_is_not_queued_again_and_the_next_submission_goes_on(box: Box, tmp_path: Path) -> None:
    job = submit(box, tmp_path, "--cpus-per-node", "2", "--time", "10", *SLOWER)
    wait_for_trials(box, tmp_path, 2)
    box.ask("scancel", job)
    box.wait_for_state(job, "CANCELLED")
    box.wait(lambda: job not in box.ask("squeue", "--noheader", "--format=%i").split(), "the job has ended", 60)
    assert box.restarts(job) == 0
    document = status(box, tmp_path)
    assert document["submissions"][0]["state"] == "CANCELLED"
    assert document["completed"] < 12
    again = submit(box, tmp_path, "--cpus-per-node", "2", "--time", "10", *SLOWER)
    box.wait_for_state(again, "COMPLETED", "FAILED", "CANCELLED")
    assert box.state(again) == "COMPLETED", log(tmp_path, again)
    assert [one["state"] for one in status(box, tmp_path)["submissions"]] == ["CANCELLED", "COMPLETED"]
    assert_every_trial_completed_once(tmp_path)


def test_with_a_node_drained_one_node_is_enough_and_two_wait_with_the_reason_in_the_status(box: Box, tmp_path: Path) -> None:
    box.ask("scontrol", "update", "NodeName=node1", "State=DRAIN", "Reason=test")
    try:
        both = submit(box, tmp_path, "--nodes", "2", "--cpus-per-node", "1")
        words = run(box, tmp_path, "status", "twelve").stdout
        assert "submitted, nothing recorded yet" in words
        box.wait(lambda: "PENDING (" in run(box, tmp_path, "status", "twelve").stdout, "the status says why the job waits")
        assert status(box, tmp_path)["status"] == "submitted"
        box.ask("scancel", both)
        one = submit(box, tmp_path, "--cpus-per-node", "2")
        box.wait_for_state(one, "COMPLETED", "FAILED", "CANCELLED")
        assert " on node2, " in log(tmp_path, one)
        assert status(box, tmp_path)["completed"] == 12
    finally:
        box.ask("scontrol", "update", "NodeName=node1", "State=RESUME")


def test_eight_jobs_of_an_array_share_a_sweep_in_postgresql_and_none_runs_a_trial_of_another(
    box: Box, tmp_path: Path, postgresql_address: str
) -> None:
    ledger_url, tracking = (create_database(postgresql_address, f"array_{name}") for name in ("ledger", "mlflow"))
    where = ["--db", ledger_url]
    job = submit(box, tmp_path, "--array", "8", *where, "--tracking-uri", tracking, "--cpus-per-node", "1", *SLOWER)
    box.wait(lambda: box.state(job).split().count("RUNNING") == 8, "all jobs of the array run at once")
    box.wait(lambda: set(box.state(job).split()) <= {"COMPLETED", "FAILED"}, "all jobs of the array have ended", 600)
    logs = {path.name: path.read_text() for path in (tmp_path / "runs" / "submissions" / "twelve").glob(f"slurm-{job}_*.log")}
    assert box.state(job).split() == ["COMPLETED"] * 8, logs
    assert len(logs) == 8
    document = json.loads(run(box, tmp_path, "status", "twelve", *where, "--json").stdout)
    assert document["submissions"][0]["state"] == "8 COMPLETED"
    with Ledger.open(ledger_url) as ledger:
        trials = ledger.trials("twelve")
        attempts = ledger.attempts([trial.key for trial in trials])
    assert [[attempt.status for attempt in attempts[trial.key]] for trial in trials] == [[Status.COMPLETED]] * 12
    assert len({trial.outcome["process_id"] for trial in trials}) > 1, "one job ran them all"
    # What a job had no patience to deliver when it ended.
    run(box, tmp_path, "sync", *where, "--tracking-uri", tracking)
    engine = create_engine(tracking)
    with engine.connect() as connection:
        told = Counter(connection.scalars(text("SELECT value FROM tags WHERE key = 'rnnbench.key'")))
    engine.dispose()
    assert told == Counter({**dict.fromkeys((trial.key for trial in trials), 1), "rnnbench.parent": 1})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--partition", "nowhere"], "invalid partition specified: nowhere"),
        (["--time", "10-0"], "--time 10-0 is longer than the partition allows (low 1:00:00)"),
        (["--time", "61", "--partition", "low,high"], "(high 1:00:00, low 1:00:00)"),
    ],
)
def test_what_slurm_would_not_run_is_one_line_and_leaves_nothing(box: Box, tmp_path: Path, options: list[str], said: str) -> None:
    done = run(box, tmp_path, "submit", "slurm", "twelve.yaml", *options, code=2)
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "runs").exists()
    assert not box.ask("squeue", "--noheader", "--name=rnnbench-twelve")
