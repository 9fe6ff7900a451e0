"""The report on invented studies: what it says, what it refuses to say, and that it stands alone."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rnnbench.ledger.records import EpochRecord, Status, SweepRecord, TrialRecord
from rnnbench.report.pages import write_report
from rnnbench.report.study import Study
from rnnbench.report.tables import build_comparisons, find_levels
from rnnbench.report.words import answer, number
from rnnbench.trial.spec import TrialSpec

MOMENT = datetime(2026, 1, 2, tzinfo=UTC)


def trial(cell: str, place: int, best: float | None, *, test: float | None = None, status: Status = Status.COMPLETED) -> TrialRecord:
    parameters = {"optimizer.lr": 0.001 * (place % 7 + 1), "network.hidden_size": 32, "task.order": "rows"}
    stage = "search" if test is None else "confirm"
    if stage == "confirm":
        parameters["optimizer.lr"] = 0.001
    spec = TrialSpec(stage, "sequential_digits", 1, "digits", "f", cell, 1, parameters, seed=place, draw=place)  # type: ignore[arg-type]
    outcome = {"metrics": {}, "num_parameters": 1234, "processor": "cpu", "threads": 1, "baselines": {"majority class": 0.1}}
    outcome |= {"test": None if test is None else {"accuracy": test}}
    error = "Traceback\nValueError: <b>boom</b>" if status == Status.FAILED else None
    moment = MOMENT if stage == "confirm" else None
    return TrialRecord(
        spec.key(), spec.group_key(), place, spec, status, False, 1, best, 1, best, 2.0, outcome if status == Status.COMPLETED else {},
        error, "error" if error else None, MOMENT, MOMENT, moment,
    )  # fmt: skip


def study(trials: Sequence[TrialRecord], name: str = "mine") -> Study:
    settings = {"search": {"seed": 0, "method": "random"}, "space": {"optimizer.lr": {"loguniform": [0.001, 0.1]}}}
    environment = {"rnnbench": "0", "versions": {"torch": "2"}, "revision": None, "command": "rnnbench sweep <script>alert(1)</script>"}
    record = SweepRecord(name, "mine.yaml", "task: <script>alert(2)</script>\n", settings, environment, MOMENT, MOMENT, 12.0)
    epochs = {
        t.key: [EpochRecord(1, 0.1, {"accuracy": 0.5}), EpochRecord(2, 0.2, {"accuracy": t.best})] for t in trials if t.best is not None
    }
    return Study(record, trials, epochs)


def searched(cell: str, values: Sequence[float]) -> list[TrialRecord]:
    return [trial(cell, place, value) for place, value in enumerate(values)]


def confirmed(cell: str, values: Sequence[float]) -> list[TrialRecord]:
    return [trial(cell, 100 + place, value, test=value) for place, value in enumerate(values)]


def words(*trials: TrialRecord) -> str:
    (comparison,) = build_comparisons([study(trials)])
    return " ".join(answer(comparison))


GRU = [*searched("gru", [0.8, 0.9, 0.85, 0.7]), *confirmed("gru", [0.9, 0.91, 0.92])]
LSTM = [*searched("lstm", [0.82, 0.88, 0.86, 0.6]), *confirmed("lstm", [0.885, 0.915, 0.92])]
ELMAN = [*searched("elman", [0.5, 0.6, 0.55, 0.4]), *confirmed("elman", [0.6, 0.61, 0.59])]


def test_cells_that_the_data_cannot_separate_are_called_so_and_the_others_are_ranked() -> None:
    said = words(*ELMAN, *LSTM, *GRU)
    assert said.startswith("gru leads on sequential digits (digits): test accuracy 0.91 (mean of 3 fresh seeds")
    assert "It is better than elman by 0.31" in said
    assert "the data cannot separate it from lstm" in said
    assert "Budget: 4 search trials each" in said


def test_seeds_that_are_all_equal_are_said_to_give_no_interval(tmp_path: Path) -> None:
    trials = [*searched("gru", [0.8]), *confirmed("gru", [1.0, 1.0, 1.0])]
    assert "test accuracy 1 (mean of 3 fresh seeds, all with this value, which gives no interval)." in words(*trials)
    (cell,) = json.loads(write_report([study(trials)], tmp_path).json.read_text())["comparisons"][0]["cells"]
    assert (cell["test"]["mean"], cell["test"]["interval"]) == (1.0, None)


def test_an_interval_does_not_leave_the_metrics_range() -> None:
    (comparison,) = build_comparisons([study([*searched("gru", [0.8]), *confirmed("gru", [0.9, 1.0])])])
    interval = comparison.rows[0].test
    assert interval is not None
    assert (interval.high, interval.method) == (1.0, "Student's t over seeds, cut to the metric's range")


def test_a_confirmed_test_value_stands_beside_the_baselines_of_the_test_split(tmp_path: Path) -> None:
    levels = {"majority class": 0.11, "logistic regression": 0.95}
    first = replace(GRU[4], outcome={**GRU[4].outcome, "test_baselines": levels})
    trials = [*GRU[:4], first, *GRU[5:], *LSTM]
    (comparison,) = build_comparisons([study(trials)])
    assert (comparison.baselines, comparison.test_baselines) == ({"majority class": 0.1}, levels)
    said = words(*trials)
    assert (
        "Without a recurrent network, logistic regression reaches 0.95 on the test data; the mean of the best cell here is not better"
        in said
    )
    assert "validation data" not in said
    files = write_report([study(trials)], tmp_path)
    assert json.loads(files.json.read_text())["comparisons"][0]["test_baselines"] == levels
    page, table = files.html.read_text(), files.markdown.read_text()
    assert "| majority class, no recurrent network | 0.11 | - | - | - | - | 0.1 | - | - | - | - | - | - |" in table
    assert "| logistic regression, no recurrent network | 0.95 | - | - | - | - | - | - | - | - | - | - | - |" in table
    (foot,) = re.findall(r"<tfoot>.*?</tfoot>", page, re.DOTALL)
    head = re.findall(r'<table class="sortable cells">\n<thead>(.*?)</thead>', page)[0]
    assert [row.count("<td>") for row in foot.split("</tr>")[:-1]] == [head.count("<th ")] * 2
    # Of cells that were not confirmed there is no test value, and nothing to be judged by one.
    untested = words(first, *GRU[:4], *LSTM[:4])
    assert "on the validation data" in untested
    assert "0.95" not in untested


def test_other_questions_to_the_same_data_are_compared_apart_and_other_models_are_not() -> None:
    half = [
        replace(one, spec=replace(one.spec, parameters={**one.spec.parameters, "data.train_fraction": 0.5}), key=f"half {one.key}")
        for one in GRU
    ]
    models = [
        replace(one, spec=replace(one.spec, parameters={**one.spec.parameters, "data.unheard": place}))
        for place, one in enumerate(searched("elman", [0.1, 0.2, 0.3]))
    ]
    whole, part = build_comparisons([study([*GRU, *half, *models])])
    assert (whole.about, part.about) == ("digits", "digits, train_fraction 0.5")
    assert part.question == {"data.train_fraction": 0.5}
    assert [[row.cell for row in one.rows] for one in (whole, part)] == [["gru", "elman"], ["gru"]]
    assert [len(row.searched) for row in whole.rows] == [4, 3]
    assert "(digits, train_fraction 0.5)" in " ".join(answer(part))


def test_without_confirmation_there_is_no_test_value_and_no_decision() -> None:
    said = words(*searched("gru", [0.8, 0.9]), *searched("lstm", [0.3, 0.4]))
    assert "no test values" in said
    assert "cannot be decided" in said
    assert "test accuracy" not in said


def test_values_of_trials_stopped_early_are_no_sample_of_one_distribution(tmp_path: Path) -> None:
    trials = searched("gru", [0.8, 0.9, 0.7])
    whole = build_comparisons([study(trials)])[0].rows[0]
    assert (whole.median, whole.num_stopped) == (0.8, 0)
    assert whole.iqm is not None
    trials[2] = replace(trials[2], outcome={**trials[2].outcome, "stopped_at": 1})
    stopped = build_comparisons([study(trials)])[0].rows[0]
    assert (stopped.median, stopped.iqm, stopped.num_stopped) == (None, None, 1)
    assert stopped.best == trials[1]
    assert "a scheduler stopped 1 of gru's early" in words(*trials)
    page = write_report([study(trials)], tmp_path).html.read_text()
    assert "No median or mean is given where a scheduler stopped trials early" in page


def test_draws_that_followed_from_results_have_no_median() -> None:
    followed = study(searched("gru", [0.8, 0.9, 0.7]))
    settings = {**followed.sweep.settings, "search": {"method": "tpe", "seed": 0}}
    row = build_comparisons([replace(followed, sweep=replace(followed.sweep, settings=settings))])[0].rows[0]
    assert (row.median, row.iqm) == (None, None)


def test_different_budgets_are_no_fair_comparison() -> None:
    assert "The budgets differ (gru 2, lstm 1 search trials)" in words(*searched("gru", [0.8, 0.9]), *searched("lstm", [0.3]))


def test_a_trial_worse_than_the_baseline_is_said_to_be() -> None:
    assert "the best trial here is not better than that" in words(*searched("gru", [0.05, 0.08]))


def test_unfinished_failed_and_diverged_trials_are_counted_and_left_out() -> None:
    lost = [
        trial("gru", 7, None, status=Status.PENDING),
        trial("gru", 8, None, status=Status.FAILED),
        trial("gru", 9, 0.99, status=Status.DIVERGED),
    ]
    (comparison,) = build_comparisons([study([*searched("gru", [0.8, 0.9, 0.7]), *lost])])
    said = " ".join(answer(comparison))
    assert "1 planned trials have not ended yet" in said
    assert "1 trials failed" in said
    assert "1 trials diverged" in said
    row = comparison.rows[0]
    assert (row.median, len(row.searched), len(row.completed)) == (0.8, 6, 3)


@pytest.mark.parametrize("trials", [[trial("gru", 0, None, status=Status.DIVERGED)], [trial("gru", 0, None, status=Status.PENDING)]])
def test_a_study_without_any_result_says_so(trials: list[TrialRecord], tmp_path: Path) -> None:
    files = write_report([study(trials)], tmp_path)
    assert "nothing to compare" in files.html.read_text()
    assert files.figures == ()


def test_a_single_trial_makes_a_report(tmp_path: Path) -> None:
    files = write_report([study(searched("gru", [0.8]))], tmp_path)
    (cell,) = json.loads(files.json.read_text())["comparisons"][0]["cells"]
    assert (cell["best"]["value"], cell["median"], cell["interquartile_mean"], cell["test"]) == (0.8, 0.8, None, None)


def test_the_pages_stand_alone_escape_what_they_show_and_repeat_byte_for_byte(tmp_path: Path) -> None:
    trials = [*GRU, *LSTM, trial("gru", 9, None, status=Status.FAILED)]
    one, other = write_report([study(trials)], tmp_path / "one"), write_report([study(trials)], tmp_path / "other")
    html = one.html.read_text()
    assert not re.search(r"(src|href)\s*=\s*[\"']?(https?:)?//", html)
    assert "<link" not in html
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(2)" in html
    assert "<b>boom" not in html
    for name in ("html", "markdown", "json"):
        assert getattr(one, name).read_bytes() == getattr(other, name).read_bytes()
    for mine, theirs in zip(one.figures, other.figures, strict=True):
        assert mine.read_bytes() == theirs.read_bytes()
        assert mine.with_suffix(".png").read_bytes() == theirs.with_suffix(".png").read_bytes()
    assert [path.stem.rpartition("-")[2] for path in one.figures] == ["trials", "curves", "budgets", "slices"]


def test_the_numbers_in_the_document_are_those_of_the_trials(tmp_path: Path) -> None:
    document = json.loads(write_report([study([*GRU, *ELMAN])], tmp_path).json.read_text())
    gru, elman = document["comparisons"][0]["cells"]
    assert (gru["cell"], gru["best"]["value"], gru["median"], gru["search_trials"]) == ("gru", 0.9, pytest.approx(0.825), 4)
    assert gru["interquartile_mean"]["value"] == pytest.approx((0.8 + 0.85) / 2)
    assert gru["test"]["values"] == [0.9, 0.91, 0.92]
    assert gru["test"]["mean"] == pytest.approx(0.91)
    assert gru["test"]["trials"] == [each.key for each in GRU[4:]]
    assert elman["leader_minus_this"]["value"] == pytest.approx(0.31)
    assert (gru["num_parameters"], gru["median_seconds"]) == (1234, 2.0)


def test_a_trial_of_two_sweeps_counts_once(tmp_path: Path) -> None:
    trials = searched("gru", [0.8, 0.9])
    (comparison,) = build_comparisons([study(trials, "one"), study(trials, "two")])
    assert len(comparison.rows[0].searched) == 2
    assert comparison.rows[0].sweeps == ("one", "two")


def test_numbers_are_written_with_four_digits() -> None:
    assert [number(x) for x in (None, 0, 0.97114, 8.36149, 71946.0, 5.3e-5, 1234567.0)] == [
        "-",
        "0",
        "0.9711",
        "8.361",
        "71946",
        "5.30e-05",
        "1.23e+06",
    ]


def test_it_says_how_far_off_a_forecast_was(tmp_path: Path) -> None:
    one = trial("lstm", 0, 0.9)
    one = replace(one, outcome={**one.outcome, "epochs": 4, "peak_memory_bytes": 300_000_000, "mode": "fused", "fused": 8})
    cell = {"task": "sequential_digits", "data": "digits", "cell": "lstm", "epoch_s": 0.4, "memory_bytes": 200_000_000, "sampled": 2}
    found = replace(study([one]), forecast={"seconds": 10.0, "cells": [cell, {**cell, "cell": "gru"}]})
    files = write_report([found], tmp_path)
    (sweep,) = json.loads(files.json.read_text())["sweeps"]
    lstm, gru = sweep["forecast"]["cells"]
    # Two seconds for four epochs.
    assert (lstm["took_epoch_s"], lstm["epoch_error"]) == (0.5, pytest.approx(0.25))
    assert lstm["memory_error"] == pytest.approx(0.5)
    assert (gru["took_epoch_s"], gru["epoch_error"], gru["memory_error"]) == (None, None, None)
    page = files.html.read_text()
    assert "+25 %" in page
    assert "fused (8)" in page
    assert sweep["forecast"]["took_seconds"] == 12.0
    assert "Forecast" not in write_report([study([one])], tmp_path / "other").html.read_text()


STEADY = searched("gru", [0.5] * 20)
WILD = searched("lstm", [0.1] * 15 + [0.9] * 5)


def test_where_more_trials_change_the_order_the_answer_says_from_which_budget_on() -> None:
    # 0.9 - 0.8 * 0.75^n passes 0.5 between 2 and 3 draws.
    assert "gru is expected to be ahead of lstm in a search of fewer than 3 trials" in words(*STEADY, *WILD)
    assert "The budget matters" not in words(*GRU, *ELMAN)


@pytest.mark.parametrize("change", [{"search": {"method": "tpe"}}, {"search": {"method": "grid"}}, {"replicates": 2}])
def test_draws_that_are_not_independent_have_no_expected_best(change: dict[str, object]) -> None:
    one = study([*STEADY, *WILD])
    (free,) = build_comparisons([one])
    assert all(row.budget is not None for row in free.rows)
    changed = replace(one, sweep=replace(one.sweep, settings={**one.sweep.settings, **change}))
    (bound,) = build_comparisons([changed])
    assert all(row.budget is None for row in bound.rows)


def test_a_lost_draw_leaves_no_expected_best_for_its_cell() -> None:
    (comparison,) = build_comparisons([study([*STEADY, trial("gru", 50, None, status=Status.FAILED), *WILD])])
    assert {row.cell: row.budget is not None for row in comparison.rows} == {"gru": False, "lstm": True}


def test_a_parameter_that_is_nothing_in_some_trials_is_drawn_with_nothing_first(tmp_path: Path) -> None:
    clips = (None, 1.0, 0.5)
    trials = [
        replace(one, spec=replace(one.spec, parameters={**one.spec.parameters, "training.clip_norm": clips[place % 3]}))
        for place, one in enumerate(searched("gru", [0.1, 0.2, 0.3, 0.4]))
    ]
    assert find_levels([one.spec.parameters["training.clip_norm"] for one in trials]) == [None, 0.5, 1.0]
    assert "training.clip_norm" in write_report([study(trials)], tmp_path).html.read_text()


def costing(trials: Sequence[TrialRecord], **outcome: object) -> list[TrialRecord]:
    return [replace(one, outcome={**one.outcome, **outcome}) for one in trials]


def cells_of(trials: Sequence[TrialRecord], folder: Path) -> tuple[list[dict[str, object]], str, str]:
    files = write_report([study(trials)], folder)
    return json.loads(files.json.read_text())["comparisons"][0]["cells"], files.markdown.read_text(), files.html.read_text()


def test_flops_and_memory_stand_beside_the_seconds_and_what_is_not_known_is_a_dash(tmp_path: Path) -> None:
    gru = costing(searched("gru", [0.8, 0.9, 0.7]), train_flops=2_500_000, peak_memory_bytes=400_000_000, peak_memory_of="trial")
    lstm = costing(searched("lstm", [0.6, 0.5, 0.4]), train_flops=10**12, peak_memory_bytes=500_000_000, peak_memory_of="group")
    # One trial is of a version that did not count, and no peak can be read where it is only one of its processes'.
    elman = [*costing(searched("elman", [0.1, 0.2]), train_flops=5, peak_memory_bytes=1, peak_memory_of="rank"), trial("elman", 9, 0.3)]
    found, table, page = cells_of([*gru, *lstm, *elman], tmp_path)
    assert [cell["median_flops"] for cell in found] == [2.5e6, 1e12, None]
    assert found[1]["median_memory"] == {"size_bytes": 500_000_000, "at_most": True}
    lines = [line for line in table.split("\n") if line.startswith(("| gru", "| lstm", "| elman"))]
    assert [line.split(" | ")[-2:] for line in lines[:3]] == [
        ["2.50e+06", "400 |"],
        ["1.00e+12", "500 at most |"],
        ["-", "- |"],
    ]
    assert "<td>2.50e+06</td><td>400</td></tr>" in page
    # Older trials had the peak of their whole process.
    (old,), _, _ = cells_of(costing(searched("gru", [0.8]), peak_memory_bytes=4), tmp_path)
    assert old["median_memory"] == {"size_bytes": 4, "at_most": True}


def test_a_budget_in_flops_may_say_other_than_one_in_trials(tmp_path: Path) -> None:
    # Each trial of the wild cell costs a quarter, so that it is ahead from its third trial on, 0.75 of the other's.
    steady, wild = costing(STEADY, train_flops=4000), costing(WILD, train_flops=1000)
    said = words(*steady, *wild)
    assert "gru is expected to be ahead of lstm in a search of fewer than 3 trials and of less than 4.889 s in all." in said
    assert "FLOPs in all" not in said  # where both have a budget, lstm leads
    assert "less than" not in said.replace("less than 4.889 s", "")
    found, _, page = cells_of([*steady, *wild], tmp_path)
    assert {"FLOPs of search", "seconds of search", "search trials"} <= set(re.findall(r">([a-zA-Z ]+)</text>", page))
    assert [cell["expected_best"]["flops_a_trial"] for cell in found] == [1000, 4000]  # type: ignore[index]
    _, _, page = cells_of([*steady, *WILD], tmp_path)
    assert "FLOPs of search" not in page


def test_the_answer_says_what_won_and_what_it_costs() -> None:
    winner = costing(confirmed("gru", [0.9, 0.91, 0.92]), train_flops=2_500_000)
    said = words(*searched("gru", [0.8, 0.9, 0.85, 0.7]), *winner)
    assert "gru's best configuration: optimizer.lr 0.001. It costs 1234 weights, 2 s of training, 2.50e+06 FLOPs of training." in said
    answering = costing(winner, latency={"one_ms": 0.5, "batch_ms": 0.1, "batch": 32, "steps": 8})
    said = words(*searched("gru", [0.8, 0.9, 0.85, 0.7]), *answering)
    assert "FLOPs of training, 0.5 ms to answer one sequence of 8 steps." in said
    # Unconfirmed, of the best search trial; nothing was searched.
    assert "Every setting of gru was given. It costs 1234 weights" in words(*searched("gru", [0.8]))


def test_how_long_a_winner_takes_to_answer_stands_in_the_table_and_older_trials_have_no_such_column(tmp_path: Path) -> None:
    latency = {"one_ms": 0.5, "batch_ms": 0.125, "batch": 32, "steps": 8}
    trials = [*searched("gru", [0.8, 0.7]), *costing(confirmed("gru", [0.9, 0.91]), latency=latency), *LSTM]
    (lstm, gru), table, page = cells_of(trials, tmp_path)
    assert gru["latency"] == {"one_ms": 0.5, "batch_ms": 0.125, "batch": 32, "steps": 8, "machine": "cpu"}
    assert lstm["latency"] is None
    assert "<td>0.5</td>" in page
    assert "of 8 steps by itself" in page
    assert "in batches it takes gru 0.125 (of 32)." in page
    assert " | ms to answer | " in table
    rows = [line for line in (tmp_path / "trials.csv").read_text().splitlines() if "latency.one_ms" in line]
    assert len(rows) == 1
    _, table, page = cells_of(LSTM, tmp_path)
    assert "to answer" not in page + table


def test_seconds_of_different_machines_are_not_compared(tmp_path: Path) -> None:
    here, there = costing(STEADY, device="cpu", processor="AMD EPYC"), costing(WILD, device="NVIDIA H100", processor="AMD EPYC")
    said = words(*here, *there)
    assert "Seconds are not compared, since the trials ran on AMD EPYC and NVIDIA H100." in said
    assert "s in all" not in said
    found, _, page = cells_of([*here, *there], tmp_path)
    assert [cell["median_seconds"] for cell in found] == [None, None]
    assert [cell["expected_best"]["seconds_a_trial"] for cell in found] == [None, None]  # type: ignore[index]
    assert "seconds of search" not in page
    assert "seconds since the trial began" not in page
    one, _, page = cells_of([*here, *costing(WILD, device="cpu", processor="AMD EPYC")], tmp_path)
    assert [cell["median_seconds"] for cell in one] == [2.0, 2.0]
    assert "seconds since the trial began" in page
    assert "with 2 threads" in words(*here, *costing(WILD, device="cpu", processor="AMD EPYC", threads=2))


def test_cells_that_are_ahead_in_small_searches_share_a_sentence() -> None:
    others = [one for cell, level in (("gru", 0.5), ("elman", 0.45)) for one in searched(cell, [level] * 20)]
    # 0.9 - 0.8 * 0.75^n reaches 0.45 with 2 draws, and 0.5 between 2 and 3.
    said = words(*others, *WILD)
    assert (
        "gru and elman are expected to be ahead of lstm in a search of fewer than 2 to 3 trials and of less than 4 to 4.889 s in all."
        in said
    )
