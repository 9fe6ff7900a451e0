"""Executors: who runs the jobs that the runner hands out. One contract suite holds for all."""

import enum
from collections.abc import Callable
from typing import Any, Protocol

from rnnbench.trial.door import run_job
from rnnbench.trial.job import Job


class Queue(enum.Enum):
    """What the runner answers when it has no job to hand out."""

    WAIT = "nothing now, ask again when a running trial has ended"
    DONE = "nothing more will come"


NextJob = Callable[[], Job | Queue]
Record = Callable[[dict[str, Any]], None]


class Executor(Protocol):
    """Runs jobs until the queue is done or the person stops it.

    `execute` calls `next_job` and `record` from the thread it was called in. Every job it took ends in exactly one `finished`
    event, unless the executor itself is stopped; then it returns, or raises KeyboardInterrupt or SystemExit.
    """

    def execute(self, next_job: NextJob, record: Record) -> None:
        """Runs until `next_job` says DONE."""


class InlineExecutor:
    """Runs one trial after the other in this process, so a breakpoint works; same numbers as any other executor."""

    def execute(self, next_job: NextJob, record: Record) -> None:
        """See Executor."""
        while isinstance(job := next_job(), Job):
            record(run_job(job.to_dict(), record))
        assert job is Queue.DONE, "with one trial at a time there is nothing to wait for"
