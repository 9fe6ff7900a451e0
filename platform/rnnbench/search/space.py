"""The space of a sweep file: each parameter declared, each value allowed, each condition needed and possible."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from rnnbench.base.errors import ParameterError, SweepFileError, UnknownNameError
from rnnbench.base.names import listed, printable, suggest
from rnnbench.base.parameters import Parameter, Value
from rnnbench.cells.network_parameters import NETWORK_PARAMETERS, RECURRENT_ONLY
from rnnbench.cells.table import get_cell, list_cells
from rnnbench.search.adaptive import ADAPTIVE, is_numeric
from rnnbench.search.document import Document
from rnnbench.search.domains import KINDS, LISTED, Domain, build_domain
from rnnbench.search.sweepfile import Dimension, TaskChoice
from rnnbench.task.catalogue import get_task
from rnnbench.trial.parameters import OPTIMIZER_PARAMETERS, TRAINING_PARAMETERS

COMMON = (*NETWORK_PARAMETERS, *OPTIMIZER_PARAMETERS, *TRAINING_PARAMETERS)


def declared_for(task: str, cell: str) -> tuple[Parameter, ...]:
    """Every parameter a trial of this task and cell may have."""
    return (*COMMON, *get_cell(cell).parameters, *get_task(task).parameters)


def full_parameters(task: str, cell: str, parameters: Mapping[str, Value]) -> dict[str, Value]:
    """A trial's parameters with those that it does not mention because they came later and are at their default."""
    later = _later(task, cell)
    full = {parameter.name: parameter.default for parameter in later} | dict(parameters)
    unused = [parameter.name for parameter in later if parameter.name not in parameters and not parameter.is_active(full)]
    return {name: value for name, value in full.items() if name not in unused}


@cache
def _later(task: str, cell: str) -> tuple[Parameter, ...]:
    try:
        declared = declared_for(task, cell)
    except UnknownNameError:  # a cell of one's own, whose file this process has not read
        declared = (*COMMON, *get_task(task).parameters)
    return tuple(parameter for parameter in declared if parameter.is_later)


def read_space(
    document: Document, content: Mapping[str, Any], tasks: Sequence[TaskChoice], cells: Sequence[str], method: str
) -> tuple[Dimension, ...]:
    """The dimensions of `space`, in the file's order.

    Raises:
        SweepFileError: at the first line that is not valid.
    """
    space = _Space(document, tasks, cells, method)
    for name, line in content.items():
        space.read(name, line)
    space.check()
    return tuple(space.dimensions.values())


class _Space:
    def __init__(self, document: Document, tasks: Sequence[TaskChoice], cells: Sequence[str], method: str) -> None:
        self.document = document
        self.method = method
        self.owners: dict[str, tuple[Value, ...]] = {"task": tuple(dict.fromkeys(task.name for task in tasks)), "cell": tuple(cells)}
        self.options = {name for task in tasks for name in task.options}
        self.dimensions: dict[str, Dimension] = {}
        # Which values of `task` or `cell` have the parameter; the common ones are everywhere.
        self.declared: dict[str, Parameter] = {parameter.name: parameter for parameter in COMMON}
        self.owned: dict[str, dict[str, list[Value]]] = {}
        # Two cells may have a parameter of one name with different ranges.
        self.variants: dict[str, list[tuple[str, Parameter]]] = {}
        for cell in cells:
            self._own("cell", cell, get_cell(cell).parameters)
        for name in self.owners["task"]:
            self._own("task", str(name), get_task(str(name)).parameters)

    def _own(self, owner: str, member: str, parameters: Sequence[Parameter]) -> None:
        for parameter in parameters:
            self.declared[parameter.name] = parameter
            self.variants.setdefault(parameter.name, []).append((member, parameter))
            self.owned.setdefault(parameter.name, {}).setdefault(owner, []).append(member)

    def read(self, name: str, line: Any) -> None:
        if name not in self.declared:
            owners = [cell.name for cell in list_cells() if name in {parameter.name for parameter in cell.parameters}]
            if owners:
                raise self._at_key(f"{name} belongs to {listed(owners)}, not to {' or '.join(map(str, self.owners['cell']))}", name)
            raise self._at_key(f"no parameter '{printable(name)}'{suggest(name, self.declared)}", name)
        if name in self.options:
            raise self._at_key(f"'{name}' is set in the task's options too; set it in one place", name)
        kind, arguments, when = self._split(name, line)
        try:
            domain = build_domain(kind, arguments)
        except ValueError as error:
            raise self._error(f"{name}: {error}", name, kind) from error
        if self.method == "grid" and not domain.is_listed:
            raise self._error(f"{name}: a grid search needs listed values (choice or grid), not {kind}", name, kind)
        if self.method in ADAPTIVE and domain.kind == "grid":
            raise self._error(f"{name}: {self.method} chooses each value; write choice instead of grid", name, kind)
        conditions = self._when(name, when)
        self.dimensions[name] = Dimension(name, self._checked(name, domain, conditions), conditions)

    def check(self) -> None:
        for name, dimension in self.dimensions.items():
            self._check_possible(name, dimension)
            for condition, values in dimension.when.items():
                self._check_condition(name, condition, values)
            for owner, members in self.owned.get(name, {}).items():
                self._check_needed(name, owner, tuple(members))
            for other, allowed in self.declared[name].when.items():
                self._check_needed(name, other, allowed)
        for name in self.dimensions:
            self._check_cycle(name, ())
        numbers = [name for name, dimension in self.dimensions.items() if is_numeric(dimension) and not dimension.when]
        if self.method == "cmaes" and len(numbers) < 2:
            raise SweepFileError(
                "cmaes needs at least two numbers to search without a when (uniform, loguniform, ...); use tpe for choices",
                self.document.where("search", "method"),
            )

    def _check_possible(self, name: str, dimension: Dimension) -> None:
        """Some parameters need recurrent weights, a learned state a state that can be learned."""
        used = not dimension.domain.is_listed or any(value not in (0, 0.0, "zeros", "own") for value in dimension.domain.values)
        needs = {**dict.fromkeys(RECURRENT_ONLY, "recurrent weights"), "network.initial_state": "state that could be learned"}
        if name not in needs or not used:
            return

        def can(cell: Value) -> bool:
            entry = get_cell(str(cell))
            return entry.has_recurrent_weights if name in RECURRENT_ONLY else entry.can_learn_state

        for cell in dimension.when.get("cell", self.owners["cell"]):
            if not can(cell):
                good = [str(other) for other in self.owners["cell"] if can(other)]
                todo = f"add when: {{cell: [{', '.join(good)}]}}" if good else "leave it out"
                raise self._at_key(f"{name}: {cell} has no {needs[name]}; {todo}", name)

    def _split(self, name: str, line: Any) -> tuple[str, Any, Any]:
        if isinstance(line, list):
            raise self._error(f"{name} is a list; write {{choice: [...]}} to search it", name)
        if not isinstance(line, dict):
            return "value", line, None
        kinds = [key for key in line if key != "when"]
        for key in kinds:
            if key not in KINDS:
                raise SweepFileError(
                    f"{name}: no distribution '{printable(key)}'{suggest(key, KINDS)}", self.document.where("space", name, key, key=True)
                )
        if len(kinds) != 1:
            found = "no distribution" if not kinds else f"{len(kinds)} distributions ({', '.join(kinds)})"
            raise self._error(f"{name} has {found}; give one of {', '.join(KINDS)}", name)
        return kinds[0], line[kinds[0]], line.get("when")

    def _checked(self, name: str, domain: Domain, when: Mapping[str, tuple[Value, ...]]) -> Domain:
        """The domain with its values in the parameter's type, after every cell or task that has the parameter allows them."""
        variants = [parameter for member, parameter in self.variants.get(name, []) if member in when.get("cell", (member,))]
        for parameter in variants or [self.declared[name]]:
            try:
                if domain.is_listed:
                    domain = Domain(domain.kind, tuple(parameter.check(value) for value in domain.values))
                    continue
                if parameter.kind not in ("int", "float"):
                    raise ParameterError(f"{name} is drawn by {domain.kind}, must be {parameter.allowed()}")
                for value in domain.extremes():
                    parameter.check(value)
            except ParameterError as error:
                raise self._error(str(error), name, domain.kind) from error
        return domain

    def _when(self, name: str, when: Any) -> dict[str, tuple[Value, ...]]:
        if when is None:
            return {}
        if not isinstance(when, dict) or not when:
            raise self._error(f"{name}: when must be a mapping, e.g. when: {{optimizer.name: [sgd]}}", name, "when")
        listed = {condition: tuple(values) if isinstance(values, list) else (values,) for condition, values in when.items()}
        # A person's own cell is named by its class; its full name has the checksum of its file.
        own = {str(cell).partition("@")[0]: cell for cell in self.owners["cell"] if "@" in str(cell)}
        if "cell" in listed:
            listed["cell"] = tuple(own.get(value, value) if isinstance(value, str) else value for value in listed["cell"])
        return listed

    def _check_condition(self, name: str, condition: str, values: tuple[Value, ...]) -> None:
        if condition not in self.declared and condition not in self.owners:
            hint = suggest(condition, [*self.declared, *self.owners])
            raise SweepFileError(
                f"{name}: when names '{printable(condition)}', which is no parameter{hint}",
                self.document.where("space", name, "when", condition, key=True),
            )
        possible = self._possible(condition)
        for number, value in enumerate(values):
            if possible is not None and value not in possible:
                known = ", ".join(map(str, possible))
                path = (
                    ("when", condition, number)
                    if isinstance(self.document.content["space"][name]["when"][condition], list)
                    else ("when", condition)
                )
                raise self._error(f"{name}: {condition} is never {printable(str(value))} in this sweep; it can be: {known}", name, *path)
        if not values:
            raise self._error(f"{name}: when lists no value for {condition}", name, "when", condition)

    def _check_needed(self, name: str, condition: str, allowed: tuple[Value, ...]) -> None:
        possible = self._possible(condition)
        if possible is None:
            return
        good = [value for value in possible if value in allowed]
        words = f"{name} exists only with {condition} {' or '.join('null' if value is None else str(value) for value in allowed)}"
        if not good:
            raise self._at_key(f"{words}; in this sweep it is {', '.join(map(str, possible))}", name)
        given = self.dimensions[name].when.get(condition, tuple(possible))
        if any(value not in allowed for value in given):
            raise self._at_key(f"{words}; add when: {{{condition}: [{', '.join(map(str, good))}]}}", name)

    def _possible(self, name: str) -> list[Value] | None:
        """The values a condition can have in this sweep; None where they are not listed."""
        if name in self.owners:
            return list(self.owners[name])
        dimension, default = self.dimensions.get(name), self.declared[name].default
        if dimension is None:
            return [default]
        if dimension.domain.kind not in LISTED:
            return None
        return [*dimension.domain.values] + ([default] if dimension.when and default not in dimension.domain.values else [])

    def _check_cycle(self, name: str, path: tuple[str, ...]) -> None:
        if name in path:
            raise self._error(f"{name}: its when depends on itself ({' -> '.join([*path, name])})", path[0], "when")
        for condition in self.dimensions[name].when if name in self.dimensions else ():
            self._check_cycle(condition, (*path, name))

    def _at_key(self, message: str, name: str) -> SweepFileError:
        return SweepFileError(message, self.document.where("space", name, key=True))

    def _error(self, message: str, name: str, *path: str | int) -> SweepFileError:
        return SweepFileError(message, self.document.where("space", name, *path))
