"""What the ledger hands out: frozen plain records, no SQLAlchemy object leaves this package."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from rnnbench.base.canonical import Plain
from rnnbench.trial.spec import TrialSpec


class Status(StrEnum):
    """Where a trial is; the last four are final."""

    PENDING = "pending"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    COMPLETED = "completed"
    DIVERGED = "diverged"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINAL = frozenset({Status.COMPLETED, Status.DIVERGED, Status.FAILED, Status.CANCELLED})


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
class TrialRecord:
    """A trial as it stands.

    Attributes:
        position: Place in the sweep's plan, from 0.
        reused: Another sweep had already finished this key when this sweep was planned.
        best: Best validation value of the task's metric, None before the first finished epoch; `last` the latest epoch's.
        outcome: What the trial reported at its end: `test` metrics where opened, num_parameters, train_s, peak_memory_bytes,
            threads, device, mode, baselines, versions ...; empty before.
        error: Traceback of a failed trial, at most 64 kB; `category` says oom, timeout, hang, error or worker_killed.
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


@dataclass(frozen=True)
class OutboxRecord:
    """One event to deliver to the tracking server; `id` grows in the order of the events."""

    id: int
    sweep: str
    kind: str
    trial_key: str | None
    payload: Mapping[str, Plain]
