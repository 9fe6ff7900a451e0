"""Executors: who runs the jobs that the runner hands out. One contract suite holds for all."""

import enum
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from rnnbench.trial.door import run_jobs
from rnnbench.trial.job import Job


class Queue(enum.Enum):
    """What the runner answers when it has no job to hand out."""

    WAIT = "nothing now, ask again soon"
    DONE = "nothing more will come"


POLL_S = 0.2

# Jobs for one process: one, or several of one shape that it trains together.
NextJobs = Callable[[], list[Job] | Queue]
Record = Callable[[dict[str, Any]], None]


def lost(job: Mapping[str, Any], error: str, status: str, category: str) -> dict[str, Any]:
    """The last event of a job whose worker cannot say it any more."""
    event = {"kind": "finished", "key": job["key"], "attempt": job["attempt"], "status": status, "outcome": {}}
    return event | {"error": error, "category": category, "wall_s": None}


class Executor(Protocol):
    """Runs jobs until the queue is done or the person stops it.

    `execute` calls `next_jobs` and `record` from the thread it was called in. Every job it took ends in exactly one `finished`
    event, unless the executor itself is stopped; then it returns, or raises KeyboardInterrupt or SystemExit. An attempt whose
    worker died ends as failed, category `worker_killed`; one whose machine was lost as interrupted, category `node_lost`.
    """

    def execute(self, next_jobs: NextJobs, record: Record) -> None:
        """Runs until `next_jobs` says DONE."""


class InlineExecutor:
    """Runs one trial after the other in this process, so a breakpoint works; same numbers as any other executor."""

    def execute(self, next_jobs: NextJobs, record: Record) -> None:
        """See Executor."""
        while (jobs := next_jobs()) is not Queue.DONE:
            if isinstance(jobs, list):
                run_jobs([job.to_dict() for job in jobs], record)
            else:
                time.sleep(POLL_S)  # another sweep runs a trial that this one holds too
