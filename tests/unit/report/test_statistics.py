"""The report's statistics against scipy, closed forms and hand calculation."""

import itertools
import math
import statistics
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rnnbench.report.statistics import (
    _drawn_places,
    bootstrap_iqm,
    bootstrap_mean,
    holm,
    interquartile_mean,
    seeds_needed,
    t_interval,
    welch_against,
)

values = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30)


@given(values)
def test_the_interquartile_mean_is_the_mean_of_the_sorted_middle(sample: list[float]) -> None:
    cut = len(sample) // 4
    middle = sorted(sample)[cut : len(sample) - cut]
    assert interquartile_mean(sample) == pytest.approx(statistics.fmean(middle), rel=1e-9, abs=1e-9)


def test_no_values_have_no_interquartile_mean() -> None:
    with pytest.raises(ValueError, match="no values"):
        interquartile_mean([])


def test_the_t_interval_equals_scipys() -> None:
    sample = [0.91, 0.93, 0.9, 0.95, 0.92]
    found = t_interval(sample)
    low, high = stats.t.interval(0.95, 4, loc=np.mean(sample), scale=stats.sem(sample))
    assert found is not None
    assert (found.value, found.low, found.high, found.count) == pytest.approx((np.mean(sample), low, high, 5))
    assert t_interval([0.5]) is None


SHARES = st.lists(st.integers(0, 1000).map(lambda right: right / 1000), min_size=2, max_size=8)


@given(sample=SHARES)
def test_an_interval_of_a_share_is_scipys_cut_to_the_range(sample: list[float]) -> None:
    found = t_interval(sample, (0.0, 1.0))
    if np.ptp(sample) == 0:
        assert found is None
        return
    assert found is not None
    low, high = stats.t.interval(0.95, len(sample) - 1, loc=np.mean(sample), scale=stats.sem(sample))
    assert (found.low, found.high) == pytest.approx(np.clip((low, high), 0.0, 1.0), abs=1e-9)
    assert 0.0 <= found.low <= found.value + 1e-12
    assert found.value - 1e-12 <= found.high <= 1.0
    assert found.method == "Student's t over seeds, cut to the metric's range"


@pytest.mark.parametrize("sample", [[1.0] * 5, [0.0, 0.0], [0.973, 0.973, 0.973]])
def test_equal_seeds_have_no_interval_as_they_have_none_in_scipy(sample: list[float]) -> None:
    assert t_interval(sample, (0.0, 1.0)) is None
    with np.errstate(invalid="ignore"):
        assert np.isnan(stats.t.interval(0.95, len(sample) - 1, loc=sample[0], scale=0.0)).all()


def test_two_seeds_reach_to_the_ends_of_the_range_and_no_further() -> None:
    # t(0.975, 1) s / sqrt(2) = 12.7062 * 0.025.
    found = t_interval([0.95, 1.0], (0.0, 1.0))
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.975 - 12.7062 * 0.025, 1.0), abs=1e-6)
    wide = t_interval([0.1, 0.9], (0.0, 1.0))
    assert wide is not None
    assert (wide.low, wide.high) == (0.0, 1.0)


def test_an_interval_ends_only_at_the_bounds_that_there_are_and_a_wrong_range_is_ignored() -> None:
    at_least = t_interval([0.1, 0.9], (0.0, math.inf))
    free, wrong = t_interval([0.1, 0.9]), t_interval([0.1, 0.9], (0.0, 0.5))
    assert at_least is not None
    assert free is not None
    assert (at_least.low, at_least.high) == (0.0, free.high)
    assert free == wrong
    assert free.low < 0.0


def test_cutting_an_interval_changes_nothing_of_how_often_it_holds_the_mean() -> None:
    # Accuracies near 1: a beta distribution with mean 0.95.
    draws = np.random.default_rng(5).beta(9.5, 0.5, size=(1500, 5))
    both = [(t_interval(row), t_interval(row, (0.0, 1.0))) for row in draws.tolist()]
    held = [(free.low <= 0.95 <= free.high, cut.low <= 0.95 <= cut.high) for free, cut in both if free and cut]
    assert len(held) == len(draws)
    assert all(free == cut for free, cut in held)
    shorter = [cut.high - cut.low < free.high - free.low for free, cut in both if free and cut]
    assert np.mean(shorter) > 0.5


def test_the_interval_of_a_difference_stays_within_what_there_can_be() -> None:
    (found,) = welch_against([0.9, 1.0], [[0.0, 0.5]], (0.0, 1.0))
    (free,) = welch_against([0.9, 1.0], [[0.0, 0.5]])
    assert found is not None
    assert free is not None
    assert free.high > 1.0
    assert (found.low, found.high) == (max(-1.0, free.low), 1.0)
    assert (found.value, found.p) == (free.value, free.p)


def test_the_bootstrap_interval_repeats_and_agrees_with_scipys() -> None:
    sample = list(np.random.default_rng(1).normal(0.9, 0.05, 40))
    found, again = bootstrap_iqm(sample), bootstrap_iqm(sample)
    assert found is not None
    assert found == again
    other = stats.bootstrap(
        (sample,), lambda x, axis: stats.trim_mean(x, 0.25, axis=axis), n_resamples=5000, method="percentile", rng=np.random.default_rng(2)
    )
    width = other.confidence_interval.high - other.confidence_interval.low
    assert abs(found.low - other.confidence_interval.low) < 0.1 * width
    assert abs(found.high - other.confidence_interval.high) < 0.1 * width
    assert bootstrap_iqm(sample[:2]) is None


def test_a_group_of_equal_values_is_one_without_spread() -> None:
    (found,) = welch_against([1.0, 1.0, 1.0], [[0.5, 0.75, 1.0]])
    half = stats.t.ppf(0.975, 2) * 0.25 / np.sqrt(3)
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((0.25, 0.25 - half, 0.25 + half))


def test_welch_equals_the_written_formula_and_leaves_out_what_has_no_test() -> None:
    one, other = [1.0, 1.2, 0.9, 1.1, 1.05], [0.8, 0.85, 0.7, 0.9]
    found, single, self_test = welch_against(one, [other, [0.5], one])
    spread = np.var(one, ddof=1) / 5 + np.var(other, ddof=1) / 4
    freedom = spread**2 / ((np.var(one, ddof=1) / 5) ** 2 / 4 + (np.var(other, ddof=1) / 4) ** 2 / 3)
    difference = np.mean(one) - np.mean(other)
    half = stats.t.ppf(0.975, freedom) * np.sqrt(spread)
    p = 2 * stats.t.sf(abs(difference) / np.sqrt(spread), freedom)
    assert found is not None
    assert (found.value, found.low, found.high, found.p) == pytest.approx((difference, difference - half, difference + half, p))
    assert found.p_holm == pytest.approx(2 * p)
    assert single is None
    assert self_test is not None
    assert self_test.p == pytest.approx(1.0)


def test_groups_without_any_spread_cannot_be_tested() -> None:
    assert welch_against([1.0, 1.0], [[1.0, 1.0]]) == [None]


def test_holm_equals_the_worked_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_never_lowers_a_p_value_and_keeps_the_order(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(p <= q <= 1 for p, q in zip(p_values, adjusted, strict=True))
    assert [adjusted[i] for i in sorted(range(len(p_values)), key=lambda i: p_values[i])] == sorted(adjusted)


@pytest.mark.parametrize(("effect", "seeds"), [(0.5, 64), (0.8, 26), (0.3, 176)])
def test_the_seeds_that_would_decide_are_cohens(effect: float, seeds: int) -> None:
    # Cohen 1988, table 2.4.1, two-sided 5 %, power 0.80: 64, 26 and (interpolated in d) 176 in each group. Spread exactly one.
    spread = [-1.0, 1.0, 0.0]
    assert statistics.stdev(spread) == 1.0
    assert seeds_needed([effect + value for value in spread], spread) == seeds


def test_the_power_at_that_number_of_seeds_is_what_simulation_finds() -> None:
    one, other = [1.0, 1.2, 0.8], [0.9, 0.5, 0.4]
    number = seeds_needed(one, other)
    assert number is not None
    rng = np.random.default_rng(0)
    draws = [rng.normal(np.mean(group), np.std(group, ddof=1), size=(4000, number)) for group in (one, other)]
    found = stats.ttest_ind(*draws, axis=1, equal_var=False).pvalue < 0.05
    # 0.8 or just above, and three standard errors of 4000 runs.
    assert 0.8 - 0.02 < found.mean() < 0.9


@pytest.mark.parametrize("groups", [([1.0], [2.0, 3.0]), ([1.0, 1.0], [1.0, 1.0]), ([1.0, 2.0], [2.0, 1.0]), ([0.0, 1.0], [1e-6, 1.0])])
def test_nothing_is_said_where_no_number_of_seeds_would_do(groups: tuple[list[float], list[float]]) -> None:
    assert seeds_needed(*groups) is None


def test_resamples_are_drawn_with_the_chances_of_draws_with_replacement() -> None:
    number = 200_000
    drawn = Counter(tuple(places) for part in _drawn_places(3, number, np.random.default_rng(5)) for places in part.tolist())
    wanted = Counter(tuple(sorted(places)) for places in itertools.product(range(3), repeat=3))
    assert drawn.keys() == wanted.keys()
    for places, count in wanted.items():
        chance = count / 27
        assert drawn[places] / number == pytest.approx(chance, abs=5 * math.sqrt(chance * (1 - chance) / number))


def test_the_interval_of_a_mean_is_that_of_scipys_bootstrap() -> None:
    sample = np.random.default_rng(7).exponential(size=60).tolist()
    found = bootstrap_mean(sample)
    assert found is not None
    theirs = stats.bootstrap((sample,), np.mean, n_resamples=5000, method="percentile", rng=np.random.default_rng(2)).confidence_interval
    # A quantile of 5000 means wanders by about 3 % of their spread.
    spread = np.std(sample) / math.sqrt(len(sample))
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.25 * spread)
    assert found.value == pytest.approx(np.mean(sample))
    assert bootstrap_mean(sample[:2]) is None
