"""Values against the number of training rows, where a sweep varied it."""

import json
from dataclasses import replace
from pathlib import Path

from rnnbench.ledger.records import TrialRecord
from rnnbench.report.amounts import Point, find_amounts
from rnnbench.report.pages import write_report
from rnnbench.report.tables import build_comparisons
from tests.unit.report.test_report import GRU, LSTM, study


def with_share(trials: list[TrialRecord], share: float, worse: float = 0.0) -> list[TrialRecord]:
    return [
        replace(
            one,
            key=f"{share} {one.key}",
            best=(one.best or 0.0) - worse,
            spec=replace(one.spec, parameters={**one.spec.parameters, "data.train_fraction": share}),
        )
        for one in trials
    ]


def test_each_cell_has_a_point_for_each_amount_in_their_order(tmp_path: Path) -> None:
    one = study([*GRU, *LSTM, *with_share(GRU, 0.1, 0.2), *with_share(GRU, 0.5, 0.1), *with_share(LSTM, 0.5)])
    (found,) = find_amounts(build_comparisons([one]))
    assert (found.name, found.tested) == ("data.train_fraction", True)
    assert [point.amount for point in found.points["gru"]] == [0.1, 0.5, 1.0]
    assert [point.amount for point in found.points["lstm"]] == [0.5, 1.0]
    assert round(found.points["gru"][0].value, 6) == 0.91
    files = write_report([one], tmp_path)
    (told,) = json.loads(files.json.read_text())["training_rows"]
    assert told["points"]["gru"][0]["amount"] == 0.1
    assert "share of the training rows" in files.html.read_text()


def test_without_test_values_the_best_of_the_search_is_shown() -> None:
    (found,) = find_amounts(build_comparisons([study([*GRU[:4], *with_share(GRU[:4], 0.5, 0.1)])]))
    assert not found.tested
    assert found.points["gru"][1] == Point(1.0, 0.9, None, None)
    assert round(found.points["gru"][0].value, 6) == 0.8


def test_other_questions_are_no_amounts() -> None:
    pixels = [
        replace(one, key=f"p {one.key}", spec=replace(one.spec, parameters={**one.spec.parameters, "task.order": "pixels"})) for one in GRU
    ]
    assert find_amounts(build_comparisons([study([*GRU, *pixels])])) == []
    assert find_amounts(build_comparisons([study(GRU)])) == []


def test_two_questions_with_several_amounts_each_have_pictures_of_their_own(tmp_path: Path) -> None:
    trials = [*GRU, *with_share(GRU, 0.5, 0.1)]
    pixels = [
        replace(one, key=f"p {one.key}", spec=replace(one.spec, parameters={**one.spec.parameters, "task.order": "pixels"}))
        for one in trials
    ]
    files = write_report([study([*trials, *pixels])], tmp_path)
    assert {"rows-1", "rows-2"} <= {path.stem for path in files.figures}
