"""A sweep's plan in the ledger: its trials and slots, in an order that only grows at its end."""

import difflib
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from rnnbench.base.errors import PlanChangedError
from rnnbench.base.names import printable
from rnnbench.ledger.models import OutboxRow, PlannedRow, SlotRow, SweepRow, TrialRow
from rnnbench.ledger.records import Status, SweepRecord
from rnnbench.ledger.rows import CHUNK, chunks, select_trials, trial_values
from rnnbench.trial.spec import Foundation, Lane, TrialSpec

# Task, data set, cell and number of a slot.
Place = tuple[str, str, str, int]

REOPENED = {"status": Status.PENDING, "failures": 0, "error": None, "category": None, "ended_at": None}


def add_trials(session: Session, name: str, specs: Sequence[TrialSpec], position: int | None = None) -> None:
    """Plans the trials that are new to the sweep, from a position on or behind its last; what another sweep has ended is taken as it is."""
    planned = set(session.scalars(select(PlannedRow.trial_key).where(PlannedRow.sweep == name)))
    if position is None:
        position = _next_position(session, name)
    fresh = {key: spec for spec in specs if (key := spec.key()) not in planned}
    if not fresh:
        return
    # Two sweeps may plan the same trial at once: whoever comes second finds it there.
    # Only the dialect at hand: importing the other costs a tenth of what `status` takes.
    insert = import_module(f"sqlalchemy.dialects.{session.get_bind().dialect.name}").insert(TrialRow).on_conflict_do_nothing()
    for chunk in chunks(list(fresh.items()), CHUNK // 10):
        session.execute(insert, [trial_values(key, spec) for key, spec in chunk])
    known: dict[str, str] = {}
    for chunk in chunks(list(fresh)):
        known |= dict(session.execute(select(TrialRow.key, TrialRow.status).where(TrialRow.key.in_(chunk))).all())
    # What ended without a result elsewhere is worth another try here.
    lost = [key for key, status in known.items() if status in (Status.FAILED, Status.CANCELLED)]
    for chunk in chunks(lost):
        session.execute(update(TrialRow).where(TrialRow.key.in_(chunk)).values(REOPENED))
    for key, spec in fresh.items():
        reused = known[key] in (Status.COMPLETED, Status.DIVERGED)
        place = {"position": position, "draw": spec.draw, "replicate": spec.replicate, "reused": reused}
        session.add(PlannedRow(sweep=name, trial_key=key, **place))
        if reused:
            session.add(OutboxRow(sweep=name, kind="trial_finished", trial_key=key, payload={}))
        position += 1
    session.execute(update(SweepRow).where(SweepRow.name == name).values(ended_at=None))


def add_slots(session: Session, name: str, slots: Sequence[Place], replicates: int) -> None:
    """Plans the slots that the sweep has not yet, each with room for its replicates."""
    known = _places(session, name)
    position = _next_position(session, name, replicates)
    for place in slots:
        if place not in known:
            task, data, cell, draw = place
            session.add(SlotRow(sweep=name, position=position, task=task, data=data, cell=cell, draw=draw))
            position += replicates


def require_extension(
    session: Session,
    row: SweepRow,
    sweep: SweepRecord,
    specs: Sequence[TrialSpec],
    slots: Sequence[Place],
    foundations: Mapping[Lane, Foundation],
) -> None:
    """Refuses a new plan for a sweep in the ledger unless all that was planned is in it.

    Raises:
        PlanChangedError: it is not; the text shows the lines of the file that differ.
    """
    held = _places(session, row.name)
    searched = [trial.spec for trial in select_trials(session, row.name) if trial.spec.stage == "search"]
    moved = _moved(searched, foundations)
    if held:
        # What an adaptive search draws is not planned: its file must be the same but for the number of slots.
        settings = [_without_num_samples(each) for each in (row.settings, sweep.settings)]
        if held <= set(slots) and settings[0] == settings[1] and not moved:
            return
    elif not slots and {spec.key() for spec in searched} <= {spec.key() for spec in specs}:
        return
    old, new = row.text.splitlines(), sweep.text.splitlines()
    lines = [line for line in difflib.unified_diff(old, new, n=0, lineterm="") if not line.startswith(("---", "+++", "@@"))]
    shown = "; ".join([*(printable(line) for line in lines[:6]), *moved]) or "the settings given on the command line"
    raise PlanChangedError(
        f"sweep '{row.name}' exists with another plan, and what it planned is not part of the new one. "
        f"What differs: {shown}. Give the new one a name of its own: --name {row.name}-2"
    )


def _moved(specs: Sequence[TrialSpec], foundations: Mapping[Lane, Foundation]) -> list[str]:
    """What the recorded trials of a sweep are made of and new ones would not be, in words."""
    found: dict[str, None] = {}
    for spec in specs:
        new = foundations.get(spec.lane, spec.foundation)
        for words, before, now in zip(
            (
                f"the data '{spec.data}'",
                f"the version of task '{spec.task}'",
                f"the version of cell '{spec.cell}'",
                "the version of the loop",
            ),
            spec.foundation,
            new,
            strict=True,
        ):
            if before != now:
                found[printable(words)] = None
    return list(found)


def _places(session: Session, name: str) -> set[Place]:
    query = select(SlotRow.task, SlotRow.data, SlotRow.cell, SlotRow.draw).where(SlotRow.sweep == name)
    return {(task, data, cell, draw) for task, data, cell, draw in session.execute(query)}


def _next_position(session: Session, name: str, replicates: int | None = None) -> int:
    last = session.scalar(select(func.max(PlannedRow.position)).where(PlannedRow.sweep == name))
    positions = session.scalars(select(SlotRow.position).where(SlotRow.sweep == name).order_by(SlotRow.position)).all()
    # A slot keeps the places of its replicates free: as many as lie between two slots.
    width = replicates or (positions[1] - positions[0] if len(positions) > 1 else 1000)
    return max(-1 if last is None else last, positions[-1] + width - 1 if positions else -1) + 1


def _without_num_samples(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the draws of an adaptive search depend on."""
    search = {name: value for name, value in settings["search"].items() if name != "num_samples"}
    keys = ("task", "cells", "scheduler", "space", "replicates")
    epochs = {name: settings["budget"].get(name) for name in ("max_epochs", "patience")}
    return {name: settings.get(name) for name in keys} | {"search": search, "budget": epochs}
