"""Adaptive searches: the draw of a numbered slot from the results recorded so far, made anew from them each time.

Nothing is kept between two draws and nothing is unpickled: the same results give the same draw. Numbers are searched on the
unit interval of their distribution (`Domain.at`), so a log range is searched on its log scale. TPE (Bergstra et al., 2011) is
Optuna's; CMA-ES (Hansen and Ostermeier, 2001) is the library behind Optuna's, whose own sampler can only go on from a pickle.
"""

import importlib.util
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnbench.base.parameters import Value
from rnnbench.base.seeds import child
from rnnbench.search.sweepfile import Dimension, SweepFile, TaskChoice

ADAPTIVE = ("tpe", "cmaes")
LIBRARIES = {"tpe": "optuna", "cmaes": "cmaes"}
# Draws at random before a model is trusted, as in Optuna.
NUM_STARTUP = 10


@dataclass(frozen=True)
class Observation:
    """A slot that was drawn: its parameters, and its value where it has one.

    Attributes:
        value: Signed so that lower is better; None while it runs, infinite where it diverged or failed.
    """

    draw: int
    parameters: Mapping[str, Value]
    value: float | None


def missing_library(method: str) -> str | None:
    """The package that a search method needs and that is not installed."""
    library = LIBRARIES.get(method)
    return library if library is not None and importlib.util.find_spec(library) is None else None


def is_numeric(dimension: Dimension) -> bool:
    """Whether a dimension is searched as a number."""
    return not dimension.domain.is_listed


def draw_slot(sweep: SweepFile, task: TaskChoice, cell: str, draw: int, seen: Sequence[Observation]) -> dict[str, Value]:
    """The value each dimension takes in a slot, given what is known; see `Observation` for its order of `seen` (any)."""
    seed = child(sweep.search.seed, "slot", task.name, cell, draw)
    observed = sorted(_finite(seen), key=lambda one: one.draw)
    drawn = {dimension.name: dimension.domain.draw(child(seed, dimension.name)) for dimension in sweep.space}
    if sum(one.value is not None for one in observed) < NUM_STARTUP:
        return drawn
    return drawn | (_tpe if sweep.search.method == "tpe" else _cmaes)(sweep, seed, observed)


def _finite(seen: Sequence[Observation]) -> list[Observation]:
    """Diverged and failed slots count as the worst that was seen: no model takes infinity."""
    worst = max((one.value for one in seen if one.value is not None and math.isfinite(one.value)), default=None)
    return [
        one if one.value is None or math.isfinite(one.value) else Observation(one.draw, one.parameters, worst)
        for one in seen
        if worst is not None or one.value is None
    ]


def _tpe(sweep: SweepFile, seed: int, seen: Sequence[Observation]) -> dict[str, Value]:
    import optuna
    from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def distribution(dimension: Dimension) -> BaseDistribution:
        if is_numeric(dimension):
            return FloatDistribution(0.0, 1.0)
        return CategoricalDistribution(list(range(len(dimension.domain.values))))

    searched = {dimension.name: dimension for dimension in sweep.space if dimension.domain.kind != "value"}
    distributions = {name: distribution(dimension) for name, dimension in searched.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(seed=seed % 2**32, n_startup_trials=0, constant_liar=True)
        study = optuna.create_study(sampler=sampler)
        for one in seen:
            known = {name: one.parameters[name] for name in searched if name in one.parameters}
            # One that did not apply there has its default, which need not be among the values that are searched.
            positions = {name: _position(searched[name], value) for name, value in known.items() if _is_possible(searched[name], value)}
            state = optuna.trial.TrialState.RUNNING if one.value is None else optuna.trial.TrialState.COMPLETE
            own = {name: distributions[name] for name in positions}
            study.add_trial(optuna.trial.create_trial(state=state, value=one.value, params=positions, distributions=own))
        asked: Mapping[str, Any] = study.ask(distributions).params
    return {name: _value(searched[name], position) for name, position in asked.items()}


def _cmaes(sweep: SweepFile, seed: int, seen: Sequence[Observation]) -> dict[str, Value]:
    from cmaes import CMA

    # A parameter that not every trial has keeps its random draw: the method needs a fixed space.
    names = [dimension.name for dimension in sweep.space if is_numeric(dimension) and not dimension.when]
    space = {dimension.name: dimension for dimension in sweep.space}
    bounds = np.array([[0.0, 1.0]] * len(names))
    optimizer = CMA(mean=np.full(len(names), 0.5), sigma=1 / 6, bounds=bounds, seed=seed % 2**32)
    finished = [one for one in seen if one.value is not None]
    size = optimizer.population_size
    for start in range(0, len(finished) - size + 1, size):
        generation = finished[start : start + size]
        optimizer.tell([(np.array([_position(space[name], one.parameters[name]) for name in names]), one.value) for one in generation])
    return {name: _value(space[name], float(position)) for name, position in zip(names, optimizer.ask(), strict=True)}


def _is_possible(dimension: Dimension, value: Value) -> bool:
    if is_numeric(dimension):
        return isinstance(value, int | float)
    return value in dimension.domain.values


def _position(dimension: Dimension, value: Value) -> float | int:
    domain = dimension.domain
    return domain.position(value) if is_numeric(dimension) else domain.values.index(value)


def _value(dimension: Dimension, position: float | int) -> Value:
    return dimension.domain.at(position) if is_numeric(dimension) else dimension.domain.values[int(position)]
