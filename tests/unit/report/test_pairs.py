"""Pairs of cells: tests and effect sizes against scipy and closed forms, and the samples for which they are refused."""

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from rnnbench.ledger.records import Status, TrialRecord
from rnnbench.report.pages import write_report
from rnnbench.report.pairs import LEAST_OF_TENTH, best_tenth, compare_pairs, find_pairs
from rnnbench.report.statistics import hedges_g, welch_pairs
from rnnbench.report.study import Study
from rnnbench.report.tables import build_comparisons
from tests.unit.report.test_report import confirmed, searched, study, trial

RNG = np.random.default_rng(3)
ONE, OTHER, THIRD = (
    RNG.normal(middle, spread, size).tolist() for middle, spread, size in ((0.9, 0.02, 6), (0.86, 0.05, 9), (0.89, 0.01, 4))
)


def spread(cell: str, count: int, top: float) -> list[TrialRecord]:
    return searched(cell, [top - 0.01 * place for place in range(count)])


def test_every_pair_has_scipys_test_and_both_corrections() -> None:
    pairs = [(ONE, OTHER), (ONE, THIRD), (OTHER, THIRD)]
    found = welch_pairs(pairs)
    tests = [stats.ttest_ind(one, other, equal_var=False) for one, other in pairs]
    for one, test in zip(found, tests, strict=True):
        assert one is not None
        interval = test.confidence_interval(0.95)
        assert (one.p, one.low, one.high) == pytest.approx((test.pvalue, interval.low, interval.high))
        assert one.p_bonferroni == pytest.approx(min(1.0, 3 * test.pvalue))
        assert one.p <= one.p_holm <= one.p_bonferroni


def test_hedges_g_is_the_closed_form_and_without_bias() -> None:
    pooled = math.sqrt((5 * np.var(ONE, ddof=1) + 8 * np.var(OTHER, ddof=1)) / 13)
    cohen = (np.mean(ONE) - np.mean(OTHER)) / pooled
    assert hedges_g(ONE, OTHER) == pytest.approx(cohen * (1 - 3 / (4 * 13 - 1)), rel=1e-3)  # Hedges' own approximation
    drawn = np.random.default_rng(0).normal(size=(4000, 2, 4)) + np.array([[[1.0], [0.0]]])
    mean = np.mean([hedges_g(one.tolist(), other.tolist()) for one, other in drawn])
    assert mean == pytest.approx(1.0, abs=0.04)  # Cohen's d of these samples is 1.15 on average
    assert hedges_g([0.5, 0.5], [0.5, 0.5]) is None
    assert hedges_g([0.5], [0.4, 0.6]) is None


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_better_cell_comes_first_whichever_way_is_better(sign: float) -> None:
    pairs = compare_pairs("seeds", {"a": ONE, "b": OTHER, "c": THIRD}, sign)
    means = {"a": np.mean(ONE), "b": np.mean(OTHER), "c": np.mean(THIRD)}
    assert len(pairs) == 3
    for pair in pairs:
        assert sign * means[pair.one] > sign * means[pair.other]
        assert pair.effect is not None
        assert pair.effect > 0
        samples = {"a": ONE, "b": OTHER, "c": THIRD}
        u = stats.mannwhitneyu(sign * np.array(samples[pair.one]), sign * np.array(samples[pair.other])).statistic
        assert pair.chance == pytest.approx(u / (len(samples[pair.one]) * len(samples[pair.other])))


def test_the_best_tenth_is_that_of_all_draws_the_lost_ones_among_them() -> None:
    trials = spread("gru", 30, 0.9)
    (row,) = build_comparisons([study(trials)])[0].rows
    assert best_tenth(row) == [0.9, 0.89, 0.88]
    lost = [trial("gru", 50 + place, None, status=Status.DIVERGED) for place in range(10)]
    (row,) = build_comparisons([study([*trials, *lost])])[0].rows
    assert best_tenth(row) == pytest.approx([0.9, 0.89, 0.88, 0.87])


def test_the_best_tenth_of_a_lower_is_better_metric_is_the_lowest() -> None:
    trials = [replace(one, spec=replace(one.spec, task="adding", data="generated")) for one in spread("gru", 30, 0.9)]
    (row,) = build_comparisons([study(trials)])[0].rows
    assert best_tenth(row) == pytest.approx([0.61, 0.62, 0.63])


def refused(trials: Sequence[TrialRecord], method: str = "random", **settings: object) -> None:
    one = study(trials)
    asked = {**one.sweep.settings, "search": {"method": method, "seed": 0}, **settings}
    comparison = build_comparisons([Study(replace(one.sweep, settings=asked), one.trials, one.epochs)])[0]
    assert not any(best_tenth(row) for row in comparison.rows if row.cell == "gru")


def test_a_best_tenth_that_would_mislead_is_refused() -> None:
    trials = spread("gru", 30, 0.9)
    refused(spread("gru", 10 * LEAST_OF_TENTH - 10, 0.9))
    refused(trials, "grid")
    refused(trials, "tpe")
    refused(trials, replicates=2)
    refused([replace(trials[0], outcome={**trials[0].outcome, "stopped_at": 3}), *trials[1:]])
    refused([*trials[1:], replace(trials[0], status=Status.RUNNING, best=None)])


def test_the_page_shows_pairs_and_boxes(tmp_path: Path) -> None:
    trials = [*spread("gru", 30, 0.9), *spread("lstm", 30, 0.85), *confirmed("gru", ONE), *confirmed("lstm", OTHER)]
    pairs = find_pairs(build_comparisons([study(trials)])[0])
    assert [(pair.one, pair.other, pair.sample, pair.counts) for pair in pairs] == [
        ("gru", "lstm", "seeds", (6, 9)),
        ("gru", "lstm", "best tenth", (3, 3)),
    ]
    files = write_report([study(trials)], tmp_path)
    page = files.html.read_text()
    assert "Every pair of cells" in page
    assert len(re.findall("<td>gru, lstm</td>", page)) == 2
    assert any(path.name.endswith("-tenths.svg") for path in files.figures)
    assert "Bonferroni" in files.latex.read_text()


def test_one_cell_has_no_pairs(tmp_path: Path) -> None:
    files = write_report([study(spread("gru", 30, 0.9))], tmp_path)
    assert "Every pair" not in files.html.read_text()
    assert not any(path.name.endswith("-tenths.svg") for path in files.figures)
