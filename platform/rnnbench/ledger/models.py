"""The tables of the ledger, schema version 4."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Double, ForeignKey, Index, Integer, String, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

# SQLite gives a row number to INTEGER keys only.
RowNumber = BigInteger().with_variant(Integer, "sqlite")


class UtcDateTime(TypeDecorator[datetime]):
    """A moment with its time zone: SQLite drops the zone, this puts UTC back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Stores UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Reads UTC."""
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class Base(DeclarativeBase):
    """The ledger's tables."""


class SweepRow(Base):
    """A sweep as it was planned."""

    __tablename__ = "sweeps"
    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    path: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    settings: Mapped[dict[str, Any]] = mapped_column(JSON)
    environment: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    session_s: Mapped[float] = mapped_column(Double, default=0.0)


class TrialRow(Base):
    """A trial; it exists once, however many sweeps hold it."""

    __tablename__ = "trials"
    key: Mapped[str] = mapped_column(String(64), primary_key=True)  # sha256 of what determines the result
    group_key: Mapped[str] = mapped_column(String(64))
    spec: Mapped[dict[str, Any]] = mapped_column(JSON)
    status: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    best: Mapped[float | None]
    best_epoch: Mapped[int | None]
    last: Mapped[float | None]
    wall_s: Mapped[float | None]
    outcome: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    error: Mapped[str | None] = mapped_column(Text)
    category: Mapped[str | None] = mapped_column(String(32))
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    test_opened_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    failures: Mapped[int] = mapped_column(Integer, default=0)  # attempts that failed; an interruption is none
    rung: Mapped[int] = mapped_column(Integer, default=0)  # the epoch at which a scheduler last had it wait
    holder: Mapped[str | None] = mapped_column(String(64))  # token of the lease under which it runs
    __table_args__ = (Index("trials_status", "status"),)


class AttemptRow(Base):
    """One attempt at a trial: who ran it and how it ended; `status` is running until it has."""

    __tablename__ = "attempts"
    trial_key: Mapped[str] = mapped_column(ForeignKey("trials.key"), primary_key=True)
    attempt: Mapped[int] = mapped_column(Integer, primary_key=True)
    sweep: Mapped[str] = mapped_column(String(100))
    status: Mapped[str] = mapped_column(String(16))
    category: Mapped[str | None] = mapped_column(String(32))
    error: Mapped[str | None] = mapped_column(Text)
    wall_s: Mapped[float | None]
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class PlannedRow(Base):
    """A trial's place in a sweep's plan."""

    __tablename__ = "planned"
    sweep: Mapped[str] = mapped_column(ForeignKey("sweeps.name"), primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True)
    trial_key: Mapped[str] = mapped_column(ForeignKey("trials.key"))
    draw: Mapped[int] = mapped_column(Integer)
    replicate: Mapped[int] = mapped_column(Integer)
    reused: Mapped[bool] = mapped_column(default=False)
    __table_args__ = (Index("planned_once", "sweep", "trial_key", unique=True), Index("planned_trial", "trial_key"))


class SlotRow(Base):
    """A numbered place in an adaptive search; its parameters are drawn when it is claimed, from the results recorded so far."""

    __tablename__ = "slots"
    sweep: Mapped[str] = mapped_column(ForeignKey("sweeps.name"), primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True)  # of its first trial in the plan
    task: Mapped[str] = mapped_column(String(100))
    data: Mapped[str] = mapped_column(String(300))
    cell: Mapped[str] = mapped_column(String(100))
    draw: Mapped[int] = mapped_column(Integer)
    drawn_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    evidence: Mapped[dict[str, Any] | None] = mapped_column(JSON)  # what the draw was made from
    __table_args__ = (Index("slots_once", "sweep", "task", "data", "cell", "draw", unique=True),)


class DecisionRow(Base):
    """A scheduler's verdict on one trial at one rung, with the values it was made from."""

    __tablename__ = "decisions"
    id: Mapped[int] = mapped_column(RowNumber, primary_key=True, autoincrement=True)
    sweep: Mapped[str] = mapped_column(ForeignKey("sweeps.name"))
    trial_key: Mapped[str] = mapped_column(ForeignKey("trials.key"))
    rung: Mapped[int] = mapped_column(Integer)
    verdict: Mapped[str] = mapped_column(String(16))
    evidence: Mapped[dict[str, Any]] = mapped_column(JSON)
    decided_at: Mapped[datetime] = mapped_column(UtcDateTime)
    __table_args__ = (Index("decisions_once", "sweep", "trial_key", "rung", unique=True),)


class LeaseRow(Base):
    """Who works on a sweep; a holder counts `beats` up while it lives."""

    __tablename__ = "leases"
    token: Mapped[str] = mapped_column(String(64), primary_key=True)
    sweep: Mapped[str] = mapped_column(ForeignKey("sweeps.name"))
    joined: Mapped[bool]  # others may hold the sweep beside it
    host: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int] = mapped_column(Integer)
    process: Mapped[str] = mapped_column(String(255))  # tells this process from a later one with the same pid
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    beat_at: Mapped[datetime] = mapped_column(UtcDateTime)
    beats: Mapped[int] = mapped_column(Integer, default=0)
    stop: Mapped[str | None] = mapped_column(String(16))  # what somebody asks of the holder: cancel
    __table_args__ = (Index("leases_sweep", "sweep"),)


class EpochRow(Base):
    """One epoch of a trial; an epoch run again by a later attempt replaces the earlier row."""

    __tablename__ = "epochs"
    trial_key: Mapped[str] = mapped_column(ForeignKey("trials.key"), primary_key=True)
    epoch: Mapped[int] = mapped_column(Integer, primary_key=True)
    attempt: Mapped[int] = mapped_column(Integer)
    wall_s: Mapped[float] = mapped_column(Double)
    metrics: Mapped[dict[str, Any]] = mapped_column(JSON)


class OutboxRow(Base):
    """An event for the tracking server, written in the transaction of what it tells."""

    __tablename__ = "outbox"
    id: Mapped[int] = mapped_column(RowNumber, primary_key=True, autoincrement=True)
    sweep: Mapped[str] = mapped_column(ForeignKey("sweeps.name"))
    kind: Mapped[str] = mapped_column(String(32))
    trial_key: Mapped[str | None] = mapped_column(ForeignKey("trials.key"))
    payload: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    delivered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    __table_args__ = (Index("outbox_waiting", "delivered_at", "id"),)
