"""A study as a tabular benchmark: what is in it, and that a search replayed on it is the search that ran."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rnnbench.base.errors import InputError
from rnnbench.base.home import Home
from rnnbench.ledger.records import EpochRecord, Status
from rnnbench.ledger.store import Ledger
from rnnbench.report.budgets import find_curve
from rnnbench.report.study import Study
from rnnbench.report.tabular import Configuration, Table, Tabular, expected_best, export_tabular, replay
from rnnbench.search.schedulers import Scheduler
from rnnbench.search.sweepfile import read_sweep
from rnnbench.sweep.executor import InlineExecutor
from rnnbench.sweep.planned import plan_sweep
from rnnbench.sweep.runner import Runner
from tests.unit.report.test_report import GRU, LSTM, searched, study, trial

SWEEP = """\
task: {name: adding, length: 4, num_train: 64}
cells: [gru]
search: {method: random, num_samples: 9, seed: 3}
budget: {max_epochs: 4}
space:
  network.hidden_size: 4
  optimizer.lr: {loguniform: [1e-4, 1e-1]}
  training.batch_size: 32
"""


def table(values: list[list[float]], sign: float = 1.0) -> Table:
    ones = [Configuration(f"t{place}", {}, tuple(curve), tuple(range(len(curve)))) for place, curve in enumerate(values)]
    return Table("adding", "generated", "gru", "mse", sign, tuple(ones))


def run(folder: Path, name: str, text: str) -> Study:
    """Runs a sweep in this process."""
    (folder / f"{name}.yaml").write_text(text)
    home = Home(folder / "runs")
    home.path.mkdir(exist_ok=True)
    planned = plan_sweep(read_sweep(folder / f"{name}.yaml"), {})
    with Ledger.open(home.ledger_url) as ledger:
        planned.record(ledger, [])
        Runner(ledger, planned, home).run(InlineExecutor())
        trials = ledger.trials(name)
        return Study(ledger.get_sweep(name), trials, ledger.epochs([one.key for one in trials]))


@pytest.mark.parametrize(
    "scheduler", ["{name: asha, grace_period: 1, reduction_factor: 2}", "{name: hyperband, grace_period: 1, reduction_factor: 2}"]
)
def test_a_search_replayed_on_the_table_is_the_search_that_ran(scheduler: str, tmp_path: Path) -> None:
    whole = run(tmp_path, "whole", SWEEP)
    stopped = run(tmp_path, "stopped", f"{SWEEP}scheduler: {scheduler}\n")
    assert export_tabular([whole], tmp_path / "table") == 9
    (found,) = Tabular.read(tmp_path / "table").tables.values()
    ran = {one.spec.draw: len(stopped.epochs[one.key]) for one in stopped.trials}
    draws = {one.key: one.spec.draw for one in whole.trials}
    played = replay(found, range(9), read_sweep(tmp_path / "stopped.yaml").scheduler)
    assert {draws[key]: epochs for key, epochs in played.trained.items()} == ran
    assert played.spent < 9 * 4
    assert played.best[-1] == min(one.best for one in stopped.trials if one.best is not None)
    full = replay(found, range(9))
    assert full.spent == 36
    assert full.best[-1] == min(one.best for one in whole.trials if one.best is not None)


def test_random_search_on_the_table_finds_what_its_closed_form_says() -> None:
    rng = np.random.default_rng(0)
    last = rng.random(40)
    one = table([[value / 2, value] for value in last])
    mean, spent = expected_best(one, 8, repeats=3000)
    # Of n of N draws without repetition the best is the k-th smallest with chance C(k - 1, n - 1) / C(N, n).
    ordered = np.sort(last)
    places = np.arange(40)
    chances = np.array([np.prod([(k - i) / (39 - i) for i in range(7)]) for k in places]) * 8 / 40
    assert chances.sum() == pytest.approx(1)
    assert mean == pytest.approx(float(chances @ ordered), abs=0.01)
    assert spent == 16
    # Drawing with repetition, as the report's curve has it, finds a little less.
    curve = find_curve(last.tolist(), maximize=True)
    assert curve is not None
    assert curve.expected[list(curve.num_draws).index(8)] < mean


def test_the_best_so_far_is_told_with_the_epochs_it_took_and_lower_may_be_better() -> None:
    one = table([[0.5, 0.4], [0.6, 0.3], [0.35, 0.45]], sign=-1.0)
    played = replay(one, [0, 1, 2])
    assert (played.epochs, played.best, played.spent) == ([1, 2, 4], [0.5, 0.4, 0.3], 6)
    early = replay(one, [2, 1], Scheduler("halving", grace_period=1, reduction_factor=2))
    assert early.trained == {"t2": 2, "t1": 1}
    assert early.best[-1] == 0.35


def test_only_trials_with_their_whole_budget_are_in_it_and_no_test_value(tmp_path: Path) -> None:
    stopped = replace(GRU[0], outcome={**GRU[0].outcome, "stopped_at": 1})
    lost = trial("gru", 40, None, status=Status.DIVERGED)
    one = study([stopped, lost, *GRU[1:], *LSTM])
    one = replace(one, epochs={**one.epochs, **{t.key: [EpochRecord(1, 0.1, {"accuracy": t.best or 0.0})] for t in GRU}})
    assert export_tabular([one], tmp_path) == 3 + 4
    found = Tabular.read(tmp_path).tables
    assert {place: len(of.configurations) for place, of in found.items()} == {
        ("sequential_digits", "digits", "gru"): 3,
        ("sequential_digits", "digits", "lstm"): 4,
    }
    assert found["sequential_digits", "digits", "gru"].sign == 1.0
    assert found["sequential_digits", "digits", "lstm"].configurations[0].values == (0.5, 0.82)
    assert "test" not in json.dumps([list(of.configurations[0].parameters) for of in found.values()])
    assert "| sequential_digits | digits | lstm | 4 | " in (tmp_path / "README.md").read_text()


def test_the_cards_own_program_runs_in_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    export_tabular([study([*GRU, *LSTM])], tmp_path)
    (program,) = re.findall(r"```python\n(.*?)```", (tmp_path / "README.md").read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(program, {})
    # Every configuration has its first epoch, and at most each its second.
    best, spent = capsys.readouterr().out.split()
    assert float(best) == max(one.best for one in GRU if one.spec.stage == "search" and one.best is not None)
    assert 4 <= int(spent) <= 8


def test_nothing_to_write_and_no_benchmark_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to write"):
        export_tabular([replace(study(searched("gru", [0.1])), epochs={})], tmp_path)
    with pytest.raises(InputError, match=r"is no benchmark of rnnbench export-benchmark: .*benchmark\.json"):
        Tabular.read(tmp_path)
