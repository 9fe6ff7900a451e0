"""The expected best of n trials against brute force, and where two curves change places."""

import itertools
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnbench.base.errors import InputError
from rnnbench.report.budgets import expected_best, find_crossings, find_curve


@given(values=st.lists(st.floats(0, 10), min_size=1, max_size=5), data=st.data(), maximize=st.booleans())
def test_it_is_the_mean_over_every_possible_draw(values: list[float], data: st.DataObject, maximize: bool) -> None:
    number = data.draw(st.integers(1, len(values)))
    every = [(max if maximize else min)(draw) for draw in itertools.product(values, repeat=number)]
    assert expected_best(values, number, maximize=maximize) == pytest.approx(statistics.fmean(every), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("number", [0, 4, -1])
def test_nothing_is_extrapolated(number: int) -> None:
    with pytest.raises(InputError, match="must be 1"):
        expected_best([1.0, 2.0, 3.0], number, maximize=True)


def test_a_curve_starts_at_the_mean_and_its_band_holds_it() -> None:
    values = np.random.default_rng(0).normal(size=40).tolist()
    curve = find_curve(values, maximize=False)
    assert curve is not None
    assert curve.num_draws[0] == 1
    assert curve.num_draws[-1] == 40
    assert curve.expected[0] == pytest.approx(statistics.fmean(values))
    for number, expected in zip(curve.num_draws, curve.expected, strict=True):
        assert expected == pytest.approx(expected_best(values, number, maximize=False))
    assert (np.diff(curve.expected) <= 0).all()
    assert (curve.low <= curve.expected).all()
    assert (curve.expected <= curve.high).all()


def test_the_band_of_one_draw_is_the_bootstrap_of_a_mean() -> None:
    values = np.random.default_rng(1).normal(size=100)
    curve = find_curve(values.tolist(), maximize=True)
    assert curve is not None
    # 1.96 standard errors of a mean each way; the bootstrap of 2000 draws is within some per cent of that.
    half = 1.96 * values.std() / 10
    assert (curve.high[0] - curve.low[0]) / 2 == pytest.approx(half, rel=0.1)


def test_a_steady_cell_is_better_at_first_and_a_wild_one_with_more_trials() -> None:
    steady, wild = find_curve([0.5] * 20, maximize=True), find_curve([0.0] * 15 + [1.0] * 5, maximize=True)
    assert steady is not None
    assert wild is not None
    # 1 - 0.75^n passes one half between 2 and 3 draws.
    assert find_crossings(steady, wild, maximize=True) == [(1, 0), (3, 1)]
    assert find_crossings(wild, steady, maximize=True) == [(1, 1), (3, 0)]
    assert find_crossings(steady, steady, maximize=True) == []


def test_by_cost_the_cheaper_cell_is_ahead_for_longer_and_only_budgets_of_both_are_compared() -> None:
    steady = find_curve([0.5] * 20, maximize=True, costs={"seconds": 1.0, "flops": 100.0})
    wild = find_curve([0.0] * 15 + [1.0] * 5, maximize=True, costs={"seconds": 4.0, "flops": 1.0})
    assert steady is not None
    assert wild is not None
    # 1 - 0.75^n is 0.4375 after 2 draws of 4 s each, 0.578125 after 3.
    first, (budget, better) = find_crossings(steady, wild, maximize=True, unit="seconds")
    assert first == (4.0, 0)
    assert better == 1
    assert budget == pytest.approx(8 + 4 * (0.5 - 0.4375) / (0.578125 - 0.4375))
    # 20 of its trials cost a fifth of one of the other's.
    assert find_crossings(steady, wild, maximize=True, unit="flops") == []
    unknown = find_curve([0.5] * 20, maximize=True)
    assert unknown is not None
    assert find_crossings(unknown, wild, maximize=True, unit="seconds") == []


def test_two_trials_give_no_curve() -> None:
    assert find_curve([1.0, 2.0], maximize=True) is None


def test_ten_thousand_trials_are_a_matter_of_a_moment() -> None:
    curve = find_curve(np.random.default_rng(2).normal(size=10_000).tolist(), maximize=True)
    assert curve is not None
    assert len(curve.num_draws) <= 60
