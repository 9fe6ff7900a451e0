"""Where trials diverged: Wilson's interval against scipy, decades, what is told where, and the map."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from scipy import stats

from rnnbench.base.parameters import Value
from rnnbench.ledger.records import Status, TrialRecord
from rnnbench.report.divergence import decade_of, find_shares, find_spots, wilson
from rnnbench.report.importance import RATE
from rnnbench.report.pages import write_report
from rnnbench.report.tables import Summary, build_comparisons
from tests.unit.report.test_report import searched, study, trial


def tried(place: int, status: Status, **parameters: Value) -> TrialRecord:
    one = trial("gru", place, 0.5 if status == Status.COMPLETED else None, status=status)
    given = {name.replace("__", "."): value for name, value in parameters.items()}
    return replace(one, key=f"{status}{place}", spec=replace(one.spec, parameters={**one.spec.parameters, **given}))


def row_of(*trials: TrialRecord, method: str = "random") -> Summary:
    one = study(trials)
    settings = {**one.sweep.settings, "search": {"method": method, "seed": 0}}
    (comparison,) = build_comparisons([replace(one, sweep=replace(one.sweep, settings=settings))])
    return comparison.rows[0]


@pytest.mark.parametrize(("successes", "total"), [(0, 1), (1, 1), (0, 12), (3, 12), (12, 12), (457, 9000)])
def test_the_interval_of_a_share_is_that_of_scipy(successes: int, total: int) -> None:
    theirs = stats.binomtest(successes, total).proportion_ci(0.95, method="wilson")
    assert wilson(successes, total) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@pytest.mark.parametrize(("rate", "decade"), [(0.001, -3), (0.0099, -3), (0.01, -2), (1.0, 0), (1000.0, 3), (0.00099999, -4)])
def test_a_decade_begins_at_its_power_of_ten(rate: float, decade: int) -> None:
    assert decade_of(rate) == decade


TRIALS = [
    *(tried(place, Status.COMPLETED, optimizer__lr=0.002, network__dropout=0.1 * place) for place in range(4)),
    tried(4, Status.COMPLETED, optimizer__lr=0.05, network__dropout=0.0),
    tried(5, Status.DIVERGED, optimizer__lr=0.05, network__dropout=0.0),
    tried(6, Status.DIVERGED, optimizer__lr=0.09, network__dropout=0.5),
    tried(7, Status.FAILED, optimizer__lr=0.09, network__dropout=0.5),
]


def test_shares_count_what_ended_by_itself_in_each_decade() -> None:
    low, high = find_shares(row_of(*TRIALS))
    assert (low.decade, low.diverged, low.total) == (-3, 0, 4)
    assert (high.decade, high.diverged, high.total) == (-2, 2, 3)
    assert (high.low, high.high) == wilson(2, 3)


def test_draws_that_followed_from_results_have_no_interval() -> None:
    assert [(share.diverged, share.low, share.high) for share in find_shares(row_of(*TRIALS, method="tpe"))] == [
        (0, None, None),
        (2, None, None),
    ]


def test_without_a_searched_rate_nothing_is_told() -> None:
    fixed = [replace(one, spec=replace(one.spec, parameters={**one.spec.parameters, RATE: 0.01})) for one in TRIALS]
    assert find_shares(row_of(*fixed)) == []
    assert find_spots(row_of(*fixed), []) is None


def test_the_map_is_of_the_parameter_that_tells_the_lost_trials_apart() -> None:
    trials = [
        replace(one, spec=replace(one.spec, parameters={**one.spec.parameters, "network.zoneout": 0.1 * (place % 2)}))
        for place, one in enumerate(TRIALS)
    ]
    spots = find_spots(row_of(*trials), [])
    assert spots is not None
    assert spots.second == "network.dropout"
    assert [spot[:2] for spot in spots.diverged] == [(0.05, 0.0), (0.09, 0.5)]
    assert [spot[:2] for spot in spots.failed] == [(0.09, 0.5)]
    assert {spot[2] for spot in spots.failed} == {trial.key for trial in trials if trial.status == Status.FAILED}
    assert len(spots.well) == 5
    assert find_spots(row_of(*TRIALS[:5]), []) is None


def test_the_report_has_the_table_and_the_map_only_where_trials_were_lost(tmp_path: Path) -> None:
    files = write_report([study(TRIALS)], tmp_path / "lost")
    page = files.html.read_text()
    assert "Where trials diverged" in page
    assert "2 of 3" in page
    # Wilson's interval of two in three.
    assert "(20.8 % to 93.9 %)" in page
    assert "| diverged, by learning rate | 0.001 to 0.01 | 0.01 to 0.1 |" in files.markdown.read_text()
    assert "divergence" in [path.stem.rpartition("-")[2] for path in files.figures]
    (cell,) = json.loads(files.json.read_text())["comparisons"][0]["cells"]
    assert [share["total"] for share in cell["diverged_by_rate"]] == [4, 3]
    well = write_report([study(searched("gru", [0.8, 0.9, 0.7]))], tmp_path / "well")
    assert "Where trials diverged" not in well.html.read_text()
    assert "divergence" not in [path.stem.rpartition("-")[2] for path in well.figures]
