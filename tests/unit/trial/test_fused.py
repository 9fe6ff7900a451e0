"""Trials trained together: the numbers of each are those it has alone, whoever else is there."""

import itertools
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from rnnbench.base.errors import TrialDiverged, TrialsApart
from rnnbench.base.parameters import Value
from rnnbench.cells.network_parameters import NETWORK_PARAMETERS
from rnnbench.cells.table import get_cell, list_cells
from rnnbench.task.catalogue import get_task
from rnnbench.task.module import Batch, TaskData
from rnnbench.trial.build import build_module, read_data
from rnnbench.trial.fused import FusedTrainer, build_padded
from rnnbench.trial.loop import Trainer
from rnnbench.trial.parameters import OPTIMIZER_PARAMETERS, TRAINING_PARAMETERS
from rnnbench.trial.pulse import Pulse
from rnnbench.trial.sizes import padded_size
from rnnbench.trial.spec import Budget, TrialSpec

NOISE: dict[str, Value] = {
    "network.input_noise": 0.3,
    "network.dropout": 0.2,
    "network.recurrent_dropout": 0.1,
    "network.zoneout": 0.15,
    "network.weight_drop": 0.1,
    "network.num_layers": 2,
}


def spec(cell: str, changes: dict[str, Value], seed: int, task: str = "sequential_digits") -> TrialSpec:
    card, entry = get_task(task), get_cell(cell)
    declared = (*NETWORK_PARAMETERS, *entry.parameters, *OPTIMIZER_PARAMETERS, *TRAINING_PARAMETERS, *card.parameters)
    chosen: dict[str, Value] = {"network.hidden_size": 6, "training.batch_size": 256, **changes}
    values = {parameter.name: chosen.get(parameter.name, parameter.default) for parameter in declared}
    return TrialSpec(
        stage="search", task=card.name, task_version=card.version, data=card.default_data, data_fingerprint="embedded", cell=cell,
        cell_version=entry.version, parameters={p.name: values[p.name] for p in declared if p.is_active(values)}, seed=seed,
        budget=Budget(max_epochs=3),
    )  # fmt: skip


def clock() -> Pulse:
    return Pulse(itertools.count().__next__)


def build(of: TrialSpec, stream: torch.Generator | None = None) -> tuple[Trainer, TaskData]:
    found = read_data(of, {})
    # In double precision, where a difference of more than rounding shows.
    splits = {name: Batch(batch.inputs.double(), as_double(batch.targets), batch.lengths) for name, batch in found.splits.items()}
    data = replace(found, splits=splits)
    metric = get_task(of.task).metric
    module = build_module(of, data).double()
    return Trainer(of, module, metric=metric.name, maximize=metric.direction == "max", pulse=clock(), stream=stream), data


def as_double(targets: torch.Tensor) -> torch.Tensor:
    return targets.double() if targets.is_floating_point() else targets


def run_alone(of: TrialSpec, epochs: int = 2) -> list[dict[str, float]]:
    trainer, data = build(of)
    return [trainer.run_epoch(data.splits["train"], data.splits["validation"]) for _ in range(epochs)]


def run_together(specs: Sequence[TrialSpec], epochs: int = 2) -> list[list[dict[str, float] | TrialDiverged]]:
    built = [build(of, torch.Generator()) for of in specs]
    trainers, data = [trainer for trainer, _ in built], built[0][1]
    padded = build_padded(specs, data)
    together = FusedTrainer(trainers, clock(), padded=padded and padded.double())
    together.require_silence(data.splits["train"])
    found = [together.run_epoch(data.splits["train"], data.splits["validation"]) for _ in range(epochs)]
    return [[epoch[trainer] for epoch in found] for trainer in trainers]


def same(one: dict[str, float] | TrialDiverged, other: dict[str, float], tolerance: float) -> None:
    assert isinstance(one, dict)
    shared = {name for name in one if name != "train_s"}
    assert shared == {name for name in other if name != "train_s"}
    for name in shared:
        assert one[name] == pytest.approx(other[name], rel=tolerance, abs=tolerance), name


OPTIMIZERS: list[dict[str, Value]] = [
    {"optimizer.name": "adam", "optimizer.lr": 0.003, "training.clip_norm": 0.5},
    {"optimizer.name": "sgd", "optimizer.lr": 0.05, "optimizer.momentum": 0.9, "training.lr_schedule": "cosine"},
    {"optimizer.name": "rmsprop", "optimizer.lr": 0.001, "optimizer.weight_decay": 0.01},
    {"optimizer.name": "adagrad", "optimizer.lr": 0.01, "training.clip_value": 0.01},
]


@pytest.mark.parametrize("cell", ["peephole_lstm", "lstm", "min_gru", "layer_norm_lstm", "mlstm", "transformer", "tcn"])
def test_trials_together_have_the_numbers_of_trials_alone(cell: str) -> None:
    specs = [spec(cell, changes, seed) for seed, changes in enumerate(OPTIMIZERS)]
    assert len({one.shape() for one in specs}) == 1
    for one, found in zip(specs, run_together(specs), strict=True):
        for epoch, alone in zip(found, run_alone(one), strict=True):
            same(epoch, alone, 1e-9)


@pytest.mark.parametrize("cell", ["gru_v1", "lstm"])
def test_every_trial_draws_its_own_noise(cell: str) -> None:
    noise = [{name: value * factor if isinstance(value, float) else value for name, value in NOISE.items()} for factor in (0.5, 1, 2)]
    specs = [spec(cell, changes, seed) for seed, changes in enumerate(noise)]
    for one, found in zip(specs, run_together(specs), strict=True):
        for epoch, alone in zip(found, run_alone(one), strict=True):
            same(epoch, alone, 1e-9)


def test_a_trial_does_not_depend_on_the_others_bit_for_bit() -> None:
    specs = [spec("peephole_lstm", {**NOISE, "optimizer.lr": 0.001 * (seed + 1)}, seed) for seed in range(5)]
    two, five = run_together(specs[:2]), run_together(specs)
    for one, other in zip(two, five, strict=False):
        for epoch, same_epoch in zip(one, other, strict=True):
            assert isinstance(epoch, dict)
            assert isinstance(same_epoch, dict)
            assert {**epoch, "train_s": 0} == {**same_epoch, "train_s": 0}


def test_padded_rows_of_many_trials_are_cut_to_the_longest_of_all() -> None:
    specs = [spec("peephole_lstm", {"training.batch_size": 16}, seed, task="polyphonic_music") for seed in range(3)]
    for one, found in zip(specs, run_together(specs, epochs=1), strict=True):
        same(found[0], run_alone(one, epochs=1)[0], 1e-9)


def test_one_diverges_and_the_others_go_on() -> None:
    specs = [spec("peephole_lstm", {"optimizer.name": "sgd", "optimizer.lr": lr}, 1) for lr in (0.01, 0.01, 0.02)]
    built = [build(of, torch.Generator()) for of in specs]
    trainers, data = [trainer for trainer, _ in built], built[0][1]
    with torch.no_grad():
        trainers[1].module.head.weight.fill_(torch.nan)
    together = FusedTrainer(trainers, clock())
    first = together.run_epoch(data.splits["train"], data.splits["validation"])
    assert [isinstance(first[trainer], TrialDiverged) for trainer in trainers] == [False, True, False]
    together.take([trainers[0], trainers[2]])
    second = together.run_epoch(data.splits["train"], data.splits["validation"])
    for place in (0, 2):
        same(second[trainers[place]], run_alone(specs[place])[1], 1e-9)


def test_a_trial_goes_on_alone_where_it_stopped_together() -> None:
    specs = [spec("gru_v1", NOISE, seed) for seed in range(2)]
    built = [build(of, torch.Generator()) for of in specs]
    trainers, data = [trainer for trainer, _ in built], built[0][1]
    FusedTrainer(trainers, clock()).run_epoch(data.splits["train"], data.splits["validation"])
    alone, _ = build(specs[1])
    alone.restore(trainers[1].state())
    same(alone.run_epoch(data.splits["train"], data.splits["validation"]), run_alone(specs[1])[1], 1e-9)


def test_the_shape_tells_what_can_be_trained_together() -> None:
    one = spec("lstm", {}, 0)
    assert spec("lstm", {"optimizer.lr": 0.5, "network.dropout": 0.0}, 3).shape() == one.shape()
    for changes in ({"network.hidden_size": 7}, {"training.batch_size": 32}, {"network.dropout": 0.5}, {"task.order": "pixels"}):
        assert spec("lstm", changes, 0).shape() != one.shape(), changes  # type: ignore[arg-type]  # mypy joins the values to object
    assert spec("gru", {}, 0).shape() != one.shape()


def test_a_batch_can_be_cut_longer_than_its_longest_row() -> None:
    batch = Batch(torch.zeros(3, 5, 2), torch.zeros(3, 5), torch.tensor([2, 5, 1]))
    assert batch.rows(torch.tensor([0, 2])).inputs.shape == (2, 2, 2)
    assert batch.rows(torch.tensor([0, 2]), 4).targets.shape == (2, 4)


SIZES: list[dict[str, Value]] = [
    {"network.hidden_size": 33},
    {"network.hidden_size": 34, "training.clip_norm": 0.5},
    {"network.hidden_size": 40, "optimizer.name": "rmsprop", "optimizer.weight_decay": 0.01},
]


@pytest.mark.parametrize("cell", [entry.name for entry in list_cells() if entry.takes_silent_units])
def test_models_of_other_sizes_are_padded_with_silent_units(cell: str) -> None:
    specs = [spec(cell, {**changes, "network.num_layers": 2}, seed) for seed, changes in enumerate(SIZES)]
    assert len({one.shape() for one in specs}) == 1
    for one, found in zip(specs, run_together(specs, epochs=1), strict=True):
        same(found[0], run_alone(one, epochs=1)[0], 1e-9)


@pytest.mark.parametrize("cell", [entry.name for entry in list_cells() if not entry.takes_silent_units])
def test_cells_whose_units_are_not_silent_are_told_apart(cell: str) -> None:
    one, other = (spec(cell, {"network.hidden_size": size}, 0) for size in (36, 40))
    assert one.shape() != other.shape()


def test_padding_that_changes_something_is_found_out() -> None:
    specs = [spec("lstm", {"network.hidden_size": 36}, seed) for seed in range(2)]
    built = [build(of, torch.Generator()) for of in specs]
    padded = build_padded(specs, built[0][1])
    assert padded is not None
    together = FusedTrainer([trainer for trainer, _ in built], clock(), padded=padded.double())
    with torch.no_grad():
        for stack in together._stacks.values():
            stack += 0.1
    with pytest.raises(TrialsApart, match="zero weights"):
        together.require_silence(built[0][1].splits["train"])


def test_the_sizes_that_others_are_padded_to() -> None:
    assert [padded_size(units) for units in (1, 6, 8, 9, 33, 40, 41, 64, 100, 128, 129)] == [1, 6, 8, 10, 40, 40, 48, 64, 112, 128, 160]
    for units in range(1, 2000):
        assert units <= padded_size(units) <= max(units + 1, 1.25 * units)
        assert padded_size(padded_size(units)) == padded_size(units)
