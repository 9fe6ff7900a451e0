"""Workers of this machine's host under an executor: they get short trials without an executor's trip for each."""

import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from rnnbench.trial.door import Event
from rnnbench.trial.host import Host, HostedWorker

# Sent by a worker that will soon have nothing to do; answered in its mailbox.
HUNGRY = "hungry"
# How long events may wait for each other: with each delivery the driver has work.
COLLECT_S = 0.5
# Systems allow a socket's path a hundred bytes; behind the temporary folder come its own folder and its name.
MAX_PLACE = 70
LOOK_S = 0.05


class Hosting:
    """A host on this machine and the mailboxes of its workers; a context manager. The host starts beside what the caller starts.

    Args:
        threads: What each trial gets.
        tasks: Names of the tasks whose code the host imports.
    """

    def __init__(self, threads: int, tasks: Sequence[str] = ()) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="rnnbench-host-", dir=_place_for_sockets())  # made for this user alone
        self._path = Path(self._folder.name)
        self._host = Host(self._path / "socket", threads, tasks)

    def __enter__(self) -> "Hosting":
        """The host is starting."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Ends it."""
        self.close()

    def close(self) -> None:
        """Ends the host."""
        self._host.close()
        self._folder.cleanup()

    def fork(self, environ: Mapping[str, str] | None = None) -> HostedWorker:
        """A new worker for this process; its environment has these values too."""
        return HostedWorker(self._path / "socket", environ)

    def place(self, name: str) -> dict[str, str]:
        """Where a worker of this name finds its host and its mailbox; plain data."""
        return {"socket": str(self._path / "socket"), "mailbox": str(self._path / f"{name}.json")}

    def answer(self, name: str, jobs: Sequence[Mapping[str, Any]]) -> None:
        """Gives a hungry worker jobs, or none."""
        box = Path(self.place(name)["mailbox"])
        partial = box.with_suffix(".partial")
        partial.write_text(json.dumps(list(jobs)))
        partial.replace(box)


def _place_for_sockets() -> str:
    folder = tempfile.gettempdir()
    return folder if len(os.fsencode(folder)) <= MAX_PLACE else "/tmp"  # noqa: S108 - a folder of its own is made there


_worker: list[HostedWorker] = []


def run_hosted(jobs: Sequence[Mapping[str, Any]], place: Mapping[str, str], report: Callable[[list[Event]], None]) -> None:
    """Has a worker of the host run jobs, and those that come in the mailbox when half of them are done; the worker is kept for later.

    Raises:
        ConnectionError: the worker has died.
    """
    if not _worker:
        _worker.append(HostedWorker(Path(place["socket"])))
    try:
        _run(_worker[0], jobs, Path(place["mailbox"]), report)
    except ConnectionError:
        _worker.clear()
        raise


def _run(worker: HostedWorker, jobs: Sequence[Mapping[str, Any]], mailbox: Path, report: Callable[[list[Event]], None]) -> None:
    worker.give(jobs)
    size = left = len(jobs)
    is_asking, is_last = False, False
    events: list[Event] = []
    reported = time.monotonic()
    while left or is_asking or events:
        events += (found := worker.events(LOOK_S))
        left -= sum(event["kind"] == "finished" for event in found)
        # What runs long by itself is not asked after before its end: the next trial may be another's by then.
        if not is_asking and not is_last and left <= size // 2:
            is_asking = True
            events.append({"kind": HUNGRY})
        is_urgent = bool(events) and (not left or events[-1]["kind"] in (HUNGRY, "test_opened"))
        if events and (is_urgent or time.monotonic() - reported > COLLECT_S):
            report(events)
            if events[-1]["kind"] == "test_opened":
                worker.note()
            events, reported = [], time.monotonic()
        if is_asking and (answer := _take(mailbox)) is not None:
            is_asking, is_last = False, not answer
            if answer:
                worker.give(answer)
                size, left = left + len(answer), left + len(answer)


def _take(mailbox: Path) -> list[dict[str, Any]] | None:
    try:
        answer: list[dict[str, Any]] = json.loads(mailbox.read_text())
    except FileNotFoundError:
        return None
    os.unlink(mailbox)  # noqa: PTH108 - as read
    return answer
