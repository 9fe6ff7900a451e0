"""The local executor: processes of this machine and nothing else, for sweeps that a cluster's start would outlast."""

import select
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from rnnbench.base.machine import available_cpus
from rnnbench.sweep.executor import POLL_S, NextJobs, Queue, Record, lost
from rnnbench.sweep.gpus import VISIBLE
from rnnbench.sweep.hosted import Hosting
from rnnbench.trial.host import HostedWorker


class LocalExecutor:
    """Runs trials in workers of a host on this machine.

    As a context manager it starts the host at once, beside what its caller still does before `execute`; the host's imports take longer.

    Args:
        cpus_per_worker: CPUs, and threads of torch, that each worker of a trial gets.
        workers: Processes that train each trial together.
        places: The GPUs of each trial that can run at once, as CUDA_VISIBLE_DEVICES names them; none: trials run on CPUs.
        max_concurrent: Most trials at once; None: as many as the CPUs allow.
        tasks: Names of the tasks whose code is imported before there are workers.
    """

    def __init__(
        self,
        cpus_per_worker: int,
        max_concurrent: int | None = None,
        tasks: Sequence[str] = (),
        *,
        workers: int = 1,
        places: Sequence[str] = (),
    ) -> None:
        self.cpus_per_worker = cpus_per_worker
        room = available_cpus() // (cpus_per_worker * workers)
        self.concurrent = max(1, min(max_concurrent or available_cpus(), room, *([len(places)] if places else [])))
        self.places = tuple(places)
        self.tasks = tuple(tasks)
        self._hosting: Hosting | None = None

    def __enter__(self) -> "LocalExecutor":
        """The host is starting, unless it was before."""
        self._hosting = self._hosting or Hosting(self.cpus_per_worker, self.tasks)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Ends it, unless `execute` has."""
        hosting, self._hosting = self._hosting, None
        if hosting is not None:
            hosting.close()

    def environs(self) -> list[dict[str, str]]:
        """What the environment of each slot's workers says beside this process's."""
        return [{VISIBLE: self.places[number]} if self.places else {} for number in range(self.concurrent)]

    def execute(self, next_jobs: NextJobs, record: Record) -> None:
        """See Executor."""
        with self:
            assert self._hosting is not None, "it is starting"
            slots = [_Slot(self._hosting, environ) for environ in self.environs()]
            try:
                while True:
                    answers = [slot.feed(next_jobs) for slot in slots if slot.is_hungry()]
                    workers = {slot.worker.socket: slot for slot in slots if slot.worker is not None}
                    if Queue.DONE in answers and not any(slot.running for slot in slots):
                        return
                    for socket in select.select(workers, [], [], POLL_S)[0]:
                        workers[socket].listen(record)
            finally:
                for slot in slots:
                    slot.close()


class _Slot:
    """A place for one worker, and the jobs that it has."""

    def __init__(self, hosting: Hosting, environ: Mapping[str, str]) -> None:
        self.worker: HostedWorker | None = None
        self.running: dict[str, dict[str, Any]] = {}
        self._hosting = hosting
        self._environ = environ
        self._size = 0
        self._ask_at = 0.0

    def is_hungry(self) -> bool:
        """Whether half of what it got is done (of one long trial, all of it), and the last answer was not just now."""
        return len(self.running) <= self._size // 2 and time.monotonic() >= self._ask_at

    def feed(self, next_jobs: NextJobs) -> Queue | None:
        """Asks for jobs and gives them to the worker; says why there are none."""
        jobs = next_jobs()
        if not isinstance(jobs, list):
            self._ask_at = time.monotonic() + (POLL_S if self.running else 0.0)
            return jobs
        plain_jobs = [job.to_dict() for job in jobs]
        self.running |= {job["key"]: job for job in plain_jobs}
        self._size = len(self.running)
        self.worker = self.worker or self._hosting.fork(self._environ)
        self.worker.give(plain_jobs)
        return None

    def listen(self, record: Record) -> None:
        """Takes what the worker says, or that it is dead."""
        assert self.worker is not None, "somebody speaks"
        try:
            for event in self.worker.events(0.0):
                if event["kind"] == "finished":
                    self.running.pop(event["key"], None)
                record(event)
                if event["kind"] == "test_opened":
                    self.worker.note()
        except ConnectionError as error:
            self.close()
            while self.running:
                _, job = self.running.popitem()
                record(lost(job, str(error), "failed", "worker_killed"))

    def close(self) -> None:
        """Ends the worker."""
        if self.worker is not None:
            self.worker.close()
        self.worker = None
