"""The live view of a sweep: a table on a terminal, a line now and then in a pipe or log."""

import time
from collections.abc import Iterable, Sequence
from functools import lru_cache
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from rnnbench.ledger.records import LaneStanding, Status, done_of
from rnnbench.sweep.leading import chances_to_lead
from rnnbench.sweep.scoreboard import WAITING, Scoreboard, leader, total
from rnnbench.task.catalogue import get_task, is_maximized, tell_apart

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
            Live(get_renderable=self._render, console=console, refresh_per_second=4, transient=True) if console.is_terminal else None
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
        return Group(score_table(self._board.lanes()), Text(self._line(self._board), style="dim"))

    def _line(self, board: Scoreboard) -> str:
        lanes = board.lanes()
        counts = total(lanes)
        left = board.seconds_left(self._concurrent)
        words = [
            f"{self._title}: {done_of(counts)}/{counts.total()} done, {counts[Status.RUNNING]} running",
            f"{seconds(time.monotonic() - self._started)} so far",
        ]
        words += [f"about {seconds(left)} left"] if left else []
        if (best := leader(lanes)) is not None:
            words.append(f"best {get_task(best.task).metric.name} {best.best:.4g} ({best.cell} {(best.best_key or '')[:8]})")
        return ", ".join(words)


def score_table(lanes: Iterable[LaneStanding]) -> Table:
    """One row for each task, data set and cell: what ended and how, best so far; while trials are left, its chance to lead.

    Trials that were cancelled are counted apart, where there are any.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("task")
    table.add_column("cell")
    lanes = list(lanes)
    shown = [Status.DIVERGED, Status.FAILED, *([Status.CANCELLED] if any(lane.counts[Status.CANCELLED] for lane in lanes) else [])]
    for title in ("done", "running", "waiting", *shown, "best"):
        table.add_column(title, justify="right")
    table.add_column("trial")
    titles = tell_apart((lane.task, lane.data) for lane in lanes)
    chances = {place: _chances([lane for lane in lanes if (lane.task, lane.data) == place]) for place in titles}
    is_led = any(chances.values())
    if is_led:
        table.add_column("leads", justify="right")
    for lane in lanes:
        place, counts = (lane.task, lane.data), lane.counts
        waiting = sum(counts[status] for status in WAITING)
        numbers = (f"{lane.done}/{lane.planned}", counts[Status.RUNNING], waiting, *(counts[status] for status in shown))
        best = "-" if lane.best is None else f"{get_task(lane.task).metric.name} {lane.best:.4g}"
        leads = [f"{100 * chances[place][lane.cell]:.0f} %" if chances[place] else "-"] if is_led else []
        table.add_row(titles[place], lane.cell, *map(str, numbers), best, (lane.best_key or "-")[:8], *leads)
    return table


def _chances(lanes: Sequence[LaneStanding]) -> dict[str, float]:
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
