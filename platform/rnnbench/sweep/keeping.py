"""Which trained models stay on disk: the best of each task, data set and cell, every confirmed one, and no more than the cap allows."""

import heapq
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from rnnbench.base.errors import StoreError
from rnnbench.base.home import Home
from rnnbench.ledger.records import FINAL, Status, TrialRecord
from rnnbench.search.sweepfile import Checkpoints
from rnnbench.task.catalogue import is_maximized
from rnnbench.trial.files import BEST, LAST, rotating
from rnnbench.trial.spec import Lane

log = logging.getLogger(__name__)


class Keeping:
    """Follows the ended trials of one sweep and removes the checkpoints that are no longer needed.

    Args:
        is_needed: Whether another sweep holds a trial too, so that its model is left to `rnnbench gc`, or trials start from its model.
    """

    def __init__(self, home: Home, policy: Checkpoints, is_needed: Callable[[str], bool]) -> None:
        self._home = home
        self._policy = policy
        self._is_needed = is_needed
        # Of each lane the kept search trials, the worst first; a later position is worse among equals.
        self._kept: dict[Lane, list[tuple[float, int, str]]] = {}
        self._sizes: dict[str, int] = {}
        self._seen: set[str] = set()

    def add(self, trials: Iterable[TrialRecord]) -> None:
        """Takes trials as they end."""
        ended = [trial for trial in trials if trial.status in FINAL and trial.key not in self._seen]
        self._seen |= {trial.key for trial in ended}
        files = {trial.key: self._files(trial.key) for trial in ended}
        found = self._find([file for of_trial in files.values() for file in of_trial])
        for trial in ended:
            model, *resumed_from = files[trial.key]
            if any(file in found for file in resumed_from):
                self._delete(*resumed_from)
            if model in found:
                self._sizes[trial.key] = found[model]
            if trial.status != Status.COMPLETED:
                self._remove(trial.key)
            elif trial.spec.stage == "search":
                self._rank(trial)
        self._shrink()

    def _rank(self, trial: TrialRecord) -> None:
        lane = self._kept.setdefault(trial.lane, [])
        value = -float("inf") if trial.best is None else trial.best if is_maximized(trial.spec.task) else -trial.best
        heapq.heappush(lane, (value, -trial.position, trial.key))
        if len(lane) > self._policy.keep_best:
            self._remove(heapq.heappop(lane)[2])

    def _shrink(self) -> None:
        if self._policy.max_gb is None:
            return
        while sum(self._sizes.values()) > self._policy.max_gb * 1e9 and any(self._kept.values()):
            largest = max(self._kept.values(), key=len)
            self._remove(heapq.heappop(largest)[2])

    def _remove(self, key: str) -> None:
        if self._sizes.pop(key, None) is not None and not self._is_needed(key):
            self._delete(self._files(key)[0])

    def _files(self, key: str) -> list[Path]:
        """Of a trial its model, and what it can continue from."""
        folder = self._home.trial_folder(key)
        return [folder / BEST, *rotating(folder / LAST)]

    def _find(self, files: list[Path]) -> dict[Path, int]:
        try:
            return self._home.store.sizes(files) if files else {}
        except StoreError as error:
            log.warning("%s; what can go there is left to rnnbench gc", error)
            return {}

    def _delete(self, *files: Path) -> None:
        try:
            self._home.store.delete(*files)
        except StoreError as error:
            log.warning("%s; what can go there is left to rnnbench gc", error)
