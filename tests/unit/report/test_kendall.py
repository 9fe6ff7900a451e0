"""Kendall's tau and its jackknife against scipy, and how often the interval holds a known truth."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rnnbench.report.kendall import LEAST_BANDED, Tau, find_tau

PAIRS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=40)


@given(pairs=PAIRS)
def test_tau_is_that_of_scipy_with_ties(pairs: list[tuple[int, int]]) -> None:
    one, other = (np.array(side, dtype=float) for side in zip(*pairs, strict=True))
    found, theirs = find_tau(one, other).value, stats.kendalltau(one, other).statistic
    assert found is None if np.isnan(theirs) else found == pytest.approx(theirs, abs=1e-12)


def test_tau_of_thousands_is_that_of_scipy() -> None:
    one, noise = np.random.default_rng(3).normal(size=(2, 5000))
    assert find_tau(one, one + noise).value == pytest.approx(stats.kendalltau(one, one + noise).statistic, abs=1e-12)


@pytest.mark.parametrize("decimals", [1, 8], ids=["with ties", "without"])
def test_the_interval_is_the_jackknife_of_scipys_tau(decimals: int) -> None:
    one, noise = np.random.default_rng(4).normal(size=(2, 24))
    one, other = one.round(decimals), (one + noise).round(decimals)
    without = np.array([stats.kendalltau(np.delete(one, place), np.delete(other, place)).statistic for place in range(24)])
    error = math.sqrt(23 / 24 * np.sum((without - without.mean()) ** 2))
    found = find_tau(one, other)
    middle = stats.kendalltau(one, other).statistic
    assert found.low is not None
    assert (found.low, found.high) == pytest.approx(stats.t.interval(0.95, 23, loc=middle, scale=error), abs=1e-12)


def test_the_interval_is_near_that_of_scipys_bootstrap() -> None:
    one, noise = np.random.default_rng(5).normal(size=(2, 60))
    found = find_tau(one, one + noise)
    theirs = stats.bootstrap(
        (one, one + noise), lambda x, y: stats.kendalltau(x, y).statistic, paired=True, vectorized=False, n_resamples=300,
        method="percentile", rng=np.random.default_rng(6),
    ).confidence_interval  # fmt: skip
    assert found.low is not None
    assert found.high is not None
    width = theirs.high - theirs.low
    # The ends of 300 resamples are uncertain by about a tenth of the width.
    assert abs(found.low - theirs.low) < 0.25 * width
    assert abs(found.high - theirs.high) < 0.25 * width


@pytest.mark.parametrize("correlation", [0.0, 0.8, 0.95])
def test_the_interval_holds_the_truth_about_as_often_as_it_says_from_the_fewest_on(correlation: float) -> None:
    # Of two normal variables tau is 2 / pi asin(r) (Kendall and Gibbons 1990).
    truth, rng = 2 / math.pi * math.asin(correlation), np.random.default_rng(7)
    held = []
    for _ in range(400):
        one, noise = rng.normal(size=(2, LEAST_BANDED))
        found = find_tau(one, correlation * one + math.sqrt(1 - correlation**2) * noise)
        held.append(found.low is not None and found.high is not None and found.low <= truth <= found.high)
    # 0.95 less three standard errors of a share of 400.
    assert np.mean(held) > 0.95 - 3 * math.sqrt(0.05 * 0.95 / 400)


def test_the_interval_stays_between_the_ends_and_is_refused_where_it_would_say_nothing() -> None:
    near = np.arange(20.0)
    swapped = near.copy()
    swapped[[0, 5]] = swapped[[5, 0]]
    found = find_tau(near, swapped)
    assert found.low is not None
    assert (found.high, found.low < 1.0) == (1.0, True)
    few = find_tau(near[: LEAST_BANDED - 1], swapped[: LEAST_BANDED - 1])
    assert (few.low, few.high) == (None, None)
    assert find_tau(near, near) == Tau(1.0)
    assert find_tau(near, -near) == Tau(-1.0)
    assert find_tau(near, np.zeros(20)) == Tau(None)
    # Without the first thing all others are equal.
    assert find_tau(near, np.r_[1.0, np.zeros(19)]).low is None
