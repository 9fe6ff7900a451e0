"""Memory problems in a report: which trials are no better than what needs no memory, and how that is said."""

import json
import math
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rnnbench.base.parameters import Value
from rnnbench.ledger.records import Status, SweepRecord, TrialRecord
from rnnbench.report.pages import write_report
from rnnbench.report.solved import Bar
from rnnbench.report.study import Study
from rnnbench.report.tables import Comparison, build_comparisons
from rnnbench.report.words import answer
from rnnbench.trial.spec import TrialSpec

MOMENT = datetime(2026, 1, 2, tzinfo=UTC)
ENVIRONMENT = {"rnnbench": "0", "versions": {"torch": "2"}, "revision": None, "command": "rnnbench sweep mine"}
# Copy memory with T = 50, tested with T = 100.
AT_TRAINING, AT_TEST = 10 * math.log(8) / 70, 10 * math.log(8) / 120
FACTS = {"memoryless": AT_TRAINING, "memoryless at the test length": AT_TEST}


def trial(cell: str, place: int, best: float, test: float | None = None, task: str = "copy_memory") -> TrialRecord:
    parameters: dict[str, Value] = {
        "optimizer.lr": 0.001 * (place % 5 + 1) if test is None else 0.001,
        "network.hidden_size": 32,
        "task.length": 50,
    }
    data, metric = ("generated", "cross_entropy") if task == "copy_memory" else ("digits", "accuracy")
    spec = TrialSpec("search" if test is None else "confirm", task, 1, data, "f", cell, 1, parameters, seed=place, draw=place)
    outcome = {"metrics": {}, "data": FACTS, "baselines": {}, "test": None if test is None else {metric: test}}
    moment = None if test is None else MOMENT
    return TrialRecord(
        spec.key(),
        spec.group_key(),
        place,
        spec,
        Status.COMPLETED,
        False,
        1,
        best,
        1,
        best,
        2.0,
        outcome,
        None,
        None,
        MOMENT,
        MOMENT,
        moment,
    )


def study(*trials: TrialRecord) -> Study:
    record = SweepRecord(
        "mine", "mine.yaml", "task: copy_memory\n", {"search": {"seed": 0}, "space": {}}, ENVIRONMENT, MOMENT, MOMENT, 12.0
    )
    return Study(record, trials, {})


def comparison_of(*trials: TrialRecord) -> Comparison:
    (comparison,) = build_comparisons([study(*trials)])
    return comparison


LRU = [trial("lru", 0, 0.02), trial("lru", 1, 0.3), *(trial("lru", 10 + seed, 0.02, test) for seed, test in enumerate((0.01, 0.02, 0.015)))]
GRU = [trial("gru", 0, 0.1), *(trial("gru", 10 + seed, 0.1, test) for seed, test in enumerate((0.05, 0.3, 0.2)))]
ELMAN = [trial("elman", 0, 0.296), *(trial("elman", 10 + seed, 0.296, test) for seed, test in enumerate((0.18, 0.174, 0.173)))]


def test_a_bar_is_beaten_by_more_than_a_tenth_of_the_way() -> None:
    lower, higher = Bar(0.2, 0.1, 0.0, 0.1, ""), Bar(0.5, 0.5, 1.0, 0.1, "")
    assert [lower.is_beaten(value, on_test=False) for value in (0.25, 0.2, 0.181, 0.179, 0.0)] == [False, False, False, True, True]
    assert [lower.is_beaten(value, on_test=True) for value in (0.091, 0.089)] == [False, True]
    assert [higher.is_beaten(value, on_test=False) for value in (0.4, 0.5, 0.549, 0.551, 1.0)] == [False, False, False, True, True]
    # Where guessing is perfect nothing can be shown.
    assert not Bar(1.0, 1.0, 1.0, 0.1, "").is_beaten(1.0, on_test=False)


def test_chance_on_two_thousand_rows_does_not_beat_the_bar_of_a_coin() -> None:
    # The margin is 4.5 standard errors of a share of one half among the rows of a split.
    error = math.sqrt(0.25 / 2000)
    assert not Bar(0.5, 0.5, 1.0, 0.1, "").is_beaten(0.5 + 4.4 * error, on_test=False)


def test_search_trials_are_held_against_validation_and_confirmed_ones_against_the_test_level() -> None:
    comparison = comparison_of(*LRU, *GRU, *ELMAN)
    assert comparison.bar == Bar(AT_TRAINING, AT_TEST, 0.0, 0.1, "10 ln 8 / (T + 20)")
    assert comparison.unsolved == {LRU[1].key, GRU[2].key, GRU[3].key, *(one.key for one in ELMAN)}
    assert {row.cell: comparison.beating(row) for row in comparison.rows} == {"lru": (3, 3), "gru": (1, 3), "elman": (0, 3)}
    untested = comparison_of(*LRU[:2], ELMAN[0])
    assert {row.cell: untested.beating(row) for row in untested.rows} == {"lru": (1, 2), "elman": (0, 1)}


def test_the_answer_says_who_solves_it_and_who_does_not() -> None:
    said = " ".join(answer(comparison_of(*LRU, *GRU, *ELMAN)))
    assert (
        "Unsolved by elman: no better than 0.1733 nats per step, which needs no memory (10 ln 8 / (T + 20)); "
        "better: lru (3 of 3 fresh seeds) and gru (1 of 3 fresh seeds)." in said
    )
    alone = " ".join(answer(comparison_of(*ELMAN[:1])))
    assert "Unsolved by elman: no better than 0.2971 nats per step, which needs no memory (10 ln 8 / (T + 20))." in alone
    best = " ".join(answer(comparison_of(*LRU)))
    assert "Better than 0.1733 nats per step, which needs no memory (10 ln 8 / (T + 20)): lru (3 of 3 fresh seeds)." in best


def test_every_page_marks_what_is_unsolved(tmp_path: Path) -> None:
    files = write_report([study(*LRU, *GRU, *ELMAN)], tmp_path)
    document = json.loads(files.json.read_text())
    (comparison,) = document["comparisons"]
    assert comparison["must_beat"]["test_level"] == pytest.approx(AT_TEST)
    assert {cell["cell"]: cell["beating"] for cell in comparison["cells"]} == {
        "lru": {"trials": 3, "of": 3},
        "gru": {"trials": 1, "of": 3},
        "elman": {"trials": 0, "of": 3},
    }
    marked = {one["key"] for one in document["sweeps"][0]["trials"] if one["unsolved"]}
    assert marked == {LRU[1].key, GRU[2].key, GRU[3].key, *(one.key for one in ELMAN)}
    markdown, page = files.markdown.read_text(), files.html.read_text()
    assert "| beyond memoryless |" in markdown
    assert "| unsolved |" in markdown
    assert "| 1 of 3 |" in markdown
    rows = [line for line in markdown.split("\n") if line.startswith("|")]
    assert len({row.count("|") for row in rows[:5]}) == 1
    assert page.count("completed, unsolved") == len(marked)
    assert "<td>unsolved</td>" in page
    assert " unsolved</td>" in page


def test_a_task_without_such_a_level_has_no_mark(tmp_path: Path) -> None:
    plain = [trial("gru", place, 0.1, task="sequential_digits") for place in range(3)]
    assert comparison_of(*plain).bar is None
    files = write_report([study(*plain)], tmp_path)
    assert "memoryless" not in files.markdown.read_text()
    assert json.loads(files.json.read_text())["comparisons"][0]["cells"][0]["beating"] is None


def test_trials_that_have_not_ended_are_neither() -> None:
    waiting = trial("lru", 3, 0.5)
    waiting = TrialRecord(**{**vars(waiting), "status": Status.RUNNING, "outcome": {}, "best": None})
    assert comparison_of(waiting).bar is None
    assert comparison_of(waiting, *LRU[:1]).unsolved == frozenset()
