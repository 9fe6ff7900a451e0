"""Cells over several tasks, against published tables, scipy and hand calculation."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from rnnbench.report.across import compare_across, critical_difference, friedman, improvement, rank_rows
from rnnbench.report.figures import _groups
from rnnbench.report.pages import write_report
from rnnbench.report.tables import Comparison, build_comparisons
from tests.unit.report.test_report import GRU, LSTM, confirmed, searched, study

# Demsar 2006, table 6: C4.5 and three variants on 14 data sets (AUC), with the ranks printed there.
DEMSAR = np.array(
    [
        [0.763, 0.768, 0.771, 0.798], [0.599, 0.591, 0.590, 0.569], [0.954, 0.971, 0.968, 0.967], [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898], [0.936, 0.931, 0.916, 0.931], [0.661, 0.668, 0.609, 0.685], [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875], [1.000, 1.000, 1.000, 1.000], [0.940, 0.962, 0.965, 0.962], [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975], [0.957, 0.978, 0.946, 0.970],
    ]
)  # fmt: skip


def test_mean_ranks_and_friedmans_test_are_those_of_the_published_example() -> None:
    assert rank_rows(DEMSAR).mean(axis=0) == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)
    found = friedman(DEMSAR)
    assert found is not None
    # Printed there: chi squared 9.28 with 3 degrees of freedom, not corrected for ties; three pairs and one four are tied.
    assert float(stats.chi2.isf(found, 3)) == pytest.approx(9.28 / (1 - (3 * 6 + 60) / (14 * 4 * 15)), rel=1e-3)


@pytest.mark.parametrize(("cells", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)])
def test_the_critical_difference_uses_demsars_table(cells: int, q: float) -> None:
    assert critical_difference(cells, 14) == pytest.approx(q * (cells * (cells + 1) / 84) ** 0.5, rel=3e-4)


def test_the_chance_of_improvement_is_mann_and_whitneys() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(0.3, 1, 9), rng.normal(0, 1, 7)
    assert improvement(one, other) == pytest.approx(stats.mannwhitneyu(one, other).statistic / 63)
    assert improvement(np.array([1.0, 2.0]), np.array([1.0, 2.0])) == 0.5


def comparisons(number: int, gap: float) -> list[Comparison]:
    """As many data sets, on each of which gru leads lstm by a gap that varies, and elman is far behind."""
    found = []
    for place in range(number):
        by = gap * (1 + place / 10)
        values = {"lstm": [0.5, 0.51, 0.52], "gru": [0.5 + by, 0.51 + by, 0.52 + by], "elman": [0.1, 0.2, 0.15]}
        trials = [trial for cell, tests in values.items() for trial in [*searched(cell, [0.5]), *confirmed(cell, tests)]]
        (one,) = build_comparisons([study(trials)])
        found.append(replace(one, data=f"set{place}"))
    return found


def test_a_cell_that_always_leads_is_first_and_the_tests_say_how_sure() -> None:
    across = compare_across(comparisons(8, 0.05))
    assert across is not None
    assert list(across.ranks.items()) == [("gru", 1.0), ("lstm", 2.0), ("elman", 3.0)]
    assert across.p is not None
    assert across.p < 0.001
    first = across.pairs[0]
    assert (first.one, first.other, first.wins, first.improvement) == ("gru", "lstm", 8, 1.0)
    # Eight signs all one way: 2 / 2^8, times three comparisons.
    assert first.p == pytest.approx(2 / 2**8)
    assert first.p_holm == pytest.approx(3 * 2 / 2**8)


def test_few_data_sets_have_ranks_and_no_test() -> None:
    across = compare_across(comparisons(3, 0.05))
    assert across is not None
    assert across.p is None
    assert across.critical_difference is None
    assert all(pair.p is None for pair in across.pairs)
    assert compare_across(comparisons(1, 0.05)) is None


def test_where_nothing_differs_no_pair_is_told_apart() -> None:
    across = compare_across(comparisons(8, 0.0))
    assert across is not None
    pair = next(pair for pair in across.pairs if {pair.one, pair.other} == {"gru", "lstm"})
    assert (pair.wins, pair.improvement, pair.p) == (4.0, 0.5, None)
    assert pair.low < 0.5 < pair.high


def test_bars_join_the_largest_runs_that_are_not_told_apart() -> None:
    assert _groups([1.0, 1.5, 2.4, 4.0, 4.2], 1.0) == [(1.0, 1.5), (1.5, 2.4), (4.0, 4.2)]
    assert _groups([1.0, 3.0, 5.0], 1.0) == []
    assert _groups([1.0, 1.5], None) == []


def test_the_report_of_two_tasks_says_how_cells_rank_over_both(tmp_path: Path) -> None:
    trials = [*GRU, *LSTM]
    other = [replace(one, key=f"x{one.key[1:]}", spec=replace(one.spec, data="mnist")) for one in trials]
    files = write_report([study(trials, "one"), study(other, "two")], tmp_path)
    assert "Over all data sets" in files.html.read_text()
    assert "Mean ranks over 2 data sets, 1 is best: gru 1, lstm 2." in files.markdown.read_text()
    assert [path.stem for path in files.figures][-2:] == ["ranks", "profiles"]
    (alone,) = [write_report([study(trials)], tmp_path / "alone")]
    assert "Over all data sets" not in alone.html.read_text()
