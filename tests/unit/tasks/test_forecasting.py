"""Forecasting: windows that see no future, units that come back, metrics and baselines against other people's numbers."""

import json
import math
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, mean_pinball_loss, mean_squared_error
from torch import Tensor
from torch.func import functional_call, stack_module_state

from rnnbench.base.errors import DataError, ParameterError
from rnnbench.base.parameters import Value
from rnnbench.cells.build import build_network
from rnnbench.cells.models import models
from rnnbench.cells.network_parameters import NETWORK_PARAMETERS
from rnnbench.task.answers import Answer, Question
from rnnbench.task.catalogue import get_task
from rnnbench.task.load import load_task
from rnnbench.task.module import Batch, TaskData
from rnnbench.task.sources import locate
from rnnbench.trial.fused import can_fuse
from rnnbench_tasks.forecasting.baselines import fit_ridge
from rnnbench_tasks.forecasting.comparison import MIN_LOSSES, by_time, estimate_mean, is_better
from rnnbench_tasks.forecasting.generated import draw_lorenz, draw_mackey_glass, integrate, integrate_mackey_glass, lorenz
from rnnbench_tasks.forecasting.module import Module
from rnnbench_tasks.forecasting.seasons import calendar_features
from rnnbench_tasks.forecasting.windows import unpack

CARD = get_task("forecasting")
CODE = load_task("forecasting")
ALL = ("train", "validation", "test")
Values = NDArray[np.float64]


def parameters(**changes: Value) -> dict[str, Value]:
    """Defaults of the card, small windows, and changes such as data_window=4."""
    found: dict[str, Value] = {one.name: one.default for one in CARD.parameters} | {"data.window": 6, "data.horizon": 3}
    return found | {name.replace("_", ".", 1): value for name, value in changes.items()}


def write(path: Path, values: Values, start: str = "2020-01-01", frequency: str = "h", columns: Sequence[str] = ("a", "b", "c")) -> Path:
    """A table with a column of times; nan is written as nothing."""
    values = values[:, None] if values.ndim == 1 else values
    frame = pd.DataFrame(values, columns=list(columns[: values.shape[1]]))
    frame.insert(0, "date", pd.date_range(start, periods=len(values), freq=frequency).astype(str))
    frame.to_csv(path, index=False)
    return path


def read(path: Path, **changes: Value) -> TaskData:
    return CODE.read_data({path.name: path}, f"path:{path.name}", parameters(**changes), ALL)


def build(data: TaskData, **changes: Value) -> Module:
    return build_seeded(0, data, changes)


def build_seeded(seed: int, data: TaskData, changes: dict[str, Value]) -> Module:
    torch.manual_seed(seed)
    network: dict[str, Value] = {one.name: one.default for one in NETWORK_PARAMETERS} | {"network.hidden_size": 5}
    network_of = partial(build_network, "gru", parameters=network)
    module = Module.build(network_of, data, parameters(**changes))
    assert isinstance(module, Module)
    return module.eval()


def measure(module: Module, split: Batch, outputs: Tensor | None = None) -> dict[str, float]:
    with torch.inference_mode():
        found = module.totals(module(split) if outputs is None else outputs, split)
    return module.metrics({name: float(total) for name, total in found.items()})


def walk(rows: int, columns: int = 2, seed: int = 0) -> Values:
    """A positive random walk, different in scale from column to column."""
    steps = np.random.default_rng(seed).normal(0, 0.05, (rows, columns))
    found: Values = np.exp(np.cumsum(steps, axis=0)) * 10.0 ** np.arange(columns)
    return found


def refusal(path: Path, **changes: Value) -> str:
    with pytest.raises((DataError, ParameterError)) as refused:
        read(path, **changes)
    assert "\n" not in str(refused.value)
    return str(refused.value)


# Generated series


def test_mackey_glass_is_the_closed_form_until_the_delay_ends() -> None:
    start, times = 1.2, np.arange(18)
    limit = 0.2 * start / (1 + start**10) / 0.1
    expected = limit + (start - limit) * np.exp(-0.1 * times)
    np.testing.assert_allclose(integrate_mackey_glass(start, 18), expected, atol=1e-9)


def test_the_error_of_the_delay_equation_falls_with_the_fourth_power_of_the_step() -> None:
    exact = integrate_mackey_glass(1.2, 61, 160)
    coarse, fine = (np.abs(integrate_mackey_glass(1.2, 61, steps) - exact).max() for steps in (5, 10))
    assert 14 < coarse / fine < 18


def test_lorenz_is_what_another_integrator_finds() -> None:
    start = np.array([1.0, 2.0, 20.0])
    ours = integrate(lorenz, start, 0.01, 5, 41)
    theirs = solve_ivp(lambda _, state: lorenz(state), (0, 2), start, t_eval=np.arange(41) * 0.05, rtol=1e-10, atol=1e-10).y.T
    # The step's error of order four, grown by chaos (exponent 0.9) over two time units.
    np.testing.assert_allclose(ours, theirs, atol=2e-3)


def test_generated_series_stay_on_their_attractors_and_follow_their_seed() -> None:
    series = draw_mackey_glass(0)
    assert 0.2 < series.min() < 0.6 < 1.2 < series.max() < 1.5
    assert (draw_mackey_glass(0) == series).all()
    assert not np.allclose(draw_mackey_glass(1), series)
    assert np.abs(draw_lorenz(0, 500)).max() < 60


# Windows


def test_windows_hold_the_rows_that_they_should_and_reach_back_over_the_border(tmp_path: Path) -> None:
    data = read(write(tmp_path / "a.csv", np.arange(1.0, 101.0)), data_scaling="none")
    # 70 rows train, 10 validate, 20 test; targets lie within their split.
    first = {"train": (1, 7), "validation": (65, 71), "test": (75, 81)}
    last = {"train": (62, 68), "validation": (72, 78), "test": (92, 98)}
    for split, batch in data.splits.items():
        asked = unpack(batch.targets, 1)
        for place, (begin, target) in ((0, first[split]), (-1, last[split])):
            assert batch.inputs[place, :, 0].tolist() == list(range(begin, begin + 6))
            assert asked.level_NSK[place, :, 0].tolist() == list(range(target - 1, target + 3))


def test_what_is_predicted_does_not_depend_on_the_window(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", walk(100))
    short, long = read(path, data_window=3), read(path, data_window=20)
    for split in ("validation", "test"):
        assert torch.equal(short.splits[split].targets, long.splits[split].targets)


def test_training_windows_start_a_stride_apart_and_the_others_at_every_row(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", walk(100))
    every, fifth = read(path), read(path, data_stride=5)
    assert torch.equal(fifth.splits["train"].inputs, every.splits["train"].inputs[::5])
    assert torch.equal(fifth.splits["test"].inputs, every.splits["test"].inputs)


def test_windows_of_one_series_take_no_memory_of_their_own(tmp_path: Path) -> None:
    batch = read(write(tmp_path / "a.csv", walk(1000)), data_window=100).splits["train"]
    assert batch.inputs.numel() > 50_000
    assert batch.inputs.untyped_storage().size() == 1000 * 2 * 4


@pytest.mark.slow
def test_the_transformer_is_split_into_twelve_four_and_four_months(data_home: Path) -> None:
    changes = parameters(data_horizon=24, data_window=48)
    data = CODE.read_data(locate(CARD, "etth1", data_home), "etth1", changes, ALL)
    assert [len(data.splits[split]) for split in ALL] == [8640 - 48 - 24 + 1, 2880 - 24 + 1, 2880 - 24 + 1]


def test_scales_are_learned_from_training_rows_alone(tmp_path: Path) -> None:
    values = walk(100)
    changed = values.copy()
    changed[70:] *= 7
    one, other = read(write(tmp_path / "a.csv", values)), read(write(tmp_path / "b.csv", changed))
    assert one.preparation == other.preparation
    assert torch.equal(one.splits["train"].inputs, other.splits["train"].inputs)
    inputs = one.splits["train"].inputs
    whole = torch.cat([inputs[0], inputs[1:, -1]]).double()
    expected = (values[: len(whole)] - values[:70].mean(0)) / values[:70].std(0)
    np.testing.assert_allclose(whole, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("missing", ["hold", "interpolate"])
@pytest.mark.parametrize("transform", ["none", "log_difference"])
def test_no_input_depends_on_a_later_row(missing: str, transform: str, tmp_path: Path) -> None:
    values = walk(120)
    values[np.random.default_rng(1).random(values.shape) < 0.2] = np.nan
    cut = 112
    changed = values.copy()
    changed[cut:] = walk(8, seed=5)
    changes: dict[str, Value] = {"data_missing": missing, "data_transform": transform, "data_calendar": "auto"}
    one, other = (
        read(write(tmp_path / f"{name}.csv", content), **changes).splits["test"] for name, content in (("a", values), ("b", changed))
    )
    for row in range(len(one)):
        place = float(unpack(one.targets, 2).place_N[row])
        match = (unpack(other.targets, 2).place_N == place).nonzero()
        if place < cut and len(match):
            assert torch.equal(one.inputs[row], other.inputs[int(match[0])])
    assert (unpack(one.targets, 2).place_N < cut).sum() > 5


def test_no_window_ends_in_a_gap_that_was_filled_from_its_far_side(tmp_path: Path) -> None:
    values = np.arange(1.0, 101.0)
    values[85:88] = np.nan
    held = read(write(tmp_path / "a.csv", values), data_scaling="none").splits["test"]
    straight = read(write(tmp_path / "a.csv", values), data_scaling="none", data_missing="interpolate").splits["test"]
    assert len(held) - len(straight) == 3
    last = {float(window[-1, 0]) for window in straight.inputs}
    assert not last & {86.0, 87.0, 88.0}
    assert {86.0, 87.0, 88.0} <= {float(value) for window in straight.inputs for value in window[:, 0]}
    assert 85.0 in {float(window[-1, 0]) for window in held.inputs[-10:]}


def test_a_missing_value_is_held_marked_and_never_scored(tmp_path: Path) -> None:
    values = np.arange(1.0, 101.0)
    values[[3, 4, 90]] = np.nan
    data = read(write(tmp_path / "a.csv", values), data_scaling="none")
    window = data.splits["train"].inputs[0]
    assert window[:, 0].tolist() == [1, 2, 3, 3, 3, 6]
    assert window[:, 1].tolist() == [0, 0, 0, 1, 1, 0]
    test = data.splits["test"]
    observed = unpack(test.targets, 1).observed_NSK[:, 1:]
    assert int((1 - observed).sum()) == 3
    module = build(data, data_scaling="none")
    outputs = torch.zeros(len(test), 3, 1, 1)
    targets = test.targets[:, 1:, 0].numpy()[observed[..., 0].numpy() > 0]
    assert measure(module, test, outputs)["mae_units"] == pytest.approx(np.abs(targets).mean())
    assert data.facts["missing values"] == "a 3"
    assert "row 4, column 'a': no value; set data.missing to hold" in refusal(tmp_path / "a.csv", data_missing="refuse")


def test_the_latest_part_of_the_training_rows_is_used_and_smaller_parts_lie_within(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", walk(200))
    whole = read(path)
    rows: list[set[float]] = []
    for fraction in (1.0, 0.5, 0.2):
        part = read(path, data_train_fraction=fraction)
        rows.append(set(unpack(part.splits["train"].targets, 2).place_N.tolist()))
        assert torch.equal(part.splits["validation"].targets[..., :2], whole.splits["validation"].targets[..., :2])
        # The metric keeps its unit, so that parts compare.
        assert part.preparation["scales"][""]["deviation"] == whole.preparation["scales"][""]["deviation"]
    assert rows[2] < rows[1] < rows[0]
    assert max(rows[0]) in rows[2]


def several(path: Path, lengths: Mapping[str, int], starts: Mapping[str, str]) -> Path:
    """Series one after the other in one file; the values say which and where."""
    parts = []
    for number, (name, length) in enumerate(lengths.items(), 1):
        times = pd.date_range(starts.get(name, "2020-01-01"), periods=length, freq="D").astype(str)
        parts.append(pd.DataFrame({"who": name, "date": times, "x": 1000.0 * number + np.arange(length)}))
    pd.concat(parts).to_csv(path, index=False)
    return path


def test_no_window_lies_in_two_series(tmp_path: Path) -> None:
    path = several(tmp_path / "a.csv", {"A": 60, "B": 80}, {})
    data = read(path, data_series_column="who", data_scaling="none", data_cut="series")
    for batch in data.splits.values():
        whole = torch.cat([batch.inputs[..., 0], batch.targets[:, 1:, 0]], dim=1)
        assert (whole.diff(dim=1) == 1).all()
    series = unpack(data.splits["test"].targets, 1).series_N
    assert series.bincount().tolist() == [12 - 2, 16 - 2]


def test_series_can_be_split_at_the_same_times(tmp_path: Path) -> None:
    path = several(tmp_path / "a.csv", {"A": 100, "B": 60}, {"B": "2020-02-10"})
    data = read(path, data_series_column="who")
    latest_training = max(unpack(data.splits["train"].targets, 1).time_N.tolist())
    earliest_test = min(unpack(data.splits["test"].targets, 1).time_N.tolist())
    day = 86_400_000_000
    assert latest_training + 3 * day <= earliest_test + day
    apart = read(path, data_series_column="who", data_cut="series")
    times = unpack(apart.splits["train"].targets, 1).time_N.max()
    assert float(times) > latest_training


def test_calendar_features_turn_once_a_day_a_week_and_a_year() -> None:
    times = np.array(["2024-01-01T00", "2024-01-01T06", "2024-01-04T12", "2024-07-01T00"], dtype="datetime64[us]").astype(np.int64)
    hour, weekday, month, yearday = np.split(calendar_features(times, ("hour", "weekday", "month", "yearday")), 4, axis=1)
    np.testing.assert_allclose(hour, [[0, 1], [1, 0], [0, -1], [0, 1]], atol=1e-12)
    # 1 January 2024 is a Monday; Thursday noon is the middle of the week.
    np.testing.assert_allclose(weekday[[0, 2]], [[0, 1], [0, -1]], atol=1e-12)
    np.testing.assert_allclose(month[[0, 3]], [[0, 1], [0, -1]], atol=1e-12)
    np.testing.assert_allclose(yearday[3], [math.sin(2 * math.pi * 182 / 366), math.cos(2 * math.pi * 182 / 366)], atol=1e-12)


# Units and metrics


SETTINGS = [
    {"data_transform": transform, "data_scaling": scaling}
    for transform, scaling in product(("none", "log", "difference", "log_difference"), ("standard", "minmax", "none"))
]


@pytest.mark.parametrize("changes", SETTINGS, ids=lambda changes: "-".join(map(str, changes.values())))
def test_the_right_answer_in_the_networks_units_has_no_error_in_any_other(changes: dict[str, Value], tmp_path: Path) -> None:
    data = read(write(tmp_path / "a.csv", walk(100)), **changes)
    module, test = build(data, **changes), data.splits["test"]
    asked = unpack(test.targets, 2)
    scaled = asked.scaled_NSK[:, 1:]
    outputs = (scaled.cumsum(1) if module.settings.has_difference else scaled).unsqueeze(-1)
    found = measure(module, test, outputs)
    # Inputs are kept as 32-bit floats: 2**-24 of values up to a few deviations, summed over three steps.
    assert all(value < 1e-5 for name, value in found.items() if name != "smape"), found
    assert found["smape"] < 1e-3


def test_every_metric_equals_its_definition_on_paper(tmp_path: Path) -> None:
    values = walk(100)
    data = read(write(tmp_path / "a.csv", values), data_season=4)
    module, test = build(data, data_season=4), data.splits["test"]
    with torch.inference_mode():
        outputs = module(test)
    deviation, mean = values[:70].std(0), values[:70].mean(0)
    said = outputs[..., 0].double().numpy() * deviation + mean
    truth = np.stack([values[row : row + 3] for row in range(80, 98)])
    naive = np.abs(values[4:70] - values[:66]).mean(0)
    found = measure(module, test, outputs)
    scaled = [array.reshape(-1) for array in (truth / deviation, said / deviation)]
    assert found["mse"] == pytest.approx(mean_squared_error(*scaled), rel=1e-9)
    assert found["mae"] == pytest.approx(mean_absolute_error(*scaled), rel=1e-9)
    assert found["rmse"] == pytest.approx(np.sqrt(mean_squared_error(truth.reshape(-1), said.reshape(-1))), rel=1e-9)
    assert found["mae_units"] == pytest.approx(mean_absolute_error(truth.reshape(-1), said.reshape(-1)), rel=1e-9)
    assert found["smape"] == pytest.approx(np.mean(200 * np.abs(truth - said) / (np.abs(truth) + np.abs(said))), rel=1e-9)
    assert found["mase"] == pytest.approx(np.mean(np.abs(truth - said) / naive), rel=1e-9)


@pytest.mark.parametrize("scaling", ["standard", "minmax", "none"])
def test_the_unit_of_the_metric_does_not_depend_on_the_scaling(scaling: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", walk(100))
    data = read(path, data_scaling=scaling)
    module, test = build(data, data_scaling=scaling), data.splits["test"]
    constant = torch.tensor([2.0, 30.0], dtype=torch.float64)
    outputs = (constant - module.units.centre[0]) / module.units.spread[0]
    found = measure(module, test, outputs[None, None, :, None].expand(len(test), 3, 2, 1))
    expected = (test.targets[:, 1:, :2] - constant) / torch.from_numpy(walk(100)[:70].std(0))
    assert found["mse"] == pytest.approx(float(expected.square().mean()), rel=1e-9)


def test_a_season_that_always_repeats_has_no_mase(tmp_path: Path) -> None:
    data = read(write(tmp_path / "a.csv", np.tile([1.0, 2.0, 3.0, 4.0], 30)), data_season=4)
    assert "mase" not in measure(build(data, data_season=4), data.splits["test"])


def silenced(module: Module) -> Module:
    """A head that gives nothing."""
    torch.nn.init.zeros_(module.head.weight)
    torch.nn.init.zeros_(module.head.bias)
    return module


@pytest.mark.parametrize(
    ("changes", "baseline"),
    [
        ({}, "persistence"),
        ({"task_residual": "none", "task_normalize": "last"}, "persistence"),
        ({"task_normalize": "mean_std"}, "persistence"),
        ({"data_transform": "log"}, "persistence"),
        ({"task_decoding": "recursive"}, "persistence"),
        ({"task_columns": "apart"}, "persistence"),
        ({"task_residual": "linear"}, "persistence"),
        ({"task_residual": "season", "data_season": 2}, "seasonal naive"),
        ({"task_residual": "season", "data_season": 5, "data_horizon": 4, "task_normalize": "mean_std"}, "seasonal naive"),
        ({"task_residual": "season", "data_season": 2, "task_decoding": "recursive"}, "seasonal naive"),
    ],
)
def test_a_network_that_says_nothing_is_the_forecast_that_it_is_added_to(changes: dict[str, Value], baseline: str, tmp_path: Path) -> None:
    data = read(write(tmp_path / "a.csv", walk(100)), **changes)
    found = measure(silenced(build(data, **changes)), data.splits["validation"])
    assert found["mse"] == pytest.approx(CODE.baselines(data, "validation")[baseline], rel=1e-5)


def test_changes_in_logarithms_begin_at_persistence_too(tmp_path: Path) -> None:
    changes: dict[str, Value] = {"data_transform": "log_difference", "data_scaling": "none"}
    data = read(write(tmp_path / "a.csv", walk(100)), **changes)
    found = measure(silenced(build(data, **changes)), data.splits["validation"])
    assert found["mse"] == pytest.approx(CODE.baselines(data, "validation")["persistence"], rel=1e-5)


# Decoding


@pytest.mark.parametrize(
    "changes", [{}, {"task_normalize": "mean_std"}, {"data_transform": "difference"}, {"task_residual": "season", "data_season": 2}]
)
def test_recursive_decoding_is_one_step_ahead_again_and_again(changes: dict[str, Value], tmp_path: Path) -> None:
    changes = {"task_decoding": "recursive", "data_calendar": "hour", **changes}
    data = read(write(tmp_path / "a.csv", walk(100)), **changes)
    module, test = build(data, **changes), data.splits["test"]
    with torch.inference_mode():
        whole = module(test)[..., 0]
        inputs, centre, spread = test.inputs[:, :6], *module._normal(test.inputs[:, :6, :2])
        seen = (inputs[..., :2] - centre) / spread
        steps = torch.cat([seen, inputs[..., 2:]], dim=-1)
        said = []
        for step in range(3):
            outputs, _ = module.network(steps)
            one = module.head(outputs[:, -1])
            residual = module.settings.residual
            one = one + {"none": torch.zeros_like(one), "last": steps[:, -1, :2], "season": steps[:, -2, :2]}[residual]
            said.append(one * spread[:, 0] + centre[:, 0])
            if step < 2:
                steps = torch.cat([steps, torch.cat([one, test.inputs[:, 6 + step, 2:]], dim=-1).unsqueeze(1)], dim=1)
    expected = torch.stack(said, dim=1)
    if module.settings.has_difference:
        expected = expected.cumsum(dim=1)
    torch.testing.assert_close(whole, expected, rtol=1e-4, atol=1e-5)


def test_recursive_decoding_trains_one_step_ahead_and_reads_nothing_of_later_rows_but_their_calendar(tmp_path: Path) -> None:
    changes: dict[str, Value] = {"task_decoding": "recursive", "data_calendar": "hour"}
    data = read(write(tmp_path / "a.csv", walk(100)), **changes)
    module, batch = build(data, **changes), data.splits["test"]
    hidden = batch.inputs.clone()
    hidden[:, 6:, :2] = torch.nan
    assert torch.equal(module(batch), module(Batch(hidden, batch.targets)))
    other_hours = batch.inputs.clone()
    other_hours[:, 6:, 2:] = 0
    assert not torch.equal(module(batch), module(Batch(other_hours, batch.targets)))
    module.train()
    outputs = module(batch)
    assert outputs.shape == (len(batch), 1, 2, 1)
    asked = unpack(batch.targets, 2)
    expected = mean_squared_error(asked.scaled_NSK[:, 1].flatten(), outputs.detach().flatten())
    assert float(module.loss(outputs, batch).detach()) == pytest.approx(expected, rel=1e-5)


def test_targets_apart_are_each_predicted_as_if_they_were_alone(tmp_path: Path) -> None:
    changes: dict[str, Value] = {"task_columns": "apart", "data_calendar": "hour"}
    data = read(write(tmp_path / "a.csv", walk(100, 3)), **changes)
    module, batch = build(data, **changes), data.splits["test"]
    assert (data.input_size, data.output_size) == (1 + 2, 3)
    together = module(batch)
    for place in range(3):
        alone = module._predict(batch.inputs[..., place : place + 1], batch.inputs[..., 3:], batch.inputs[:, 6:, 3:])
        torch.testing.assert_close(together[:, :, place], alone[:, :, 0], rtol=1e-5, atol=1e-6)


def test_quantiles_have_the_pinball_loss_and_the_coverage_of_their_definition(tmp_path: Path) -> None:
    changes: dict[str, Value] = {"task_output": "quantiles", "task_quantiles": "0.1, 0.5, 0.8"}
    data = read(write(tmp_path / "a.csv", walk(100)), **changes)
    module, test = build(data, **changes), data.splits["test"]
    torch.nn.init.normal_(module.head.weight)
    with torch.inference_mode():
        outputs = module(test)
    assert outputs.shape == (len(test), 3, 2, 3)
    truth = unpack(test.targets, 2).scaled_NSK[:, 1:].flatten().numpy()
    losses = [mean_pinball_loss(truth, outputs[..., place].flatten().numpy(), alpha=alpha) for place, alpha in enumerate((0.1, 0.5, 0.8))]
    assert float(module.loss(outputs, test)) == pytest.approx(np.mean(losses), rel=1e-5)
    ordered = np.sort(outputs.double().numpy(), axis=-1)
    assert (ordered != outputs.numpy()).any(), "some quantiles cross, so that sorting is tried"
    low, middle, high = (ordered[..., place].reshape(-1) for place in range(3))
    found = measure(module, test, outputs)
    assert found["coverage"] == pytest.approx(np.mean((low <= truth) & (truth <= high)), abs=1e-9)
    assert found["mse"] == pytest.approx(mean_squared_error(truth, middle), rel=1e-5)


@pytest.mark.parametrize(
    "changes", [{}, {"task_decoding": "recursive"}, {"task_columns": "apart"}, {"task_output": "quantiles"}, {"task_residual": "linear"}]
)
def test_several_models_at_once_say_what_each_says_alone(changes: dict[str, Value], tmp_path: Path) -> None:
    data = read(write(tmp_path / "a.csv", walk(100)), **changes)
    singles = [build_seeded(seed, data, changes) for seed in (0, 1)]
    assert all(can_fuse(module) for module in singles)
    batch = data.splits["test"]
    weights, buffers = stack_module_state(singles)

    def run(own: dict[str, Tensor], kept: dict[str, Tensor]) -> Tensor:
        found: Tensor = functional_call(singles[0], (own, kept), (batch,))
        return found

    with torch.inference_mode(), models([torch.Generator(), torch.Generator()]):
        together = torch.vmap(run)(weights, buffers)
    for place, module in enumerate(singles):
        torch.testing.assert_close(together[place], module(batch), rtol=1e-4, atol=1e-5)


# Baselines and floors


def test_the_linear_model_is_scikit_learns_ridge() -> None:
    random = np.random.default_rng(0)
    inputs, targets, new = random.normal(size=(40, 7)), random.normal(size=(40, 3)), random.normal(size=(5, 7))
    spread = inputs.std(0)
    for penalty in (0.1, 10.0):
        theirs = Ridge(alpha=penalty).fit(inputs / spread, targets).predict(new / spread)
        np.testing.assert_allclose(fit_ridge(inputs, targets, (penalty,))[0](new), theirs, rtol=1e-9, atol=1e-9)


def test_simple_forecasts_are_what_their_names_say(tmp_path: Path) -> None:
    values = walk(100, 1)[:, 0]
    found = CODE.baselines(read(write(tmp_path / "a.csv", values), data_season=2), "validation")
    deviation = values[:70].std()
    errors: dict[str, list[float]] = {"persistence": [], "seasonal naive": [], "drift": []}
    for row in range(69, 77):
        truth = values[row + 1 : row + 4]
        slope = (values[row] - values[0]) / row
        errors["persistence"] += list(truth - values[row])
        errors["seasonal naive"] += list(truth - values[[row - 1, row, row - 1]])
        errors["drift"] += list(truth - values[row] - slope * np.arange(1, 4))
    for name, error in errors.items():
        assert found[name] == pytest.approx(np.mean(np.square(error)) / deviation**2, rel=1e-9)


def test_a_linear_series_is_no_secret_to_the_linear_model_and_noise_is_nobodys(tmp_path: Path) -> None:
    steps = np.arange(400)
    wave = write(tmp_path / "a.csv", np.sin(steps / 3) + np.sin(steps / 7))
    noise = write(tmp_path / "b.csv", np.random.default_rng(0).normal(size=400))
    linear = "linear model of the window (ridge)"
    assert CODE.baselines(read(wave, data_window=12), "validation")[linear] < 1e-3
    found = CODE.baselines(read(noise, data_window=12), "validation")
    # Noise cannot be forecast: the best is its mean, an error of one variance; persistence has two.
    assert 0.7 < found[linear] < 1.4
    assert found["persistence"] > 1.4


@pytest.mark.slow
def test_the_floors_of_the_transformer_are_those_of_an_independent_count(data_home: Path) -> None:
    values = pd.read_csv(data_home / "etth1" / "ETTh1.csv").iloc[:, 1:].to_numpy()
    scaled = (values - values[:8640].mean(0)) / values[:8640].std(0)
    starts = range(11520, 14400 - 24 + 1)
    last = np.mean([np.square(scaled[row : row + 24] - scaled[row - 1]).mean() for row in starts])
    day_before = np.mean([np.square(scaled[row : row + 24] - scaled[row - 24 : row]).mean() for row in starts])
    assert last == pytest.approx(1.222, abs=5e-4)
    # 0.4244 over all 2857 windows, 0.4246 without the last one.
    assert day_before == pytest.approx(0.4245, abs=1e-4)
    data = CODE.read_data(locate(CARD, "etth1", data_home), "etth1", parameters(data_horizon=24, data_window=48), ALL)
    ours = CODE.baselines(data, "test")
    assert ours["persistence"] == pytest.approx(last, rel=1e-9)
    assert ours["seasonal naive"] == pytest.approx(day_before, rel=1e-9)
    floor = CARD.data["etth1"].floor
    assert floor is not None
    assert floor.value == pytest.approx(day_before, abs=5e-5)


@pytest.mark.parametrize(
    ("name", "rmse"),
    [("min_temperatures", 2.48), ("max_temperatures", 4.36), ("sunspots", 20.09), ("stocks", None), ("apple", None), ("weather", None)],
)
def test_the_floors_of_the_other_sets_are_persistence_one_step_ahead(name: str, rmse: float | None, data_home: Path) -> None:
    data = CODE.read_data(locate(CARD, name, data_home), name, parameters(data_horizon=1, data_window=24), ALL)
    test = CODE.baselines(data, "test")
    floor = CARD.data[name].floor
    assert floor is not None
    assert test["persistence"] == pytest.approx(floor.value, abs=5e-5)
    if rmse is not None:
        (scale,) = data.preparation["scales"].values()
        assert math.sqrt(test["persistence"]) * scale["deviation"][0] == pytest.approx(rmse, abs=5e-3)


# Comparison and examination


@pytest.mark.slow
@pytest.mark.parametrize(("total", "memory"), [(30, 0.0), (100, 0.5), (400, 0.8), (400, -0.5)])
def test_the_interval_covers_the_mean_of_dependent_losses_as_often_as_it_says(total: int, memory: float) -> None:
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(1000):
        noise = random.normal(size=total + 100)
        losses = np.zeros(total + 100)
        for step in range(1, total + 100):
            losses[step] = memory * losses[step - 1] + noise[step]
        found = estimate_mean(losses[100:])
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0 <= found.high
    # 95 % less three standard errors of 1000 draws, and a margin for the finite sample; an interval for independent losses has 0.53 at 0.8.
    assert 0.90 < covered / 1000 < 0.985


def test_the_interval_is_symmetric_scales_and_needs_some_losses() -> None:
    losses = np.random.default_rng(0).normal(1, 2, 50)
    one, double = estimate_mean(losses), estimate_mean(2 * losses)
    assert one.low is not None
    assert one.high is not None
    assert double.high is not None
    assert one.mean - one.low == pytest.approx(one.high - one.mean)
    assert double.high - double.mean == pytest.approx(2 * (one.high - one.mean))
    few = estimate_mean(losses[: MIN_LOSSES - 1])
    assert (few.low, few.high) == (None, None)
    assert is_better(few) == "not decided"


def test_losses_of_one_time_are_one_and_their_mean_is_that_of_all() -> None:
    sums, counts, times = np.array([4.0, 6.0, 1.0, 9.0]), np.array([2.0, 2.0, 1.0, 3.0]), np.array([5.0, 5.0, 1.0, 2.0])
    found = by_time(sums, counts, times)
    assert len(found) == 3
    assert found.mean() == pytest.approx(sums.sum() / counts.sum())
    equal = by_time(np.array([1.0, 3.0, 5.0, 7.0]), np.ones(4), np.array([1.0, 1.0, 2.0, 2.0]))
    assert equal.tolist() == [2.0, 6.0]


class Oracle:
    """Outputs of a module replaced by the truth plus an error."""

    def __init__(self, module: Module, error: float) -> None:
        self.module, self.error = module, error

    def __call__(self, batch: Batch) -> Tensor:
        asked = unpack(batch.targets, self.module.num_targets)
        noise = torch.randn(asked.scaled_NSK[:, 1:].shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        return (asked.scaled_NSK[:, 1:] + self.error * noise).unsqueeze(-1)


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (0.01, "better than persistence: yes"),
        (5.0, "not better than persistence: worse"),
        (None, "not better than persistence: not decided"),
    ],
)
def test_the_verdict_says_plainly_whether_persistence_is_beaten(
    error: float | None, verdict: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = read(write(tmp_path / "a.csv", walk(400)))
    module, test = silenced(build(data)), data.splits["test"]
    if error is not None:
        monkeypatch.setattr(module, "forward", Oracle(module, error))
    with torch.inference_mode():
        found = module.examine(test)
    assert found["verdict"].startswith(verdict)
    metrics = measure(module, test)
    assert np.mean([step["mse"] for step in found["by_step"]]) == pytest.approx(metrics["mse"], rel=1e-9)
    assert np.mean([column["mse"] for column in found["by_column"]]) == pytest.approx(metrics["mse"], rel=1e-9)
    assert found["mase"] == pytest.approx(metrics["mase"], rel=1e-9)
    json.dumps(found, allow_nan=False)


def test_the_examination_of_quantiles_counts_how_often_the_truth_lies_within(tmp_path: Path) -> None:
    changes: dict[str, Value] = {"task_output": "quantiles", "data_series_column": "who", "data_cut": "series"}
    data = read(several(tmp_path / "a.csv", {"A": 60, "B": 80}, {}), **changes)
    module, test = build(data, **changes), data.splits["test"]
    with torch.inference_mode():
        found = module.examine(test)
    assert found["coverage"]["found"] == pytest.approx(measure(module, test)["coverage"])
    assert found["coverage"]["wanted"] == pytest.approx(0.8)
    assert [one["series"] for one in found["by_series"]] == ["A", "B"]
    assert list(found["share below"]) == ["0.1", "0.5", "0.9"]
    assert sorted(found["share below"].values()) == list(found["share below"].values())
    json.dumps(found, allow_nan=False)


# Answers


def ask(module: Module, data: TaskData, *files: Path) -> Answer:
    """What a module says that was kept with its preparation alone, as a file keeps it."""
    kept = TaskData({}, data.input_size, data.output_size, preparation=json.loads(json.dumps(data.preparation, allow_nan=False)))
    fresh = Module(module.network, kept, module.task_parameters)
    fresh.load_state_dict(module.state_dict())
    with torch.inference_mode():
        return CODE.answer(fresh.eval(), kept, Question(files=files))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"task_decoding": "recursive", "data_calendar": "auto"},
        {"data_transform": "log_difference"},
        {"task_columns": "apart", "data_calendar": "hour"},
    ],
)
def test_an_answer_is_the_forecast_of_the_window_that_ends_the_file(changes: dict[str, Value], tmp_path: Path) -> None:
    values = walk(100)
    data = read(write(tmp_path / "a.csv", values), **changes)
    module, test = build(data, **changes), data.splits["test"]
    known = write(tmp_path / "known.csv", values[:97])
    answer = ask(module, data, known)
    with torch.inference_mode():
        expected = module.to_units(module(test), unpack(test.targets, 2))[-1, :, :, 0]
    np.testing.assert_allclose([[row["a"], row["b"]] for row in answer.rows], expected, rtol=1e-5)
    assert [row["date"] for row in answer.rows] == ["2020-01-05 01:00:00", "2020-01-05 02:00:00", "2020-01-05 03:00:00"]
    assert [plot.title for plot in answer.plots] == ["a", "b"]
    past, ahead = answer.plots[0].curves
    assert past.y[-1] == pytest.approx(values[96, 0])
    assert ahead.x == [row["date"] for row in answer.rows]


def test_an_answer_in_quantiles_has_a_band(tmp_path: Path) -> None:
    changes: dict[str, Value] = {"task_output": "quantiles"}
    path = write(tmp_path / "a.csv", walk(100, 1), frequency="MS")
    data = read(path, **changes)
    answer = ask(build(data, **changes), data, path)
    assert list(answer.rows[0]) == ["date", "a", "a 0.1", "a 0.9"]
    assert all(row["a 0.1"] <= row["a"] <= row["a 0.9"] for row in answer.rows)
    assert [row["date"] for row in answer.rows] == ["2028-05-01", "2028-06-01", "2028-07-01"]
    assert answer.plots[0].curves[1].low == [row["a 0.1"] for row in answer.rows]


def test_a_file_without_times_goes_on_in_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    pd.DataFrame({"x": walk(100, 1)[:, 0]}).to_csv(path, index=False)
    data = read(path)
    assert [row["row"] for row in ask(build(data), data, path).rows] == [101, 102, 103]


def test_every_series_and_every_file_gets_its_forecast_a_new_one_by_its_own_scale(tmp_path: Path) -> None:
    changes: dict[str, Value] = {"data_series_column": "who", "data_cut": "series"}
    path = several(tmp_path / "a.csv", {"A": 60, "B": 80}, {})
    data = read(path, **changes)
    module = silenced(build(data, **changes))
    new = several(tmp_path / "b.csv", {"B": 20, "C": 30}, {})
    rows = ask(module, data, path, new).rows
    assert [(row["file"], row["series"], row["scaled by"]) for row in rows[::3]] == [
        ("a.csv", "A", "training rows"), ("a.csv", "B", "training rows"), ("b.csv", "B", "training rows"), ("b.csv", "C", "its own rows"),
    ]  # fmt: skip
    # Persistence of the last value, whatever the scale.
    assert [row["x"] for row in rows[::3]] == pytest.approx([1059, 2079, 1019, 2029], rel=1e-6)


def test_a_file_that_cannot_be_answered_is_one_line(tmp_path: Path) -> None:
    data = read(write(tmp_path / "a.csv", walk(100)))
    module = build(data)
    short, daily = write(tmp_path / "short.csv", walk(5)), write(tmp_path / "daily.csv", walk(20), frequency="D")
    other = write(tmp_path / "other.csv", walk(20), columns=("a", "z"))
    for path, expected in (
        (short, "short.csv: 5 rows, but the model reads a window of 6"),
        (other, "no column 'b'; did you mean"),
        (daily, "times would be missing: set data.gaps to rows, or write rows at equal steps"),
    ):
        with pytest.raises(DataError) as refused:
            ask(module, data, path)
        assert expected in str(refused.value) or "no column 'b'" in str(refused.value)


# What is refused, and what is told

LINES = [f"2020-01-{1 + row // 24:02} {row % 24:02}:00,{row % 7},{row}" for row in range(100)]
HOURS = "\n".join(["date,x,y", *LINES])
NUMBERS = "\n".join(["x,y", *(f"{row % 7},{row}" for row in range(100))])


def with_y(value: str) -> str:
    """The table with the same value in the whole of its last column."""
    return "\n".join(["date,x,y", *(f"{line.rsplit(',', 1)[0]},{value}" for line in LINES)])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "a.csv: the file is empty"),
        (HOURS.replace(",33\n", ",oops\n"), "a.csv, row 34, column 'y': 'oops' is not a number"),
        (HOURS.replace(",33\n", ",inf\n"), "a.csv, row 34, column 'y': inf is no number that can be used"),
        (with_y(""), "a.csv, column 'y': not one number in 100 rows"),
        (with_y("4"), "a.csv, target column 'y': constant (4) in its 70 training rows"),
        (HOURS + ",1", "a.csv:101: 4 fields, but 3 columns"),
        (
            "\n".join(HOURS.split("\n")[:21]),
            "a.csv, row 20 is the last: 20 rows leave 2 to the validation split, fewer than one window needs (3)",
        ),
        (HOURS.replace("2020-01-02 00", "2020-01-01 23"), "row 25, column 'date': the time 2020-01-01 23:00:00 is there twice"),
        (HOURS.replace("2020-01-02 00", "2019-01-01 23"), "row 25, column 'date': 2019-01-01 23:00:00 comes after"),
    ],
)
def test_a_table_that_cannot_be_used_is_one_line(content: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content)
    assert expected in refusal(path)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"data_window": 90}, "a.csv, row 100 is the last: 100 rows leave 70 to the train split, fewer than one window needs (93)"),
        ({"data_targets": "z"}, "a.csv, row 1: no column 'z'"),
        ({"data_transform": "log"}, "a.csv, row 1, column 'x': 0 has no logarithm; set data.transform to none or difference"),
        ({"data_season": 70}, "a.csv: data.season is 70, but there are 70 training rows"),
        ({"data_calendar": "hours"}, "data.calendar is 'hours', must be auto, none, or some of hour, weekday, month, yearday"),
        ({"data_time_column": "none", "data_columns": "x,y", "data_calendar": "hour"}, "the data has no column of dates"),
        ({"task_residual": "season"}, "task.residual is season: data.window is 6, must be at least a season (24 steps)"),
        ({"task_decoding": "recursive", "data_targets": "x"}, "what is read must be predicted too, but y are no targets"),
        ({"task_residual": "linear", "task_decoding": "recursive"}, "task.residual linear maps a window to a whole horizon"),
        ({"task_output": "quantiles", "task_quantiles": "0.1,0.9"}, "task.quantiles is '0.1,0.9', must be ascending"),
        ({"data_validation_share": 0.5, "data_test_share": 0.5}, "leave nothing to train on"),
        ({"data_series_column": "x", "data_time_column": "none"}, "data.cut is time, but there is no column of times; set it to series"),
    ],
)
def test_settings_that_do_not_go_with_the_data_are_one_line(changes: dict[str, Value], expected: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(HOURS)
    assert expected in refusal(path, **changes)


def test_a_network_that_reads_backwards_cannot_go_on_from_its_state(tmp_path: Path) -> None:
    changes: dict[str, Value] = {"task_decoding": "recursive"}
    data = read(write(tmp_path / "a.csv", walk(100)), **changes)
    network: dict[str, Value] = {one.name: one.default for one in NETWORK_PARAMETERS} | {"network.bidirectional": True}
    with pytest.raises(ParameterError, match=r"network\.bidirectional: in recursive decoding"):
        Module.build(partial(build_network, "gru", parameters=network), data, parameters(**changes))


def test_the_check_tells_of_gaps_stuck_values_jumps_and_words(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(200, 2))
    values[50:80, 0] = 1.5
    values[150:, 1] += 5
    values[20, 0] = 300
    path = write(tmp_path / "a.csv", values)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0] + ",sky", *(f"{line},rain" for line in [*lines[1:10], *lines[12:]])]))
    found = "\n".join(load_check()({"a.csv": path}, "path:a.csv", parameters()))
    assert "columns of words, not read: sky" in found
    assert "2 of 200 times are missing (2020-01-01 09:00:00, 2020-01-01 10:00:00)" in found
    assert "column 'a': 30 times 1.5 on end up to row 78" in found
    assert "column 'a', row 19: 300 lies 1" in found
    assert "column 'b': the mean of the test rows lies +" in found


def test_the_check_tells_of_a_column_that_counts_the_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,x\n" + "".join(f"{row},{row % 7 + row % 5}\n" for row in range(5, 205)))
    found = load_check()({"a.csv": path}, "path:a.csv", parameters())
    assert f"{path}, column 'id': it counts the rows; leave it out of data.columns, or name it in data.time_column" in found


def load_check() -> Any:
    from rnnbench_tasks.forecasting.task import check_data

    return check_data
