"""Rows of train, validation and test: each once, in their shares, the same every time, groups whole."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnbench.base.errors import DataError
from rnnbench.task.splits import SHARES, Rows, nested_rows, shuffled, split_groups, split_rows

SEEDS = st.integers(0, 2**63 - 1)
LABELS = st.lists(st.sampled_from("abcd"), min_size=3, max_size=60)


def require_a_partition(splits: Mapping[str, Rows], num_rows: int) -> None:
    assert sorted(row for rows in splits.values() for row in rows.tolist()) == list(range(num_rows))
    for rows in splits.values():
        assert len(rows)
        assert (np.diff(rows) > 0).all()


@given(num_rows=st.integers(3, 300), seed=SEEDS)
def test_every_row_is_in_one_split_and_the_shares_hold_to_one_row(num_rows: int, seed: int) -> None:
    splits = split_rows(num_rows, SHARES, seed)
    require_a_partition(splits, num_rows)
    for name, rows in splits.items():
        # Two ends, each rounded; tiny sets give every split a row.
        assert abs(len(rows) - SHARES[name] * num_rows) <= 1 or num_rows < 10
    again = split_rows(num_rows, SHARES, seed)
    assert all((splits[name] == again[name]).all() for name in SHARES)


@given(labels=LABELS, seed=SEEDS)
def test_every_class_has_its_share_of_every_split(labels: list[str], seed: int) -> None:
    splits = split_rows(len(labels), SHARES, seed, labels)
    require_a_partition(splits, len(labels))
    counts, num_classes = Counter(labels), len(set(labels))
    for rows in splits.values():
        share = len(rows) / len(labels)
        found = Counter(labels[row] for row in rows.tolist())
        for label, count in counts.items():
            # Each of a split's two ends misplaces less than a row of each class, and is itself off by as much.
            assert abs(found[label] - share * count) <= 2 * (1 + num_classes * count / len(labels))


def test_a_set_sorted_by_label_is_split_evenly_over_its_classes() -> None:
    labels = ["a"] * 500 + ["b"] * 300 + ["c"] * 200
    for seed in range(5):
        for name, rows in split_rows(1000, SHARES, seed, labels).items():
            found = Counter(labels[row] for row in rows.tolist())
            for label, count in (("a", 500), ("b", 300), ("c", 200)):
                assert abs(found[label] - SHARES[name] * count) <= 1


def test_different_seeds_give_different_splits_and_the_order_is_random() -> None:
    first, other = (set(split_rows(1000, SHARES, seed)["test"].tolist()) for seed in (0, 1))
    # Two random tenths share about a hundredth of the rows: 10 of 1000, standard deviation 3.
    assert len(first & other) < 25
    assert 400 < np.mean(sorted(first)) < 600


def test_too_few_rows_are_refused() -> None:
    require_a_partition(split_rows(3, SHARES, 0), 3)
    with pytest.raises(DataError, match="2 rows cannot be split into train, validation, test"):
        split_rows(2, SHARES, 0)


@given(groups=st.lists(st.integers(0, 12), min_size=3, max_size=80), seed=SEEDS)
def test_a_group_is_never_in_two_splits(groups: list[int], seed: int) -> None:
    if len(set(groups)) < len(SHARES):
        with pytest.raises(DataError, match="groups cannot be split into train, validation, test"):
            split_groups(groups, SHARES, seed)
        return
    splits = split_groups(groups, SHARES, seed)
    require_a_partition(splits, len(groups))
    of = {name: {groups[row] for row in rows.tolist()} for name, rows in splits.items()}
    assert not of["train"] & of["validation"]
    assert not of["train"] & of["test"]
    assert not of["validation"] & of["test"]


def test_many_small_groups_come_close_to_the_shares() -> None:
    groups = [row // 5 for row in range(1000)]
    for seed in range(5):
        for name, rows in split_groups(groups, SHARES, seed).items():
            # Where the last group of a split comes, the others are behind by a group at most.
            assert abs(len(rows) - SHARES[name] * 1000) <= 5


@given(num_rows=st.integers(1, 200), seed=SEEDS, fractions=st.lists(st.floats(0.001, 1), min_size=2, max_size=2))
def test_a_smaller_part_lies_within_a_larger_one(num_rows: int, seed: int, fractions: list[float]) -> None:
    small, large = (set(nested_rows(num_rows, fraction, seed).tolist()) for fraction in sorted(fractions))
    assert small <= large
    assert len(large) >= 1


@given(labels=LABELS, seed=SEEDS, fractions=st.lists(st.floats(0.01, 1), min_size=2, max_size=2))
def test_parts_are_nested_with_labels_too(labels: list[str], seed: int, fractions: list[float]) -> None:
    small, large = (set(nested_rows(len(labels), fraction, seed, labels).tolist()) for fraction in sorted(fractions))
    assert small <= large


@pytest.mark.parametrize(("fraction", "expected"), [(0.07, 7), (0.29, 29), (0.57, 57), (0.005, 1), (1.0, 100)])
def test_a_part_has_as_many_rows_as_its_share_says(fraction: float, expected: int) -> None:
    # 0.07 * 100 is 7.000000000000001 in floating point.
    assert len(nested_rows(100, fraction, 0)) == expected


@given(labels=LABELS, seed=SEEDS)
def test_an_even_order_holds_every_row_once_and_spreads_each_class(labels: list[str], seed: int) -> None:
    order = shuffled(len(labels), seed, labels)
    assert sorted(order.tolist()) == list(range(len(labels)))
    counts, num_classes = Counter(labels), len(set(labels))
    seen: Counter[str] = Counter()
    for place, row in enumerate(order.tolist(), 1):
        seen[labels[row]] += 1
        for label, count in counts.items():
            assert abs(seen[label] - count * place / len(labels)) <= 1 + num_classes * count / len(labels)
