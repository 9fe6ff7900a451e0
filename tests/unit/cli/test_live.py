"""The table of a sweep: what has ended, and what was given up."""

import io
from collections import Counter

import pytest
from rich.console import Console

from rnnbench.cli.columns import show
from rnnbench.cli.live import LiveView, is_lively, say_standing, score_table
from rnnbench.ledger.records import LaneStanding, Status
from rnnbench.sweep.scoreboard import find_left


def shown(**counts: int) -> dict[str, str]:
    """The table's one row, by its titles."""
    lane = LaneStanding("adding", "generated", "gru", Counter({Status(name): number for name, number in counts.items()}), None, None)
    titles, row = table([lane], 200)
    return dict(zip(titles.split(), row.split(), strict=True))


def table(lanes: list[LaneStanding], width: int, concurrent: int = 2) -> list[str]:
    """The lines on a terminal of a width."""
    console = Console(width=width, force_terminal=True, no_color=True, color_system=None)
    with console.capture() as captured:
        show(console, score_table(lanes, find_left(lanes, concurrent)))
    return captured.get().splitlines()


def standing(cell: str, values: tuple[float, ...], timed: tuple[int, float], **counts: int) -> LaneStanding:
    best, key = (max(values), f"{cell}-key") if values else (None, None)
    counted = Counter({Status(name): number for name, number in counts.items()})
    return LaneStanding("sequential_digits", "digits", cell, counted, best, key, values, timed)


RUNNING = [
    standing("elman", (0.5, 0.6, 0.55), (3, 6.0), completed=3, running=1, pending=6),
    standing("gru", (0.8, 0.9, 0.85), (3, 12.0), completed=3, running=1, pending=6),
    standing("layer_norm_lstm", (0.7, 0.95, 0.85), (3, 30.0), completed=3, running=0, pending=7),
]


def test_each_row_says_what_is_done_the_best_who_leads_and_what_is_left_on_80_columns_too() -> None:
    for width in (120, 80):
        titles, elman, gru, lstm = table(RUNNING, width)
        assert {"cell", "done", "running", "best", "leads", "left"} <= set(titles.split())
        assert elman.split()[-4:] == ["0", "%", "7", "s"]  # 7 trials of 2 s, two at once
        assert gru.endswith("14 s")
        assert "layer_norm_lstm  3/10" in lstm
        assert lstm.endswith("35 s")
        assert max(map(len, (titles, elman, gru, lstm))) <= width
    assert "task" not in titles, "the same in all rows"
    assert "accuracy 0.95" in lstm


def test_the_line_below_says_how_long_it_takes_and_who_leads_how_surely() -> None:
    # Its best of three draws is 0.95 with chance 19/27, 0.85 with 7/27; so is gru's 0.8 with 1/27 and 0.85, a tie, with 7/27.
    chance = 19 / 27 + 7 / 27 * (1 + 3.5) / 27
    said = say_standing("mine", RUNNING, find_left(RUNNING, 2), 48.0)
    assert said == (
        "mine: 9/30 done, 2 running, 48 s so far, about 56 s left, best accuracy 0.95 (layer_norm_lstm layer_no), "
        f"layer_norm_lstm leads with chance {100 * chance:.0f} %"
    )


def test_before_a_trial_has_ended_nothing_is_said_of_the_best_nor_of_the_time_left() -> None:
    waiting = [standing(cell, (), (0, 0.0), running=1, pending=9) for cell in ("gru", "lstm")]
    assert say_standing("mine", waiting, find_left(waiting, 2), 1.0) == "mine: 0/20 done, 2 running, 1 s so far"
    titles, row, _ = table(waiting, 80)
    assert not {"left", "leads"} & set(titles.split())
    assert row.split()[-2:] == ["-", "-"]


def test_a_cell_of_which_no_trial_has_ended_is_forecast_from_the_others_and_failed_ones_need_nothing_more() -> None:
    lanes = [standing("gru", (0.9,), (1, 8.0), completed=1), standing("lstm", (), (0, 0.0), pending=3)]
    assert find_left(lanes, 2) == {("sequential_digits", "digits", "gru"): 0.0, ("sequential_digits", "digits", "lstm"): 12.0}
    failed = [standing("gru", (), (4, 2.0), failed=4)]
    assert "left" not in table(failed, 80)[0]
    assert "failed" in table(failed, 40)[0]


def test_many_rows_leave_the_line_below_on_the_screen() -> None:
    lanes = [standing(f"cell{place}", (0.5,), (1, 1.0), completed=1, running=int(place == 39), pending=3) for place in range(40)]

    class Board:
        def lanes(self) -> list[LaneStanding]:
            return lanes

    console = Console(width=80, height=20, force_terminal=True, no_color=True, color_system=None, file=io.StringIO())
    view = LiveView(console, "mine", 2)
    view(Board())  # type: ignore[arg-type]
    with console.capture() as captured:
        console.print(view._render())
    lines = captured.get().splitlines()
    assert len(lines) < 20
    assert any(line.startswith("cell39 ") for line in lines), "the one that runs"
    assert lines[-3].startswith("... and 25 more rows")
    assert lines[-2].startswith("mine: 40/")


@pytest.mark.parametrize(("term", "terminal", "lively"), [("xterm", True, True), ("dumb", True, False), ("xterm", False, False)])
def test_only_a_terminal_that_can_is_drawn_on_in_place(term: str, terminal: bool, lively: bool) -> None:
    assert is_lively(Console(force_terminal=terminal, _environ={"TERM": term})) == lively


def test_cancelled_trials_are_not_done_and_are_counted_apart() -> None:
    row = shown(completed=2, diverged=1, failed=1, cancelled=3)
    assert (row["done"], row["diverged"], row["failed"], row["cancelled"]) == ("4/7", "1", "1", "3")


def test_a_sweep_that_nobody_cancelled_has_no_column_for_it() -> None:
    row = shown(completed=2, running=1, pending=4)
    assert "cancelled" not in row
    assert (row["done"], row["running"], row["waiting"]) == ("2/7", "1", "4")
