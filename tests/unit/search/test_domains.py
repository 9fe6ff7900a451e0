"""Distributions: in range, reproducible, and distributed as they say."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rnnbench.base.seeds import child
from rnnbench.search.domains import build_domain

seeds = st.integers(0, 2**63 - 1)


@given(seed=seeds, low=st.floats(1e-6, 1.0), factor=st.floats(1.001, 1e6))
def test_every_draw_lies_within_its_bounds(seed: int, low: float, factor: float) -> None:
    high = low * factor
    for kind in ("uniform", "loguniform"):
        drawn = build_domain(kind, [low, high]).draw(seed)
        assert isinstance(drawn, float)
        assert low <= drawn <= high
        assert build_domain(kind, [low, high]).draw(seed) == drawn
    drawn = build_domain("one_minus_loguniform", [low, high]).draw(seed)
    assert isinstance(drawn, float)
    assert 1 - high <= drawn <= 1 - low


@given(seed=seeds, low=st.integers(1, 1000), width=st.integers(1, 1000))
def test_whole_number_draws_are_whole_and_include_both_ends(seed: int, low: int, width: int) -> None:
    for kind in ("randint", "lograndint"):
        drawn = build_domain(kind, [low, low + width]).draw(seed)
        assert type(drawn) is int
        assert low <= drawn <= low + width


@given(seed=seeds)
def test_quantised_draws_lie_on_the_lattice(seed: int) -> None:
    drawn = build_domain("quniform", [0.1, 0.5, 0.1]).draw(seed)
    assert isinstance(drawn, float)
    assert min(abs(drawn - 0.1 * step) for step in range(1, 6)) < 1e-12


@given(seed=seeds)
def test_a_choice_draws_one_of_its_values_in_its_type(seed: int) -> None:
    assert build_domain("choice", [1, 2.5, "adam", None, True]).draw(seed) in [1, 2.5, "adam", None, True]


def _draws(kind: str, arguments: list[float], count: int = 4000) -> list[float]:
    domain = build_domain(kind, arguments)
    return [float(value) for number in range(count) if isinstance(value := domain.draw(child(0, "test", number)), int | float)]


def test_the_logarithm_of_a_loguniform_draw_is_uniform() -> None:
    logs = np.log(_draws("loguniform", [1e-4, 1e-1]))
    assert stats.kstest(logs, "uniform", args=(math.log(1e-4), math.log(1e3))).pvalue > 0.01
    # Negative control: the draws themselves are far from uniform.
    assert stats.kstest(np.exp(logs), "uniform", args=(1e-4, 1e-1)).pvalue < 1e-6


def test_momentum_is_one_minus_a_loguniform_number() -> None:
    logs = np.log(1 - np.array(_draws("one_minus_loguniform", [0.01, 1.0])))
    assert stats.kstest(logs, "uniform", args=(math.log(0.01), math.log(100))).pvalue > 0.01


def test_every_whole_number_of_a_log_range_has_its_closed_form_share() -> None:
    drawn = _draws("lograndint", [1, 4])
    shares = [math.log((n + 1) / n) / math.log(5) for n in range(1, 5)]
    counts = [drawn.count(n) for n in range(1, 5)]
    assert stats.chisquare(counts, [share * len(drawn) for share in shares]).pvalue > 0.01


def test_normal_and_randint_match_their_distributions() -> None:
    assert stats.kstest(_draws("normal", [2.0, 3.0]), "norm", args=(2.0, 3.0)).pvalue > 0.01
    counts = [_draws("randint", [3, 6]).count(n) for n in range(3, 7)]
    assert stats.chisquare(counts).pvalue > 0.01


@pytest.mark.parametrize(
    ("kind", "arguments"), [("uniform", [1, 0]), ("loguniform", [0, 1]), ("randint", [0.5, 2]), ("quniform", [0, 1, 2]), ("normal", [0, 0])]
)
def test_arguments_that_make_no_sense_are_refused(kind: str, arguments: list[float]) -> None:
    with pytest.raises(ValueError, match=kind):
        build_domain(kind, arguments)
