"""How downloads look: a bar for each file on a terminal, plain lines in a pipe."""

import time
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from rnnbench.cli.plan_table import size

if TYPE_CHECKING:
    from rich.console import Console

    from rnnbench.task.download import Watcher

# A line of progress in a pipe, for whoever reads the log of a long job.
LINE_S = 30.0


def watch(console: "Console") -> "AbstractContextManager[Watcher]":
    """Shows what is fetched for as long as the block lasts."""
    return _Bars(console) if console.is_terminal else nullcontext(_Lines(console))


class _Bars:
    """A bar with size, speed and time left for the file that comes."""

    def __init__(self, console: "Console") -> None:
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

        name = TextColumn("{task.description}", markup=False)
        columns = (name, BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=console, transient=True)

    def __enter__(self) -> "Watcher":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def start(self, name: str, done_bytes: int, size_bytes: int | None) -> None:
        for task in self._progress.task_ids:
            self._progress.remove_task(task)
        self._task = self._progress.add_task(name, total=size_bytes, completed=done_bytes)

    def advance(self, num_bytes: int) -> None:
        self._progress.advance(self._task, num_bytes)

    def say(self, words: str) -> None:
        self._progress.console.print(words, markup=False, soft_wrap=True)


class _Lines:
    """A line where a file begins, and from time to time."""

    def __init__(self, console: "Console") -> None:
        self._console = console

    def start(self, name: str, done_bytes: int, size_bytes: int | None) -> None:
        self._name, self._done, self._size, self._told = name, done_bytes, size_bytes, time.monotonic()
        whole = "" if size_bytes is None else f" ({size(size_bytes)})"
        self.say(f"fetching {name}{whole}{f', from {size(done_bytes)} on' if done_bytes else ''}")

    def advance(self, num_bytes: int) -> None:
        self._done += num_bytes
        if time.monotonic() - self._told >= LINE_S:
            self._told = time.monotonic()
            self.say(f"{self._name}: {size(self._done)}{'' if self._size is None else f' of {size(self._size)}'}")

    def say(self, words: str) -> None:
        self._console.print(words, markup=False, soft_wrap=True)
