"""How a sweep stands while it runs: counts, best so far and time left, by task, data set and cell; and the document of `status --json`."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rnnbench.ledger.records import FINAL, LaneStanding, SlotRecord, Status, TrialRecord
from rnnbench.task.catalogue import is_maximized
from rnnbench.trial.spec import Lane, TrialSpec

WAITING = (Status.PENDING, Status.PAUSED, Status.INTERRUPTED)


@dataclass
class _Seen:
    """Of one task, data set and cell: its trials by key and by status, slots without trials, the best, and what trials took."""

    trials: dict[str, TrialRecord] = field(default_factory=dict)
    counts: Counter[Status] = field(default_factory=Counter)
    undrawn: int = 0
    best: TrialRecord | None = None
    timed: tuple[int, float] = (0, 0.0)


class Scoreboard:
    """Follows the trials of one sweep; a change costs the same however many there are.

    Args:
        undrawn: Slots of an adaptive search that have no trials yet; each counts as `replicates` pending ones.

    Attributes:
        trials: By key.
        open: Keys of the trials that have not ended.
    """

    def __init__(self, trials: Iterable[TrialRecord], undrawn: Iterable[SlotRecord] = (), replicates: int = 1) -> None:
        self.trials: dict[str, TrialRecord] = {}
        self.open: set[str] = set()
        self._replicates = replicates
        self._lanes: dict[Lane, _Seen] = {}
        self.add(trials)
        for slot in undrawn:
            self._lanes.setdefault(slot.lane, _Seen()).undrawn += 1

    def add(self, trials: Iterable[TrialRecord]) -> None:
        """Takes new or changed trials."""
        for trial in trials:
            seen = self._lanes.setdefault(trial.lane, _Seen())
            before = self.trials.get(trial.key)
            if before is not None:
                seen.counts[before.status] -= 1
                seen.timed = _time(seen.timed, before, -1)
            seen.counts[trial.status] += 1
            seen.timed = _time(seen.timed, trial, 1)
            self.trials[trial.key] = seen.trials[trial.key] = trial
            rivals = [trial] if seen.best is None else [seen.best, trial]
            if before is not None and before is seen.best:
                # Only one that has become worse can have handed the lead to any other.
                rivals = [trial] if _best([before, trial]) is trial else [*seen.trials.values()]
            seen.best = _best(rivals)
            if trial.status in FINAL:
                self.open.discard(trial.key)
            else:
                self.open.add(trial.key)

    def draw(self, slot: SlotRecord) -> None:
        """Takes that a slot has its trials now."""
        self._lanes[slot.lane].undrawn -= 1

    def lanes(self) -> list[LaneStanding]:
        """Each task, data set and cell, in the plan's order."""
        found = []
        for lane, seen in self._lanes.items():
            counts = seen.counts + Counter({Status.PENDING: seen.undrawn * self._replicates})
            best, key = (seen.best.best, seen.best.key) if seen.best else (None, None)
            found.append(LaneStanding(*lane, counts, best, key, _values(seen.trials.values()), seen.timed))
        return found


def find_left(lanes: Sequence[LaneStanding], concurrent: int) -> dict[Lane, float]:
    """Seconds until a lane's trials have ended, were each lane to wait for the one before: their sum is that of the sweep.

    Each trial will take the mean of those that have ended in its lane, or in any where none has; empty before the first end.

    Args:
        concurrent: Trials that run at once.
    """
    number, seconds = sum(lane.timed[0] for lane in lanes), sum(lane.timed[1] for lane in lanes)
    if not number:
        return {}
    means = {lane.lane: lane.timed[1] / lane.timed[0] if lane.timed[0] else seconds / number for lane in lanes}
    return {lane.lane: means[lane.lane] * lane.num_open / concurrent for lane in lanes}


def _time(timed: tuple[int, float], trial: TrialRecord, sign: int) -> tuple[int, float]:
    if trial.status not in FINAL or trial.wall_s is None or trial.reused:
        return timed
    return timed[0] + sign, timed[1] + sign * trial.wall_s


def _values(trials: Iterable[TrialRecord]) -> tuple[float, ...]:
    """Best values of the search trials that have completed."""
    searched = (trial for trial in trials if trial.status == Status.COMPLETED and trial.stage == "search")
    return tuple(trial.best for trial in searched if trial.best is not None)


def _best(trials: Iterable[TrialRecord]) -> TrialRecord | None:
    """The best search trial of one task; among equals the first of the plan."""
    badly = (Status.DIVERGED, Status.FAILED)
    scored = [trial for trial in trials if trial.stage == "search" and trial.best is not None and trial.status not in badly]
    if not scored:
        return None
    sign = 1.0 if is_maximized(scored[0].task) else -1.0
    # Of two records of one trial the later.
    return max(reversed(scored), key=lambda trial: (sign * (trial.best or 0.0), -trial.position))


def total(lanes: Iterable[LaneStanding]) -> Counter[Status]:
    """Trials of the whole sweep by status."""
    counts: Counter[Status] = Counter()
    for lane in lanes:
        counts.update(lane.counts)
    return counts


def leader(lanes: Sequence[LaneStanding]) -> LaneStanding | None:
    """Where the best trial is; None before there is one and where a sweep has several tasks or data sets."""
    scored = [lane for lane in lanes if lane.best is not None]
    if not scored or len({(lane.task, lane.data) for lane in lanes}) != 1:
        return None
    sign = 1.0 if is_maximized(scored[0].task) else -1.0
    return max(scored, key=lambda lane: sign * (lane.best or 0.0))


def status_json(
    name: str,
    lanes: Sequence[LaneStanding],
    specs: Mapping[str, TrialSpec],
    metric: Callable[[str], str],
    seconds: float,
) -> dict[str, Any]:
    """The document of `status --json` (DESIGN section 4): counts, the best trial, and one result for each task, data set and cell.

    Args:
        specs: Of the best trials, by key.
        metric: Gives the name of a task's metric.
        seconds: Wall clock over all sittings.
    """
    counts, first = total(lanes), leader(lanes)
    return {
        "sweep": name,
        "status": sweep_status(counts),
        "planned": counts.total(),
        **_counts(counts),
        "best": _best_json(first, specs, metric) if first else None,
        "seconds": seconds,
        "results": [
            {
                "task": lane.task,
                "data": lane.data,
                "cell": lane.cell,
                "planned": lane.planned,
                **_counts(lane.counts),
                "best": _best_json(lane, specs, metric),
            }
            for lane in lanes
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


def _best_json(lane: LaneStanding, specs: Mapping[str, TrialSpec], metric: Callable[[str], str]) -> dict[str, Any] | None:
    if lane.best_key is None:
        return None
    return {"trial": lane.best_key, "value": lane.best, "metric": metric(lane.task), "params": dict(specs[lane.best_key].parameters)}
