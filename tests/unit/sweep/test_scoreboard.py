"""The scoreboard of a running sweep says what the ledger would count."""

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import pytest

from rnnbench.ledger.records import FINAL, SlotRecord, Status, TrialRecord
from rnnbench.sweep.scoreboard import Scoreboard, find_left, leader, total
from rnnbench.task.catalogue import is_maximized
from rnnbench.trial.spec import TrialSpec


def trial(position: int, task: str, cell: str, stage: Literal["search", "confirm"] = "search") -> TrialRecord:
    spec = TrialSpec(stage, task, 1, "d", "f", cell, 1, {}, position)
    empty = (None,) * 4
    return TrialRecord(f"{position:03}", "g", position, spec, Status.PENDING, False, 0, *empty, {}, *(None,) * 5)


def changes(trials: list[TrialRecord], seed: int) -> Iterator[TrialRecord]:
    """Trials that start, report and end in a random order."""
    draw = random.Random(seed)
    current = {one.key: one for one in trials}
    while unfinished := [one for one in current.values() if one.status not in FINAL]:
        one = draw.choice(unfinished)
        if one.status == Status.PENDING:
            one = replace(one, status=Status.RUNNING)
        elif draw.random() < 0.6:
            worst = 0.0 if is_maximized(one.task) else 1.0
            found = (max if is_maximized(one.task) else min)(worst if one.best is None else one.best, round(draw.random(), 1))
            one = replace(one, best=found)
        else:
            one = replace(one, status=draw.choice(sorted(FINAL)), wall_s=draw.random())
        current[one.key] = one
        yield one


@pytest.mark.parametrize("seed", range(20))
def test_what_is_followed_change_by_change_is_what_one_look_at_the_end_sees(seed: int) -> None:
    trials = [
        trial(n, ("adding", "sequential_digits")[n % 2], ("gru", "lstm")[n // 2 % 2], "confirm" if n > 8 else "search") for n in range(12)
    ]
    board = Scoreboard(trials)
    for one in changes(trials, seed):
        board.add([one])
        fresh = Scoreboard(board.trials.values())
        assert board.lanes() == fresh.lanes()
        assert board.open == fresh.open
        assert find_left(board.lanes(), 2) == pytest.approx(find_left(fresh.lanes(), 2), abs=1e-9)
    for lane in board.lanes():
        values = [
            one.best
            for one in board.trials.values()
            if (one.task, one.cell) == (lane.task, lane.cell)
            and one.stage == "search"
            and one.best is not None
            and one.status in (Status.COMPLETED, Status.CANCELLED)
        ]
        assert lane.best == ((max if is_maximized(lane.task) else min)(values) if values else None)
    assert total(board.lanes()).total() == len(trials)


def test_the_leader_is_the_best_of_one_task_and_nobody_where_there_are_several() -> None:
    low = replace(trial(0, "adding", "gru"), best=0.5, status=Status.COMPLETED)
    lower = replace(trial(1, "adding", "lstm"), best=0.25, status=Status.COMPLETED)
    other = replace(trial(2, "sequential_digits", "lstm"), best=0.9, status=Status.COMPLETED)
    lead = leader(Scoreboard([low, lower]).lanes())
    assert lead is not None
    assert (lead.cell, lead.best_key) == ("lstm", "001")
    assert leader(Scoreboard([low, lower, other]).lanes()) is None
    assert leader(Scoreboard([trial(0, "adding", "gru")]).lanes()) is None


def test_slots_that_are_not_drawn_count_as_pending() -> None:
    slots = [SlotRecord(place, "adding", "d", "gru", place, False, None) for place in range(3)]
    board = Scoreboard([], slots, replicates=2)
    board.draw(slots[0])
    assert total(board.lanes()) == {Status.PENDING: 4}
