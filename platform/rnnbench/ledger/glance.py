"""A sweep at a glance: how it stands, counted by the database, of ten thousand trials in the time of ten.

The queries are plain SQL, so that they run with and without SQLAlchemy, whose import takes longer than all of `rnnbench status`.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rnnbench.base.errors import UnknownSweepError
from rnnbench.base.filesystem import network_filesystem
from rnnbench.base.names import never_ran
from rnnbench.ledger.plainjson import decode
from rnnbench.ledger.records import FINAL, Holder, LaneStanding, LeaseRecord, Status
from rnnbench.ledger.schema import BUSY_TIMEOUT_S, SCHEMA, VERSION_TABLE
from rnnbench.trial.spec import Lane, TrialSpec

# A statement and its values, to its rows.
Execute = Callable[[str, Mapping[str, Any]], Iterable[Any]]

# What a trial that ended so had reached counts for nothing.
_ENDED_BADLY = (Status.DIVERGED, Status.FAILED)
_SPEC = {"sqlite": "json_extract(trials.spec, '$.{}')", "postgresql": "trials.spec ->> '{}'"}
_TRIALS = "FROM trials JOIN planned ON planned.trial_key = trials.key WHERE planned.sweep = :sweep"


class Glance:
    """What a ledger says about its sweeps at one moment.

    Args:
        execute: Runs a statement, in one transaction with the others.
        dialect: sqlite or postgresql.
    """

    def __init__(self, execute: Execute, dialect: str) -> None:
        self._execute = execute
        self._task, self._data, self._cell, self._stage = (_SPEC[dialect].format(part) for part in ("task", "data", "cell", "stage"))

    def session_s(self, name: str) -> float:
        """Wall clock of a sweep over all sittings.

        Raises:
            UnknownSweepError: none of that name has run; the text has the nearest.
        """
        for (seconds,) in self._execute("SELECT session_s FROM sweeps WHERE name = :sweep", {"sweep": name}):
            return float(seconds)
        names = [row[0] for row in self._execute("SELECT name FROM sweeps ORDER BY created_at, name", {})]
        raise UnknownSweepError(never_ran(name, names))

    def has_ended(self, name: str) -> bool:
        """Whether a sweep of this name has run, and every trial that was planned for it has ended."""
        sweeps = list(self._execute("SELECT ended_at FROM sweeps WHERE name = :sweep", {"sweep": name}))
        return bool(sweeps) and sweeps[0][0] is not None

    def leases(self) -> list[LeaseRecord]:
        """Every lease, of each sweep the eldest first."""
        query = "SELECT sweep, token, host, pid, process, joined, since, beat_at, beats, stop FROM leases ORDER BY sweep, since, token"
        return [
            LeaseRecord(sweep, Holder(token, host, pid, process), bool(joined), _moment(since), _moment(beat_at), beats, stop)
            for sweep, token, host, pid, process, joined, since, beat_at, beats, stop in self._execute(query, {})
        ]

    def standings(self, name: str, live: Collection[str], maximized: Callable[[str], bool]) -> list[LaneStanding]:
        """How a sweep stands, by task, data set and cell in the plan's order.

        Args:
            live: Tokens of the leases whose holders are at work: a trial that runs under none of them was left behind.
            maximized: Whether a task's metric is better when higher.
        """
        counts: dict[Lane, Counter[Status]] = {}
        first: dict[Lane, int] = {}
        best: dict[Lane, float] = {}
        timed: dict[Lane, tuple[int, float]] = {}
        for task, data, cell, stage, status, holder, number, place, low, high, ended, seconds in self._counted(name):
            lane = task, data, cell
            is_left = status == Status.RUNNING and holder not in live
            counts.setdefault(lane, Counter())[Status.INTERRUPTED if is_left else Status(status)] += number
            first[lane] = min(place, first.get(lane, place))
            if status in FINAL and ended:
                before = timed.get(lane, (0, 0.0))
                timed[lane] = before[0] + ended, before[1] + seconds
            if low is not None and high is not None and stage == "search" and status not in _ENDED_BADLY:
                best[lane] = max(high, best.get(lane, high)) if maximized(task) else min(low, best.get(lane, low))
        replicates = self._replicates(name)
        for task, data, cell, slots, place in self._undrawn(name):
            lane = task, data, cell
            counts.setdefault(lane, Counter())[Status.PENDING] += slots * replicates
            first[lane] = min(place, first.get(lane, place))
        keys = {lane: self._first_with(name, lane, value) for lane, value in best.items()}
        return [
            LaneStanding(*lane, counts[lane], best.get(lane), keys.get(lane), timed=timed.get(lane, (0, 0.0)))
            for lane in sorted(counts, key=first.__getitem__)
        ]

    def values(self, name: str) -> dict[Lane, list[float]]:
        """Best values of a sweep's completed search trials, by task, data set and cell."""
        query = f"""SELECT {self._task}, {self._data}, {self._cell}, trials.best {_TRIALS}
            AND trials.best IS NOT NULL AND trials.status = 'completed' AND {self._stage} = 'search'"""
        found: dict[Lane, list[float]] = {}
        for task, data, cell, value in self._execute(query, {"sweep": name}):
            found.setdefault((task, data, cell), []).append(value)
        return found

    def running(self, name: str) -> Counter[str | None]:
        """How many of a sweep's trials run under each lease, by token."""
        query = f"SELECT trials.holder, count(*) {_TRIALS} AND trials.status = 'running' GROUP BY trials.holder"
        return Counter(dict(map(tuple, self._execute(query, {"sweep": name}))))

    def get_spec(self, key: str) -> TrialSpec:
        """The spec of a trial that is there."""
        ((spec,),) = self._execute("SELECT spec FROM trials WHERE key = :key", {"key": key})
        return TrialSpec.from_dict(decode(_plain(spec)))

    def _replicates(self, name: str) -> int:
        rows = self._execute("SELECT settings FROM sweeps WHERE name = :sweep", {"sweep": name})
        return next((_plain(settings).get("replicates", 1) for (settings,) in rows), 1)

    def _counted(self, name: str) -> Iterable[Any]:
        """Trials by task, data set, cell, stage, status and who runs them, and what those took that this sweep ran."""
        return self._execute(
            f"""SELECT {self._task}, {self._data}, {self._cell}, {self._stage}, trials.status,
                CASE WHEN trials.status = 'running' THEN trials.holder END,
                count(*), min(planned.position), min(trials.best), max(trials.best),
                sum(CASE WHEN planned.reused OR trials.wall_s IS NULL THEN 0 ELSE 1 END),
                sum(CASE WHEN planned.reused THEN 0 ELSE trials.wall_s END) {_TRIALS} GROUP BY 1, 2, 3, 4, 5, 6""",
            {"sweep": name},
        )

    def _undrawn(self, name: str) -> Iterable[Any]:
        query = "SELECT task, data, cell, count(*), min(position) FROM slots WHERE sweep = :sweep AND drawn_at IS NULL"
        return self._execute(f"{query} GROUP BY task, data, cell", {"sweep": name})

    def _first_with(self, name: str, lane: Lane, best: float) -> str | None:
        """The first search trial of the plan that reached a value."""
        query = f"""SELECT trials.key {_TRIALS} AND trials.best = :best AND trials.status NOT IN ('diverged', 'failed')
            AND {self._stage} = 'search' AND {self._task} = :task AND {self._data} = :data AND {self._cell} = :cell
            ORDER BY planned.position LIMIT 1"""
        values = {"sweep": name, "best": best, "task": lane[0], "data": lane[1], "cell": lane[2]}
        return next((key for (key,) in self._execute(query, values)), None)


@contextmanager
def glance_at_file(file: Path) -> Iterator[Glance | None]:
    """Looks at an SQLite ledger without a lock that its writer would wait for; None where only opening it as a `Ledger` helps or tells why.

    That is so where it is not there or not readable, lies on a network file system, or has another schema.
    """
    try:
        if network_filesystem(file):
            raise sqlite3.OperationalError("on a network file system")
        connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S)
    except sqlite3.Error:
        yield None
        return
    with closing(connection):
        yield Glance(connection.execute, "sqlite") if _is_current(connection) else None


def _is_current(connection: sqlite3.Connection) -> bool:
    """Begins to read, all of one moment; says whether this program's tables are there."""
    try:
        connection.execute("PRAGMA query_only=ON")
        connection.execute("BEGIN")
        return connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchall() == [(SCHEMA,)]  # noqa: S608 - ours
    except sqlite3.Error:
        return False


def _moment(value: str | datetime) -> datetime:
    """A moment as a driver gives it: PostgreSQL's has its zone, SQLite's is a text in UTC."""
    return datetime.fromisoformat(value).replace(tzinfo=UTC) if isinstance(value, str) else value.astimezone(UTC)


def _plain(value: Any) -> Any:
    """JSON as a driver gives it: SQLite's is a text."""
    return json.loads(value) if isinstance(value, str) else value
