"""A forecast: of every task and cell, of the trials that are planned, near what they take, and only for the sweep it was made of."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from rnnbench.base.errors import RanksLostError
from rnnbench.base.home import Home
from rnnbench.sweep import forecast
from rnnbench.sweep.executor import InlineExecutor
from rnnbench.sweep.forecast import Forecast
from rnnbench.sweep.planned import Planned, plan_sweep
from tests.contract.sweeps import SMALL, read_text, run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("forecast")


@pytest.fixture(scope="module")
def planned(folder: Path) -> Planned:
    return plan_sweep(read_text(SMALL, folder), os.environ)


@pytest.fixture(scope="module")
def found(planned: Planned) -> Forecast:
    told: list[tuple[int, int]] = []
    found = forecast.forecast(planned, 2, lambda done, total: told.append((done, total)))
    assert told == [(number, 4) for number in range(1, 5)]
    return found


def test_it_covers_every_cell_and_counts_confirmation(found: Forecast) -> None:
    assert [(cell.task, cell.cell, cell.trials, cell.epochs, cell.sampled) for cell in found.cells] == [
        ("sequential_digits", "elman", 2 + 2, 2, 2),
        ("sequential_digits", "lstm", 2 + 2, 2, 2),
    ]
    assert found.seconds > forecast.START_S
    assert found.memory_bytes == 2 * max(cell.memory_bytes for cell in found.cells)
    assert found.disk_bytes > sum(cell.disk_bytes for cell in found.cells)


def test_it_is_of_the_size_of_what_trials_take(found: Forecast, tmp_path: Path) -> None:
    trials = run(SMALL, tmp_path, InlineExecutor())
    for cell in found.cells:
        taken = [(trial.wall_s or 0.0) / trial.outcome["epochs"] for trial in trials if trial.spec.cell == cell.cell]
        # Not a matter of timing: a forecast in other units, of another number of batches or of no training is far outside.
        assert 0.05 < cell.epoch_s / (sum(taken) / len(taken)) < 20


def test_it_asks_before_it_has_drawn(folder: Path) -> None:
    text = SMALL.replace("method: random", "method: tpe")
    planned = plan_sweep(read_text(text, folder), os.environ)
    assert not planned.specs
    one_cell = replace(planned, sweep=replace(planned.sweep, cells=("elman",)))
    (cell,) = forecast.forecast(one_cell, 1).cells
    assert (cell.trials, cell.cell) == (4, "elman")


def test_it_holds_for_the_sweep_it_was_made_of(planned: Planned, found: Forecast, tmp_path: Path) -> None:
    home, settings = Home(tmp_path), planned.sweep.settings()
    assert forecast.find(home, "small", settings) is None
    forecast.save(found, home, "small")
    assert (forecast.find(home, "small", settings) or {})["seconds"] == found.seconds
    assert forecast.find(home, "small", {**settings, "task": "other"}) is None
    (tmp_path / "forecasts" / "small.json").write_text("{")
    assert forecast.find(home, "small", settings) is None


def test_trials_of_one_shape_are_probed_together(folder: Path) -> None:
    text = SMALL.replace("[elman, lstm]", "[peephole_lstm]").replace("{choice: [4, 8]}", "4") + "resources: {fuse: always}\n"
    text = text.replace("num_samples: 2", "num_samples: 4")
    (cell,) = forecast.forecast(plan_sweep(read_text(text, folder), os.environ), 2).cells
    assert cell.together == 2
    alone = text.replace("always", "never")
    (cell,) = forecast.forecast(plan_sweep(read_text(alone, folder), os.environ), 2).cells
    assert cell.together == 1


@pytest.mark.slow
def test_a_trial_of_two_workers_is_probed_with_both_and_counted_with_both(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its processes train parts of a batch: with one that breaks, there is no forecast."""
    text = SMALL.replace("[elman, lstm]", "[elman]") + "resources: {workers: 2}\n"
    planned = plan_sweep(read_text(text, folder), os.environ)
    found = forecast.forecast(planned, 1)
    (cell,) = found.cells
    assert (cell.together, cell.sampled) == (1, 2)
    assert found.memory_bytes == 2 * cell.memory_bytes
    broken = folder / "broken"
    broken.mkdir()
    # What the second worker's program imports, and the first does not.
    (broken / "sitecustomize.py").write_text("import sys\nif sys.orig_argv[-1] == 'rnnbench.trial.rank': raise SystemExit('broken')\n")
    monkeypatch.setenv("PYTHONPATH", str(broken))
    with pytest.raises(RanksLostError, match="worker 2 died"):
        forecast.forecast(planned, 1)


def test_it_says_what_it_cannot_know(planned: Planned, folder: Path) -> None:
    def unknown(text: str, *, elsewhere: bool = False) -> str:
        return " ".join(forecast._list_unknown(plan_sweep(read_text(text, folder), os.environ), elsewhere=elsewhere))

    bare = "\n".join(line for line in SMALL.splitlines() if not line.startswith(("confirm:", "scheduler:")))
    assert unknown(bare) == ""
    assert "other machines" in unknown(bare, elsewhere=True)
    assert "what tpe will draw" in unknown(bare.replace("method: random", "method: tpe"))
    assert "which trials win" in unknown(SMALL)
    assert "how early trials end" in unknown(bare.replace("max_epochs: 2", "max_epochs: 2, patience: 1"))
    assert "driver" in unknown(bare + "\nresources: {gpus: 0.5}")
