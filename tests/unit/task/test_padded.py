"""Sequences as tensors: splits that keep groups whole, scales of training steps alone, padding that counts nowhere."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from rnnbench.base.errors import DataError
from rnnbench.base.parameters import Value
from rnnbench.task.module import Batch
from rnnbench.task.padded import Scaling, encode, learn_scaling, pad, part_of_training, split_sequences, summarise
from rnnbench.task.sequence_checks import check_sequences, find_duplicates
from rnnbench.task.sequences import Sequences

DEFAULTS: dict[str, Value] = {
    "data.seed": 0, "data.train_fraction": 1.0, "data.scaling": "standard", "data.missing": "hold", "data.max_length": None,
}  # fmt: skip


def make(values: list[NDArray[np.float64]], **parts: Any) -> Sequences:
    names = [str(number) for number in range(len(values))]
    features = tuple("uvw"[: values[0].shape[1]])
    return Sequences(features, names, values, [f"a.csv, id '{name}'" for name in names], **parts)


def draw(rows: int, seed: int = 0, features: int = 2) -> list[NDArray[np.float64]]:
    random = np.random.default_rng(seed)
    return [random.normal(3, 2, (int(random.integers(1, 9)), features)) for _ in range(rows)]


def test_sequences_are_split_at_random_by_group_or_as_their_files_say() -> None:
    values = draw(100)
    free = split_sequences(make(values), DEFAULTS, "task")
    assert [len(rows) for rows in free.values()] == [80, 10, 10]
    groups = [str(row % 20) for row in range(100)]
    grouped = split_sequences(make(values, groups=groups), DEFAULTS, "task")
    assert not {groups[row] for row in grouped["train"]} & {groups[row] for row in [*grouped["validation"], *grouped["test"]]}
    splits = ["train"] * 60 + ["test"] * 40
    given_test = split_sequences(make(values, splits=splits), DEFAULTS, "task")
    assert given_test["test"].tolist() == list(range(60, 100))
    # Of 60 training rows a ninth validates: 0.1 of 0.8 and 0.1.
    assert [len(given_test[name]) for name in ("train", "validation")] == [53, 7]


def test_a_split_without_training_files_and_a_group_on_both_sides_are_refused() -> None:
    with pytest.raises(DataError, match="files of the test split, but none of the training split"):
        split_sequences(make(draw(5), splits=["test"] * 5), DEFAULTS, "task")
    sequences = make(draw(8), splits=["train"] * 6 + ["test"] * 2, groups=["a", "a", "b", "b", "c", "c", "c", "d"])
    with pytest.raises(DataError, match=r"id '\d': group 'c' is in the \w+ split and in the \w+ split"):
        split_sequences(sequences, DEFAULTS, "task")


@given(st.floats(0.05, 1), st.floats(0.05, 1))
def test_parts_of_the_training_rows_are_nested(one: float, other: float) -> None:
    rows = np.arange(10, 60)
    small, large = (
        set(part_of_training(rows, DEFAULTS | {"data.train_fraction": share}, "task").tolist()) for share in sorted((one, other))
    )
    assert small <= large <= set(rows.tolist())


def test_scales_are_those_of_training_steps_and_padding_is_zero() -> None:
    values = draw(20)
    sequences, rows = make(values), np.arange(12)
    scaling = learn_scaling(sequences, rows, DEFAULTS)
    steps = np.concatenate(values[:12])
    np.testing.assert_allclose(scaling.mean, steps.mean(0))
    np.testing.assert_allclose(scaling.spread, steps.std(0))
    inputs, lengths = pad(sequences, np.arange(20), scaling)
    for row, one in enumerate(values):
        assert lengths[row] == len(one)
        np.testing.assert_allclose(inputs[row, : len(one)], (one - steps.mean(0)) / steps.std(0), atol=1e-6)
        assert not inputs[row, len(one) :].any()
    assert Scaling(**scaling.to_plain()) == scaling


def test_scaling_may_be_each_sequences_own_or_none() -> None:
    sequences, rows = make([np.array([[1.0, 5.0], [3.0, 5.0]]), np.array([[10.0, 7.0]])]), np.arange(2)
    own = learn_scaling(sequences, rows, DEFAULTS | {"data.scaling": "sequence"})
    # A feature that is flat within a sequence is zero there.
    assert pad(sequences, rows, own)[0].tolist() == [[[-1, 0], [1, 0]], [[0, 0], [0, 0]]]
    none = learn_scaling(sequences, rows, DEFAULTS | {"data.scaling": "none"})
    assert pad(sequences, rows, none)[0][0].tolist() == [[1, 5], [3, 5]]


def test_missing_values_are_held_and_marked_and_the_first_ones_are_the_mean() -> None:
    one = np.array([[np.nan, 1.0], [2.0, 1.0], [np.nan, 4.0], [4.0, 4.0]])
    scaling = learn_scaling(make([one]), np.arange(1), DEFAULTS | {"data.scaling": "none"})
    assert scaling.masked == ["u"]
    assert encode(one, scaling, "here").tolist() == [[3, 1, 1], [2, 1, 0], [2, 4, 1], [4, 4, 0]]
    strict = learn_scaling(make([one]), np.arange(1), DEFAULTS | {"data.missing": "refuse"})
    with pytest.raises(DataError, match=r"here, step 1, feature 'u': no value; set data\.missing to hold"):
        encode(one, strict, "here")


def test_of_a_long_sequence_the_last_steps_are_kept() -> None:
    sequences = make([np.arange(6.0)[:, None], np.arange(2.0)[:, None]])
    scaling = learn_scaling(sequences, np.arange(2), DEFAULTS | {"data.max_length": 3, "data.scaling": "none"})
    inputs, lengths = pad(sequences, np.arange(2), scaling)
    assert (inputs[0, :, 0].tolist(), lengths.tolist()) == ([3, 4, 5], [3, 2])


def test_a_feature_without_a_training_value_and_too_much_padding_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    sequences = make([np.array([[1.0, np.nan]]), np.array([[2.0, 3.0]])])
    with pytest.raises(DataError, match="feature 'v': not one number in the training split"):
        learn_scaling(sequences, np.arange(1), DEFAULTS)
    monkeypatch.setattr("rnnbench.task.padded.MAX_BYTES", 10)
    scaling = learn_scaling(sequences, np.arange(2), DEFAULTS)
    with pytest.raises(DataError, match=r"set data\.max_length"):
        pad(sequences, np.arange(2), scaling)


@given(st.integers(0, 1000))
def test_a_summary_knows_every_step_and_no_padding(seed: int) -> None:
    values = draw(5, seed)
    sequences = make(values)
    inputs, lengths = pad(sequences, np.arange(5), learn_scaling(sequences, np.arange(5), DEFAULTS | {"data.scaling": "none"}))
    expected = [[*one.mean(0), *one.std(0), *one.min(0), *one.max(0), len(one)] for one in values]
    np.testing.assert_allclose(summarise(Batch(inputs, torch.zeros(5), lengths)), expected, atol=1e-5)
    order = [np.random.default_rng(seed).permutation(len(one)) for one in values]
    mixed = make([one[places] for one, places in zip(values, order, strict=True)])
    inputs, lengths = pad(mixed, np.arange(5), learn_scaling(mixed, np.arange(5), DEFAULTS | {"data.scaling": "none"}))
    np.testing.assert_allclose(summarise(Batch(inputs, torch.zeros(5), lengths)), expected, atol=1e-5)


def test_the_check_tells_of_copies_flat_features_and_long_sequences() -> None:
    values = [np.array([[float(row), 1.0], [0.0, 1.0]]) for row in range(30)]
    values[7], values[29] = values[3].copy(), np.hstack([np.random.default_rng(0).normal(size=(50, 1)), np.ones((50, 1))])
    values[4][0, 0] = np.nan
    targets = ["a"] * 15 + ["b"] * 15
    sequences = make(values, targets=targets)
    assert find_duplicates(sequences) == [[3, 7]]
    splits = {"train": np.arange(5), "validation": np.arange(5, 10), "test": np.arange(10, 30)}
    found = "\n".join(check_sequences(sequences, splits))
    assert "1 sequences are copies of others, e.g. a.csv, id '3' and a.csv, id '7'" in found
    assert "1 sequences are in two splits" in found
    assert "different targets" not in found
    assert "feature 'v': constant (1)" in found
    assert "feature 'u': 1 of 108 values are missing" in found
    assert "id '29': 50 steps, where half of the sequences have at most 2" in found
    assert "sorted by their target" in found
    clean = make(draw(6), targets=["a", "b"] * 3)
    assert check_sequences(clean, {"train": np.arange(2), "validation": np.arange(2, 4), "test": np.arange(4, 6)}) == []
