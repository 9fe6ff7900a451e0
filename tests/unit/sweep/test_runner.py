"""The runner: what is pending runs, what is finished never runs again, whatever stops it in between."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnnbench.base.home import Home
from rnnbench.base.machine import available_bytes
from rnnbench.ledger.records import FINAL, Status
from rnnbench.ledger.store import Ledger
from rnnbench.sweep.executor import InlineExecutor, NextJobs, Queue, Record
from rnnbench.sweep.fusing import Fusing
from rnnbench.sweep.scoreboard import sweep_status, total
from rnnbench.trial.job import Job
from tests.contract.sweeps import SMALL, read_text, start
from tests.unit.trial.test_fused import spec


class Fast:
    """An executor that invents results, so that the sweep's logic is tested without training."""

    def __init__(self, end: Callable[[Job], dict[str, Any]], stop_after: int | None = None) -> None:
        self.end = end
        self.stop_after = stop_after
        self.ran: list[str] = []

    def execute(self, next_jobs: NextJobs, record: Record) -> None:
        while isinstance(jobs := next_jobs(), list):
            (job,) = jobs
            self.ran.append(job.key)
            if self.stop_after is not None and len(self.ran) > self.stop_after:
                raise KeyboardInterrupt
            record({"kind": "finished", "key": job.key, "attempt": job.attempt, **self.end(job)})
        assert jobs is Queue.DONE


def complete(job: Job) -> dict[str, Any]:
    value = 1.0 / job.spec.parameters["network.hidden_size"]  # type: ignore[operator]  # a number here
    outcome = {"metrics": {"accuracy": value}, "best": value, "best_epoch": 1, "last": value, "test": {"accuracy": value}}
    return {"status": "completed", "outcome": outcome, "wall_s": 1.0, "error": None, "category": None}


def fail(job: Job) -> dict[str, Any]:
    return {"status": "failed", "outcome": {}, "wall_s": 1.0, "error": "Traceback: boom", "category": "error"}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / "home").mkdir()
    return Home(tmp_path / "home")


def test_a_sweep_stopped_half_way_runs_only_what_is_pending(tmp_path: Path, home: Home) -> None:
    sweep = read_text(SMALL, tmp_path)
    with Ledger.open(home.ledger_url) as ledger:
        first = Fast(complete, stop_after=2)
        with pytest.raises(KeyboardInterrupt):
            start(sweep, ledger, home).run(first)
        statuses = [trial.status for trial in ledger.trials("small")]
        assert statuses.count(Status.COMPLETED) == 2
        assert statuses.count(Status.RUNNING) == 0
        second = Fast(complete)
        runner = start(sweep, ledger, home)
        runner.run(second)
        assert runner.is_complete()
        assert not set(first.ran[:2]) & set(second.ran)
        assert all(trial.status == Status.COMPLETED for trial in ledger.trials("small"))
        third = Fast(complete)
        start(sweep, ledger, home).run(third)
        assert third.ran == []


def test_failed_trials_are_recorded_and_nothing_is_confirmed_from_them(tmp_path: Path, home: Home) -> None:
    with Ledger.open(home.ledger_url) as ledger:
        runner = start(read_text(SMALL, tmp_path), ledger, home)
        runner.run(Fast(fail))
        trials = ledger.trials("small")
        assert [trial.status for trial in trials] == [Status.FAILED] * 4
        assert {trial.error for trial in trials} == {"Traceback: boom"}
        assert runner.is_complete()


def test_every_trial_ends_final_and_the_sweep_is_completed(tmp_path: Path, home: Home) -> None:
    with Ledger.open(home.ledger_url) as ledger:
        runner = start(read_text(SMALL, tmp_path), ledger, home)
        assert sweep_status(total(runner.board.lanes())) == "pending"
        runner.run(Fast(complete))
        assert {trial.status for trial in ledger.trials("small")} <= FINAL
        assert sweep_status(total(runner.board.lanes())) == "completed"
        assert ledger.get_sweep("small").ended_at is not None


def test_a_trial_that_raises_inside_training_fails_with_its_traceback(tmp_path: Path, home: Home) -> None:
    text = SMALL.replace("training.batch_size: 128", "training.batch_size: 128\n  optimizer.name: sgd\n  optimizer.nesterov: true")
    with Ledger.open(home.ledger_url) as ledger:
        start(read_text(text, tmp_path), ledger, home).run(InlineExecutor())
        for trial in ledger.trials("small"):
            assert trial.status == Status.FAILED
            assert trial.category == "error"
            assert "Nesterov momentum requires a momentum" in (trial.error or "")


def test_a_learning_rate_that_explodes_ends_as_diverged(tmp_path: Path, home: Home) -> None:
    text = SMALL.replace("task: sequential_digits", "task: {name: adding, num_train: 1000, length: 20}")
    text = text.replace(
        "optimizer.lr: {loguniform: [1e-3, 1e-2]}", "optimizer.name: sgd\n  optimizer.lr: 1000.0\n  cell.nonlinearity: relu"
    )
    text = text.replace("cells: [elman, lstm]", "cells: [elman]")
    with Ledger.open(home.ledger_url) as ledger:
        start(read_text(text, tmp_path), ledger, home).run(InlineExecutor())
        trials = ledger.trials("small")
        assert [trial.status for trial in trials] == [Status.DIVERGED] * 2
        assert all("epoch 1" in (trial.error or "") or "epoch 2" in (trial.error or "") for trial in trials)


class Grouped:
    """An executor that notes who comes with whom, and whose worker dies in the first group."""

    def __init__(self, dying: int) -> None:
        self.groups: list[list[Job]] = []
        self.dying = dying

    def execute(self, next_jobs: NextJobs, record: Record) -> None:
        while isinstance(jobs := next_jobs(), list):
            self.groups.append(jobs)
            lost: dict[str, Any] = {
                "status": "failed",
                "outcome": {},
                "wall_s": None,
                "error": "the worker died",
                "category": "worker_killed",
            }
            for job in jobs:
                end = lost if len(self.groups) <= self.dying else complete(job)
                record({"kind": "finished", "key": job.key, "attempt": job.attempt, **end})


SIXTEEN = SMALL.replace("num_samples: 2", "num_samples: 16").replace("[elman, lstm]", "[peephole_lstm]")


def test_waiting_trials_of_one_shape_come_together_and_fairly_shared(tmp_path: Path, home: Home) -> None:
    text = SIXTEEN.replace("confirm: {top_k: 1, seeds: 2}", "") + "resources: {fuse: always}"
    with Ledger.open(home.ledger_url) as ledger:
        executor = Grouped(dying=0)
        start(read_text(text, tmp_path), ledger, home).run(executor)
        assert {trial.status for trial in ledger.trials("small")} == {Status.COMPLETED}
        assert {trial.attempts for trial in ledger.trials("small")} == {1}
        sizes = {4: [], 8: []}  # type: dict[int, list[int]]
        for jobs in executor.groups:
            assert len({job.spec.shape() for job in jobs}) == 1
            sizes[int(str(jobs[0].spec.parameters["network.hidden_size"]))].append(len(jobs))
        for of_size in sizes.values():
            # Each takes half of what waits: two workers.
            waiting = sum(of_size)
            for number in of_size:
                assert number == -(-waiting // 2)
                waiting -= number


def test_when_the_worker_of_a_group_dies_each_goes_on_alone_and_unblamed(tmp_path: Path, home: Home) -> None:
    with Ledger.open(home.ledger_url) as ledger:
        executor = Grouped(dying=1)
        start(read_text(SIXTEEN + "resources: {fuse: always}\nretries: 0", tmp_path), ledger, home).run(executor)
        assert {trial.status for trial in ledger.trials("small")} == {Status.COMPLETED}
        lost = {job.key for job in executor.groups[0]}
        assert len(lost) > 1
        again = [jobs for jobs in executor.groups[1:] if lost & {job.key for job in jobs}]
        assert [len(jobs) for jobs in again] == [1] * len(lost)
        assert {jobs[0].fuse for jobs in again} == {"never"}
        assert {trial.failures for trial in ledger.trials("small")} == {0}


@pytest.mark.parametrize(("reason", "failures"), [("terminate", 0), ("interrupt", 1)])
def test_a_worker_that_dies_with_the_job_of_a_scheduler_is_no_failure_of_its_trial(
    tmp_path: Path, home: Home, reason: str, failures: int
) -> None:
    with Ledger.open(home.ledger_url) as ledger:
        runner = start(read_text(SMALL + "retries: 0", tmp_path), ledger, home)

        def die(job: Job) -> dict[str, Any]:
            runner.stop.request(reason)
            return fail(job) | {"category": "worker_killed"}

        runner.run(Fast(die))
        tried = [trial for trial in ledger.trials("small") if trial.attempts]
        assert [trial.failures for trial in tried] == [failures]
        assert (tried[0].status in FINAL) is bool(failures)


def test_what_a_process_finds_out_decides_how_the_others_of_its_shape_run() -> None:
    of = spec("peephole_lstm", {}, seed=0)
    said: list[str] = []
    fusing = Fusing("auto", 2, said.append)
    assert (fusing.number(of, 40), fusing.how(of, 8)) == (8, "auto")
    found = {"single_s": 0.003, "fused_s": 0.001, "number": 8, "worthwhile": True, "batches": 5, "bytes_each": 1000}
    fusing.learn(of, found)
    assert (fusing.number(of, 40), fusing.how(of, 16)) == (16, "always")
    assert fusing.number(of, 5) == 3
    (line,) = said
    assert line.startswith("sequential_digits (digits), peephole_lstm (6 units, batch 256) trains up to 16 at once in one process: ")
    assert line.endswith(": 3 ms a batch alone, 1 ms as one of 8")
    tight = Fusing("auto", 2)
    tight.learn(of, {**found, "bytes_each": available_bytes() // 9})
    assert tight.number(of, 40) == 2
    slow = Fusing("auto", 2)
    slow.learn(of, {**found, "worthwhile": False})
    assert slow.number(of, 40) == 1
    kernel = spec("lstm", {}, seed=0)
    assert Fusing("auto", 2).number(kernel, 40) == 1
    assert Fusing("never", 2).number(of, 40) == 1
    assert (Fusing("always", 2).number(kernel, 40), Fusing("always", 2).how(kernel, 1)) == (16, "always")
