"""The live view of a sweep: a table on a terminal, a line now and then in a pipe or log."""

import math
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from rnnbench.cli.columns import Column, Columns
from rnnbench.ledger.records import LaneStanding, Status, done_of
from rnnbench.sweep.leading import chances_to_lead
from rnnbench.sweep.scoreboard import WAITING, Scoreboard, find_left, leader, total
from rnnbench.task.catalogue import get_task, is_maximized, tell_apart
from rnnbench.trial.spec import Lane

PLAIN_EVERY_S = 10.0


class LiveView:
    """Shows a scoreboard while it changes; use as a context manager and call it with the board.

    Args:
        concurrent: How many trials run at once, for the time left.
    """

    def __init__(self, console: Console, title: str, concurrent: int) -> None:
        self._console = console
        self._title = title
        self._concurrent = concurrent
        self._board: Scoreboard | None = None
        self._started = time.monotonic()
        self._said = self._started
        self._live = (
            Live(get_renderable=self._render, console=console, refresh_per_second=4, transient=True) if is_lively(console) else None
        )

    def __enter__(self) -> "LiveView":
        """Starts the display."""
        if self._live:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Ends it and restores the terminal."""
        if self._live:
            self._live.stop()

    def __call__(self, board: Scoreboard) -> None:
        """Takes the newest state."""
        self._board = board
        if self._live is None and time.monotonic() - self._said >= PLAIN_EVERY_S:
            self._said = time.monotonic()
            self._console.print(self._line(board), markup=False, soft_wrap=True)

    def _render(self) -> Group | Text:
        if self._board is None:
            return Text(f"{self._title}: starting ...")
        lanes = self._board.lanes()
        line = Text(self._line(self._board), style="dim")
        # Beside the rows: titles, what more there is, and the line.
        room = max(1, self._console.height - 3 - math.ceil(len(line) / self._console.width))
        if len(lanes) <= room:
            return Group(score_table(lanes, find_left(lanes, self._concurrent)), line)
        # Where something happens, and in the plan's order.
        busy = sorted(lanes, key=lambda lane: not lane.counts[Status.RUNNING])[:room]
        shown = [lane for lane in lanes if lane in busy]
        more = Text(f"... and {len(lanes) - len(shown)} more rows, of which none runs", style="dim")
        return Group(score_table(shown, find_left(lanes, self._concurrent)), more, line)

    def _line(self, board: Scoreboard) -> str:
        lanes = board.lanes()
        return say_standing(self._title, lanes, find_left(lanes, self._concurrent), time.monotonic() - self._started)


def is_lively(console: Console) -> bool:
    """Whether what is printed can change in place: not in a pipe or log, and not on a terminal that cannot move its cursor."""
    return console.is_terminal and not console.is_dumb_terminal


def score_table(lanes: Sequence[LaneStanding], left: Mapping[Lane, float] | None = None) -> Columns:
    """One row for each task, data set and cell: what ended and how, best so far; while trials are left, its chance to lead.

    Trials that were cancelled are counted apart, where there are any.

    Args:
        left: Seconds that each row still needs, see `find_left`; None: not known, or nobody works on it.
    """
    titles = tell_apart((lane.task, lane.data) for lane in lanes)
    places = [(lane.task, lane.data) for lane in lanes]
    counts = {status: [lane.counts[status] for lane in lanes] for status in Status}
    waiting = [str(sum(lane.counts[status] for status in WAITING)) for lane in lanes]
    # First to go where there is little room: what is the same in every row, and what says nothing.
    columns = [
        Column("task", [titles[place] for place in places], rank=9 if len(titles) == 1 else 2, left=True),
        Column("cell", [lane.cell for lane in lanes], left=True),
        Column("done", [f"{lane.done}/{lane.planned}" for lane in lanes]),
        Column("running", list(map(str, counts[Status.RUNNING])), rank=4),
        Column("waiting", waiting, rank=6),
    ]
    badly = (Status.DIVERGED, Status.FAILED, *([Status.CANCELLED] if any(counts[Status.CANCELLED]) else []))
    columns += [Column(status.value, list(map(str, counts[status])), rank=3 if any(counts[status]) else 8) for status in badly]
    best = ["-" if lane.best is None else f"{get_task(lane.task).metric.name} {lane.best:.4g}" for lane in lanes]
    columns += [Column("best", best, rank=1), Column("trial", [(lane.best_key or "-")[:8] for lane in lanes], rank=7, left=True)]
    chances = {place: find_chances([lane for lane in lanes if (lane.task, lane.data) == place]) for place in titles}
    if any(chances.values()):
        leads = [f"{100 * chances[place][lane.cell]:.0f} %" if chances[place] else "-" for place, lane in zip(places, lanes, strict=True)]
        columns.append(Column("leads", leads, rank=2))
    if left and any(lane.is_open for lane in lanes):
        columns.append(Column("left", [seconds(left[lane.lane]) if lane.is_open else "-" for lane in lanes], rank=5))
    return Columns(columns)


def say_standing(name: str, lanes: Sequence[LaneStanding], left: Mapping[Lane, float] | None, so_far_s: float | None = None) -> str:
    """How a sweep stands, in a line: what is done, how long it still takes, the best so far, and who leads how surely."""
    counts = total(lanes)
    words = [f"{name}: {done_of(counts)}/{counts.total()} done, {counts[Status.RUNNING]} running"]
    words += [f"{seconds(so_far_s)} so far"] if so_far_s is not None else []
    words += [f"about {seconds(sum(left.values()))} left"] if left and sum(left.values()) else []
    if (best := leader(lanes)) is not None:
        words.append(f"best {get_task(best.task).metric.name} {best.best:.4g} ({best.cell} {(best.best_key or '')[:8]})")
        if chances := find_chances(lanes):
            ahead = max(chances, key=chances.__getitem__)
            words.append(f"{ahead} leads with chance {100 * chances[ahead]:.0f} %")
    return ", ".join(words)


def find_chances(lanes: Sequence[LaneStanding]) -> dict[str, float]:
    """The chance of each cell of one task and data set to lead; empty where too little is known, or all is known."""
    if not any(lane.is_open for lane in lanes):
        return {}
    return _led(tuple((lane.cell, lane.values) for lane in lanes), 1.0 if is_maximized(lanes[0].task) else -1.0)


@lru_cache(maxsize=8)
def _led(values: tuple[tuple[str, tuple[float, ...]], ...], sign: float) -> dict[str, float]:
    """Once for each trial that ends, not for each picture."""
    return chances_to_lead(dict(values), sign) or {}


def seconds(value: float) -> str:
    """Seconds in words: 8 s, 3 min 20 s, 2 h 05 min."""
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
