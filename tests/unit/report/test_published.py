"""Verdicts against published numbers: where the same was asked, by our interval; else none, with the reason."""

from dataclasses import replace

import pytest

from rnnbench.report.published import find_published
from rnnbench.report.tables import build_comparisons
from rnnbench.task.cards import PublishedNumber
from tests.unit.report.test_report import GRU, confirmed, searched, study


def verdicts(value: float, cell: str = "gru", asked: dict[str, object] | None = None) -> tuple[str | None, str | None]:
    (comparison,) = build_comparisons([study([*GRU, *searched("elman", [0.5])])])
    number = PublishedNumber(cell, "digits", value, "a paper", "as it was", asked or {})
    task = replace(comparison.task, published=(number, replace(number, data="mnist")))
    (found,) = find_published(replace(comparison, task=task))
    return found.verdict, found.why_not


@pytest.mark.parametrize(("value", "verdict"), [(0.7, "better"), (0.91, "reproduced"), (0.93, "reproduced"), (0.99, "not reached")])
def test_the_verdict_is_by_the_interval_over_seeds(value: float, verdict: str) -> None:
    # Three seeds of 0.90, 0.91, 0.92: the mean 0.91 plus and minus 0.025.
    assert verdicts(value) == (verdict, None)


def test_where_lower_is_better_the_sides_change() -> None:
    (comparison,) = build_comparisons([study(GRU)])
    metric = replace(comparison.task.metric, direction="min")
    number = PublishedNumber("gru", "digits", 0.7, "a paper", "as it was")
    (found,) = find_published(replace(comparison, task=replace(comparison.task, metric=metric, published=(number,))))
    assert found.verdict == "not reached"


def test_without_the_same_question_cell_or_seeds_there_is_none() -> None:
    assert verdicts(0.91, asked={"task.order": "pixels"}) == (None, "asked with other order")
    assert verdicts(0.91, asked={"task.order": "rows"}) == ("reproduced", None)
    assert verdicts(0.91, cell="tcn") == (None, "not among the cells")
    assert verdicts(0.91, cell="elman") == (None, "not confirmed with two seeds or more")


def test_seeds_that_are_all_equal_have_no_verdict() -> None:
    (comparison,) = build_comparisons([study([*searched("gru", [0.8]), *confirmed("gru", [1.0, 1.0, 1.0])])])
    number = PublishedNumber("gru", "digits", 0.9, "a paper", "as it was")
    (found,) = find_published(replace(comparison, task=replace(comparison.task, published=(number,))))
    assert (found.ours, found.verdict, found.why_not) == (1.0, None, "all seeds have the same value, which gives no interval")


def test_what_was_asked_differently_without_being_named_is_said() -> None:
    half = [replace(one, spec=replace(one.spec, parameters={**one.spec.parameters, "data.train_fraction": 0.5})) for one in GRU]
    (comparison,) = build_comparisons([study(half)])
    number = PublishedNumber("gru", "digits", 0.91, "a paper", "as it was")
    (found,) = find_published(replace(comparison, task=replace(comparison.task, published=(number,))))
    assert (found.verdict, found.why_not) == ("reproduced", "here with train_fraction of its own")
