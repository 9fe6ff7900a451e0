"""How a sweep stands, counted by the database: of ten thousand trials in the time of ten."""

from collections import Counter
from collections.abc import Callable, Collection

from sqlalchemy import Select, and_, case, func, or_, select
from sqlalchemy.orm import Session

from rnnbench.ledger.models import PlannedRow, SlotRow, SweepRow, TrialRow
from rnnbench.ledger.records import LaneStanding, Status
from rnnbench.trial.spec import Lane

# What a trial that ended so had reached counts for nothing.
_ENDED_BADLY = (Status.DIVERGED, Status.FAILED)
_task, _data, _cell, _stage = (TrialRow.spec[part].as_string() for part in ("task", "data", "cell", "stage"))


def read_standings(session: Session, name: str, live: Collection[str], maximized: Callable[[str], bool]) -> list[LaneStanding]:
    """See `Ledger.standings`."""
    sweep = session.get(SweepRow, name)
    replicates = sweep.settings.get("replicates", 1) if sweep else 1
    counts: dict[Lane, Counter[Status]] = {}
    first: dict[Lane, int] = {}
    best: dict[Lane, float] = {}
    for task, data, cell, stage, status, number, place, low, high in session.execute(_counted(name, live)):
        lane = task, data, cell
        counts.setdefault(lane, Counter())[Status(status)] += number
        first[lane] = min(place, first.get(lane, place))
        if low is not None and high is not None and stage == "search" and status not in _ENDED_BADLY:
            best[lane] = max(high, best.get(lane, high)) if maximized(task) else min(low, best.get(lane, low))
    for task, data, cell, slots, place in session.execute(_undrawn(name)):
        lane = task, data, cell
        counts.setdefault(lane, Counter())[Status.PENDING] += slots * replicates
        first[lane] = min(place, first.get(lane, place))
    keys = {lane: session.scalar(_first_with(name, lane, value)) for lane, value in best.items()}
    return [LaneStanding(*lane, counts[lane], best.get(lane), keys.get(lane)) for lane in sorted(counts, key=first.__getitem__)]


def read_values(session: Session, name: str) -> dict[Lane, list[float]]:
    """See `Ledger.values`."""
    found: dict[Lane, list[float]] = {}
    for task, data, cell, value in session.execute(_ended(name)):
        found.setdefault((task, data, cell), []).append(value)
    return found


def _counted(name: str, live: Collection[str]) -> Select[str, str, str, str, str, int, int, float | None, float | None]:
    """Trials by task, data set, cell, stage and status; those that run under no live lease were left behind."""
    is_left = and_(TrialRow.status == Status.RUNNING, or_(TrialRow.holder.is_(None), TrialRow.holder.not_in(live)))
    status = case((is_left, Status.INTERRUPTED.value), else_=TrialRow.status).label("standing")
    parts = (_task.label("task"), _data.label("data"), _cell.label("cell"), _stage.label("stage"), status)
    trials = select(*parts, PlannedRow.position, TrialRow.best).join(PlannedRow).where(PlannedRow.sweep == name).subquery()
    of, by = trials.c, (trials.c.task, trials.c.data, trials.c.cell, trials.c.stage, trials.c.standing)
    return select(*by, func.count(), func.min(of.position), func.min(of.best), func.max(of.best)).group_by(*by)


def _undrawn(name: str) -> Select[str, str, str, int, int]:
    lane = (SlotRow.task, SlotRow.data, SlotRow.cell)
    query = select(*lane, func.count(), func.min(SlotRow.position))
    return query.where(SlotRow.sweep == name, SlotRow.drawn_at.is_(None)).group_by(*lane)


def _ended(name: str) -> Select[str, str, str, float]:
    """Best values of completed search trials."""
    query = select(_task, _data, _cell, TrialRow.best).join(PlannedRow).where(PlannedRow.sweep == name, TrialRow.best.is_not(None))
    return query.where(TrialRow.status == Status.COMPLETED.value, _stage == "search")


def _first_with(name: str, lane: Lane, best: float) -> Select[str]:
    """The first search trial of the plan that reached a value."""
    query = select(TrialRow.key).join(PlannedRow).where(PlannedRow.sweep == name, TrialRow.best == best)
    query = query.where(TrialRow.status.not_in(_ENDED_BADLY), _stage == "search", _task == lane[0], _data == lane[1], _cell == lane[2])
    return query.order_by(PlannedRow.position).limit(1)
