"""Verdicts on published claims: what decides them, and what leaves them open."""

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from benchmarks.claims import Against, Claim, against, essential, explains_most, harmless, nearly_independent, useless
from rnnbench.report.importance import RATE, Effect, Importance
from rnnbench.report.pairs import Sample

RNG = np.random.default_rng(5)
REFERENCE = RNG.normal(8.5, 0.01, 5).tolist()
WORSE = RNG.normal(9.0, 0.01, 5).tolist()
BETTER = RNG.normal(8.0, 0.01, 5).tolist()
SAME = RNG.normal(8.5, 0.01, 5).tolist()
WIDE = RNG.normal(8.55, 0.5, 5).tolist()


def one(values: Sequence[float], sample: Sample = "seeds", sign: float = -1.0) -> Against:
    return against("nfg", sample, values, REFERENCE, sign, 8)


def test_the_test_is_scipys_and_corrected_for_all_cells() -> None:
    test = stats.ttest_ind(WIDE, REFERENCE, equal_var=False)
    interval = test.confidence_interval(1 - 0.05 / 8)
    found = one(WIDE)
    assert found.p == pytest.approx(min(1.0, 8 * test.pvalue))
    assert (found.loss, found.low, found.high) == pytest.approx((np.mean(WIDE) - np.mean(REFERENCE), interval.low, interval.high))


def test_a_loss_is_a_loss_whichever_way_is_better() -> None:
    assert one(WORSE).standing == one(BETTER, sign=1.0).standing == "worse"
    assert one(BETTER).standing == one(WORSE, sign=1.0).standing == "better"
    assert one(WORSE).loss == pytest.approx(-one(WORSE, sign=1.0).loss)


def test_as_good_is_said_only_where_the_whole_interval_is_within_the_margin() -> None:
    assert one(SAME).standing == "as good"
    assert one(WIDE).standing == "unclear"
    assert one(RNG.normal(8.55, 0.001, 5).tolist()).standing == "as good"  # found, and too small to matter
    assert against("nfg", "seeds", [8.5] * 5, [8.5] * 5, -1.0, 8).standing == "as good"


@pytest.mark.parametrize(
    ("judge", "values", "verdict"),
    [
        (essential, WORSE, "held"),
        (essential, SAME, "not held"),
        (essential, BETTER, "not held"),
        (essential, WIDE, "open"),
        (useless, WORSE, "held"),
        (useless, SAME, "held"),
        (useless, BETTER, "not held"),
        (useless, WIDE, "open"),
    ],
)
def test_a_claim_about_a_cell(judge: object, values: Sequence[float], verdict: str) -> None:
    claim = judge("it is", "nfg", [one(values)])  # type: ignore[operator]
    assert isinstance(claim, Claim)
    assert claim.verdict == verdict


def test_no_harm_needs_every_cell_and_is_broken_by_one() -> None:
    def of(**cells: Sequence[float]) -> list[Against]:
        return [against(cell, "seeds", values, REFERENCE, -1.0, 8) for cell, values in cells.items()]

    assert harmless("", ["cifg", "np"], of(cifg=SAME, np=BETTER)).verdict == "held"
    assert harmless("", ["cifg", "np"], of(cifg=SAME, np=WORSE)).verdict == "not held"
    assert harmless("", ["cifg", "np"], of(cifg=SAME, np=WIDE)).verdict == "open"


def test_two_samples_that_contradict_each_other_leave_it_open_and_one_that_is_unclear_does_not() -> None:
    assert essential("", "nfg", [one(WORSE), one(BETTER, "best tenth")]).verdict == "open"
    assert essential("", "nfg", [one(WORSE), one(WIDE, "best tenth")]).verdict == "held"
    assert essential("", "nfg", []).verdict == "open"


def importances(rate: Sequence[float], pair: Sequence[float]) -> list[Importance]:
    return [
        Importance(f"cell{place}", 40, 0.9, (Effect((RATE,), main, main, main),), (Effect((RATE, "x"), two, two, two),), (), None, ())
        for place, (main, two) in enumerate(zip(rate, pair, strict=True))
    ]


def test_shares_of_the_variance_decide_by_their_interval_over_cells() -> None:
    much, little = importances([0.8, 0.82, 0.79, 0.81], [0.05, 0.04, 0.06, 0.05]), importances([0.3, 0.32, 0.29], [0.4, 0.42, 0.39])
    between = importances([0.5, 0.9, 0.6], [0.05, 0.35, 0.2])
    assert [explains_most("", found).verdict for found in (much, little, between, [])] == ["held", "not held", "open", "open"]
    assert [nearly_independent("", found).verdict for found in (much, little, between, [])] == ["held", "not held", "open", "open"]
