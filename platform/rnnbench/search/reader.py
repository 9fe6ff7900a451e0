"""From a parsed document to a valid SweepFile: every key known, every value of its type, every name found."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rnnbench.base.errors import ParameterError, SweepFileError, UnknownNameError
from rnnbench.base.names import is_safe, printable, suggest
from rnnbench.base.parameters import Value
from rnnbench.cells.table import resolve_cell
from rnnbench.search.adaptive import ADAPTIVE, missing_library
from rnnbench.search.document import Document
from rnnbench.search.plan import num_points
from rnnbench.search.schedulers import SCHEDULERS, Scheduler, rungs
from rnnbench.search.space import read_space
from rnnbench.search.sweepfile import Checkpoints, Confirm, Dimension, Resources, Search, SweepFile, TaskChoice
from rnnbench.task.cards import TaskCard
from rnnbench.task.catalogue import get_task
from rnnbench.task.sources import get_data_card, own_name
from rnnbench.trial.job import Limits
from rnnbench.trial.parameters import ON_GPU, PRECISION
from rnnbench.trial.spec import Budget

KEYS = (
    *("name", "task", "cells", "search", "scheduler", "budget", "replicates", "confirm", "retries", "resources", "checkpoints"),
    "space",
)
METHODS = ("grid", "random", "quasirandom", *ADAPTIVE)


class Reader:
    """Reads one document; each method reads one key of it."""

    def __init__(self, document: Document, path: Path) -> None:
        self.document = document
        self.path = path
        self.content: dict[str, Any] = {}

    def read(self) -> SweepFile:
        """The valid sweep file.

        Raises:
            SweepFileError: at the first thing that is not valid.
        """
        if not isinstance(self.document.content, dict):
            found = "empty" if self.document.content is None else "not a mapping"
            raise SweepFileError(
                f"the file is {found}; it needs at least task, cells and search (see search_spaces/lstm.yaml)", self.document.where()
            )
        self.content = self.document.content
        self._known(self.content, KEYS, ())
        tasks, cells = self._tasks(), self._cells()
        search, budget = self._search(), self._budget()
        space = read_space(self.document, self._section("space"), tasks, cells, search.method)
        resources = self._resources(tasks)
        self._require_gpu_for(space, resources)
        return SweepFile(
            name=self._name(),
            path=self.path.absolute(),
            text=self.document.text,
            tasks=tasks,
            cells=cells,
            search=search,
            budget=budget,
            replicates=self._whole(("replicates",), 1, low=1, high=1000),
            confirm=self._confirm(),
            resources=resources,
            space=space,
            scheduler=self._scheduler(budget, search, space),
            limits=self._limits(),
            retries=self._whole(("retries",), 1, low=0, high=1000),
            checkpoints=self._checkpoints(),
            document=self.document,
        )

    def _name(self) -> str:
        name = self.content.get("name", self.path.stem)
        if not isinstance(name, str) or not is_safe(name):
            raise self._error(f"name is {printable(repr(name))}, must be letters, digits, '.', '_' or '-', at most 100", "name")
        return name

    def _tasks(self) -> tuple[TaskChoice, ...]:
        if self.content.get("task") is None:
            raise SweepFileError(f"the key 'task' is missing{self._hint('task')}", self.document.where())
        given = self.content["task"]
        listed = given if isinstance(given, list) else [given]
        if not listed:
            raise self._error("task is an empty list; name at least one task", "task")
        choices = [self._task(item, ("task", number) if isinstance(given, list) else ("task",)) for number, item in enumerate(listed)]
        for number, choice in enumerate(choices):
            same = [other for other in choices[:number] if (other.name, other.data) == (choice.name, choice.data)]
            if same and same[0].own != choice.own:
                words = f"two entries of task '{choice.name}' have data called {choice.data}; give one of the files another name"
                raise self._error(words, "task", number)
            if same:
                words = f"task '{choice.name}' stands twice with the data {choice.data}; search its options in the space instead"
                raise self._error(words, "task", number)
        return tuple(choices)

    def _task(self, item: Any, path: tuple[str | int, ...]) -> TaskChoice:
        fields = {"name": item} if isinstance(item, str) else item
        if not isinstance(fields, dict) or not isinstance(fields.get("name"), str):
            raise self._error("a task is a name, or {name: NAME, data: SET, ...options}", *path)
        try:
            card = get_task(fields["name"])
        except UnknownNameError as error:
            raise self._error(str(error), *path, *(("name",) if isinstance(item, dict) else ())) from error
        data, own = fields.get("data", card.default_data), None
        if isinstance(data, dict):
            own = self._own_data(card, data, path)
            data = own_name(own)
        try:
            get_data_card(card, str(data))
        except UnknownNameError as error:
            raise self._error(str(error), *path, "data") from error
        options = {
            name: value
            for key, value in fields.items()
            if key not in ("name", "data")
            for name, value in [self._option(card, key, value, path)]
        }
        return TaskChoice(card.name, str(data), options, own)

    def _own_data(self, card: TaskCard, data: dict[str, Any], path: tuple[str | int, ...]) -> Path:
        """The file or folder of `data: {path: ...}`, below the sweep file's folder where it is relative."""
        if card.own_data is None:
            raise self._error(f"task '{card.name}' takes no files of one's own; its sets: {', '.join(card.data)}", *path, "data")
        self._known(data, ("path",), (*path, "data"))
        if not isinstance(data.get("path"), str) or not data["path"]:
            raise self._error(f"data: {{path: ...}} must name a file or a folder: {card.own_data.accepts}", *path, "data")
        # Not `resolve`: a link goes by the name that it has, not by that of what it leads to.
        own = Path(os.path.abspath(self.path.absolute().parent / Path(data["path"]).expanduser()))  # noqa: PTH100
        if not own.exists():
            raise self._error(f"{own} is not there", *path, "data", "path")
        return own

    def _option(self, card: TaskCard, key: str, value: Any, path: tuple[str | int, ...]) -> tuple[str, Value]:
        known = {name: parameter for parameter in card.parameters for name in (parameter.name, parameter.name.split(".", 1)[1])}
        if key not in known:
            hint = suggest(key, [parameter.name.split(".", 1)[1] for parameter in card.parameters])
            raise SweepFileError(f"no option '{printable(key)}' in task '{card.name}'{hint}", self.document.where(*path, key, key=True))
        try:
            return known[key].name, known[key].check(value)
        except ParameterError as error:
            raise self._error(str(error), *path, key) from error

    def _cells(self) -> tuple[str, ...]:
        cells = self.content.get("cells")
        if cells is None:
            raise SweepFileError(f"the key 'cells' is missing{self._hint('cells')}", self.document.where())
        if not isinstance(cells, list) or not cells or not all(isinstance(cell, str) for cell in cells):
            raise self._error("cells must be a list of names, e.g. [elman, gru, lstm]", "cells")
        for number, cell in enumerate(cells):
            if cell in cells[:number]:
                raise self._error(f"cell '{cell}' stands twice", "cells", number)
        return tuple(self._cell(cell, number) for number, cell in enumerate(cells))

    def _cell(self, cell: str, number: int) -> str:
        try:
            return resolve_cell(cell, self.path.parent).name
        except UnknownNameError as error:
            raise self._error(str(error), "cells", number) from error

    def _search(self) -> Search:
        fields = self._section("search")
        self._known(fields, ("method", "num_samples", "seed"), ("search",))
        method = fields.get("method", "random")
        if method not in METHODS:
            raise self._error(f"no search method '{printable(str(method))}'{suggest(str(method), METHODS)}", "search", "method")
        if (package := missing_library(method)) is not None:
            raise self._error(f"search method '{method}' needs {package}: pip install 'rnnbench[search]'", "search", "method")
        if method != "grid" and "num_samples" not in fields:
            raise self._error("search.num_samples is missing: how many draws per task and cell?", "search")
        num_samples = self._whole(("search", "num_samples"), 1, low=1, high=1_000_000)
        if method == "grid" and num_samples != 1:
            raise self._error("a grid has no draws to repeat; for more seeds of each point set replicates", "search", "num_samples")
        return Search(method, num_samples, self._whole(("search", "seed"), 0, low=0, high=2**63 - 1))

    def _scheduler(self, budget: Budget, search: Search, space: Sequence[Dimension]) -> Scheduler | None:
        given = self.content.get("scheduler")
        if given is None:
            return None
        fields = {"name": given} if isinstance(given, str) else given
        if not isinstance(fields, dict) or not isinstance(name := fields.get("name"), str):
            raise self._error("a scheduler is a name, or {name: asha, grace_period: 2, reduction_factor: 3}", "scheduler")
        if name not in SCHEDULERS:
            where = ("scheduler", "name") if isinstance(given, dict) else ("scheduler",)
            raise self._error(f"no scheduler '{printable(name)}'{suggest(name, SCHEDULERS)}", *where)
        self._known(fields, ("name", *SCHEDULERS[name]), ("scheduler",))
        mode = "async" if name == "median" else fields.get("mode", "cohort")
        if mode not in ("cohort", "async"):
            raise self._error(f"scheduler.mode is {printable(repr(mode))}, must be cohort or async", "scheduler", "mode")

        def whole(key: str, default: int, low: int) -> int:
            return self._whole(("scheduler", key), default, low=low, high=10_000_000) if isinstance(given, dict) else default

        found = Scheduler(name, whole("grace_period", 1, 1), whole("reduction_factor", 3, 2), mode, None, whole("min_samples", 3, 1))
        epochs = rungs(found, budget.max_epochs)
        if not epochs:
            raise self._error(
                f"scheduler.grace_period is {found.grace_period}, must be below budget.max_epochs ({budget.max_epochs})", "scheduler"
            )
        if name == "asha" and mode == "cohort":
            return replace(found, cohort_size=whole("cohort_size", found.reduction_factor ** len(epochs), 2))
        if name == "halving":
            return replace(found, cohort_size=whole("cohort_size", max(2, num_points(search, space)), 2))
        if "cohort_size" in fields and fields["cohort_size"] is not None:
            raise self._error("scheduler.cohort_size belongs to mode: cohort", "scheduler", "cohort_size")
        return found

    def _limits(self) -> Limits:
        gigabytes = self._positive(("resources", "memory_gb"), None)
        return Limits(
            self._positive(("budget", "max_seconds"), None),
            self._positive(("budget", "max_silent_seconds"), Limits.max_silent_seconds),
            None if gigabytes is None else round(gigabytes * 1e9),
        )

    def _checkpoints(self) -> Checkpoints:
        self._known(self._section("checkpoints"), ("keep_best", "max_gb", "every_seconds"), ("checkpoints",))
        keep_best = self._whole(("checkpoints", "keep_best"), Checkpoints.keep_best, low=0, high=10_000_000)
        every_seconds = self._positive(("checkpoints", "every_seconds"), None) or Checkpoints.every_seconds
        return Checkpoints(keep_best, self._positive(("checkpoints", "max_gb"), None), every_seconds)

    def _positive(self, path: tuple[str, str], default: float | None) -> float | None:
        section = self._section(path[0])
        value = section.get(path[1])
        if value is None:
            return None if path[1] in section else default
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e12:
            raise self._error(f"{'.'.join(path)} is {printable(repr(value))}, must be a number above 0", *path)
        return float(value)

    def _budget(self) -> Budget:
        fields = self._section("budget")
        self._known(fields, ("max_epochs", "patience", "max_seconds", "max_silent_seconds"), ("budget",))
        epochs = self._whole(("budget", "max_epochs"), Budget.max_epochs, low=1, high=10_000_000)
        patience = self._whole(("budget", "patience"), 0, low=1, high=10_000_000) if fields.get("patience") is not None else None
        return Budget(epochs, patience)

    def _confirm(self) -> Confirm | None:
        if self.content.get("confirm") is None:
            return None
        self._known(self._section("confirm"), ("top_k", "seeds"), ("confirm",))
        top_k = self._whole(("confirm", "top_k"), Confirm.top_k, low=1, high=1000)
        return Confirm(top_k, self._whole(("confirm", "seeds"), Confirm.seeds, low=1, high=1000))

    def _resources(self, tasks: tuple[TaskChoice, ...]) -> Resources:
        fields = self._section("resources")
        self._known(fields, ("cpus", "gpus", "workers", "max_concurrent", "memory_gb", "fuse"), ("resources",))
        gpus = fields.get("gpus", 0)
        if isinstance(gpus, bool) or not isinstance(gpus, int | float) or not (gpus == 0 or 0.01 <= gpus <= 1):
            words = "must be 0, or from 0.01 to 1: a share lets several trials have one GPU; for several GPUs set resources.workers"
            raise self._error(f"resources.gpus is {printable(repr(gpus))}, {words}", "resources", "gpus")
        workers = self._whole(("resources", "workers"), 1, low=1, high=1024)
        if workers > 1 and 0 < gpus < 1:
            raise self._error(f"resources.gpus is {gpus}, but several workers need a GPU each; set it to 1", "resources", "gpus")
        whole = [task.name for task in tasks if not get_task(task.name).data_parallel]
        if workers > 1 and whole:
            words = f"task '{whole[0]}' carries state from batch to batch, so that its batches cannot be shared; set it to 1"
            raise self._error(f"resources.workers is {workers}, but {words}", "resources", "workers")
        concurrent = None
        if fields.get("max_concurrent") is not None:
            concurrent = self._whole(("resources", "max_concurrent"), 1, low=1, high=100_000)
        fuse = fields.get("fuse", "auto")
        if fuse not in ("auto", "always", "never"):
            raise self._error(f"resources.fuse is {printable(repr(fuse))}, must be auto, always or never", "resources", "fuse")
        if workers > 1 and fuse == "always":
            raise self._error("resources.fuse is always, but trials of several workers cannot be fused; leave it out", "resources", "fuse")
        if workers > 1:
            fuse = "never"
        return Resources(self._whole(("resources", "cpus"), 1, low=1, high=1024), float(gpus), workers, concurrent, fuse)

    def _require_gpu_for(self, space: tuple[Dimension, ...], resources: Resources) -> None:
        for dimension in space:
            fast = [value for value in dimension.domain.values if value in ON_GPU] if dimension.name == PRECISION else []
            if fast and not resources.gpus:
                words = f"{PRECISION} {fast[0]} is for GPUs and resources.gpus is 0; set that, or take float32 or bf16"
                raise self._error(words, "space", PRECISION)

    def _section(self, name: str) -> dict[str, Any]:
        section = self.content.get(name)
        if section is None:
            return {}
        if not isinstance(section, dict):
            raise self._error(f"{name} must be a mapping, not {printable(repr(section))}", name)
        return section

    def _whole(self, path: tuple[str, ...], default: int, *, low: int, high: int) -> int:
        value: Any = self.content
        for part in path:
            value = (value or {}).get(part)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self._error(f"{'.'.join(path)} is {printable(repr(value))}, must be a whole number from {low}", *path)
        return value

    def _known(self, fields: dict[str, Any], known: Iterable[str], path: tuple[str | int, ...]) -> None:
        for key in fields:
            if key not in known:
                place = f" in {'.'.join(map(str, path))}" if path else ""
                raise SweepFileError(f"no key '{printable(key)}'{place}{suggest(key, known)}", self.document.where(*path, key, key=True))

    def _hint(self, key: str) -> str:
        return f"; e.g. {key}: {'sequential_digits' if key == 'task' else '[lstm]'}"

    def _error(self, message: str, *path: str | int) -> SweepFileError:
        return SweepFileError(message, self.document.where(*path))
