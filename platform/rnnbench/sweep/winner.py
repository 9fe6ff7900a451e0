"""The trial whose model stands for a sweep: the best seed of the best confirmed configuration, else the best search trial."""

import statistics
from collections.abc import Sequence

from rnnbench.base.errors import UnknownNameError
from rnnbench.ledger.records import Status, TrialRecord
from rnnbench.ledger.store import Ledger
from rnnbench.task.catalogue import is_maximized


def find_winner(ledger: Ledger, name: str) -> TrialRecord:
    """The winner of a sweep of one task.

    Raises:
        UnknownSweepError: there is no such sweep.
        UnknownNameError: no trial of it has completed, or it has several tasks.
    """
    ledger.get_sweep(name)
    done = [trial for trial in ledger.trials(name) if trial.status == Status.COMPLETED and trial.best is not None]
    if not done:
        raise UnknownNameError(f"no trial of sweep '{name}' has completed yet")
    tasks = sorted({trial.task for trial in done})
    if len(tasks) > 1:
        raise UnknownNameError(f"sweep '{name}' has several tasks ({', '.join(tasks)}): name a trial, {name}/KEY; see rnnbench show {name}")
    sign = 1.0 if is_maximized(tasks[0]) else -1.0
    confirmed = [trial for trial in done if trial.stage == "confirm"]
    groups: dict[str, list[TrialRecord]] = {}
    for trial in confirmed or done:
        groups.setdefault(trial.group_key if confirmed else trial.key, []).append(trial)

    def mean(trials: Sequence[TrialRecord]) -> float:
        return sign * statistics.fmean(trial.best for trial in trials if trial.best is not None)

    best = max(groups.values(), key=mean)
    return max(best, key=lambda trial: (mean([trial]), -trial.position))
