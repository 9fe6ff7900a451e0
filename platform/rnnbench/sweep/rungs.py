"""What a scheduler sees of a sweep: the standing of each trial at each rung, rebuilt from the ledger and followed by events."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from rnnbench.ledger.records import FINAL, DecisionRecord, EpochRecord, Status, TrialRecord
from rnnbench.ledger.store import Decided
from rnnbench.search.schedulers import Decision, Scheduler, Standing, Verdict, decide, next_rung, rungs
from rnnbench.trial.spec import Lane


@dataclass
class _Curve:
    epochs: int = 0
    best: float = float("-inf")
    total: float = 0.0


class Rungs:
    """The search trials of one sweep under its scheduler.

    Args:
        total: Configurations planned per task, data set and cell where not all are drawn yet; None: as many as there are.
        metric: Name of a task's metric, and 1.0 or -1.0 as higher or lower is better.
    """

    def __init__(self, scheduler: Scheduler, max_epochs: int, total: int | None, metric: Callable[[str], tuple[str, float]]) -> None:
        self._scheduler = scheduler
        self._max_epochs = max_epochs
        self._total = total
        self._metric = metric
        self._rungs = frozenset(rungs(scheduler, max_epochs))
        self._trials: dict[str, TrialRecord] = {}
        self._places: dict[Lane, dict[str, int]] = {}  # place of each configuration among its lane's draws
        self._groups: dict[Lane, dict[str, list[str]]] = {}
        self._curves: dict[str, _Curve] = {}
        self._at: dict[str, dict[int, tuple[float, float]]] = {}
        self._verdicts: dict[str, dict[int, Verdict]] = {}

    def add(self, trials: Iterable[TrialRecord]) -> None:
        """Takes new or changed trials, in the plan's order."""
        for trial in sorted(trials, key=lambda one: one.position):
            if trial.spec.stage != "search":
                continue
            lane = trial.lane
            if trial.key not in self._trials:
                places = self._places.setdefault(lane, {})
                # With slots the draw is the place: slots may be drawn in any order.
                places.setdefault(trial.group_key, len(places) if self._total is None else trial.spec.draw)
                self._groups.setdefault(lane, {}).setdefault(trial.group_key, []).append(trial.key)
            self._trials[trial.key] = trial

    def add_epochs(self, epochs: Mapping[str, Sequence[EpochRecord]]) -> None:
        """Takes what the ledger has of the curves."""
        for key, curve in epochs.items():
            for epoch in curve:
                self.note(key, epoch.epoch, epoch.metrics)

    def add_decisions(self, decisions: Iterable[DecisionRecord]) -> None:
        """Takes what was decided, here or by others."""
        for decision in decisions:
            self._verdicts.setdefault(decision.key, {})[decision.rung] = "promoted" if decision.verdict == "promoted" else "stopped"

    def note(self, key: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """Takes one epoch; an epoch trained again has the same numbers and changes nothing."""
        trial = self._trials.get(key)
        curve = self._curves.setdefault(key, _Curve())
        if trial is None or epoch != curve.epochs + 1:
            return
        name, sign = self._metric(trial.spec.task)
        value = sign * metrics[name]
        curve.epochs, curve.best, curve.total = epoch, max(curve.best, value), curve.total + value
        if epoch in self._rungs:
            self._at.setdefault(key, {})[epoch] = (curve.best, curve.total / epoch)

    def until_epoch(self, trial: TrialRecord) -> int | None:
        """Where a trial stops next for a decision; None: it trains to its end."""
        if trial.spec.stage != "search":
            return None
        place = self._places[trial.lane][trial.group_key]
        return next_rung(self._scheduler, self._max_epochs, self._count(trial.lane), place, trial.rung)

    def decide(self, lane: Lane) -> list[Decided]:
        """Every decision that can be made now in a lane; `add_decisions` takes those that the ledger took."""
        places = self._places.get(lane, {})
        ordered = sorted(self._groups.get(lane, {}).items(), key=lambda item: places[item[0]])
        # Slots that are not drawn yet leave holes: a cohort waits for them.
        standings = [
            [self._standing(self._trials[key]) for key in keys] for place, (group, keys) in enumerate(ordered) if places[group] == place
        ]
        return [_plain(decision) for decision in decide(self._scheduler, self._max_epochs, self._count(lane), standings)]

    def lanes(self) -> list[Lane]:
        """Every task, data set and cell with search trials."""
        return list(self._groups)

    def _count(self, lane: Lane) -> int:
        return len(self._places[lane]) if self._total is None else self._total

    def _standing(self, trial: TrialRecord) -> Standing:
        _, sign = self._metric(trial.spec.task)
        finite = trial.best is not None and trial.status not in (Status.DIVERGED, Status.FAILED, Status.CANCELLED)
        ended = trial.status in FINAL
        at = self._at.get(trial.key, {})
        if ended and not finite:
            at = {}  # NaN is worst, also at rungs it had passed before
        return Standing(
            key=trial.key,
            group=trial.group_key,
            waits_at=trial.rung if trial.status == Status.PAUSED else 0,
            ended=ended,
            best=sign * trial.best if finite and trial.best is not None else None,
            at=at,
            verdicts=self._verdicts.get(trial.key, {}),
        )


def _plain(decision: Decision) -> Decided:
    return decision.key, decision.rung, decision.verdict, dict(decision.evidence)
