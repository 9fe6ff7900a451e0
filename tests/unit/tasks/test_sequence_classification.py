"""Sequence classification: order decides, padding does not, metrics are scikit-learn's, and one's own files are answered."""

import json
import re
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, log_loss
from torch import Tensor

from rnnbench.base.errors import DataError
from rnnbench.base.parameters import Value
from rnnbench.cells.build import build_network
from rnnbench.cells.network_parameters import NETWORK_PARAMETERS
from rnnbench.task.answers import Question
from rnnbench.task.catalogue import get_task
from rnnbench.task.load import load_task
from rnnbench.task.module import Batch, TaskData
from rnnbench.trial.fused import can_fuse
from rnnbench_tasks.sequence_classification.generated import CLASSES, draw_waves
from rnnbench_tasks.sequence_classification.task import Module, check_data

CARD = get_task("sequence_classification")
CODE = load_task("sequence_classification")
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
def waves() -> TaskData:
    return CODE.read_data({}, "waves", parameters(), ALL)


def write(path: Path, num_rows: int = 60, *, with_label: bool = True, group: bool = False) -> Path:
    """Ramps that go up or down, three to seven steps long."""
    rows = []
    for number in range(num_rows):
        for step in range(3 + number % 5):
            value = (step if number % 2 else -step) + 0.01 * number
            rows.append({"id": number, "time": step, "x": value, "person": number // 4, "label": "up" if number % 2 else "down"})
    frame = pd.DataFrame(rows).drop(columns=([] if with_label else ["label"]) + ([] if group else ["person"]))
    frame.to_csv(path, index=False)
    return path


def read(path: Path, **changes: Value) -> TaskData:
    return CODE.read_data({path.name: path}, f"path:{path.name}", parameters(**changes), ALL)


def measure(module: Module, batch: Batch, scores: Tensor) -> dict[str, float]:
    return module.metrics({name: float(total) for name, total in module.totals(scores, batch).items()})


def test_the_classes_of_the_waves_differ_in_nothing_but_order() -> None:
    sequences = draw_waves(0)
    assert Counter(sequences.splits) == {"train": 600, "validation": 200, "test": 200}
    assert [label for label in CLASSES if label in sequences.targets] == sorted(CLASSES)
    pooled = {
        label: np.concatenate([v[:, 0] / np.abs(v).max() for v, t in zip(sequences.values, sequences.targets, strict=True) if t == label])
        for label in CLASSES
    }
    quantiles = [np.quantile(values, [0.1, 0.25, 0.5, 0.75, 0.9]) for values in pooled.values()]
    for one in quantiles[1:]:
        np.testing.assert_allclose(one, quantiles[0], atol=0.06)
    # A rising tooth falls seldom and far, a falling one rises seldom and far.
    skew = {
        label: np.mean([np.mean(np.diff(v[:, 0]) ** 3) for v, t in zip(sequences.values, sequences.targets, strict=True) if t == label])
        for label in CLASSES
    }
    assert skew["rising"] < -0.1 < skew["triangle"] < 0.1 < skew["falling"]


def test_statistics_without_order_are_at_chance_on_the_waves(waves: TaskData) -> None:
    found = CODE.baselines(waves, "validation")
    # Three standard errors of 200 rows at 1/3.
    assert found["logistic regression on mean, deviation, extremes and length"] < 1 / 3 + 3 * 0.0333
    assert found["majority class"] < 0.45


def test_metrics_are_those_of_scikit_learn(waves: TaskData) -> None:
    module, batch = build(waves), waves.splits["test"]
    scores = torch.randn(len(batch), 3, generator=torch.Generator().manual_seed(0))
    truth, said = batch.targets.numpy(), scores.argmax(1).numpy()
    found = measure(module, batch, scores)
    assert found["accuracy"] == pytest.approx(accuracy_score(truth, said))
    assert found["macro_f1"] == pytest.approx(f1_score(truth, said, average="macro"))
    assert found["loss"] == pytest.approx(log_loss(truth, scores.double().softmax(1).numpy()), rel=1e-6)


def test_a_class_that_is_neither_there_nor_said_counts_nothing_right(waves: TaskData) -> None:
    module = build(waves)
    batch = Batch(torch.zeros(2, 1, 1), torch.tensor([0, 1]), torch.tensor([1, 1]))
    scores = torch.tensor([[9.0, 0.0, 0.0], [0.0, 9.0, 0.0]])
    assert measure(module, batch, scores)["macro_f1"] == pytest.approx(2 / 3)
    assert measure(module, batch, scores)["macro_f1"] == pytest.approx(
        f1_score([0, 1], [0, 1], average="macro", labels=[0, 1, 2], zero_division=0)
    )


def test_what_stands_in_the_padding_changes_nothing(waves: TaskData) -> None:
    module, batch = build(waves), waves.splits["test"].rows(torch.arange(20))
    assert batch.lengths is not None
    noisy = torch.where(batch.mask().unsqueeze(-1), batch.inputs, 1e3)
    assert torch.equal(module(batch), module(Batch(noisy, batch.targets, batch.lengths)))
    alone = torch.cat([module(batch.rows(torch.tensor([row]))) for row in range(20)])
    torch.testing.assert_close(module(batch), alone, rtol=1e-4, atol=1e-5)


def test_the_examination_is_the_confusion_matrix_of_scikit_learn(waves: TaskData) -> None:
    module, batch = build(waves), waves.splits["test"]
    with torch.inference_mode():
        found, said = module.examine(batch), module(batch).argmax(1)
    assert found["confusion"]["classes"] == ["falling", "rising", "triangle"]
    assert found["confusion"]["counts"] == confusion_matrix(batch.targets, said, labels=range(3)).tolist()
    weighted = sum(part["rows"] * part["accuracy"] for part in found["by_length"])
    assert weighted == pytest.approx(float((said == batch.targets).sum()))
    json.dumps(found, allow_nan=False)


def test_trials_of_one_shape_train_together(waves: TaskData) -> None:
    assert can_fuse(build(waves))


@pytest.mark.slow
def test_a_network_learns_the_waves_and_nothing_from_shuffled_labels(waves: TaskData) -> None:
    def train(targets: Tensor) -> float:
        module, split = build(waves).train(), waves.splits["train"]
        optimizer = torch.optim.Adam(module.parameters(), lr=1e-2)
        mixed = Batch(split.inputs, targets, split.lengths)
        generator = torch.Generator().manual_seed(0)
        for _ in range(12):
            for rows in torch.randperm(len(split), generator=generator).split(32):
                optimizer.zero_grad()
                module.training_step(mixed.rows(rows), 0).backward()
                optimizer.step()
        validation = waves.splits["validation"]
        with torch.inference_mode():
            return measure(module.eval(), validation, module(validation))["accuracy"]

    targets = waves.splits["train"].targets
    assert train(targets) > 0.7
    # Three standard errors of 200 rows at 1/3.
    assert train(targets[torch.randperm(len(targets), generator=torch.Generator().manual_seed(1))]) < 1 / 3 + 3 * 0.0333 + 0.05


def test_ones_own_table_is_split_evenly_over_its_classes(tmp_path: Path) -> None:
    data = read(write(tmp_path / "a.csv"))
    assert [len(data.splits[name]) for name in ALL] == [48, 6, 6]
    assert data.splits["test"].targets.bincount().tolist() == [3, 3]
    assert data.preparation["classes"] == ["down", "up"]
    assert (data.input_size, data.output_size) == (1, 2)


def test_a_person_is_in_one_split_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", group=True)
    data = read(path, data_group_column="person", data_scaling="none")
    # The row's number is the hundredth of its first value.
    people = {name: {round(float(row[0, 0]) * 100) // 4 for row in batch.inputs} for name, batch in data.splits.items()}
    assert not people["train"] & people["validation"]
    assert not people["train"] & people["test"]
    assert not people["validation"] & people["test"]
    assert data.facts["splits"] == "whole groups, seeded by data.seed"


def test_an_answer_needs_no_training_data(tmp_path: Path) -> None:
    data = read(write(tmp_path / "a.csv"))
    module = build(data)
    kept = TaskData({}, data.input_size, data.output_size, preparation=json.loads(json.dumps(data.preparation, allow_nan=False)))
    new = write(tmp_path / "new.csv", 4, with_label=False)
    with torch.inference_mode():
        rows = CODE.answer(module, kept, Question(files=[new])).rows
    assert [row["id"] for row in rows] == ["0", "1", "2", "3"]
    assert all(row["label"] in ("down", "up") and 0.5 <= row["probability"] <= 1 for row in rows)
    # The same sequences are in the table that was read, whatever split they are in.
    with torch.inference_mode():
        whole = torch.cat([module(batch).softmax(1) for batch in data.splits.values()])
    for row in rows:
        assert float((whole.max(1).values - row["probability"]).abs().min()) < 1e-5
    (tmp_path / "b.csv").write_text("id,time,y\n1,0,1\n")
    with torch.inference_mode(), pytest.raises(DataError, match=r"b\.csv, row 1: no column 'x'"):
        CODE.answer(module, kept, Question(files=[tmp_path / "b.csv"]))


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["a"] * 20, "every sequence has the class 'a'; at least two are needed"),
        (
            ["a"] * 10 + ["b"] * 9 + ["c"],
            r"class 'c' is in the \w+ split, but not in training \(1 in all; give at least 3 or leave them out\)",
        ),
        (["a", "b"], "2 rows cannot be split into train, validation, test"),
    ],
)
def test_classes_that_cannot_be_learned_are_one_line(labels: list[str], expected: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    found = []
    for seed in range(40):
        pd.DataFrame({"id": range(len(labels)), "x": np.arange(len(labels)), "label": labels}).to_csv(path, index=False)
        try:
            read(path, data_seed=seed)
        except DataError as error:
            found.append(str(error))
    assert found, "a rare class is in some split but training for some seed"
    for text in found:
        assert "\n" not in text
        assert re.search(expected, text), text


def test_official_splits_are_kept_and_a_class_unknown_to_training_is_refused(tmp_path: Path) -> None:
    head = "@timeStamps false\n@classLabel true\n@data\n"
    (tmp_path / "A_TRAIN.ts").write_text(head + "".join(f"{row},1,2:{'ab'[row % 2]}\n" for row in range(20)))
    (tmp_path / "A_TEST.ts").write_text(head + "".join(f"{row},5:{'ab'[row % 2]}\n" for row in range(7)))
    files = {path.name: path for path in sorted(tmp_path.iterdir())}
    data = CODE.read_data(files, "path:A", parameters(), ALL)
    assert [len(data.splits[name]) for name in ALL] == [18, 2, 7]
    assert data.facts["splits"] == "as the data says; validation from the training rows, seeded by data.seed"
    (tmp_path / "A_TEST.ts").write_text(head + "1,2:c\n")
    with pytest.raises(DataError, match=r"A_TEST\.ts:4: class 'c' is in the test split, but not in training"):
        CODE.read_data(files, "path:A", parameters(), ALL)


def test_the_check_tells_of_rare_classes(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    labels = ["a"] * 200 + ["b"] * 6
    pd.DataFrame({"id": range(206), "x": np.arange(206), "label": labels}).to_csv(path, index=False)
    found = "\n".join(check_data({"a.csv": path}, "path:a.csv", parameters()))
    assert "rare classes of the training split: 'b' 5 beside 160 of the commonest; look at macro F1" in found
    assert check_data({}, "waves", parameters()) == []
