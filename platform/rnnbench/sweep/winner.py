"""The trial whose model stands for a sweep: the best seed of the best confirmed configuration, else the best search trial."""

import statistics
from collections.abc import Sequence
from pathlib import Path

from rnnbench.base.errors import UnknownNameError
from rnnbench.base.home import Home
from rnnbench.ledger.records import Status, TrialRecord
from rnnbench.ledger.store import Ledger
from rnnbench.task.catalogue import is_maximized, tell_apart
from rnnbench.trial.files import BEST
from rnnbench.trial.spec import Question


def find_trial(ledger: Ledger, target: str) -> TrialRecord:
    """The completed trial that `SWEEP` or `SWEEP/TRIAL` means: of a whole sweep its winner.

    Raises:
        UnknownSweepError: there is no such sweep.
        UnknownNameError: no such trial, or it has no result; see `find_winner`.
    """
    name, slash, key = target.partition("/")
    if not slash:
        return find_winner(ledger, name)
    trial = ledger.get_trial(name, key)
    if trial.status != Status.COMPLETED:
        raise UnknownNameError(f"trial {name}/{trial.key[:8]} is {trial.status}: only one that has completed has a model")
    return trial


def find_winner(ledger: Ledger, name: str) -> TrialRecord:
    """The winner of a sweep of one task and data set.

    Raises:
        UnknownSweepError: there is no such sweep.
        UnknownNameError: no trial of it has completed, or it has several tasks or data sets.
    """
    ledger.get_sweep(name)
    done = [trial for trial in ledger.trials(name, statuses=(Status.COMPLETED,)) if trial.best is not None]
    if not done:
        raise UnknownNameError(f"no trial of sweep '{name}' has completed yet")
    tasks = tell_apart(sorted({(trial.task, trial.spec.data) for trial in done}))
    if len(tasks) > 1:
        several = ", ".join(tasks.values())
        raise UnknownNameError(f"sweep '{name}' has several tasks ({several}): name a trial, {name}/KEY (rnnbench status {name})")
    return _best(done)


def find_winners(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The winner of each question that a sweep's trials answer, in the order of the plan."""
    places: dict[Question, list[TrialRecord]] = {}
    for trial in trials:
        if trial.status == Status.COMPLETED and trial.best is not None:
            places.setdefault(trial.spec.question, []).append(trial)
    return [_best(done) for done in places.values()]


def _best(done: Sequence[TrialRecord]) -> TrialRecord:
    """Of trials of one task: of the confirmed ones, if there are any, the best seed of the best mean, else the best."""
    sign = 1.0 if is_maximized(done[0].task) else -1.0
    confirmed = [trial for trial in done if trial.stage == "confirm"]
    groups: dict[str, list[TrialRecord]] = {}
    for trial in confirmed or done:
        groups.setdefault(trial.group_key if confirmed else trial.key, []).append(trial)

    def mean(trials: Sequence[TrialRecord]) -> float:
        return sign * statistics.fmean(trial.best for trial in trials if trial.best is not None)

    best = max(groups.values(), key=mean)
    return max(best, key=lambda trial: (mean([trial]), -trial.position))


def model_path(home: Home, trial: TrialRecord, shown: str) -> Path:
    """Where the model of a completed trial can be read.

    Args:
        shown: The trial as a person names it.
    Raises:
        UnknownNameError: it was not kept; the text says what keeps it.
        StoreError: the store does not answer, or refuses.
    """
    path = home.store.get(home.trial_folder(trial.key) / BEST)
    if path is None:
        where = home.store_address or home.path
        raise UnknownNameError(
            f"the model of {shown} is not kept in {where}: checkpoints.keep_best says how many of a sweep's search trials keep theirs "
            f"(all confirmed ones do); it can be trained again: rnnbench train --trial {shown} --export DIR"
        )
    return path
