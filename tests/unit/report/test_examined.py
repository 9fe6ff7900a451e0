"""What the test split showed beyond the task's metric reaches the report's tables, figures and pages."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rnnbench.ledger.records import TrialRecord
from rnnbench.report.examined import find_confusion, find_examples, find_measures, find_verdict
from rnnbench.report.pages import write_report
from rnnbench.report.tables import Summary, build_comparisons
from tests.unit.report.test_report import searched, study, trial

EXAMINED = {
    "auc": 0.75,
    "by_length": {"8": 0.5, "16": 0.25},
    "confusion": {"classes": ["cat", "dog<b>"], "counts": [[3, 1], [0, 4]]},
    "examples": [{"said": "<i>dog</i>", "truth": "cat"}],
    "signature": "v1",
    "is_better": True,
}


def examined(place: int, value: float, found: Mapping[str, Any]) -> TrialRecord:
    one = trial("gru", 100 + place, value, test=value)
    return replace(one, outcome={**one.outcome, "test": {"accuracy": value, "loss": 1 - value}, "examined": dict(found)})


TRIALS = [*searched("gru", [0.8, 0.9]), examined(0, 0.9, EXAMINED), examined(1, 0.7, {**EXAMINED, "auc": 0.25})]


def row(*trials: TrialRecord) -> Summary:
    return build_comparisons([study(trials)])[0].rows[0]


def test_every_number_but_the_metric_itself_is_a_mean_over_seeds() -> None:
    found = {measure.name: measure.mean for measure in find_measures(row(*TRIALS))}
    assert found == pytest.approx({"loss": 0.2, "auc": 0.5, "by_length 8": 0.5, "by_length 16": 0.25})
    interval = find_measures(row(*TRIALS))[1].interval
    assert interval is not None
    # Two seeds: mean +- t(0.975, 1 degree of freedom) * s / sqrt(2) = 0.5 +- 12.706 * 0.25.
    assert (interval.low, interval.high) == pytest.approx((0.5 - 12.7062 * 0.25, 0.5 + 12.7062 * 0.25), rel=1e-4)


def test_a_number_that_one_seed_lacks_is_left_out() -> None:
    without = {name: value for name, value in EXAMINED.items() if name != "auc"}
    trials = [*searched("gru", [0.8]), examined(0, 0.9, EXAMINED), examined(1, 0.7, without)]
    assert "auc" not in {measure.name for measure in find_measures(row(*trials))}


def test_confusion_is_summed_over_seeds_and_refused_where_classes_differ() -> None:
    found = find_confusion(row(*TRIALS))
    assert found is not None
    assert found.counts == [[6, 2], [0, 8]]
    other = {**EXAMINED, "confusion": {"classes": ["dog", "cat"], "counts": [[1, 0], [0, 1]]}}
    assert find_confusion(row(*searched("gru", [0.8]), examined(0, 0.9, EXAMINED), examined(1, 0.8, other))) is None


def test_the_pages_show_it_escaped(tmp_path: Path) -> None:
    files = write_report([study(TRIALS)], tmp_path)
    html, markdown = files.html.read_text(), files.markdown.read_text()
    assert "What else the test split says" in html
    assert "by_length 16" in html
    assert "&lt;i&gt;dog&lt;/i&gt;" in html
    assert "<i>dog" not in html
    assert "-confusion" in " ".join(str(path) for path in files.figures)
    assert "| auc | 0.5 (" in markdown
    cell = json.loads(files.json.read_text())["comparisons"][0]["cells"][0]
    assert cell["confusion"]["counts"] == [[6, 2], [0, 8]]
    assert find_examples(row(*TRIALS)) == cell["examples"]


def test_what_a_model_says_of_itself_beside_a_simple_method_is_a_sentence_of_the_report(tmp_path: Path) -> None:
    worse, open_ = (
        {"verdict": "not better than persistence: worse (mse: 1 to 2)"},
        {"verdict": "not better than persistence: not decided (x)"},
    )
    search = searched("gru", [0.8])
    same = row(*search, examined(0, 0.9, worse), examined(1, 0.7, worse))
    assert find_verdict(same) == "not better than persistence: worse (mse: 1 to 2); so in each of 2 seeds"
    mixed = row(*search, examined(0, 0.9, worse), examined(1, 0.7, open_), examined(2, 0.7, open_))
    assert (
        find_verdict(mixed)
        == "not better than persistence: not decided in 2 of 3 seeds; not better than persistence: worse in 1 of 3 seeds"
    )
    assert find_verdict(row(*TRIALS)) == ""
    files = write_report([study([*search, examined(0, 0.9, worse)])], tmp_path)
    assert "gru on the test split: not better than persistence: worse (mse: 1 to 2)." in files.markdown.read_text()


def test_a_sweep_without_confirmation_shows_nothing_of_it(tmp_path: Path) -> None:
    files = write_report([study(searched("gru", [0.8, 0.9]))], tmp_path)
    assert "What else the test split says" not in files.html.read_text()
