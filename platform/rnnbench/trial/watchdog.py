"""Starts the guard of this worker process and tells it what runs; and reads, in the driver, why a worker was ended."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rnnbench.trial import guard
from rnnbench.trial.files import VERDICT
from rnnbench.trial.job import Job

_guards: dict[int, subprocess.Popen[bytes]] = {}


@contextmanager
def guarded(jobs: Sequence[Job]) -> Iterator[Callable[[], None]]:
    """Has the limits of jobs that run in this process enforced from outside; gives the sign of life to call.

    Several together may use as much memory as each alone, and look at their own time: it is a share of this process's.
    """
    limits = jobs[0].limits
    if len(jobs) > 1:
        memory = None if limits.memory_bytes is None else limits.memory_bytes * len(jobs)
        limits = replace(limits, memory_bytes=memory, max_seconds=None)
    verdicts = {str(Path(job.folder) / VERDICT): job.attempt for job in jobs}
    for verdict in verdicts:
        Path(verdict).unlink(missing_ok=True)
    _tell({"watch": {"verdicts": verdicts, **asdict(limits)}})
    try:
        yield lambda: _tell({"beat": 1})
    finally:
        _tell({"rest": 1})


def verdict_on(folder: Path, attempt: int) -> tuple[str, str] | None:
    """The category and the words with which the guard ended this attempt's worker; None where it did not."""
    try:
        found = json.loads((folder / VERDICT).read_text())
        return (str(found["category"]), str(found["error"])) if found["attempt"] == attempt else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _tell(message: dict[str, Any]) -> None:
    process = _guards.get(os.getpid())
    if process is None or process.poll() is not None:
        # A process of its own group, so that Ctrl-C at the terminal does not end it before the worker.
        process = subprocess.Popen([sys.executable, "-I", "-S", guard.__file__, str(os.getpid())], stdin=subprocess.PIPE, process_group=0)
        _guards[os.getpid()] = process
    assert process.stdin is not None
    process.stdin.write(json.dumps(message).encode() + b"\n")
    process.stdin.flush()
