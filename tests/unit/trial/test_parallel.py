"""Data-parallel training: the numbers of one process, exact resuming, and an end whatever dies."""

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from rnnbench.base.errors import RnnbenchError
from rnnbench.cells.network_parameters import NETWORK_PARAMETERS
from rnnbench.cells.table import get_cell
from rnnbench.task.catalogue import get_task
from rnnbench.task.module import Batch, TaskData
from rnnbench.trial import parallel, ranks
from rnnbench.trial.build import build_module, read_data
from rnnbench.trial.door import Event, run_job
from rnnbench.trial.files import BEST
from rnnbench.trial.job import Job, Limits
from rnnbench.trial.kept import read_kept
from rnnbench.trial.loop import Trainer
from rnnbench.trial.parallel import ParallelTrainer
from rnnbench.trial.parameters import OPTIMIZER_PARAMETERS, TRAINING_PARAMETERS
from rnnbench.trial.pulse import Pulse
from rnnbench.trial.settings import torch_settings
from rnnbench.trial.spec import Budget, TrialSpec

# Rows of equal length, and sequences of unequal length whose loss is a mean over steps.
BATCH = {"sequential_digits": 101, "dyck": 101}
Curve = list[dict[str, float]]


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


def run(one: Job) -> tuple[Event, Curve]:
    """The last event, and the metrics of each epoch."""
    events: list[Event] = []
    final = run_job(one.to_dict(), events.append)
    assert final["status"] in ("completed", "interrupted"), final["error"]
    told = {event["epoch"]: event["metrics"] for event in events if event["kind"].startswith("epoch")}
    return final, [{name: value for name, value in told[epoch].items() if name != "train_s"} for epoch in sorted(told)]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load(read_kept(folder / BEST).weights)


class Reordered(Trainer):
    """Takes the rows of each batch in another order: in exact arithmetic the same training, here with other roundings."""

    def __init__(self, of: TrialSpec, data: TaskData, draw: int | None) -> None:
        card = get_task(of.task)
        module, metric = build_module(of, data), card.metric
        super().__init__(of, module, metric=metric.name, maximize=metric.direction == "max", pulse=Pulse(time.monotonic))
        self._draw = None if draw is None else torch.Generator().manual_seed(draw)

    def descend(self, train: Batch, rows: torch.Tensor) -> None:
        super().descend(train, rows if self._draw is None else rows[torch.randperm(len(rows), generator=self._draw)])


class Shortened(Reordered):
    """Leaves a row of an epoch's first batch out."""

    def descend(self, train: Batch, rows: torch.Tensor) -> None:
        assert self.partial is not None, "an epoch has been started"
        super().descend(train, rows[:-1] if self.partial.batches == 0 else rows)


def curve(of: TrialSpec, draw: int | None, kind: type[Reordered] = Reordered) -> Curve:
    """The metrics of each epoch of one process, its batches summed in a drawn order, or as they come."""
    data = read_data(of, {})
    with torch_settings(1):
        trainer = kind(of, data, draw)
        epochs = [trainer.run_epoch(data.splits["train"], data.splits["validation"]) for _ in range(of.budget.max_epochs)]
    return [{name: value for name, value in epoch.items() if name != "train_s"} for epoch in epochs]


def deviations(one: Curve, other: Curve) -> dict[str, float]:
    """Of each continuous metric the largest relative difference of two runs."""
    assert [epoch.keys() for epoch in one] == [epoch.keys() for epoch in other]
    pairs = list(zip(one, other, strict=True))
    return {name: max(abs(x[name] - y[name]) / abs(x[name]) for x, y in pairs) for name in ("train_loss", "grad_norm", "loss")}


def excess(alone: Curve, other: Curve, of: TrialSpec) -> float:
    """How far a run is from one process's, in units of what the order of summation alone does to that one: about 1 where it is the same.

    Of that the largest of eight orders is taken. Were these and another order draws from one normal distribution, that other would be
    8 times as far with probability 1e-6: (2 / sqrt(2 pi) / 8)^8 times the eighth moment of a normal variable, 105.
    """
    orders = [deviations(alone, curve(of, draw)) for draw in range(8)]
    eps = torch.finfo(torch.float32).eps
    return max(found / max(eps, *(order[name] for order in orders)) for name, found in deviations(alone, other).items())


FAR = 8.0


def descending(task: str, cell: str, **changes: Any) -> TrialSpec:
    # Plain gradient descent: a step differs by the rounding of its gradient, which adaptive steps would divide by numbers near zero.
    return spec(task, cell, optimizer__name="sgd", optimizer__lr=0.1, training__batch_size=BATCH[task], **changes)


def test_two_workers_end_with_the_numbers_of_one(tmp_path: Path) -> None:
    _compare(tmp_path, "sequential_digits", "lstm", 2)


@pytest.mark.slow
@pytest.mark.parametrize(("task", "cell", "workers"), [("dyck", "lstm", 2), ("sequential_digits", "gru", 3), ("dyck", "gru", 2)])
def test_several_workers_end_with_the_numbers_of_one(tmp_path: Path, task: str, cell: str, workers: int) -> None:
    _compare(tmp_path, task, cell, workers)


def _compare(folder: Path, task: str, cell: str, workers: int) -> None:
    of = descending(task, cell)
    single, alone = run(job(folder / "alone", of, 1))
    shared, together = run(job(folder / "together", of, workers))
    assert (single["outcome"]["mode"], shared["outcome"]["mode"], shared["outcome"]["workers"]) == ("single", "data_parallel", workers)
    assert (single["outcome"]["peak_memory_of"], shared["outcome"]["peak_memory_of"]) == ("trial", "ranks")
    # Each of the others holds torch and the data too.
    others = shared["outcome"]["peak_memory_bytes"] - single["outcome"]["peak_memory_bytes"]
    assert others > (workers - 1) * 100_000_000
    assert "peaks_of_helpers" not in shared["outcome"]
    assert curve(of, None) == alone, "the yardstick is made from another training"
    assert excess(alone, together, of) < FAR
    for one, other in zip(alone, together, strict=True):
        assert (other["lr"], other["clipped_share"]) == (one["lr"], one["clipped_share"])


def test_another_seed_or_a_row_left_out_is_far_from_the_numbers_of_one() -> None:
    of = descending("sequential_digits", "lstm")
    alone = curve(of, None)
    assert excess(alone, curve(replace(of, seed=of.seed + 1), None), of) > 100 * FAR
    assert excess(alone, curve(of, None, Shortened), of) > 100 * FAR


@pytest.mark.slow
def test_workers_that_keep_their_gradients_to_themselves_are_far_from_the_numbers_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = descending("sequential_digits", "lstm")
    _, alone = run(job(tmp_path / "alone", of, 1))
    reduce = parallel._reduce

    def keep(weights: Sequence[torch.nn.Parameter], loss: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
        own = [weight.grad for weight in weights]
        whole = reduce(weights, loss, size)
        for weight, gradient in zip(weights, own, strict=True):
            weight.grad = gradient
        return whole

    monkeypatch.setattr(parallel, "_reduce", keep)
    _, together = run(job(tmp_path / "together", of, 2))
    assert excess(alone, together, of) > 100 * FAR


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
    assert final["outcome"]["peak_memory_of"] == "rank"
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
    assert (final["outcome"]["peak_memory_of"], wild["outcome"]["peak_memory_of"]) == ("ranks", "ranks")
    assert min(final["outcome"]["train_flops"], wild["outcome"]["train_flops"]) > 0
    run(job(tmp_path / "last", spec("sequential_digits", "gru", epochs=1), 2))
    assert ranks._idle[os.getpid()] == [helper]
    assert helper.process.poll() is None


def test_what_carries_state_cannot_be_shared() -> None:
    of = spec("language_modelling", "lstm")
    module = build_module(of, read_data(of, {}))
    trainer = ParallelTrainer(of, module, metric="loss", maximize=False, pulse=Pulse(time.monotonic))
    with pytest.raises(RnnbenchError, match=r"set resources\.workers to 1"):
        trainer.share(0, 2)
