"""Which waiting trials could train together: those of one shape that have not failed yet."""

from collections.abc import Callable, Iterable

from rnnbench.ledger.records import Status, TrialRecord
from rnnbench.trial.spec import TrialSpec


class Mates:
    """Follows the waiting trials of a sweep by their shape.

    Args:
        is_candidate: Whether a trial may train together with others at all.
    """

    def __init__(self, is_candidate: Callable[[TrialSpec], bool]) -> None:
        self._is_candidate = is_candidate
        self._shapes: dict[str, str] = {}
        self._waiting: dict[str, dict[str, TrialRecord]] = {}
        self._alone: set[str] = set()

    def add(self, trials: Iterable[TrialRecord]) -> None:
        """Takes new or changed trials."""
        for trial in trials:
            if not self._is_candidate(trial.spec):
                continue
            shape = self._shapes.get(trial.key) or self._shapes.setdefault(trial.key, trial.spec.shape())
            alike = self._waiting.setdefault(shape, {})
            if trial.status in (Status.PENDING, Status.INTERRUPTED) and self.may_join(trial):
                alike[trial.key] = trial
            else:
                alike.pop(trial.key, None)

    def isolate(self, key: str) -> None:
        """The trial goes alone from now on."""
        self._alone.add(key)

    def may_join(self, trial: TrialRecord) -> bool:
        """Whether nothing has gone wrong with it before."""
        return not trial.failures and trial.key not in self._alone

    def of(self, trial: TrialRecord) -> list[str]:
        """Keys of the others that wait and could join it, those first that a scheduler sent on furthest."""
        if not self.may_join(trial):
            return []
        alike = self._waiting.get(self._shapes.get(trial.key, ""), {})
        others = sorted((other for other in alike.values() if other.key != trial.key), key=lambda other: (-other.rung, other.position))
        return [other.key for other in others]
