"""Training from a trained model: which one is part of a trial's key, and it is there when the trial needs it, or the trial says so."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from rnnbench.base.errors import CheckpointError, SweepFileError
from rnnbench.base.home import Home
from rnnbench.cli.options import read_given
from rnnbench.ledger.records import Status, TrialRecord
from rnnbench.ledger.store import Ledger
from rnnbench.search.sweepfile import SweepFile, read_settings, read_sweep
from rnnbench.sweep.executor import InlineExecutor
from rnnbench.sweep.garbage import find_garbage
from rnnbench.sweep.init_from import find_sources, needs_sources, source_keys, source_path
from rnnbench.sweep.planned import plan_sweep
from rnnbench.sweep.winner import find_winner
from rnnbench.task.module import TaskModule
from rnnbench.trial.build import build_module, read_data
from rnnbench.trial.files import BEST, LAST
from rnnbench.trial.job import Fuse, Job
from rnnbench.trial.loop import Trainer
from rnnbench.trial.parameters import INIT_FROM
from rnnbench.trial.run import Attempt, run_trial
from rnnbench.trial.trained import load_trained
from tests.contract.sweeps import start
from tests.s3 import ADDRESS, Server
from tests.unit.trial.test_group import numbers, run
from tests.unit.trial.test_trained import spec_of

pytestmark = pytest.mark.usefixtures("asked_tasks")

SOURCE = """
name: source
task: asked_letters
cells: [CELL]
search: {method: random, num_samples: 3, seed: 0}
budget: {max_epochs: 1}
resources: {fuse: never}
space:
  network.hidden_size: 5
  optimizer.lr: {loguniform: [1e-3, 1e-2]}
  training.batch_size: 50
"""
TARGET = """
name: target
task: asked_letters
cells: [CELL]
search: {method: grid}
budget: {max_epochs: 2}
retries: 0
resources: {fuse: never}
space:
  network.hidden_size: 5
  network.dropout: 0.1
  training.batch_size: 50
  training.init_from: {choice: [null, source]}
"""


def written(text: str, folder: Path, cell: str = "peephole_lstm", *overrides: str) -> SweepFile:
    path = folder / "sweep.yaml"
    path.write_text(text.replace("CELL", cell))
    return read_sweep(path, overrides=overrides)


class Place:
    """A home in which sweeps run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = Home(folder / "home")
        self.home.path.mkdir()
        self.ledger = Ledger.open(self.home.ledger_url)

    def found(self, text: str, *overrides: str) -> SweepFile:
        """A sweep as the command line has it before it plans."""
        return find_sources(written(text, self.folder, "peephole_lstm", *overrides), self.ledger, self.home)

    def run(self, text: str, *overrides: str) -> list[TrialRecord]:
        sweep = self.found(text, *overrides)
        start(sweep, self.ledger, self.home).run(InlineExecutor())
        return self.ledger.trials(sweep.name)

    def model(self, key: str) -> Path:
        return self.home.trial_folder(key) / BEST


@pytest.fixture
def place(asked_tasks: None, tmp_path: Path) -> Any:
    found = Place(tmp_path)
    found.run(SOURCE)
    with found.ledger:
        yield found


def values(sweep: SweepFile) -> tuple[Any, ...]:
    return next(one.domain.values for one in sweep.space if one.name == INIT_FROM)


def test_a_name_becomes_the_key_of_its_winner_and_null_stays(place: Place) -> None:
    winner = find_winner(place.ledger, "source")
    assert values(place.found(TARGET)) == (None, winner.key)
    assert values(place.found(TARGET, f"training.init_from=source/{winner.key[:8]}")) == (winner.key,)
    assert values(place.found(TARGET, f'training.init_from="{winner.key}"')) == (winner.key,)
    other = next(trial for trial in place.ledger.trials("source") if trial.key != winner.key)
    assert values(place.found(TARGET, f"training.init_from=source/{other.key[:8]}")) == (other.key,)


def test_a_sweep_without_it_asks_for_no_ledger(tmp_path: Path) -> None:
    assert not needs_sources(written(SOURCE, tmp_path))
    assert not needs_sources(written(TARGET, tmp_path, "gru", "training.init_from=null"))
    assert needs_sources(written(TARGET, tmp_path))


def test_where_nothing_has_run_the_model_is_named_and_its_place_in_the_file(tmp_path: Path) -> None:
    written(TARGET, tmp_path)
    home = Home(tmp_path / "runs")
    with pytest.raises(SweepFileError, match=r"no 'source': nothing has run in .*runs yet; run that sweep first") as error:
        read_given(tmp_path / "sweep.yaml", home, None, name=None, changes=None, num_samples=None)
    assert error.value.where.endswith("sweep.yaml:13:39")
    assert not home.path.exists()


def test_the_source_is_part_of_the_keys_and_nothing_is_not(place: Place) -> None:
    winner = find_winner(place.ledger, "source")
    fresh, started = plan_sweep(place.found(TARGET), {}).specs
    assert started.parameters[INIT_FROM] == winner.key
    assert INIT_FROM not in fresh.parameters
    without = written(TARGET.replace("  training.init_from: {choice: [null, source]}\n", ""), place.folder)
    assert [spec.key() for spec in plan_sweep(without, {}).specs] == [fresh.key()]
    other = next(trial for trial in place.ledger.trials("source") if trial.key != winner.key)
    (elsewhere,) = plan_sweep(place.found(TARGET, f"training.init_from=source/{other.key}"), {}).specs
    assert len({fresh.key(), started.key(), elsewhere.key()}) == 3
    assert source_path(fresh, place.home) is None
    assert source_path(started, place.home) == str(place.model(winner.key))


def test_conditions_on_the_source_are_of_its_key_too(place: Place) -> None:
    text = TARGET + "  optimizer.lr: {value: 0.5, when: {training.init_from: [source]}}\n"
    fresh, started = plan_sweep(place.found(text), {}).specs
    assert (fresh.parameters["optimizer.lr"], started.parameters["optimizer.lr"]) == (1e-3, 0.5)


@pytest.mark.parametrize(
    ("line", "where", "message"),
    [
        ("sourc", "13:23", "no sweep 'sourc' has run here; did you mean 'source'?"),
        ("source/zz", "13:23", "no trial of sweep 'source' starts with 'zz'"),
        ("{choice: [null, '" + "0" * 64 + "']}", "13:39", "no sweep here has a trial of the key 000"),
        ("{choice: [source, source/WINNER]}", "13:41", "source/WINNER is a model that stands there already, trial WINNER"),
    ],
)
def test_what_cannot_be_found_is_refused_at_its_place(place: Place, line: str, where: str, message: str) -> None:
    key = find_winner(place.ledger, "source").key[:8]
    with pytest.raises(SweepFileError) as error:
        place.found(TARGET.replace("{choice: [null, source]}", line.replace("WINNER", key)))
    assert message.replace("WINNER", key) in str(error.value)
    assert error.value.where.endswith(f"sweep.yaml:{where}")
    assert "\n" not in str(error.value)


def test_a_model_that_is_not_kept_or_not_finished_is_refused_before_anything_starts(place: Place) -> None:
    winner = find_winner(place.ledger, "source")
    place.model(winner.key).unlink()
    with pytest.raises(SweepFileError, match=r"is not kept in .*checkpoints.keep_best"):
        place.found(TARGET)
    longer = SOURCE.replace("num_samples: 3", "num_samples: 4")
    plan_sweep(written(longer, place.folder), {}).record(place.ledger, [])
    waiting = next(trial for trial in place.ledger.trials("source") if trial.status == Status.PENDING)
    with pytest.raises(SweepFileError, match=f"trial source/{waiting.key[:8]} is pending"):
        place.found(TARGET, f"training.init_from=source/{waiting.key[:8]}")


def started_from(place: Place) -> tuple[TrialRecord, Job]:
    """The winner of the source, and the job of a trial that starts from it."""
    winner = find_winner(place.ledger, "source")
    planned = plan_sweep(place.found(TARGET), {})
    (spec,) = (spec for spec in planned.specs if INIT_FROM in spec.parameters)
    return winner, replace(planned.job(spec), init_from=source_path(spec, place.home), folder=str(place.folder / "trial"))


def beginning(job: Job) -> TaskModule:
    return Attempt(job, lambda event: None, lambda: 0.0).continued(read_data(job.spec, {})).module


def test_a_trial_begins_with_the_weights_of_its_source_and_with_its_own_head(place: Place) -> None:
    winner, job = started_from(place)
    source, found = load_trained(place.model(winner.key)).module.state_dict(), beginning(job).state_dict()
    drawn = build_module(job.spec, read_data(job.spec, {})).state_dict()
    assert any(name.startswith("network.") for name in found)
    for name, weight in found.items():
        expected = source if name.startswith(("network.", "embedding.")) else drawn
        assert torch.equal(weight, expected[name]), name
    assert not torch.equal(source["head.weight"], drawn["head.weight"])


def test_a_sweep_runs_both_ways_and_the_source_changes_the_numbers(place: Place) -> None:
    fresh, started = place.run(TARGET)
    assert (fresh.status, started.status) == (Status.COMPLETED, Status.COMPLETED)
    assert fresh.outcome["metrics"]["train_loss"] != started.outcome["metrics"]["train_loss"]
    log = (place.home.trial_folder(started.key) / "trial.log").read_text()
    assert "starts from" in log
    assert "embedding.weight" in log
    assert "starts from" not in (place.home.trial_folder(fresh.key) / "trial.log").read_text()


def test_a_sweep_goes_on_from_the_ledger_alone(place: Place) -> None:
    plan_sweep(place.found(TARGET), {}).record(place.ledger, [])
    record = place.ledger.get_sweep("target")
    again = read_settings(record.settings, Path(record.path), record.text)
    assert [spec.key() for spec in plan_sweep(again, {}).specs] == [trial.key for trial in place.ledger.trials("target")]
    start(again, place.ledger, place.home).run(InlineExecutor())
    assert {trial.status for trial in place.ledger.trials("target")} == {Status.COMPLETED}


def test_a_sweep_that_has_begun_stays_with_its_source_whoever_wins_that_later(place: Place) -> None:
    before = [trial.key for trial in place.run(TARGET)]
    first = find_winner(place.ledger, "source")
    place.run(SOURCE.replace("num_samples: 3", "num_samples: 12"))
    assert find_winner(place.ledger, "source").key != first.key, "the longer sweep has another winner, or this shows nothing"
    place.model(first.key).unlink()  # not even needed where nothing is left to run
    assert [trial.key for trial in place.run(TARGET)] == before
    renamed = place.found(TARGET.replace("name: target", "name: later"))
    assert values(renamed) == (None, find_winner(place.ledger, "source").key)
    assert values(find_sources(written(TARGET, place.folder), place.ledger, place.home, is_new=True)) == values(renamed)


def test_a_source_that_is_gone_when_the_trial_begins_is_a_failed_trial_with_a_line(place: Place) -> None:
    runner = start(place.found(TARGET), place.ledger, place.home)
    key = find_winner(place.ledger, "source").key
    place.model(key).unlink()
    runner.run(InlineExecutor())
    fresh, started = place.ledger.trials("target")
    assert (fresh.status, started.status) == (Status.COMPLETED, Status.FAILED)
    assert (started.error or "").startswith(f"training.init_from {key[:8]}: {place.model(key)}: No such file")
    assert "\n" not in (started.error or "")


def test_the_model_of_another_trial_in_its_place_is_refused(place: Place) -> None:
    winner, job = started_from(place)
    other = next(trial for trial in place.ledger.trials("source") if trial.key != winner.key)
    place.model(winner.key).write_bytes(place.model(other.key).read_bytes())
    with pytest.raises(CheckpointError, match="the model of another trial"):
        beginning(job)


def test_a_network_of_other_sizes_is_refused_with_what_to_do(place: Place) -> None:
    _, started = place.run(TARGET, "network.hidden_size=6")
    assert started.status == Status.FAILED
    assert "give this one the same cell, hidden_size and num_layers" in (started.error or "")


def test_a_trial_never_begins_elsewhere_than_its_key_says(place: Place) -> None:
    _, job = started_from(place)
    with pytest.raises(AssertionError, match="a job says where the model is"):
        beginning(replace(job, init_from=None))


def test_interrupted_within_an_epoch_and_resumed_it_is_bit_equal_and_needs_its_source_no_more(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    winner, job = started_from(place)
    undisturbed = run_trial(replace(job, folder=str(tmp_path / "one")), lambda event: None)
    stop, batches, follow = tmp_path / "stop", itertools.count(1), Trainer.follow

    def counted(self: Trainer, loss: torch.Tensor, rows: int) -> None:
        follow(self, loss, rows)
        if next(batches) == 2:
            stop.touch()

    monkeypatch.setattr("rnnbench.trial.pulse.LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(Trainer, "follow", counted)
    cut = run_trial(replace(job, folder=str(tmp_path / "two"), stop_file=str(stop)), lambda event: None)
    assert (cut["status"], cut["epochs"]) == ("interrupted", 0)
    assert (tmp_path / "two" / LAST).exists()
    place.model(winner.key).unlink()
    resumed = run_trial(replace(job, folder=str(tmp_path / "two")), lambda event: None)
    assert resumed["status"] == "completed"
    for name in ("best", "last", "best_epoch"):
        assert resumed[name] == undisturbed[name]
    weights = [load_trained(tmp_path / attempt / BEST).module.state_dict() for attempt in ("one", "two")]
    assert all(torch.equal(weight, weights[1][name]) for name, weight in weights[0].items())


@pytest.fixture
def group(place: Place) -> Callable[[str, Fuse], list[Job]]:
    """Jobs of trials that train together: some start from a model, some from nothing."""
    winner = find_winner(place.ledger, "source")

    def jobs(name: str, fuse: Fuse) -> list[Job]:
        found = []
        for number, source in enumerate((winner.key, None, winner.key)):
            given = {"network.hidden_size": 5, "training.batch_size": 50, "optimizer.lr": 0.01 * (number + 1), INIT_FROM: source}
            spec = spec_of("asked_letters", "peephole_lstm", given)
            folder = str(place.folder / name / str(number))
            found.append(Job(spec.key(), 1, spec, {}, folder, fuse=fuse, init_from=source_path(spec, place.home)))
        return found

    return jobs


def test_trials_that_train_together_each_start_where_they_should(group: Callable[[str, Fuse], list[Job]]) -> None:
    jobs = group("together", "always")
    assert len({job.spec.shape() for job in jobs}) == 1
    together, alone = run(jobs), run(group("alone", "never"))
    assert [event["outcome"]["mode"] for event in together.values()] == ["fused"] * 3
    for key, event in together.items():
        assert event["status"] == alone[key]["status"] == "completed"
        # The same training up to the order of additions; from nothing, or from the other's start, it is another by far more.
        assert numbers(event) == pytest.approx(numbers(alone[key]), rel=1e-3)


def test_one_whose_source_is_gone_does_not_take_its_group_with_it(place: Place, group: Callable[[str, Fuse], list[Job]]) -> None:
    place.model(find_winner(place.ledger, "source").key).unlink()
    ended = list(run(group("broken", "always")).values())
    assert [event["status"] for event in ended] == ["failed", "completed", "failed"]
    assert "training.init_from" in str(ended[0]["error"])


def test_neither_a_longer_sweep_nor_gc_removes_a_model_that_trials_start_from(place: Place) -> None:
    worst = max(place.ledger.trials("source"), key=lambda trial: (-(trial.best or 0.0), trial.position))
    plan_sweep(place.found(TARGET, f"training.init_from=source/{worst.key}"), {}).record(place.ledger, [])
    assert source_keys(place.ledger) == {worst.key}
    longer = SOURCE.replace("num_samples: 3", "num_samples: 5") + "checkpoints: {keep_best: 1}\n"
    trials = place.run(longer)
    left = {trial.key for trial in trials if place.model(trial.key).exists()}
    assert left == {worst.key, find_winner(place.ledger, "source").key}
    assert [garbage.path for garbage in find_garbage(place.ledger, place.home, {"asked_letters": True})] == []
    (started,) = place.run(TARGET, f"training.init_from=source/{worst.key}")
    assert started.status == Status.COMPLETED
    # Also when its own sweep is over: without its source it could not be run again.
    assert place.model(worst.key) not in [item.path for item in find_garbage(place.ledger, place.home, {"asked_letters": True})]


def test_without_that_gc_and_the_sweep_would_have_removed_it(place: Place) -> None:
    worst = max(place.ledger.trials("source"), key=lambda trial: (-(trial.best or 0.0), trial.position))
    place.run(SOURCE.replace("num_samples: 3", "num_samples: 5") + "checkpoints: {keep_best: 1}\n")
    assert not place.model(worst.key).exists()


def test_an_adaptive_search_chooses_between_sources_and_knows_what_it_tried(place: Place) -> None:
    pytest.importorskip("optuna", reason="needs optuna: pip install 'rnnbench[search]'")
    text = TARGET.replace("{method: grid}", "{method: tpe, num_samples: 14, seed: 0}").replace("max_epochs: 2", "max_epochs: 1")
    text += "  optimizer.lr: {loguniform: [1e-3, 1e-1]}\n"
    asked: list[list[int]] = []
    import optuna

    class Watched(optuna.samplers.TPESampler):
        def sample_relative(self, study: Any, trial: Any, search_space: Any) -> Any:
            asked.append([one.params[INIT_FROM] for one in study.get_trials(deepcopy=False) if one.params and INIT_FROM in one.params])
            return super().sample_relative(study, trial, search_space)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optuna.samplers, "TPESampler", Watched)
        trials = place.run(text)
    assert {trial.status for trial in trials} == {Status.COMPLETED}
    sources = [trial.spec.parameters.get(INIT_FROM) for trial in trials]
    assert set(sources) == {None, find_winner(place.ledger, "source").key}
    # Position 0 is null: that trials without a source were trials of null is known to the model.
    assert asked[-1] == [0 if source is None else 1 for source in sources[:-1]]
    record = place.ledger.get_sweep("target")
    again = read_settings(record.settings, Path(record.path), record.text)
    runner = start(again, place.ledger, place.home)
    assert runner.is_complete()


def test_a_source_in_a_store_is_found_from_another_machine(place: Place, s3: Server, tmp_path: Path) -> None:
    winner, job = started_from(place)
    expected = beginning(job).state_dict()
    Home(place.home.path, ADDRESS).store.put(place.model(winner.key))
    other = Home(tmp_path / "other", ADDRESS)
    (spec,) = plan_sweep(find_sources(written(TARGET, tmp_path), place.ledger, other), {}).specs[1:]
    assert spec == job.spec
    elsewhere = replace(job, init_from=source_path(spec, other), folder=str(other.trial_folder(job.key)), store=ADDRESS)
    found = beginning(elsewhere).state_dict()
    assert all(torch.equal(weight, found[name]) for name, weight in expected.items())
    s3.reset()
    with pytest.raises(CheckpointError, match="No such file"):
        beginning(elsewhere)
    with pytest.raises(SweepFileError, match=f"is not kept in {ADDRESS}"):
        find_sources(written(TARGET, tmp_path), place.ledger, Home(tmp_path / "third", ADDRESS))
