"""Sequence regression: units that come back, metrics of scikit-learn, and one's own files answered."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.signal import periodogram
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from rnnbench.base.errors import DataError
from rnnbench.base.parameters import Value
from rnnbench.cells.build import build_network
from rnnbench.cells.network_parameters import NETWORK_PARAMETERS
from rnnbench.task.answers import Question
from rnnbench.task.catalogue import get_task
from rnnbench.task.load import load_task
from rnnbench.task.module import Batch, TaskData
from rnnbench.trial.fused import can_fuse
from rnnbench_tasks.sequence_regression.generated import draw_oscillations
from rnnbench_tasks.sequence_regression.task import Module, check_data, read_own

CARD = get_task("sequence_regression")
CODE = load_task("sequence_regression")
ALL = ("train", "validation", "test")


def parameters(**changes: Value) -> dict[str, Value]:
    return {one.name: one.default for one in CARD.parameters} | {name.replace("_", ".", 1): value for name, value in changes.items()}


def build(data: TaskData, **changes: Value) -> Module:
    torch.manual_seed(0)
    network: dict[str, Value] = {one.name: one.default for one in NETWORK_PARAMETERS} | {"network.hidden_size": 8}
    module = Module.build(partial(build_network, "gru", parameters=network), data, parameters(**changes))
    assert isinstance(module, Module)
    return module.eval()


@pytest.fixture(scope="module")
def oscillations() -> TaskData:
    return CODE.read_data({}, "oscillations", parameters(), ALL)


def write(path: Path, targets: list[float | str], *, with_target: bool = True) -> Path:
    rows = [
        {"id": number, "x": 0.1 * number + step, "target": target}
        for number, target in enumerate(targets)
        for step in range(2 + number % 3)
    ]
    pd.DataFrame(rows).drop(columns=[] if with_target else ["target"]).to_csv(path, index=False)
    return path


def read(path: Path, **changes: Value) -> TaskData:
    return CODE.read_data({path.name: path}, f"path:{path.name}", parameters(**changes), ALL)


def test_the_frequency_asked_for_is_the_peak_of_the_periodogram() -> None:
    sequences = draw_oscillations(0)
    errors = []
    for values, target in list(zip(sequences.values, sequences.targets, strict=True))[:200]:
        frequencies, power = periodogram(values[:, 0], nfft=2048)
        errors.append(abs(frequencies[power.argmax()] - float(target)))
    # A decaying wave of n steps is a peak about 1 / n wide; its top is found to a tenth of that.
    assert np.median(errors) < 0.1 / 30


def test_statistics_without_order_do_not_know_the_frequency(oscillations: TaskData) -> None:
    found = CODE.baselines(oscillations, "validation")
    truth = oscillations.splits["validation"].targets.double().numpy()
    assert found["mean of the training targets"] == pytest.approx(
        np.square(truth - float(oscillations.splits["train"].targets.double().mean())).mean()
    )
    assert found["ridge regression on mean, deviation, extremes and length"] > 0.85


def test_metrics_are_those_of_scikit_learn_in_the_targets_own_units(oscillations: TaskData) -> None:
    module, batch = build(oscillations), oscillations.splits["test"]
    said = torch.randn(len(batch), generator=torch.Generator().manual_seed(0))
    found = module.metrics({name: float(total) for name, total in module.totals(said, batch).items()})
    sequences = read_own({}, "oscillations", parameters())
    targets = np.array([float(target) for target in sequences.targets])
    training, truth = targets[np.array(sequences.splits) == "train"], targets[np.array(sequences.splits) == "test"]
    units = said.double().numpy() * training.std() + training.mean()
    assert found["mse"] == pytest.approx(mean_squared_error(truth, units) / training.var(), rel=1e-6)
    assert found["rmse"] == pytest.approx(mean_squared_error(truth, units) ** 0.5, rel=1e-6)
    assert found["mae"] == pytest.approx(mean_absolute_error(truth, units), rel=1e-6)
    assert found["r2"] == pytest.approx(r2_score(truth, units), rel=1e-6)


@pytest.mark.parametrize(("loss", "expected"), [("squared", 1.375), ("absolute", 1.0), ("huber", 0.5625)])
def test_the_loss_is_the_one_that_was_chosen(loss: str, expected: float, oscillations: TaskData) -> None:
    module = build(oscillations, task_loss=loss)
    batch = Batch(torch.zeros(4, 1, 1), torch.tensor([0.0, 0.0, 0.0, 0.0]), torch.ones(4, dtype=torch.int64))
    outputs = torch.tensor([0.5, -0.5, 2.0, 1.0])
    assert float(module.loss(outputs, batch)) == pytest.approx(expected)


def test_a_split_of_equal_targets_has_no_share_of_explained_variance(oscillations: TaskData) -> None:
    module = build(oscillations)
    batch = Batch(torch.zeros(2, 1, 1), torch.tensor([0.5, 0.5]), torch.ones(2, dtype=torch.int64))
    found = module.metrics({name: float(total) for name, total in module.totals(torch.tensor([0.0, 1.0]), batch).items()})
    assert found["r2"] == 0
    assert found["mse"] == 0.25


def test_the_unit_of_the_metric_stays_when_fewer_rows_train(oscillations: TaskData) -> None:
    part = CODE.read_data({}, "oscillations", parameters(data_train_fraction=0.25), ALL)
    assert len(part.splits["train"]) == 200
    assert part.preparation["deviation"] == oscillations.preparation["deviation"]
    assert torch.equal(part.splits["test"].targets, oscillations.splits["test"].targets)


def test_the_examination_adds_up(oscillations: TaskData) -> None:
    module, batch = build(oscillations), oscillations.splits["test"]
    with torch.inference_mode():
        found = module.examine(batch)
        metrics = module.metrics({name: float(total) for name, total in module.totals(module(batch), batch).items()})
    total = sum(part["rows"] * part["rmse"] ** 2 for part in found["by_target"])
    assert total / len(batch) == pytest.approx(metrics["rmse"] ** 2, rel=1e-6)
    truth, said = (np.array(found["points"][name]) for name in ("truth", "prediction"))
    assert len(truth) == 200
    assert np.square(truth - said).mean() == pytest.approx(metrics["rmse"] ** 2, rel=1e-6)
    json.dumps(found, allow_nan=False)


def test_trials_of_one_shape_train_together(oscillations: TaskData) -> None:
    assert can_fuse(build(oscillations))


def test_an_answer_is_in_the_targets_own_units(tmp_path: Path) -> None:
    targets: list[float | str] = [100.0 + 10 * (number % 7) for number in range(40)]
    data = read(write(tmp_path / "a.csv", targets))
    module = build(data)
    torch.nn.init.zeros_(module.head.weight)
    torch.nn.init.ones_(module.head.bias)
    kept = TaskData({}, data.input_size, data.output_size, preparation=json.loads(json.dumps(data.preparation, allow_nan=False)))
    new = write(tmp_path / "new.csv", [0.0, 0.0, 0.0], with_target=False)
    with torch.inference_mode():
        rows = CODE.answer(module, kept, Question(files=[new, tmp_path / "a.csv"])).rows
    assert [row["file"] for row in rows[:4]] == ["new.csv"] * 3 + ["a.csv"]
    # One standard deviation above the mean of the training targets.
    training = data.splits["train"].targets.double() * data.preparation["deviation"] + data.preparation["mean"]
    assert rows[0]["target"] == pytest.approx(float(training.mean() + training.std(correction=0)), rel=1e-5)


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ([5.0] * 20, "every training sequence has the target 5; there is nothing to learn"),
        ([*map(float, range(19)), "high"], "id '19', target: 'high' is not a number"),
        ([*map(float, range(19)), "inf"], "id '19', target: inf is no number that can be used"),
        ([*map(float, range(19)), "?"], "id '19': no target; leave the sequence out"),
        ([1.0, 2.0], "2 rows cannot be split into train, validation, test"),
    ],
)
def test_targets_that_cannot_be_used_are_one_line(targets: list[float | str], expected: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as refused:
        read(write(tmp_path / "a.csv", targets))
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_check_tells_of_a_target_far_out(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [*map(float, range(399)), 1e6])
    found = "\n".join(check_data({"a.csv": path}, "path:a.csv", parameters()))
    assert "id '399': target 1e+06 lies" in found
    assert check_data({}, "oscillations", parameters()) == []
