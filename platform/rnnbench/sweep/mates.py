"""What waits in a sweep, by what it has in common: which trials could train together, or go to one worker as a pack."""

from collections.abc import Callable, Iterable
from itertools import islice

from rnnbench.ledger.records import Status, TrialRecord
from rnnbench.trial.spec import TrialSpec

_WAITING = (Status.PENDING, Status.INTERRUPTED)


class Mates:
    """Follows the waiting trials of a sweep: those that may train together by their shape, others by task, data set and cell.

    Args:
        may_fuse: Whether a trial may train together with others at all.
    """

    def __init__(self, may_fuse: Callable[[TrialSpec], bool]) -> None:
        self._may_fuse = may_fuse
        self._kinds: dict[str, str] = {}
        # By kind and by how far a scheduler has sent them on; in a dict for its order.
        self._waiting: dict[str, dict[int, dict[str, None]]] = {}
        self._places: dict[str, dict[str, None]] = {}
        self._alone: set[str] = set()

    def add(self, trials: Iterable[TrialRecord]) -> None:
        """Takes new or changed trials."""
        for trial in trials:
            self._places.pop(trial.key, {}).pop(trial.key, None)
            if trial.status in _WAITING and self.may_join(trial):
                place = self._waiting.setdefault(self._kind(trial), {}).setdefault(trial.rung, {})
                place[trial.key] = None
                self._places[trial.key] = place

    def isolate(self, key: str) -> None:
        """The trial goes alone from now on."""
        self._alone.add(key)

    def may_join(self, trial: TrialRecord) -> bool:
        """Whether nothing has gone wrong with it before."""
        return not trial.failures and trial.key not in self._alone

    def count(self, trial: TrialRecord) -> int:
        """How many others wait that could join it."""
        rungs = self._waiting.get(self._kind(trial), {})
        return sum(map(len, rungs.values())) - (trial.key in self._places) if self.may_join(trial) else 0

    def first(self, trial: TrialRecord, number: int) -> list[str]:
        """Keys of so many of them: those first that a scheduler sent on furthest, then in the plan's order."""
        rungs = self._waiting.get(self._kind(trial), {})
        keys = (key for rung in sorted(rungs, reverse=True) for key in rungs[rung] if key != trial.key)
        return list(islice(keys, number))

    def _kind(self, trial: TrialRecord) -> str:
        if trial.key not in self._kinds:
            spec = trial.spec
            self._kinds[trial.key] = spec.shape() if self._may_fuse(spec) else " ".join(spec.lane)
        return self._kinds[trial.key]
