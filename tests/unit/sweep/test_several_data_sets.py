"""A sweep with one task on several data sets: each is searched, compared, confirmed and shown for itself."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from rnnbench.base.errors import SweepFileError, UnknownNameError
from rnnbench.base.home import Home
from rnnbench.cli.live import score_table
from rnnbench.ledger.records import TrialRecord
from rnnbench.ledger.store import Ledger
from rnnbench.report.study import Study
from rnnbench.report.tables import build_comparisons
from rnnbench.search.fixed import fixed_sweep
from rnnbench.search.sweepfile import read_settings
from rnnbench.sweep import slots
from rnnbench.sweep.models import find_model
from rnnbench.sweep.planned import plan_sweep
from rnnbench.sweep.scoreboard import status_json
from rnnbench.sweep.winner import find_winner
from rnnbench.task.catalogue import is_maximized, tell_apart
from rnnbench.trial.files import BEST
from rnnbench.trial.job import Job
from tests.contract.sweeps import read_text, start
from tests.unit.sweep.test_runner import Fast

TEXT = """
name: small
task: [{name: forecasting, data: mackey_glass, window: 24}, {name: forecasting, data: lorenz}]
cells: [elman, gru]
search: {method: random, num_samples: 4, seed: 0}
budget: {max_epochs: 1}
confirm: {top_k: 1, seeds: 2}
checkpoints: {keep_best: 1}
space:
  network.hidden_size: {choice: [4, 8, 16, 32]}
  optimizer.lr: {loguniform: [1e-3, 1e-1]}
"""
SETS = ("mackey_glass", "lorenz")


class Told(Fast):
    """Reports an epoch before each end, as a trial does."""

    def execute(self, next_jobs: Any, record: Any) -> None:
        def end(job: Job) -> dict[str, Any]:
            value = value_of(job)
            about = {"key": job.key, "attempt": job.attempt, "epoch": 1, "wall_s": 1.0, "metrics": {"mse": value}}
            record({"kind": "epoch", **about, "best": value, "best_epoch": 1, "last": value})
            Path(job.folder).mkdir(parents=True, exist_ok=True)
            (Path(job.folder) / BEST).write_bytes(b"a model")
            outcome: Mapping[str, Any] = {"best": value, "test": {"mse": value}} if job.spec.stage == "confirm" else {"best": value}
            name = "test_baselines" if job.spec.stage == "confirm" else "baselines"
            baselines = {name: {job.spec.data: value}} if job.baselines else {}
            return {"status": "completed", "outcome": {**outcome, **baselines}, "wall_s": 1.0, "error": None, "category": None}

        self.end = end
        super().execute(next_jobs, record)


def value_of(job: Job) -> float:
    """On one data set few units are good, on the other many; every value on the second is worse than all on the first."""
    units = float(str(job.spec.parameters["network.hidden_size"]))
    return units if job.spec.data == "mackey_glass" else 1000.0 / units + 100.0


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / "home").mkdir()
    return Home(tmp_path / "home")


def played(folder: Path, home: Home, text: str = TEXT) -> Ledger:
    ledger = Ledger.open(home.ledger_url)
    runner = start(read_text(text, folder), ledger, home)
    runner.run(Told(lambda job: {}))
    assert runner.is_complete()
    return ledger


def of(trials: list[TrialRecord], data: str, stage: str = "search") -> list[TrialRecord]:
    return [trial for trial in trials if (trial.spec.data, trial.stage) == (data, stage)]


def test_every_draw_is_tried_on_each_data_set_with_the_options_of_its_entry(tmp_path: Path, home: Home) -> None:
    with played(tmp_path, home) as ledger:
        trials = ledger.trials("small")
        rates = [[trial.spec.parameters["optimizer.lr"] for trial in of(trials, data)] for data in SETS]
        assert rates[0] == rates[1]
        assert len(set(rates[0])) == 4
        assert {trial.spec.parameters["data.window"] for trial in of(trials, "mackey_glass")} == {24}
        assert {trial.spec.parameters["data.window"] for trial in of(trials, "lorenz")} != {24}
        alone = plan_sweep(read_text(TEXT.replace("{name: forecasting, data: mackey_glass, window: 24}, ", ""), tmp_path), {})
        assert [spec.key() for spec in alone.specs] == [trial.key for trial in of(trials, "lorenz")]


def test_each_data_set_confirms_its_own_winner_and_keeps_its_own_models(tmp_path: Path, home: Home) -> None:
    with played(tmp_path, home) as ledger:
        trials = ledger.trials("small")
        for data, pick in (("mackey_glass", min), ("lorenz", max)):
            for cell in ("elman", "gru"):
                searched, confirmed = ([one for one in of(trials, data, stage) if one.cell == cell] for stage in ("search", "confirm"))
                units = pick(int(str(one.spec.parameters["network.hidden_size"])) for one in searched)
                assert [one.spec.parameters["network.hidden_size"] for one in confirmed] == [units] * 2
                kept = [one for one in searched if (home.trial_folder(one.key) / BEST).exists()]
                assert [one.spec.parameters["network.hidden_size"] for one in kept] == [units]


def test_the_table_and_the_status_name_each_data_set_and_have_no_best_of_both(tmp_path: Path, home: Home) -> None:
    with played(tmp_path, home) as ledger, ledger.glance() as glance:
        lanes = glance.standings("small", (), is_maximized)
        assert [lane.lane[1:] for lane in lanes] == [(data, cell) for data in SETS for cell in ("elman", "gru")]
        console = Console(width=200, record=True)
        console.print(score_table(lanes))
        assert re.findall(r"forecasting \((\w+)\) +(\w+) +6/6", console.export_text()) == [lane.lane[1:] for lane in lanes]
        specs = {lane.best_key: glance.get_spec(lane.best_key) for lane in lanes if lane.best_key}
        status = status_json("small", lanes, specs, lambda task: "mse", 1.0)
        assert status["best"] is None
        assert [(row["task"], row["data"], row["planned"]) for row in status["results"]] == [
            ("forecasting", data, 6) for data in SETS for _ in range(2)
        ]
        worst = max(row["best"]["value"] for row in status["results"] if row["data"] == "mackey_glass")
        assert all(row["best"]["value"] > worst for row in status["results"] if row["data"] == "lorenz")


def test_the_report_compares_within_each_data_set(tmp_path: Path, home: Home) -> None:
    with played(tmp_path, home) as ledger:
        comparisons = build_comparisons([Study.read(ledger, "small")])
        assert [(one.task.name, one.data) for one in comparisons] == [("forecasting", data) for data in SETS]
        assert all(one.tested and len(one.rows) == 2 for one in comparisons)
        assert [[*one.baselines, *one.test_baselines] for one in comparisons] == [[data] * 2 for data in SETS]


def test_a_sweep_of_several_data_sets_has_no_winner_but_each_of_its_trials_can_be_named(tmp_path: Path, home: Home) -> None:
    with played(tmp_path, home) as ledger:
        with pytest.raises(
            UnknownNameError, match=r"several tasks \(forecasting \(lorenz\), forecasting \(mackey_glass\)\): name a trial, small/KEY"
        ):
            find_winner(ledger, "small")
        sweep = ledger.get_sweep("small")
        for data in SETS:
            trial = of(ledger.trials("small"), data, "confirm")[0]
            model = find_model(ledger, home, f"small/{trial.key[:8]}")
            assert [*model.baselines, *model.test_baselines] == [data] * 2
            again = read_text(fixed_sweep(trial.spec, sweep.settings, "again", 1, "again"), tmp_path)
            assert [(task.name, task.data) for task in again.tasks] == [("forecasting", data)]
        recorded = read_settings(sweep.settings, Path(sweep.path), sweep.text)
        assert [recorded.get_choice("forecasting", data).options for data in SETS] == [{"data.window": 24}, {}]


def test_an_adaptive_search_learns_for_each_data_set_from_its_own_trials(tmp_path: Path, home: Home) -> None:
    pytest.importorskip("optuna")
    text = TEXT.replace("method: random, num_samples: 4", "method: tpe, num_samples: 14").replace("cells: [elman, gru]", "cells: [elman]")
    with played(tmp_path, home, text) as ledger:
        trials = ledger.trials("small")
        assert [len(of(trials, data)) for data in SETS] == [14, 14]
        planned = plan_sweep(read_text(text, tmp_path), {})
        for slot in ledger.slots("small"):
            assert slot.evidence is not None
            assert [spec.data for spec in slots.redraw(planned, slot, slot.evidence)] == [slot.data]
            values = [one["value"] for one in slot.evidence["seen"]]
            assert all((value <= 32) == (slot.data == "mackey_glass") for value in values)
        runner = start(read_text(text.replace("num_samples: 14", "num_samples: 15"), tmp_path), ledger, home)
        assert [slot.lane for slot in runner.view.undrawn] == [("forecasting", data, "elman") for data in SETS]


def test_a_scheduler_compares_within_each_data_set(tmp_path: Path, home: Home) -> None:
    text = TEXT.replace("max_epochs: 1}", "max_epochs: 4}\nscheduler: {name: asha, grace_period: 1, reduction_factor: 4}")
    with Ledger.open(home.ledger_url) as ledger:
        runner = start(read_text(text.replace("cells: [elman, gru]", "cells: [elman]"), tmp_path), ledger, home)
        assert runner.view.rungs is not None
        assert runner.view.rungs.lanes() == [("forecasting", data, "elman") for data in SETS]


def test_what_cannot_be_told_apart_is_refused_at_its_place(tmp_path: Path) -> None:
    twice = TEXT.replace("data: lorenz", "data: mackey_glass, horizon: 8")
    with pytest.raises(SweepFileError, match=r"small.yaml:3:61: task 'forecasting' stands twice with the data mackey_glass; search"):
        read_text(twice, tmp_path)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.csv").write_text("value\n1\n")
    same = TEXT.replace("data: lorenz", "data: {path: a/x.csv}").replace("data: mackey_glass", "data: {path: b/x.csv}")
    with pytest.raises(SweepFileError, match=r"two entries of task 'forecasting' have data called path:x\.csv; give one of"):
        read_text(same, tmp_path)


def test_a_task_is_named_with_its_data_only_where_that_tells_something() -> None:
    assert tell_apart([("a", "x"), ("b", "x"), ("a", "x")]) == {("a", "x"): "a", ("b", "x"): "b"}
    assert tell_apart([("a", "x"), ("b", "x"), ("a", "y")]) == {("a", "x"): "a (x)", ("b", "x"): "b", ("a", "y"): "a (y)"}
