"""The runner: what is pending runs, what is finished never runs again, whatever stops it in between."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnnbench.base.home import Home
from rnnbench.ledger.records import FINAL, Status
from rnnbench.ledger.store import Ledger
from rnnbench.sweep.executor import InlineExecutor, NextJob, Queue, Record
from rnnbench.sweep.scoreboard import sweep_status
from rnnbench.trial.job import Job
from tests.contract.sweeps import SMALL, read_text, start


class Fast:
    """An executor that invents results, so that the sweep's logic is tested without training."""

    def __init__(self, end: Callable[[Job], dict[str, Any]], stop_after: int | None = None) -> None:
        self.end = end
        self.stop_after = stop_after
        self.ran: list[str] = []

    def execute(self, next_job: NextJob, record: Record) -> None:
        while isinstance(job := next_job(), Job):
            self.ran.append(job.key)
            if self.stop_after is not None and len(self.ran) > self.stop_after:
                raise KeyboardInterrupt
            record({"kind": "finished", "key": job.key, "attempt": job.attempt, **self.end(job)})
        assert job is Queue.DONE


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
        assert sweep_status(runner.board.counts()) == "pending"
        runner.run(Fast(complete))
        assert {trial.status for trial in ledger.trials("small")} <= FINAL
        assert sweep_status(runner.board.counts()) == "completed"
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
