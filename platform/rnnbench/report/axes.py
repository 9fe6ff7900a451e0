"""How a searched parameter becomes a number on an axis: its place among few values, or itself on the scale that it was searched on."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rnnbench.base.parameters import Value
from rnnbench.report.study import Study
from rnnbench.report.tables import find_levels, to_number

# Places of a parameter without levels at which it is asked.
GRID = 25

Floats = NDArray[np.float64]
Scale = Literal["linear", "log", "one_minus_log"]


@dataclass(frozen=True)
class Axis:
    """How a parameter becomes a number: its place among `levels`, or itself on a scale."""

    name: str
    scale: Scale
    levels: tuple[Value, ...]
    low: float
    high: float

    def place(self, given: Value) -> float:
        """Where a value stands."""
        if self.levels:
            return float(self.levels.index(given))
        return _TO[self.scale](to_number(given))

    def grid(self) -> Floats:
        """Places all along the axis, (points,)."""
        return np.arange(float(len(self.levels))) if self.levels else np.linspace(self.low, self.high, GRID)

    def values(self) -> tuple[Value, ...]:
        """The values at `grid`."""
        return self.levels or tuple(_BACK[self.scale](float(x)) for x in self.grid())


def find_scales(studies: Sequence[Study]) -> dict[str, Scale]:
    """The scale of each parameter that a sweep file searches on another than a linear one."""
    found: dict[str, Scale] = {}
    for study in studies:
        for name, line in (study.sweep.settings.get("space") or {}).items():
            kinds = set(line) if isinstance(line, Mapping) else set()
            if kinds & {"loguniform", "lograndint"}:
                found[name] = "log"
            elif "one_minus_loguniform" in kinds:
                found[name] = "one_minus_log"
    return found


def make_axis(name: str, given: Sequence[Value], scale: Scale) -> Axis:
    """The axis on which all given values stand."""
    levels = find_levels(given)
    if not levels:
        places = [_TO[scale](to_number(one)) for one in given]
        return Axis(name, scale, (), min(places), max(places))
    return Axis(name, "linear", tuple(levels), -0.5, len(levels) - 0.5)


_TO: dict[Scale, Callable[[float], float]] = {"linear": float, "log": math.log10, "one_minus_log": lambda x: -math.log10(1 - x)}
_BACK: dict[Scale, Callable[[float], float]] = {"linear": float, "log": lambda x: 10**x, "one_minus_log": lambda x: 1 - 10**-x}
