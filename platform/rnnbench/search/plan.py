"""The plan: from a sweep file and its seed to an ordered list of trials, without touching anything."""

import itertools
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rnnbench.base.parameters import Value
from rnnbench.base.seeds import child
from rnnbench.cells.table import get_cell
from rnnbench.search.adaptive import ADAPTIVE
from rnnbench.search.space import declared_for
from rnnbench.search.sweepfile import Dimension, Search, SweepFile, TaskChoice
from rnnbench.task.catalogue import get_task
from rnnbench.trial.spec import Question, TrialSpec

Point = Mapping[str, Value]


@dataclass(frozen=True)
class Scored:
    """A finished search trial and its best validation metric."""

    spec: TrialSpec
    value: float


@dataclass(frozen=True)
class Slot:
    """A numbered place of an adaptive search, whose parameters are drawn when it is claimed."""

    task: str
    data: str
    cell: str
    draw: int


def plan(sweep: SweepFile, fingerprints: Mapping[tuple[str, str], str]) -> list[TrialSpec]:
    """Every search trial, draw by draw, so that all tasks, data sets and cells advance together; none where the search is adaptive.

    Draw i is the same for every cell, and each parameter draws from a stream of its own, so neither `when` nor `grid`
    changes what another parameter gets. Points that resolve to the same parameters within one draw are planned once.

    Args:
        fingerprints: Of the data of each (task, data set).
    """
    if sweep.search.method in ADAPTIVE:
        return []
    specs: dict[str, TrialSpec] = {}
    for number, point in enumerate(_points(sweep)):
        for task, cell in itertools.product(sweep.tasks, sweep.cells):
            for spec in trials_at(sweep, task, cell, point, number, fingerprints[task.name, task.data]):
                specs.setdefault(spec.key(), spec)
    return list(specs.values())


def plan_slots(sweep: SweepFile) -> list[Slot]:
    """Every slot of an adaptive search, draw by draw; none where all trials are planned at once."""
    if sweep.search.method not in ADAPTIVE:
        return []
    draws = range(sweep.search.num_samples)
    return [Slot(task.name, task.data, cell, draw) for draw in draws for task, cell in itertools.product(sweep.tasks, sweep.cells)]


def trials_at(sweep: SweepFile, task: TaskChoice, cell: str, point: "Drawn", number: int, fingerprint: str) -> list[TrialSpec]:
    """The trials of one task, data set and cell at one point: one for each replicate."""
    parameters = resolve(sweep, task, cell, point)
    return [
        TrialSpec(
            stage="search",
            task=task.name,
            task_version=get_task(task.name).version,
            data=task.data,
            data_fingerprint=fingerprint,
            cell=cell,
            cell_version=get_cell(cell).version,
            parameters=parameters,
            seed=child(sweep.search.seed, "trial", point.draw, replicate),
            budget=sweep.budget,
            scheduler=sweep.scheduler.settings() if sweep.scheduler else None,
            draw=number,
            replicate=replicate,
        )
        for replicate in range(sweep.replicates)
    ]


def num_points(search: Search, space: Sequence[Dimension]) -> int:
    """Configurations per task and cell, before equal ones fall together."""
    return search.num_samples * math.prod(len(dimension.domain.values) for dimension in space if _is_gridded(dimension, search.method))


def plan_confirm(sweep: SweepFile, scored: Sequence[Scored], directions: Mapping[str, str]) -> list[TrialSpec]:
    """The winners again with fresh seeds: per task, data set, question and cell the best `top_k` configurations, replicates by their mean.

    Args:
        scored: Completed search trials, in the plan's order (which breaks ties).
        directions: `max` or `min` by task.
    """
    if sweep.confirm is None:
        return []
    groups: dict[tuple[Question, str], dict[str, list[Scored]]] = {}
    for trial in scored:
        spec = trial.spec
        groups.setdefault((spec.question, spec.cell), {}).setdefault(spec.group_key(), []).append(trial)
    specs = []
    for ((task, *_), _), configurations in groups.items():
        sign = -1.0 if directions[task] == "max" else 1.0
        means = {key: sign * statistics.fmean(trial.value for trial in trials) for key, trials in configurations.items()}
        for key in sorted(means, key=lambda group: means[group])[: sweep.confirm.top_k]:
            winner = configurations[key][0].spec
            seeds = (child(sweep.search.seed, "confirm", number) for number in range(sweep.confirm.seeds))
            specs += [replace(winner, stage="confirm", scheduler=None, seed=seed, replicate=number) for number, seed in enumerate(seeds)]
    return specs


@dataclass(frozen=True)
class Drawn:
    """One draw, or one point of a grid within it: the value each dimension would take."""

    draw: int
    values: Point


def _points(sweep: SweepFile) -> Iterator[Drawn]:
    gridded = [dimension for dimension in sweep.space if _is_gridded(dimension, sweep.search.method)]
    free = [dimension for dimension in sweep.space if dimension not in gridded]
    for draw, drawn in enumerate(_sobol(sweep, free) if sweep.search.method == "quasirandom" else _random(sweep, free)):
        for combination in itertools.product(*(dimension.domain.values for dimension in gridded)):
            yield Drawn(draw, drawn | {dimension.name: value for dimension, value in zip(gridded, combination, strict=True)})


def _random(sweep: SweepFile, free: Sequence[Dimension]) -> Iterator[dict[str, Value]]:
    for draw in range(sweep.search.num_samples):
        yield {one.name: one.domain.draw(child(sweep.search.seed, "draw", draw, one.name)) for one in free}


def _sobol(sweep: SweepFile, free: Sequence[Dimension]) -> Iterator[dict[str, Value]]:
    """Scrambled Sobol points (Owen, 1998): a longer search begins with the same points."""
    from scipy.stats import qmc

    searched = [one for one in free if one.domain.kind != "value"]
    fixed = {one.name: one.domain.values[0] for one in free if one.domain.kind == "value"}
    if not searched:
        yield from (fixed for _ in range(sweep.search.num_samples))
        return
    sequence = qmc.Sobol(len(searched), scramble=True, rng=child(sweep.search.seed, "sobol"))
    # Powers of two are what the sequence is made in; fewer points are its beginning.
    for shares in sequence.random_base2(max(0, (sweep.search.num_samples - 1).bit_length()))[: sweep.search.num_samples]:
        yield fixed | {one.name: one.domain.at(float(share)) for one, share in zip(searched, shares, strict=True)}


def _is_gridded(dimension: Dimension, method: str) -> bool:
    return dimension.domain.kind == "grid" or (method == "grid" and dimension.domain.kind == "choice")


def resolve(sweep: SweepFile, task: TaskChoice, cell: str, drawn: Drawn) -> dict[str, Value]:
    """Every parameter that a trial of this task and cell has at this point: drawn, fixed by the task, or its default.

    Later ones at their default are left out; see Parameter.

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
    return {
        name: values[name]
        for name, parameter in declared.items()
        if parameter.is_active(values) and not (parameter.is_later and values[name] == parameter.default)
    }
