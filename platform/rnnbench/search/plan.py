"""The plan: from a sweep file and its seed to an ordered list of trials, without touching anything."""

import itertools
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rnnbench.base.parameters import Value
from rnnbench.base.seeds import child
from rnnbench.cells.table import get_cell
from rnnbench.search.space import declared_for
from rnnbench.search.sweepfile import Dimension, SweepFile, TaskChoice
from rnnbench.task.catalogue import get_task
from rnnbench.trial.spec import TrialSpec

Point = Mapping[str, Value]


@dataclass(frozen=True)
class Scored:
    """A finished search trial and its best validation metric."""

    spec: TrialSpec
    value: float


def plan(sweep: SweepFile, fingerprints: Mapping[tuple[str, str], str]) -> list[TrialSpec]:
    """Every search trial, draw by draw, so that all tasks and cells advance together.

    Draw i is the same for every cell, and each parameter draws from a stream of its own, so neither `when` nor `grid`
    changes what another parameter gets. Points that resolve to the same parameters within one draw are planned once.

    Args:
        fingerprints: Of the data of each (task, data set).
    """
    specs: dict[str, TrialSpec] = {}
    for number, point in enumerate(_points(sweep)):
        for task, cell in itertools.product(sweep.tasks, sweep.cells):
            parameters = resolve(sweep, task, cell, point)
            for replicate in range(sweep.replicates):
                seed = child(sweep.search.seed, "trial", point.draw, replicate)
                spec = TrialSpec(
                    stage="search",
                    task=task.name,
                    task_version=get_task(task.name).version,
                    data=task.data,
                    data_fingerprint=fingerprints[task.name, task.data],
                    cell=cell,
                    cell_version=get_cell(cell).version,
                    parameters=parameters,
                    seed=seed,
                    budget=sweep.budget,
                    draw=number,
                    replicate=replicate,
                )
                specs.setdefault(spec.key(), spec)
    return list(specs.values())


def plan_confirm(sweep: SweepFile, scored: Sequence[Scored], directions: Mapping[str, str]) -> list[TrialSpec]:
    """The winners again with fresh seeds: per task and cell the best `top_k` configurations, replicates by their mean.

    Args:
        scored: Completed search trials, in the plan's order (which breaks ties).
        directions: `max` or `min` by task.
    """
    if sweep.confirm is None:
        return []
    groups: dict[tuple[str, str], dict[str, list[Scored]]] = {}
    for trial in scored:
        groups.setdefault((trial.spec.task, trial.spec.cell), {}).setdefault(trial.spec.group_key(), []).append(trial)
    specs = []
    for (task, _), configurations in groups.items():
        sign = -1.0 if directions[task] == "max" else 1.0
        means = {key: sign * statistics.fmean(trial.value for trial in trials) for key, trials in configurations.items()}
        for key in sorted(means, key=lambda group: means[group])[: sweep.confirm.top_k]:
            winner = configurations[key][0].spec
            seeds = (child(sweep.search.seed, "confirm", number) for number in range(sweep.confirm.seeds))
            specs += [replace(winner, stage="confirm", seed=seed, replicate=number) for number, seed in enumerate(seeds)]
    return specs


@dataclass(frozen=True)
class _Drawn:
    """One draw, or one point of a grid within it: the value each dimension would take."""

    draw: int
    values: Point


def _points(sweep: SweepFile) -> Iterator[_Drawn]:
    gridded = [dimension for dimension in sweep.space if _is_gridded(dimension, sweep.search.method)]
    for draw in range(sweep.search.num_samples):
        drawn = {
            dimension.name: dimension.domain.draw(child(sweep.search.seed, "draw", draw, dimension.name))
            for dimension in sweep.space
            if dimension not in gridded
        }
        for combination in itertools.product(*(dimension.domain.values for dimension in gridded)):
            yield _Drawn(draw, drawn | {dimension.name: value for dimension, value in zip(gridded, combination, strict=True)})


def _is_gridded(dimension: Dimension, method: str) -> bool:
    return dimension.domain.kind == "grid" or (method == "grid" and dimension.domain.kind == "choice")


def resolve(sweep: SweepFile, task: TaskChoice, cell: str, drawn: _Drawn) -> dict[str, Value]:
    """Every parameter that a trial of this task and cell has at this point: drawn, fixed by the task, or its default.

    Raises:
        ParameterError: an unbounded distribution drew a value outside the parameter's range.
    """
    declared = {parameter.name: parameter for parameter in declared_for(task.name, cell)}
    space = {dimension.name: dimension for dimension in sweep.space}
    known: dict[str, Value] = {"task": task.name, "cell": cell, **task.options}

    def value(name: str) -> Value:
        if name not in known:
            dimension = space.get(name)
            applies = (
                dimension is not None and name in declared and all(value(other) in allowed for other, allowed in dimension.when.items())
            )
            if applies:
                known[name] = declared[name].check(drawn.values[name])
            else:
                known[name] = declared[name].default if name in declared else None
        return known[name]

    values = {name: value(name) for name in declared}
    return {name: values[name] for name, parameter in declared.items() if parameter.is_active(values)}
