"""Where and how a sweep runs: what the options of `sweep` and `resume` say."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from rnnbench.cli.options import open_glance, place_flags

if TYPE_CHECKING:
    from rnnbench.base.home import Home
    from rnnbench.sweep.executor import Executor
    from rnnbench.sweep.planned import Planned


@cache
def _num_gpus() -> int:
    from rnnbench.sweep.gpus import count_gpus

    return count_gpus()


@dataclass(frozen=True)
class Place:
    """Where and how a sweep runs: what the options of `sweep` and `resume` say."""

    home: "Home"
    executor: str
    address: str
    insecure: bool
    db: str | None
    tracking_uri: str | None
    join: bool = False

    def check(self) -> None:
        """Refuses what cannot be used, before anything starts."""
        from rnnbench.base.errors import InputError

        if self.executor not in ("auto", "local", "ray", "inline"):
            raise InputError(f"--executor is {self.executor!r}, must be auto, local, ray or inline")
        if self.address != "local" and self.kind != "ray":
            raise InputError(f"--address {self.address} is a Ray, and --executor {self.executor} does without: leave one of them out")
        if self.join and self.kind == "ray":
            raise InputError("--join is for workers without a Ray; leave out --executor ray and --address, or --join")

    @property
    def kind(self) -> str:
        """The executor by name, `auto` resolved: one machine needs no cluster."""
        if self.executor == "auto":
            return "local" if self.address == "local" else "ray"
        return self.executor

    def concurrent(self, planned: "Planned") -> int:
        """How many trials run at once on this machine."""
        from rnnbench.base.machine import available_cpus

        resources = planned.sweep.resources
        if self.kind == "inline":
            return 1
        rooms = [resources.max_concurrent or available_cpus(), available_cpus() // resources.cpus_per_trial]
        if resources.gpus and self.address == "local":
            rooms.append(len(self.places(planned)))
        return max(1, min(rooms))

    def places(self, planned: "Planned") -> list[str]:
        """The GPUs of each trial that can run at once on this machine; none where trials take none.

        Raises:
            InputError: it has too few.
        """
        resources = planned.sweep.resources
        if not resources.gpus:
            return []
        from rnnbench.sweep.gpus import deal, list_gpus

        return deal(list_gpus(_num_gpus(), os.environ), resources.gpus, resources.workers)

    def require_gpus(self, planned: "Planned", *, probe: bool = False) -> None:
        """Refuses GPUs that this machine does not have; a cluster is asked when it is there.

        Args:
            probe: Whether trials are tried on this machine, wherever the sweep runs.
        Raises:
            InputError: it has too few.
        """
        from rnnbench.base.errors import InputError
        from rnnbench.sweep.gpus import require_gpus

        resources = planned.sweep.resources
        if resources.gpus and self.address == "local":
            require_gpus(resources.gpus, resources.workers, _num_gpus())
        elif resources.gpus and probe and _num_gpus() < resources.workers:
            raise InputError(
                f"--probe tries trials on this machine, where torch finds {_num_gpus()} of the {resources.workers} GPUs that one takes; "
                "leave it out, or run it on a machine of the cluster"
            )

    def require_store(self) -> None:
        """Tries whether checkpoints can be kept where they are to be, before anything starts.

        Raises:
            InputError: they cannot.
        """
        from rnnbench.base.errors import InputError, StoreError

        try:
            self.home.store.check()
        except StoreError as error:
            raise InputError(str(error)) from error

    def build(self, planned: "Planned") -> "Executor":
        """The executor."""
        from rnnbench.sweep.executor import InlineExecutor

        resources = planned.sweep.resources
        if self.kind == "inline":
            return InlineExecutor()
        tasks = [task.name for task in planned.sweep.tasks]
        if self.kind == "local":
            from rnnbench.sweep.local_executor import LocalExecutor

            return LocalExecutor(resources.cpus, resources.max_concurrent, tasks, workers=resources.workers, places=self.places(planned))
        from rnnbench.sweep.ray_executor import RayExecutor

        return RayExecutor(
            self.address,
            resources.cpus,
            resources.max_concurrent,
            insecure=self.insecure,
            tasks=tasks,
            workers=resources.workers,
            gpus=resources.gpus,
        )

    @contextmanager
    def begin(self, planned: "Planned", *, has_ended: bool) -> "Iterator[Executor]":
        """The executor; that of this machine starts its host now, while the sweep is recorded.

        Args:
            has_ended: Whether there is likely nothing to run; if there is, the host starts when it must.
        """
        executor = self.build(planned)
        with executor if isinstance(executor, AbstractContextManager) and not has_ended else nullcontext():
            yield executor

    def has_ended(self, name: str) -> bool:
        """Whether a sweep of this name has run to its end here."""
        if not (self.db or self.home.has_results):
            return False
        with open_glance(self.home, self.db) as glance:
            return glance.has_ended(name)

    def flags(self) -> str:
        """The options that a later command needs to mean the same place."""
        import shlex

        from rnnbench.base.secrets import redact

        words = [flags.strip()] if (flags := place_flags(self.home, self.db)) else []
        for flag, value, usual in (
            ("--executor", self.executor, "auto"),
            ("--address", self.address, "local"),
            ("--tracking-uri", self.tracking_uri, None),
        ):
            if value != usual:
                words.append(f"{flag} {shlex.quote(redact(str(value), {}))}")
        return "".join(f" {word}" for word in [*words, *(["--insecure"] if self.insecure else []), *(["--join"] if self.join else [])])
