"""The live view of a sweep: a table on a terminal, a line now and then in a pipe or log."""

import time
from types import TracebackType
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from rnnbench.ledger.records import Status
from rnnbench.sweep.scoreboard import WAITING, Scoreboard
from rnnbench.task.catalogue import get_task

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
        self._board: Scoreboard[Any] | None = None
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

    def __call__(self, board: Scoreboard[Any]) -> None:
        """Takes the newest state."""
        self._board = board
        if self._live is None and time.monotonic() - self._said >= PLAIN_EVERY_S:
            self._said = time.monotonic()
            self._console.print(self._line(board), markup=False, soft_wrap=True)

    def _render(self) -> Group | Text:
        if self._board is None:
            return Text(f"{self._title}: starting ...")
        return Group(score_table(self._board), Text(self._line(self._board), style="dim"))

    def _line(self, board: Scoreboard[Any]) -> str:
        counts = board.counts()
        done = sum(row.done for row in board.rows())
        left = board.seconds_left(self._concurrent)
        words = [
            f"{self._title}: {done}/{counts.total()} done, {counts[Status.RUNNING]} running",
            f"{seconds(time.monotonic() - self._started)} so far",
        ]
        words += [f"about {seconds(left)} left"] if left else []
        if (best := board.best()) is not None and best.best is not None:
            words.append(f"best {get_task(best.task).metric.name} {best.best:.4g} ({best.cell} {best.key[:8]})")
        return ", ".join(words)


def score_table(board: Scoreboard[Any]) -> Table:
    """One row for each task and cell: done, running, waiting, ended badly, best so far."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("task")
    table.add_column("cell")
    for title in ("done", "running", "waiting", "diverged", "failed", "best"):
        table.add_column(title, justify="right")
    table.add_column("trial")
    for row in board.rows():
        counts = row.counts
        waiting = sum(counts[status] for status in WAITING)
        numbers = (f"{row.done}/{row.planned}", counts[Status.RUNNING], waiting, counts[Status.DIVERGED], counts[Status.FAILED])
        best = "-" if row.best is None else f"{get_task(row.task).metric.name} {row.best:.4g}"
        table.add_row(row.task, row.cell, *map(str, numbers), best, (row.best_key or "-")[:8])
    return table


def seconds(value: float) -> str:
    """Seconds in words: 8 s, 3 min 20 s, 2 h 05 min."""
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
