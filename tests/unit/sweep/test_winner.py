"""The winner of a sweep: chosen by means over confirmed seeds, never by one lucky seed, and its model is found or missed with a reason."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from rnnbench.base.errors import UnknownNameError, UnknownSweepError
from rnnbench.base.home import Home
from rnnbench.ledger.records import Status, TrialRecord
from rnnbench.ledger.store import Ledger
from rnnbench.sweep.models import find_model
from rnnbench.sweep.winner import find_trial, find_winner, model_path
from rnnbench.trial.files import BEST
from rnnbench.trial.job import Job
from tests.contract.sweeps import read_text, start
from tests.unit.sweep.test_runner import Fast

TWO_CELLS = """
name: small
task: sequential_digits
cells: [elman, lstm]
search: {method: grid}
budget: {max_epochs: 1}
confirm: {top_k: 2, seeds: 3}
space:
  network.hidden_size: {choice: [4, 8]}
"""
# Validation values of the confirmed seeds, by cell and units: elman with 4 units has the best seed, lstm with 8 the best mean.
CONFIRMED: Mapping[tuple[str, int], tuple[float, ...]] = {
    ("elman", 4): (0.99, 0.10, 0.20),
    ("elman", 8): (0.60, 0.60, 0.60),
    ("lstm", 4): (0.70, 0.70, 0.69),
    ("lstm", 8): (0.71, 0.73, 0.72),
}
SEARCHED = {("elman", 4): 0.5, ("elman", 8): 0.9, ("lstm", 4): 0.8, ("lstm", 8): 0.7}


def ends(confirmed: Mapping[tuple[str, int], tuple[float | None, ...]] = CONFIRMED, sign: float = 1.0) -> Callable[[Job], dict[str, Any]]:
    """What each job ends with; None diverges."""

    def end(job: Job) -> dict[str, Any]:
        spec = job.spec
        place = spec.cell, int(str(spec.parameters["network.hidden_size"]))
        value = SEARCHED[place] if spec.stage == "search" else confirmed[place][spec.replicate]
        if value is None:
            return {"status": "diverged", "outcome": {}, "wall_s": 1.0, "error": "nan", "category": None}
        best = sign * value
        (Path(job.folder)).mkdir(parents=True, exist_ok=True)
        (Path(job.folder) / BEST).write_bytes(b"a model")
        outcome = {"metrics": {}, "best": best, "best_epoch": 1, "last": best, "test": None, "baselines": {"majority": 0.1}}
        # The runner learns `best` from epochs; the invented executor reports one.
        return {"status": "completed", "outcome": outcome, "wall_s": 1.0, "error": None, "category": None}

    return end


class Told(Fast):
    """Reports an epoch before each end, as a trial does."""

    def execute(self, next_jobs: Any, record: Any) -> None:
        end = self.end

        def ended(job: Job) -> dict[str, Any]:
            event = end(job)
            best = event["outcome"].get("best")
            if best is not None:
                about = {"key": job.key, "attempt": job.attempt, "epoch": 1, "wall_s": 1.0, "metrics": {"accuracy": best, "mse": best}}
                record({"kind": "epoch", **about, "best": best, "best_epoch": 1, "last": best})
            return event

        self.end = ended
        super().execute(next_jobs, record)


def played(folder: Path, text: str, end: Callable[[Job], dict[str, Any]], stop_after: int | None = None) -> tuple[Ledger, Home]:
    """A ledger in which a sweep has run with invented ends."""
    home = Home(folder / "home")
    home.path.mkdir(exist_ok=True)
    ledger = Ledger.open(home.ledger_url)
    runner = start(read_text(text, folder), ledger, home)
    try:
        runner.run(Told(end, stop_after))
    except KeyboardInterrupt:
        assert stop_after is not None
    return ledger, home


def place(trial: TrialRecord) -> tuple[str, str, Any, int]:
    return trial.stage, trial.cell, trial.spec.parameters["network.hidden_size"], trial.spec.replicate


def test_the_best_mean_over_confirmed_seeds_wins_and_of_it_the_best_seed(tmp_path: Path) -> None:
    ledger, _ = played(tmp_path, TWO_CELLS, ends())
    with ledger:
        assert place(find_winner(ledger, "small")) == ("confirm", "lstm", 8, 1)


def test_lower_wins_where_lower_is_better(tmp_path: Path) -> None:
    text = TWO_CELLS.replace("sequential_digits", "adding")
    ledger, _ = played(tmp_path, text, ends())
    with ledger:
        # elman with 4 units: mean 0.43, its best seed 0.10.
        assert place(find_winner(ledger, "small")) == ("confirm", "elman", 4, 1)


def test_a_seed_that_diverged_has_no_say(tmp_path: Path) -> None:
    ledger, _ = played(tmp_path, TWO_CELLS, ends({**CONFIRMED, ("lstm", 8): (None, 0.73, None), ("lstm", 4): (None, None, None)}))
    with ledger:
        assert place(find_winner(ledger, "small")) == ("confirm", "lstm", 8, 1)


def test_among_equals_the_earlier_wins(tmp_path: Path) -> None:
    ledger, _ = played(tmp_path, TWO_CELLS, ends(dict.fromkeys(CONFIRMED, (0.5, 0.5, 0.5))))
    with ledger:
        winner = find_winner(ledger, "small")
        assert winner.position == min(trial.position for trial in ledger.trials("small") if trial.stage == "confirm")


def test_without_confirmation_the_best_search_trial_stands_and_says_so(tmp_path: Path) -> None:
    ledger, home = played(tmp_path, TWO_CELLS.replace("confirm: {top_k: 2, seeds: 3}\n", ""), ends())
    with ledger:
        found = find_model(ledger, home, "small")
        assert place(found.trial) == ("search", "elman", 8, 0)
        assert "a search trial" in found.words()
        assert "flatters" in found.words()


def test_a_model_is_named_with_how_it_was_chosen_and_what_is_like_it(tmp_path: Path) -> None:
    ledger, home = played(tmp_path, TWO_CELLS, ends())
    with ledger:
        found = find_model(ledger, home, "small")
        assert [seed.best for seed in found.seeds] == [0.71, 0.73, 0.72]
        assert found.baselines == {"majority": 0.1}
        key = found.trial.key[:8]
        assert found.words() == f"sequential_digits, lstm small/{key}: validation accuracy 0.73, the best of 3 confirmed seeds"
        other = next(seed for seed in found.seeds if seed.best == 0.71)
        named = find_model(ledger, home, f"small/{other.key[:8]}")
        assert named.trial.key == other.key
        assert named.words().endswith("validation accuracy 0.71, one of 3 confirmed seeds")


def test_a_models_baselines_are_of_what_it_was_asked_itself(tmp_path: Path) -> None:
    text = TWO_CELLS.replace(
        "network.hidden_size: {choice: [4, 8]}", "network.hidden_size: {choice: [4, 8]}\n  task.order: {choice: [rows, pixels]}"
    )

    def end(job: Job) -> dict[str, Any]:
        event = ends()(job)
        event["outcome"]["baselines"] = {str(job.spec.parameters["task.order"]): 0.1} if job.baselines else {}
        return event

    ledger, home = played(tmp_path, text, end)
    with ledger:
        for trial in ledger.trials("small"):
            assert list(find_model(ledger, home, f"small/{trial.key}").baselines) == [trial.spec.parameters["task.order"]]


def test_a_sweep_without_results_or_of_several_tasks_has_no_winner(tmp_path: Path) -> None:
    ledger, _ = played(tmp_path, TWO_CELLS, ends(), stop_after=0)
    with ledger:
        with pytest.raises(UnknownNameError, match="no trial of sweep 'small' has completed yet"):
            find_winner(ledger, "small")
        with pytest.raises(UnknownSweepError, match="did you mean 'small'"):
            find_winner(ledger, "smal")
    (tmp_path / "several").mkdir()
    ledger, _ = played(tmp_path / "several", TWO_CELLS.replace("sequential_digits", "[sequential_digits, adding]"), ends())
    with ledger, pytest.raises(UnknownNameError, match=r"several tasks \(adding, sequential_digits\): name a trial, small/KEY"):
        find_winner(ledger, "small")


def test_a_trial_that_has_not_completed_has_no_model(tmp_path: Path) -> None:
    ledger, _ = played(tmp_path, TWO_CELLS, ends(), stop_after=1)
    with ledger:
        waiting = next(trial for trial in ledger.trials("small") if trial.status != Status.COMPLETED)
        with pytest.raises(UnknownNameError, match=rf"trial small/{waiting.key[:8]} is {waiting.status}: only one that has completed"):
            find_trial(ledger, f"small/{waiting.key[:8]}")
        with pytest.raises(UnknownNameError, match="no trial of sweep 'small' starts with ''"):
            find_trial(ledger, "small/")


def test_a_model_that_was_not_kept_says_what_keeps_it(tmp_path: Path) -> None:
    ledger, home = played(tmp_path, TWO_CELLS + "checkpoints: {keep_best: 1}\n", ends())
    with ledger:
        lost = next(trial for trial in ledger.trials("small") if (trial.stage, trial.best) == ("search", 0.5))
        with pytest.raises(UnknownNameError) as error:
            model_path(home, lost, "small/x")
        assert "checkpoints.keep_best" in str(error.value)
        assert "rnnbench train --trial small/x --export DIR" in str(error.value)
        assert "\n" not in str(error.value)
        kept = [trial for trial in ledger.trials("small") if (home.trial_folder(trial.key) / BEST).exists()]
        assert sorted(trial.stage for trial in kept) == ["confirm"] * 12 + ["search"] * 2
