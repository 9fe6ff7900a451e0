"""What a results folder and its store hold that nothing needs: checkpoints of no trial, of ended trials, beyond what each sweep keeps."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rnnbench.base.home import Home
from rnnbench.base.store import COPY
from rnnbench.ledger.records import FINAL, Status, TrialRecord
from rnnbench.ledger.store import Ledger
from rnnbench.search.sweepfile import Checkpoints
from rnnbench.sweep.init_from import source_keys
from rnnbench.sweep.lease import is_live
from rnnbench.trial.files import BEST, LAST, previous_of
from rnnbench.trial.spec import Lane


@dataclass(frozen=True)
class Garbage:
    """One file that can go, and why; `path` as a store names it."""

    path: Path
    size: int
    reason: str


def find_garbage(ledger: Ledger, home: Home, is_maximized: "dict[str, bool]") -> Iterator[Garbage]:
    """Every file of the home's trials that no sweep needs; the trials of sweeps that run are left alone.

    Args:
        is_maximized: Whether a task's metric is better when higher; a task that is not there any more keeps its models.
    """
    trials: dict[str, TrialRecord] = {}
    kept = source_keys(ledger)
    busy: set[str] = set()
    for sweep in ledger.list_sweeps():
        mine = ledger.trials(sweep.name)
        trials |= {trial.key: trial for trial in mine}
        if any(is_live(lease) for lease in ledger.leases.of(sweep.name)):
            busy |= {trial.key for trial in mine}
        policy = sweep.settings.get("checkpoints") or {}
        kept |= _kept(mine, policy.get("keep_best", Checkpoints.keep_best), is_maximized)
    for file, size in sorted(home.store.list_all(home.checkpoints).items()):
        key = file.parent.name
        if key not in busy and (reason := _reason(file, trials.get(key), key in kept)) is not None:
            yield Garbage(file, size, reason)


def _kept(trials: list[TrialRecord], keep_best: int, is_maximized: dict[str, bool]) -> set[str]:
    completed = [trial for trial in trials if trial.status == Status.COMPLETED]
    kept = {trial.key for trial in completed if trial.spec.stage == "confirm" or trial.spec.task not in is_maximized}
    lanes: dict[Lane, list[TrialRecord]] = {}
    for trial in completed:
        if trial.key not in kept and trial.best is not None:
            lanes.setdefault(trial.lane, []).append(trial)
    for (task, *_), lane in lanes.items():
        sign = -1.0 if is_maximized[task] else 1.0
        lane.sort(key=lambda trial: (sign * (trial.best or 0.0), trial.position))
        kept |= {trial.key for trial in lane[:keep_best]}
    return kept


def _reason(file: Path, trial: TrialRecord | None, kept: bool) -> str | None:
    if trial is None:
        return None if kept and file.name == BEST else "no sweep in this ledger has this trial"
    if file.name.startswith(COPY):
        return "a copy of what the store keeps"
    if file.name.startswith(".") or file.name.endswith(".partial"):
        return "left by a write that did not end"
    if trial.status not in FINAL:
        return None
    if file.name in (LAST, previous_of(Path(LAST)).name):
        return "the trial has ended"
    if file.name == BEST and not kept:
        return "not among the best that its sweeps keep"
    return None
