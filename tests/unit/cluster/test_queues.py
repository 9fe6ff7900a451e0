"""What the queues say of a job, and what they do not say."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rnnbench.cluster import queues
from rnnbench.cluster.queues import GONE, UNREACHABLE, read_slurm, read_states
from rnnbench.cluster.submission import Submission
from tests.unit.cluster.jobs import write_program

Program = Callable[[str, str], Path]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Puts a program on a path that has no other but a shell's."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.path.dirname('/bin/sh')}")  # noqa: PTH120 - a text
    # `ray` beside this Python is none of the test's.
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    for name in ("squeue", "sacct", "kubectl", "ray"):
        write_program(tmp_path, name, f"echo '{name}: not for this test' >&2; exit 9")
    return lambda name, text: write_program(tmp_path, name, text)


def one(kind: str, job: str, **queue: str) -> Submission:
    return Submission(kind, job, "2026-11-25T12:30:00+00:00", f"/{kind}/{job}", queue)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("7|RUNNING|None\n", {"7": "RUNNING"}),
        ("7|PENDING|Priority\n", {"7": "PENDING (Priority)"}),
        ("7|PENDING|(None)\n", {"7": "PENDING"}),
        ("7|FAILED|NonZeroExitCode\n", {"7": "FAILED"}),
        ("7|CANCELLED by 1000|None\n", {"7": "CANCELLED"}),
        ("7|RUNNING|None\n7|RUNNING|None\n7|PENDING|JobArrayTaskLimit\n", {"7": "2 RUNNING, 1 PENDING (JobArrayTaskLimit)"}),
        ("7_1|COMPLETED|None\n7_[2-3]|PENDING|Priority\n", {"7": "1 COMPLETED, 1 PENDING (Priority)"}),
        ("8|RUNNING|None\n", {}),
        ("slurm_load_jobs error\n\n|\n", {}),
        ("7|PENDING|\x1b[2Jbad\n", {"7": "PENDING (\\x1b[2Jbad)"}),
    ],
)
def test_the_table_of_slurm_is_read(table: str, expected: dict[str, str]) -> None:
    assert read_slurm(table, ["7"]) == expected


def test_all_jobs_of_slurm_are_asked_for_at_once_and_those_that_left_the_queue_in_the_accounts(program: Program, tmp_path: Path) -> None:
    program("squeue", f'echo "$@" >>{tmp_path}/asked; echo "1|RUNNING|None"')
    program("sacct", f'echo "$@" >>{tmp_path}/asked; echo "2|COMPLETED|None"')
    assert read_states([one("slurm", "1"), one("slurm", "2"), one("slurm", "3")]) == ["RUNNING", "COMPLETED", GONE]
    asked = (tmp_path / "asked").read_text().splitlines()
    assert ["--jobs=1,2,3" in asked[0], "--jobs=2,3" in asked[1], len(asked)] == [True, True, 2]


def test_a_slurm_that_keeps_no_accounts_still_says_that_a_job_is_gone(program: Program) -> None:
    program("squeue", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    assert read_states([one("slurm", "1")]) == [GONE]


def test_where_no_program_is_nothing_is_reachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    submissions = [one("slurm", "1"), one("kuberay", "a", namespace="b"), one("ray", "c", address="http://d:1")]
    assert read_states(submissions) == [UNREACHABLE] * 3


def test_a_queue_that_does_not_answer_is_not_waited_for(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "ASK_S", 0.1)
    program("squeue", "exec sleep 30")
    program("sacct", "exec sleep 30")
    assert read_states([one("slurm", "1")]) == [UNREACHABLE]


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("printf 'Running RUNNING'", "Running RUNNING"),
        ("printf ' '", "PENDING"),
        ("echo 'Error from server (NotFound): rayjobs' >&2; exit 1", GONE),
        ("echo 'connection refused' >&2; exit 1", UNREACHABLE),
    ],
)
def test_kubernetes_is_asked_for_the_rayjob(program: Program, text: str, state: str) -> None:
    program("kubectl", f'[ "$1 $2 $3 $4" = "get rayjob small-1 --namespace=lab" ] || exit 8\n{text}')
    assert read_states([one("kuberay", "small-1", namespace="lab")]) == [state]


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("echo \"Status for job 'failed-1': RUNNING\"", "RUNNING"),
        ("echo \"Job 'failed-1' succeeded\" >&2", "SUCCEEDED"),
        ("echo \"Job 'failed-1' was stopped\" >&2", "STOPPED"),
        ("echo 'RuntimeError: Job failed-1 does not exist' >&2; exit 1", GONE),
        ("echo 'ConnectionError' >&2; exit 1", UNREACHABLE),
    ],
)
def test_ray_is_asked_for_its_job(program: Program, text: str, state: str) -> None:
    program("ray", f'[ "$*" = "job status --address http://head:8265 failed-1" ] || exit 8\n{text}')
    assert read_states([one("ray", "failed-1", address="http://head:8265")]) == [state]
