"""Data-parallel training: the numbers of one process, exact resuming, and an end whatever dies."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from rnnbench.base.errors import RnnbenchError
from rnnbench.cells.network_parameters import NETWORK_PARAMETERS
from rnnbench.cells.table import get_cell
from rnnbench.task.catalogue import get_task
from rnnbench.trial import ranks
from rnnbench.trial.build import build_module, read_data
from rnnbench.trial.door import Event, run_job
from rnnbench.trial.files import BEST
from rnnbench.trial.job import Job, Limits
from rnnbench.trial.kept import read_kept
from rnnbench.trial.parallel import ParallelTrainer
from rnnbench.trial.parameters import OPTIMIZER_PARAMETERS, TRAINING_PARAMETERS
from rnnbench.trial.pulse import Pulse
from rnnbench.trial.spec import Budget, TrialSpec

# Rows of equal length, and sequences of unequal length whose loss is a mean over steps.
BATCH = {"sequential_digits": 101, "dyck": 101}


@pytest.fixture(autouse=True, scope="module")
def _no_process_is_left() -> Iterator[None]:
    yield
    ranks.dismiss_all()


def spec(task: str, cell: str, epochs: int = 2, **changes: Any) -> TrialSpec:
    card, entry = get_task(task), get_cell(cell)
    declared = (*NETWORK_PARAMETERS, *entry.parameters, *OPTIMIZER_PARAMETERS, *TRAINING_PARAMETERS, *card.parameters)
    chosen = {
        "network.hidden_size": 8,
        "training.batch_size": 101,
        "training.clip_norm": 0.5,
    }
    chosen |= {name.replace("__", "."): value for name, value in changes.items()}
    values = {parameter.name: chosen.get(parameter.name, parameter.default) for parameter in declared}
    active = {parameter.name: values[parameter.name] for parameter in declared if parameter.is_active(values)}
    return TrialSpec(
        stage="search", task=card.name, task_version=card.version, data=card.default_data, data_fingerprint="embedded", cell=cell,
        cell_version=entry.version, parameters=active, seed=5, budget=Budget(max_epochs=epochs),
    )  # fmt: skip


def job(folder: Path, of: TrialSpec, workers: int, **changes: Any) -> Job:
    return Job(of.key(), 1, of, {}, str(folder), workers=workers, **changes)


def run(one: Job) -> tuple[Event, list[dict[str, float]]]:
    """The last event, and the metrics of each epoch."""
    events: list[Event] = []
    final = run_job(one.to_dict(), events.append)
    assert final["status"] in ("completed", "interrupted"), final["error"]
    curve = {event["epoch"]: event["metrics"] for event in events if event["kind"].startswith("epoch")}
    return final, [{name: value for name, value in curve[epoch].items() if name != "train_s"} for epoch in sorted(curve)]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load(read_kept(folder / BEST).weights)


def test_two_workers_end_with_the_numbers_of_one(tmp_path: Path) -> None:
    _compare(tmp_path, "sequential_digits", "lstm", 2)


@pytest.mark.slow
@pytest.mark.parametrize(("task", "cell", "workers"), [("dyck", "lstm", 2), ("sequential_digits", "gru", 3), ("dyck", "gru", 2)])
def test_several_workers_end_with_the_numbers_of_one(tmp_path: Path, task: str, cell: str, workers: int) -> None:
    _compare(tmp_path, task, cell, workers)


def _compare(folder: Path, task: str, cell: str, workers: int) -> None:
    # Plain gradient descent: a step differs by the rounding of its gradient, which adaptive steps would divide by numbers near zero.
    of = spec(task, cell, optimizer__name="sgd", optimizer__lr=0.1, training__batch_size=BATCH[task])
    single, alone = run(job(folder / "alone", of, 1))
    shared, together = run(job(folder / "together", of, workers))
    assert (single["outcome"]["mode"], shared["outcome"]["mode"], shared["outcome"]["workers"]) == ("single", "data_parallel", workers)
    # Roundings of a step do not know of each other, so that they grow with the root of the steps; 2^5 for the sums within one.
    steps = 2 * -(-len(read_data(of, {}).splits["train"]) // BATCH[task])
    tolerance = torch.finfo(torch.float32).eps * steps**0.5 * 2**5
    for one, other in zip(alone, together, strict=True):
        assert one.keys() == other.keys()
        assert other["train_loss"] == pytest.approx(one["train_loss"], rel=tolerance)
        assert other["grad_norm"] == pytest.approx(one["grad_norm"], rel=10 * tolerance)
        assert other["loss"] == pytest.approx(one["loss"], rel=tolerance)
        assert (other["lr"], other["clipped_share"]) == (one["lr"], one["clipped_share"])


@pytest.mark.slow
def test_interrupted_and_continued_ends_bit_equal(tmp_path: Path) -> None:
    of = spec("sequential_digits", "lstm", epochs=3, network__dropout=0.3, network__num_layers=2, training__batch_size=7)
    whole, curve = run(job(tmp_path / "whole", of, 2))
    stop = tmp_path / "stop"
    cut = job(tmp_path / "cut", of, 2, stop_file=str(stop))
    told: list[Event] = []

    def report(event: Event) -> None:
        told.append(event)
        if event["kind"] == "epoch":
            stop.touch()

    first = run_job(cut.to_dict(), report)
    assert first["status"] == "interrupted", first["error"]
    # Within an epoch, most likely: batches are short, and the file is looked for every 0.2 s.
    assert 1 <= first["outcome"]["epochs"] < 3
    stop.unlink()
    second, rest = run(cut)
    assert second["status"] == whole["status"] == "completed"
    assert rest == curve
    ours, theirs = weights(tmp_path / "cut"), weights(tmp_path / "whole")
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.slow
def test_a_killed_worker_fails_the_attempt_at_once(tmp_path: Path) -> None:
    of = spec("sequential_digits", "lstm", epochs=100_000)
    killed: list[float] = []

    def report(event: Event) -> None:
        if event["kind"] == "epoch" and not killed:
            (helper,) = ranks._idle[os.getpid()]
            os.kill(helper.process.pid, signal.SIGKILL)
            killed.append(time.monotonic())

    final = run_job(job(tmp_path, of, 2).to_dict(), report)
    assert (final["status"], final["category"]) == ("failed", "worker_killed")
    assert "worker 2 died" in final["error"]
    assert time.monotonic() - killed[0] < 5
    assert ranks._idle[os.getpid()] == []


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_of_a_step_fails_the_attempt_at_once(tmp_path: Path) -> None:
    of = spec("sequential_digits", "lstm", epochs=100_000, network__hidden_size=256, training__batch_size=1000)
    killed: list[float] = []

    def kill() -> None:
        (helper,) = ranks._idle[os.getpid()]
        killed.append(time.monotonic())
        os.kill(helper.process.pid, signal.SIGKILL)

    def report(event: Event) -> None:
        if event["kind"] == "epoch" and event["epoch"] == 1:
            threading.Timer(0.4, kill).start()

    final = run_job(job(tmp_path, of, 2).to_dict(), report)
    assert (final["status"], final["category"]) == ("failed", "worker_killed")
    assert time.monotonic() - killed[0] < 8


@pytest.mark.slow
def test_time_limits_hold_and_the_workers_are_kept_for_the_next_trial(tmp_path: Path) -> None:
    of = spec("sequential_digits", "lstm", epochs=100_000)
    run(job(tmp_path / "first", spec("sequential_digits", "lstm", epochs=1), 2))
    (helper,) = ranks._idle[os.getpid()]
    final = run_job(job(tmp_path / "late", of, 2, limits=Limits(max_seconds=1.0)).to_dict(), lambda event: None)
    assert (final["status"], final["category"]) == ("failed", "timeout")
    unstable = spec("sequential_digits", "lstm", optimizer__name="sgd", optimizer__lr=1e38, training__clip_norm=None)
    wild = run_job(job(tmp_path / "wild", unstable, 2).to_dict(), lambda event: None)
    assert wild["status"] == "diverged"
    run(job(tmp_path / "last", spec("sequential_digits", "gru", epochs=1), 2))
    assert ranks._idle[os.getpid()] == [helper]
    assert helper.process.poll() is None


def test_what_carries_state_cannot_be_shared() -> None:
    of = spec("language_modelling", "lstm")
    module = build_module(of, read_data(of, {}))
    trainer = ParallelTrainer(of, module, metric="loss", maximize=False, pulse=Pulse(time.monotonic))
    with pytest.raises(RnnbenchError, match=r"set resources\.workers to 1"):
        trainer.share(0, 2)
