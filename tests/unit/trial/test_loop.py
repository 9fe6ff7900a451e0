"""The lean trainer: early stopping, exact resuming, and the same losses as a stock Lightning Trainer's loop."""

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rnnbench.base.errors import TrialDiverged, TrialTimeout
from rnnbench.base.parameters import Value
from rnnbench.cells.network_parameters import NETWORK_PARAMETERS
from rnnbench.cells.table import get_cell
from rnnbench.task.catalogue import get_task
from rnnbench.task.module import TaskData
from rnnbench.trial.build import build_module, read_data
from rnnbench.trial.checkpoint import load_checkpoint, save_checkpoint
from rnnbench.trial.loop import Trainer
from rnnbench.trial.parameters import OPTIMIZER_PARAMETERS, TRAINING_PARAMETERS
from rnnbench.trial.pulse import Pulse
from rnnbench.trial.spec import Budget, TrialSpec


def spec(changes: dict[str, Value] | None = None, budget: Budget | None = None, seed: int = 5) -> TrialSpec:
    card, cell = get_task("sequential_digits"), get_cell("lstm")
    declared = (*NETWORK_PARAMETERS, *cell.parameters, *OPTIMIZER_PARAMETERS, *TRAINING_PARAMETERS, *card.parameters)
    chosen: dict[str, Value] = {"network.hidden_size": 8, "network.dropout": 0.2, "training.batch_size": 256, **(changes or {})}
    values = {parameter.name: chosen.get(parameter.name, parameter.default) for parameter in declared}
    active = {parameter.name: values[parameter.name] for parameter in declared if parameter.is_active(values)}
    return TrialSpec(
        stage="search", task=card.name, task_version=card.version, data=card.default_data, data_fingerprint="embedded", cell="lstm",
        cell_version=cell.version, parameters=active, seed=seed, budget=budget or Budget(max_epochs=4),
    )  # fmt: skip


def trainer(of: TrialSpec, pulse: Pulse | None = None) -> tuple[Trainer, TaskData]:
    data = read_data(of, {})
    pulse = pulse or Pulse(itertools.count().__next__)
    return Trainer(of, build_module(of, data), metric="accuracy", maximize=True, pulse=pulse), data


def run(one: Trainer, data: TaskData, epochs: int) -> list[dict[str, float]]:
    return [one.run_epoch(data.splits["train"], data.splits["validation"]) for _ in range(epochs)]


def same(one: dict[str, float], other: dict[str, float]) -> bool:
    return {k: v for k, v in one.items() if k != "train_s"} == {k: v for k, v in other.items() if k != "train_s"}


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop", "adagrad"])
def test_a_trial_continued_from_its_checkpoint_is_bit_equal(tmp_path: Path, optimizer: str) -> None:
    changes: dict[str, Value] = {"optimizer.name": optimizer, "training.lr_schedule": "plateau", "training.lr_patience": 0}
    whole, data = trainer(spec(changes))
    curve = run(whole, data, 4)
    first, _ = trainer(spec(changes))
    run(first, data, 2)
    save_checkpoint(tmp_path / "last.ckpt", first.state())
    torch.manual_seed(123)
    second, _ = trainer(spec(changes))
    second.restore(load_checkpoint(tmp_path / "last.ckpt"))
    rest = run(second, data, 2)
    assert all(same(one, other) for one, other in zip(curve[2:], rest, strict=True))
    assert second.progress.best == whole.progress.best
    for weight, other in zip(whole.weights, second.weights, strict=True):
        assert torch.equal(weight, other)


class Stopped(Exception):
    """Ends a training run in the middle of an epoch."""


@pytest.mark.parametrize("batches", [1, 3, 9, 10])
def test_a_trial_continued_in_the_middle_of_an_epoch_is_bit_equal(tmp_path: Path, batches: int) -> None:
    changes: dict[str, Value] = {"network.dropout": 0.5, "network.num_layers": 2, "training.batch_size": 100}
    whole, data = trainer(spec(changes))
    curve = run(whole, data, 2)
    count = itertools.count(1)

    def stop(one: Trainer) -> None:
        if next(count) == batches:
            save_checkpoint(tmp_path / "last.ckpt", one.state())
            raise Stopped

    first = Trainer(
        spec(changes), build_module(spec(changes), data), metric="accuracy", maximize=True,
        pulse=Pulse(itertools.count().__next__), after_batch=stop,
    )  # fmt: skip
    with pytest.raises(Stopped):
        run(first, data, 2)
    torch.manual_seed(123)
    second, _ = trainer(spec(changes))
    second.restore(load_checkpoint(tmp_path / "last.ckpt"))
    rest = run(second, data, 2 - second.progress.epoch)
    assert all(same(one, other) for one, other in zip(curve[-len(rest) :], rest, strict=True))
    assert second.progress.best == whole.progress.best
    for weight, other in zip(whole.weights, second.weights, strict=True):
        assert torch.equal(weight, other)


def test_another_seed_gives_another_curve() -> None:
    one, data = trainer(spec(seed=1))
    other, _ = trainer(spec(seed=2))
    assert not same(run(one, data, 1)[0], run(other, data, 1)[0])


def test_patience_stops_after_that_many_epochs_without_a_better_metric() -> None:
    one, data = trainer(spec({"optimizer.lr": 1e-12}, Budget(max_epochs=50, patience=3)))
    while not one.is_done():
        run(one, data, 1)
    assert one.progress.epoch - one.progress.rise_epoch == 3


def test_of_equal_metrics_the_lowest_loss_is_kept_and_patience_goes_on_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    validated = iter([{"accuracy": 0.5, "loss": loss} for loss in (0.7, 0.6, 0.65, 0.5)])
    monkeypatch.setattr("rnnbench.trial.loop.evaluate", lambda *given: next(validated))
    one, data = trainer(spec(budget=Budget(max_epochs=50, patience=3)))
    kept = []
    while not one.is_done():
        run(one, data, 1)
        kept.append(one.progress.best_epoch)
    assert kept == [1, 2, 2, 4]
    assert (one.progress.rise_epoch, one.progress.best_metrics["loss"]) == (1, 0.5)
    weights = one.module.state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in one.progress.best_weights.items())


def test_the_best_weights_are_those_of_the_best_epoch() -> None:
    one, data = trainer(spec({"optimizer.lr": 0.01}))
    run(one, data, 3)
    one.progress.best = 2.0
    kept = {name: tensor.clone() for name, tensor in one.progress.best_weights.items()}
    run(one, data, 1)
    assert all(torch.equal(tensor, one.progress.best_weights[name]) for name, tensor in kept.items())
    assert any(not torch.equal(tensor, kept[name]) for name, tensor in one.module.state_dict().items())


def test_a_loss_that_is_not_finite_diverges() -> None:
    one, data = trainer(spec())
    with torch.no_grad():
        one.weights[0].fill_(float("nan"))
    with pytest.raises(TrialDiverged, match="epoch 1"):
        run(one, data, 1)


def test_the_deadline_ends_a_trial_between_steps() -> None:
    one, data = trainer(spec(), Pulse(itertools.count().__next__, deadline=3))
    with pytest.raises(TrialTimeout, match="max_seconds"):
        run(one, data, 1)


def test_clipping_is_recorded_as_a_share_of_steps() -> None:
    always, data = trainer(spec({"training.clip_norm": 1e-6}))
    never, _ = trainer(spec({"training.clip_norm": 1e6}))
    assert run(always, data, 1)[0]["clipped_share"] == 1.0
    assert run(never, data, 1)[0]["clipped_share"] == 0.0


def test_the_plain_loop_of_a_textbook_gives_the_same_losses() -> None:
    of = spec({"network.dropout": 0.0, "training.batch_size": 10_000, "optimizer.name": "sgd", "optimizer.lr": 0.5})
    one, data = trainer(of)
    losses = [metrics["train_loss"] for metrics in run(one, data, 3)]
    module = build_module(replace(of), data)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.5)
    batch, expected = data.splits["train"], []
    for _ in range(3):
        optimizer.zero_grad()
        loss = module.loss(module(batch), batch)
        loss.backward()
        optimizer.step()
        expected.append(float(loss.detach()))
    # The loop shuffles the rows of its only batch, so sums differ by rounding.
    assert losses == pytest.approx(expected, rel=1e-5)
