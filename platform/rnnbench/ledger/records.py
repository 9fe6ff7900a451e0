"""What the ledger hands out: frozen plain records, no SQLAlchemy object leaves this package."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from rnnbench.base.canonical import Plain
from rnnbench.trial.spec import Lane, TrialSpec


class Status(StrEnum):
    """Where a trial is; the last four are final."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"  # waits at a rung for a scheduler's decision
    INTERRUPTED = "interrupted"
    COMPLETED = "completed"
    DIVERGED = "diverged"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINAL = frozenset({Status.COMPLETED, Status.DIVERGED, Status.FAILED, Status.CANCELLED})


def done_of(counts: Counter[Status]) -> int:
    """Of trials counted by status, those that came to an end of their own: not those that were cancelled."""
    return sum(counts[status] for status in FINAL - {Status.CANCELLED})


@dataclass(frozen=True)
class SweepRecord:
    """A sweep as it was planned.

    Attributes:
        text: The sweep file's text, as read.
        settings: The resolved sweep file, plain data (the form of DESIGN section 3).
        environment: Versions, machine, code revision, command; plain data.
        session_s: Wall-clock seconds over all sittings so far.
        ended_at: When its last planned trial ended; None while work is pending.
    """

    name: str
    path: str
    text: str
    settings: Mapping[str, Plain]
    environment: Mapping[str, Plain]
    created_at: datetime
    ended_at: datetime | None = None
    session_s: float = 0.0


@dataclass(frozen=True)
class EpochRecord:
    """One epoch of a trial: epoch from 1, seconds since the trial's start, metrics by name (nan and inf allowed)."""

    epoch: int
    wall_s: float
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class LaneStanding:
    """How the trials of one task, data set and cell of a sweep stand.

    Attributes:
        best: Of those of the search stage that did not end badly.
        values: Best values of the search trials that have completed, in no order.
        timed: How many trials have ended here after so many seconds together; those of other sweeps are not among them.
    """

    task: str
    data: str
    cell: str
    counts: Counter[Status]
    best: float | None
    best_key: str | None
    values: tuple[float, ...] = field(default=(), repr=False, compare=False)
    timed: tuple[int, float] = field(default=(0, 0.0), repr=False, compare=False)

    @property
    def lane(self) -> Lane:
        """Whose trials these are."""
        return self.task, self.data, self.cell

    @property
    def planned(self) -> int:
        """Trials planned, of both stages."""
        return self.counts.total()

    @property
    def done(self) -> int:
        """Trials that came to an end of their own: not those that were cancelled."""
        return done_of(self.counts)

    @property
    def num_open(self) -> int:
        """Trials that have still to end, in whatever way."""
        return sum(number for status, number in self.counts.items() if status not in FINAL)

    @property
    def is_open(self) -> bool:
        """Whether there are any."""
        return self.num_open > 0


@dataclass(frozen=True)
class TrialRecord:
    """A trial as it stands.

    Attributes:
        position: Place in the sweep's plan, from 0.
        reused: Another sweep had already finished this key when this sweep was planned.
        best: Best validation value of the task's metric, None before the first finished epoch; `last` the latest epoch's.
        outcome: What the trial reported at its end: `test` metrics where opened, num_parameters, train_s, train_flops (see
            `trial.flops`), latency (of a confirmed trial, see `trial.latency`), peak_memory_bytes, threads, device, mode, baselines,
            test_baselines, versions ...; empty before.
            `peak_memory_of` says whose peak that is: the trial's; its group's, where several trained together; the sum over its
            ranks, or that of the first of them where the others could not be asked; or its process's, other trials before it
            included (as where nothing is said). Of a diverged trial, or one over its time, what it cost until then.
        error: Traceback of a failed trial, at most 64 kB; `category` says oom, timeout, hang, error or worker_killed.
        failures: Attempts that failed; an interruption is none.
        rung: The epoch at which a scheduler last had it wait, 0 before.
        holder: Token of the lease under which it runs.
    """

    key: str
    group_key: str
    position: int
    spec: TrialSpec
    status: Status
    reused: bool
    attempts: int
    best: float | None
    best_epoch: int | None
    last: float | None
    wall_s: float | None
    outcome: Mapping[str, Plain]
    error: str | None
    category: str | None
    started_at: datetime | None
    ended_at: datetime | None
    test_opened_at: datetime | None
    failures: int = 0
    rung: int = 0
    holder: str | None = None

    @property
    def task(self) -> str:
        """Of its spec."""
        return self.spec.task

    @property
    def cell(self) -> str:
        """Of its spec."""
        return self.spec.cell

    @property
    def lane(self) -> Lane:
        """Of its spec."""
        return self.spec.lane

    @property
    def stage(self) -> str:
        """Of its spec."""
        return self.spec.stage

    @property
    def stopped_at(self) -> int | None:
        """The epoch at which a scheduler stopped the trial early; None for one that trained to the end of its budget."""
        epoch = self.outcome.get("stopped_at")
        return epoch if isinstance(epoch, int) else None


@dataclass(frozen=True)
class AttemptRecord:
    """One attempt at a trial, as it ended; `status` is running until it has."""

    key: str
    attempt: int
    sweep: str
    status: Status
    category: str | None
    error: str | None
    wall_s: float | None
    started_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True)
class SlotRecord:
    """A numbered place of an adaptive search; `position` is that of its first trial, `evidence` what its draw was made from."""

    position: int
    task: str
    data: str
    cell: str
    draw: int
    drawn: bool
    evidence: Mapping[str, Plain] | None

    @property
    def lane(self) -> Lane:
        """Whose trials it will hold."""
        return self.task, self.data, self.cell


@dataclass(frozen=True)
class DecisionRecord:
    """A scheduler's verdict on one trial at one rung; `id` grows in the order of the decisions."""

    id: int
    key: str
    rung: int
    verdict: str
    evidence: Mapping[str, Plain]


@dataclass(frozen=True)
class OutboxRecord:
    """One event to deliver to the tracking server; `id` grows in the order of the events."""

    id: int
    sweep: str
    kind: str
    trial_key: str | None
    payload: Mapping[str, Plain]


@dataclass(frozen=True)
class Holder:
    """A process that works on a sweep.

    Attributes:
        token: Of this run alone.
        process: Tells this process from a later one with the same pid; see `rnnbench.sweep.lease`.
    """

    token: str
    host: str
    pid: int
    process: str


@dataclass(frozen=True)
class LeaseRecord:
    """A lease as it stands; `beats` grows while its holder lives, `stop` is what somebody asks of the holder.

    Attributes:
        joined: Others may work on the sweep beside this holder, if they have joined it too.
    """

    sweep: str
    holder: Holder
    joined: bool
    since: datetime
    beat_at: datetime
    beats: int
    stop: str | None
