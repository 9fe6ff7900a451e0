"""Performance profiles against rliable and a count by hand, and where they are refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rnnbench.ledger.records import TrialRecord
from rnnbench.report.pages import write_report
from rnnbench.report.profiles import Profiles, Scale, find_floor, find_profiles, shares_above
from rnnbench.report.tables import build_comparisons
from tests.unit.report.test_report import ELMAN, GRU, LSTM, study


def on_adding(trials: list[TrialRecord], level: float) -> list[TrialRecord]:
    """The same trials of the adding problem, whose floor is 0.1667 and where lower is better."""
    found = []
    for one in trials:
        spec = replace(one.spec, task="adding", data="generated", parameters={"optimizer.lr": one.spec.parameters["optimizer.lr"]})
        outcome = {**one.outcome, "data": {"memoryless": 1 / 6}}
        best = None if one.best is None else level * (1 - one.best)
        if one.outcome.get("test"):
            outcome["test"] = {"mse": level * (1 - one.outcome["test"]["accuracy"])}
        found.append(replace(one, key=f"adding {one.key}", spec=spec, outcome=outcome, best=best))
    return found


def test_shares_are_those_of_rliable() -> None:
    # What rliable 1.2.0 gives: library.run_score_deviation of 4 runs of 3 tasks at levels 0, 0.25, 0.5 and 0.75.
    runs_by_task = np.array([[0.1, 0.6, -0.2], [0.3, 0.5, 0.9], [0.8, 0.2, 0.4], [0.5, 1.0, 0.7]])
    found = shares_above([runs_by_task[:, task] for task in range(3)], np.array([0.0, 0.25, 0.5, 0.75]))
    assert found == pytest.approx([0.9166666666666666, 0.75, 0.4166666666666667, 0.25], abs=1e-15)


def test_scores_run_from_the_floor_to_the_best_run_and_are_counted_whichever_way_is_better() -> None:
    trials = [*GRU, *ELMAN]
    found = find_profiles(build_comparisons([study([*trials, *on_adding(trials, 0.2)])]))
    assert isinstance(found, Profiles)
    assert [one.cell for one in found.profiles] == ["gru", "elman"]
    assert found.runs == (3, 3)
    digits_scale, adding_scale = found.scales
    # The majority class on the sweep's validation data: the card says nothing of these digits.
    assert digits_scale == Scale(0.1, 0.92, "validation data")
    assert (adding_scale.floor, adding_scale.source) == (1 / 6, "test data")
    assert adding_scale.best == pytest.approx(0.2 * 0.08)
    for one, tests in zip(found.profiles, ([0.9, 0.91, 0.92], [0.6, 0.61, 0.59]), strict=True):
        digits = [(value - 0.1) / (0.92 - 0.1) for value in tests]
        adding = [(1 / 6 - 0.2 * (1 - value)) / (1 / 6 - 0.2 * 0.08) for value in tests]
        for level, share in zip(found.levels, one.share, strict=True):
            # Off the levels of the scores themselves, where a rounding decides.
            if all(abs(score - level) > 1e-9 for score in (*digits, *adding)):
                counted = sum(score > level for score in digits) / 3 + sum(score > level for score in adding) / 3
                assert share == pytest.approx(counted / 2)
        assert all(low <= share <= high for low, share, high in zip(one.low, one.share, one.high, strict=True))


def test_a_band_is_that_of_every_possible_resample() -> None:
    scores = [np.array([0.2, 0.6, 0.9]), np.array([0.1, 0.5, 0.7])]
    level = np.array([0.4])
    # Of three draws from three runs of which two are above: the number above is binomial in each data set.
    rng = np.random.default_rng(1)
    drawn = shares_above([rng.choice(one, size=(40_000, 3)) for one in scores], level)[:, 0]
    exact = {n / 6: 0.0 for n in range(7)}
    pmf = [1 / 27, 6 / 27, 12 / 27, 8 / 27]
    for first, p in enumerate(pmf):
        for second, q in enumerate(pmf):
            exact[(first + second) / 6] += p * q
    for share, chance in exact.items():
        assert np.mean(np.abs(drawn - share) < 1e-9) == pytest.approx(chance, abs=5 * np.sqrt(0.25 / 40_000))


def test_they_are_refused_with_a_reason() -> None:
    def why(trials: list[TrialRecord]) -> Profiles | str:
        return find_profiles(build_comparisons([study(trials)]))

    both = [*GRU, *LSTM]
    assert why(both) == "1 data set with test values, 2 are needed"
    few = [*on_adding(GRU, 0.2), *on_adding(LSTM[:-1], 0.2)]
    assert "but on adding on generated lstm has 2" in str(why([*both, *few]))
    assert "no two cells" in str(why([*GRU, *on_adding(LSTM, 0.2)]))
    assert "no run on adding on generated is better than 0.1667" in str(why([*both, *on_adding(both, 9.0)]))
    untold = [replace(one, outcome={**one.outcome, "baselines": {}}) for one in both]
    assert "nothing is known of what a method without a recurrent network reaches on sequential_digits" in str(
        why([*untold, *on_adding(both, 0.2)])
    )


def test_the_card_tells_the_floor_of_its_usual_question_only() -> None:
    def on_mnist(**asked: str) -> list[TrialRecord]:
        return [replace(one, spec=replace(one.spec, data="mnist", parameters=asked and {"task.order": "pixels"})) for one in GRU]

    (usual,), (other,) = (build_comparisons([study(trials)]) for trials in (on_mnist(), on_mnist(order="pixels")))
    assert find_floor(usual) == (0.1135, "the task's card")
    assert find_floor(other) == (0.1, "validation data")


def test_the_report_draws_them_or_says_why_not(tmp_path: Path) -> None:
    trials = [*GRU, *ELMAN]
    files = write_report([study([*trials, *on_adding(trials, 0.2)])], tmp_path / "drawn")
    assert "profiles.svg" in [path.name for path in files.figures]
    assert json.loads(files.json.read_text())["profiles"]["profiles"][0]["cell"] == "gru"
    assert "Performance profiles (Agarwal et al. 2021) over 2 data sets with 3 fresh seeds" in files.html.read_text()
    refused = write_report([study([*trials, *on_adding(trials, 9.0)])], tmp_path / "refused")
    assert "No performance profiles: no run on adding" in refused.html.read_text()
