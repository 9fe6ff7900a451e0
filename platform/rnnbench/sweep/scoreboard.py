"""How a sweep stands: counts, best so far and time left, by task and cell; one form for the live view, status and JSON."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rnnbench.ledger.records import FINAL, SlotRecord, Standing, Status, TrialRecord

T = TypeVar("T", TrialRecord, Standing)

WAITING = (Status.PENDING, Status.PAUSED, Status.INTERRUPTED)


@dataclass(frozen=True)
class Row:
    """One task and cell of a sweep; `best` is over the search stage's completed and running trials."""

    task: str
    cell: str
    counts: Counter[Status]
    best: float | None
    best_key: str | None

    @property
    def planned(self) -> int:
        """Trials planned, of both stages."""
        return self.counts.total()

    @property
    def done(self) -> int:
        """Trials that have ended, in whatever way."""
        return sum(self.counts[status] for status in FINAL)


class Scoreboard(Generic[T]):
    """Follows the trials of one sweep.

    Args:
        maximize: Tells whether a task's metric is better when higher.
        undrawn: Slots of an adaptive search that have no trials yet; each counts as `replicates` pending ones.

    Attributes:
        open: Keys of the trials that have not ended.
    """

    def __init__(
        self,
        trials: Iterable[T],
        maximize: Callable[[str], bool],
        undrawn: Iterable[SlotRecord] = (),
        replicates: int = 1,
    ) -> None:
        self.trials: dict[str, T] = {}
        self.open: set[str] = set()
        self._maximize = maximize
        self._replicates = replicates
        self._undrawn = Counter((slot.task, slot.cell) for slot in undrawn)
        self.add(trials)

    def add(self, trials: Iterable[T]) -> None:
        """Takes new or changed trials."""
        for trial in trials:
            self.trials[trial.key] = trial
            if trial.status in FINAL:
                self.open.discard(trial.key)
            else:
                self.open.add(trial.key)

    def draw(self, slot: SlotRecord) -> None:
        """Takes that a slot has its trials now."""
        self._undrawn[slot.task, slot.cell] -= 1

    def counts(self) -> Counter[Status]:
        """Trials by status."""
        counts = Counter(trial.status for trial in self.trials.values())
        counts[Status.PENDING] += self._undrawn.total() * self._replicates
        return counts

    def rows(self) -> list[Row]:
        """One row for each task and cell, in the plan's order."""
        groups: dict[tuple[str, str], list[T]] = {}
        for trial in self.trials.values():
            groups.setdefault((trial.task, trial.cell), []).append(trial)
        for lane in self._undrawn:
            groups.setdefault(lane, [])
        return [self._row(task, cell, trials) for (task, cell), trials in groups.items()]

    def seconds_left(self, concurrent: int) -> float | None:
        """Forecast from the mean seconds of what has ended; None before the first end."""
        walls = [t.wall_s for t in self.trials.values() if t.status in FINAL and t.wall_s is not None and not t.reused]
        left = len(self.open) + self._undrawn.total() * self._replicates
        return sum(walls) / len(walls) * left / concurrent if walls else None

    def best(self) -> T | None:
        """The best search trial; None before there is one and where a sweep has several tasks."""
        rows = self.rows()
        if len({row.task for row in rows}) != 1:
            return None
        scored = [self.trials[row.best_key] for row in rows if row.best_key is not None]
        return self._best(scored)

    def _row(self, task: str, cell: str, trials: list[T]) -> Row:
        best = self._best([trial for trial in trials if trial.stage == "search"])
        counts = Counter(trial.status for trial in trials)
        counts[Status.PENDING] += self._undrawn[task, cell] * self._replicates
        return Row(task, cell, counts, best.best if best else None, best.key if best else None)

    def _best(self, trials: list[T]) -> T | None:
        scored = [t for t in trials if t.best is not None and t.status not in (Status.DIVERGED, Status.FAILED)]
        if not scored:
            return None
        sign = 1.0 if self._maximize(scored[0].task) else -1.0
        return max(scored, key=lambda trial: (sign * (trial.best or 0.0), -trial.position))


def status_json(
    name: str, board: Scoreboard[T], trials_of: Callable[[list[str]], Iterable[TrialRecord]], metric: Callable[[str], str], seconds: float
) -> dict[str, Any]:
    """The document of `status --json` (DESIGN section 4): counts, the best trial, and one result for each task and cell.

    Args:
        trials_of: Gives the trials of some keys.
        metric: Gives the name of a task's metric.
        seconds: Wall clock over all sittings.
    """
    counts, best, rows = board.counts(), board.best(), board.rows()
    found = {trial.key: _best_json(trial, metric) for trial in trials_of([row.best_key for row in rows if row.best_key])}
    return {
        "sweep": name,
        "status": sweep_status(counts),
        "planned": counts.total(),
        **_counts(counts),
        "best": found[best.key] if best else None,
        "seconds": seconds,
        "results": [
            {
                "task": row.task,
                "cell": row.cell,
                "planned": row.planned,
                **_counts(row.counts),
                "best": found[row.best_key] if row.best_key else None,
            }
            for row in rows
        ],
    }


def sweep_status(counts: Counter[Status]) -> str:
    """`completed` (or `cancelled`) when every trial ended, `running` while one runs, else `pending`."""
    if all(status in FINAL for status, number in counts.items() if number):
        return "cancelled" if counts[Status.CANCELLED] else "completed"
    return "running" if counts[Status.RUNNING] else "pending"


def _counts(counts: Counter[Status]) -> dict[str, int]:
    waiting = sum(counts[status] for status in WAITING)
    ended = {status.value: counts[status] for status in (Status.COMPLETED, Status.DIVERGED, Status.FAILED, Status.CANCELLED)}
    return ended | {"running": counts[Status.RUNNING], "pending": waiting}


def _best_json(trial: TrialRecord, metric: Callable[[str], str]) -> dict[str, Any]:
    parameters = dict(trial.spec.parameters)
    return {"trial": trial.key, "value": trial.best, "metric": metric(trial.spec.task), "params": parameters}
