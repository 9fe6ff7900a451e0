"""The sweep file: what a person writes, checked as a whole before anything starts, as frozen plain data."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from rnnbench.base.canonical import Plain
from rnnbench.base.parameters import Value
from rnnbench.cells.own import OwnCell, get_source, make_known
from rnnbench.search.document import Document
from rnnbench.search.domains import Domain
from rnnbench.search.schedulers import Scheduler
from rnnbench.task.sources import own_name
from rnnbench.trial.job import Fuse, Limits
from rnnbench.trial.spec import Budget


@dataclass(frozen=True)
class TaskChoice:
    """A task of the sweep with its data set.

    Attributes:
        options: Parameters fixed for this task, by full name.
        own: The absolute path of a person's own file or folder, whose data set is `path:NAME`.
    """

    name: str
    data: str
    options: Mapping[str, Value] = field(default_factory=dict)
    own: Path | None = None


@dataclass(frozen=True)
class Search:
    """How values are chosen: method, draws per task and cell, seed."""

    method: str = "random"
    num_samples: int = 1
    seed: int = 0


@dataclass(frozen=True)
class Confirm:
    """The best `top_k` configurations of each task and cell are trained again with `seeds` fresh seeds."""

    top_k: int = 1
    seeds: int = 5


@dataclass(frozen=True)
class Resources:
    """What one trial gets, and how many trials run at once (None: all that fit).

    Attributes:
        cpus: CPUs (threads) of each worker.
        gpus: GPUs of each worker; a share lets several trials have one.
        workers: Processes that train one trial together, each with a part of every batch.
        fuse: Whether trials of one shape train together in one process; auto: where a probe of the machine finds it faster. Never
            where a trial has several workers.
    """

    cpus: int = 1
    gpus: float = 0.0
    workers: int = 1
    max_concurrent: int | None = None
    fuse: Fuse = "auto"

    @property
    def cpus_per_trial(self) -> int:
        """CPUs of all workers of a trial."""
        return self.cpus * self.workers


@dataclass(frozen=True)
class Checkpoints:
    """Which trained models stay: those of the best `keep_best` search trials per task and cell, and of every confirmed one.

    Attributes:
        every_seconds: How often a running trial saves what it can continue from, after the next batch.
        max_gb: Most room (10^9 bytes) for the models of the sweep; the worst search trials' go first. None: no cap.
    """

    keep_best: int = 10
    max_gb: float | None = None
    every_seconds: float = 10.0


@dataclass(frozen=True)
class Dimension:
    """One line of the space: a parameter, its domain, and the values of others under which it applies.

    `when` names other parameters, or `cell`, or `task`, each with the values that allow this one.
    """

    name: str
    domain: Domain
    when: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class SweepFile:
    """A valid sweep file, every name and value checked."""

    name: str
    path: Path
    text: str
    tasks: tuple[TaskChoice, ...]
    cells: tuple[str, ...]
    search: Search
    budget: Budget
    replicates: int
    confirm: Confirm | None
    resources: Resources
    space: tuple[Dimension, ...]
    scheduler: Scheduler | None
    limits: Limits
    retries: int
    checkpoints: Checkpoints
    document: Document = field(repr=False, compare=False)

    def settings(self) -> dict[str, Plain]:
        """The resolved file as plain data, in the form of the file itself."""
        return {
            "name": self.name,
            "task": [
                {"name": task.name, "data": {"path": str(task.own)} if task.own else task.data, **task.options} for task in self.tasks
            ],
            "cells": list(self.cells),
            "search": asdict(self.search),
            "scheduler": self.scheduler.settings() if self.scheduler else None,
            "budget": {
                **asdict(self.budget),
                "max_seconds": self.limits.max_seconds,
                "max_silent_seconds": self.limits.max_silent_seconds,
            },
            "retries": self.retries,
            "replicates": self.replicates,
            "confirm": asdict(self.confirm) if self.confirm else None,
            "resources": asdict(self.resources) | {"memory_gb": self.limits.memory_bytes and self.limits.memory_bytes / 1e9},
            "checkpoints": asdict(self.checkpoints),
            "space": {dimension.name: _line(dimension) for dimension in self.space},
            **({"cell_sources": own} if (own := _sources(self.cells)) else {}),
        }

    def get_choice(self, task: str, data: str) -> TaskChoice:
        """The entry of a task with a data set; they are unique."""
        return next(one for one in self.tasks if (one.name, one.data) == (task, data))

    def where(self, *path: str | int) -> str:
        """`file:line:column` of a value in the file."""
        return self.document.where(*path)


def read_settings(settings: Mapping[str, Plain], path: Path, text: str) -> SweepFile:
    """The sweep of `SweepFile.settings`, as the ledger keeps it; its file need not be there any more.

    Raises:
        SweepFileError: this program no longer takes it: a task, cell or parameter is gone.
    """
    from rnnbench.search.document import parse_document
    from rnnbench.search.reader import Reader

    file = dict(settings)
    sources = file.pop("cell_sources", {})
    assert isinstance(sources, dict), "written by SweepFile.settings"
    for source in sources.values():
        make_known(OwnCell(**source))
    sweep = Reader(parse_document(json.dumps(file), str(path)), path).read()
    return replace(sweep, text=text)


def list_choices(settings: Mapping[str, Plain]) -> dict[tuple[str, str], Plain]:
    """The task and data set of each entry in the settings that the ledger keeps, with what the entry itself says of its data."""
    listed = settings.get("task")
    entries = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return {(str(one["name"]), _data_name(one["data"])): one["data"] for one in entries}


def read_sweep(path: Path, *, name: str | None = None, overrides: Sequence[str] = (), num_samples: int | None = None) -> SweepFile:
    """Reads and checks a sweep file.

    Args:
        name: Name of the sweep instead of the file's.
        overrides: `KEY=VALUE` texts that change the file's values; VALUE is YAML.
        num_samples: Draws per task and cell instead of the file's.
    Raises:
        SweepFileError: anything that is not valid, at its place in the file.
    """
    from rnnbench.search.overrides import override
    from rnnbench.search.reader import Reader

    return Reader(override(path, overrides, name, num_samples), path).read()


def _sources(cells: Sequence[str]) -> dict[str, Any]:
    """The files of a person's own cells, so that the sweep can go on without them."""
    own = {cell: get_source(cell) for cell in cells}
    return {cell: asdict(source) for cell, source in own.items() if source is not None}


def _data_name(data: Plain) -> str:
    """A data set as trials name it."""
    return own_name(Path(str(data["path"]))) if isinstance(data, dict) else str(data)


def _line(dimension: Dimension) -> dict[str, Any]:
    domain = dimension.domain
    content: dict[str, Any] = {domain.kind: domain.values[0] if domain.kind == "value" else list(domain.values)}
    when = {name: list(values) for name, values in dimension.when.items()}
    return content | ({"when": when} if when else {})
