"""Distributions of a searched parameter: what each means, what it accepts, how it draws."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from rnnbench.base.parameters import Value


@dataclass(frozen=True)
class Domain:
    """A distribution over a parameter's values.

    Attributes:
        kind: `value` (fixed), `choice`, `grid`, or a continuous or integer distribution.
        values: The listed values, or the distribution's arguments.
    """

    kind: str
    values: tuple[Value, ...]

    @property
    def is_listed(self) -> bool:
        """Whether the values are a finite list."""
        return self.kind in LISTED

    def draw(self, seed: int) -> Value:
        """One value from the stream of a seed; for a grid, see `values`."""
        rng = np.random.default_rng(seed)
        if self.is_listed:
            return self.values[int(rng.integers(len(self.values)))]
        return DRAWS[self.kind](rng, *self._numbers())

    def at(self, share: float) -> Value:
        """The value below which that share (0 to 1) of the distribution lies: the way from a uniform number to a draw."""
        share = min(max(share, 0.0), 1.0)
        if self.is_listed:
            return self.values[min(int(share * len(self.values)), len(self.values) - 1)]
        return QUANTILES[self.kind](share, *self._numbers())

    def position(self, value: Value) -> float:
        """The share at which `at` gives that value; of a whole number or a step the middle of its shares."""
        assert isinstance(value, int | float)
        low, high, *step = self._numbers()
        if self.kind == "normal":
            return NormalDist(low, high).cdf(value)
        if self.kind == "one_minus_loguniform":
            value = 1.0 - value
        if self.kind == "quniform":
            count = math.floor((high - low) / step[0] + 1e-9) + 1
            return (round((value - low) / step[0]) + 0.5) / count
        if self.kind in WHOLE:
            value, high = value + 0.5, high + 1
        if "log" in self.kind:
            value, low, high = math.log(max(value, low)), math.log(low), math.log(high)
        return min(max((value - low) / (high - low), 0.0), 1.0)

    def _numbers(self) -> list[float]:
        return [float(value) for value in self.values if isinstance(value, int | float)]

    def extremes(self) -> list[Value]:
        """Values that any draw lies between, or all values: what a parameter's range is checked against."""
        if self.is_listed:
            return list(self.values)
        if self.kind == "normal":
            return []
        low, high = (value for value in self.values[:2] if isinstance(value, int | float))
        if self.kind == "one_minus_loguniform":
            return [1 - high, 1 - low]
        return [int(low), int(high)] if self.kind in WHOLE else [float(low), float(high)]


LISTED = ("value", "choice", "grid")
WHOLE = ("randint", "lograndint")

Draw = Callable[..., Value]


def _loguniform(rng: np.random.Generator, low: float, high: float) -> float:
    return min(max(math.exp(rng.uniform(math.log(low), math.log(high))), low), high)


def _lograndint(rng: np.random.Generator, low: float, high: float) -> int:
    # Log-uniform over [low, high + 1), rounded down: every whole number's share is log((n + 1) / n).
    return min(int(_loguniform(rng, low, high + 1)), int(high))


def _quniform(rng: np.random.Generator, low: float, high: float, step: float) -> float:
    return low + step * int(rng.integers(0, math.floor((high - low) / step + 1e-9) + 1))


DRAWS: dict[str, Draw] = {
    "uniform": lambda rng, low, high: float(rng.uniform(low, high)),
    "loguniform": _loguniform,
    "one_minus_loguniform": lambda rng, low, high: 1.0 - _loguniform(rng, low, high),
    "normal": lambda rng, mean, std: float(rng.normal(mean, std)),
    "randint": lambda rng, low, high: int(rng.integers(int(low), int(high) + 1)),
    "lograndint": _lograndint,
    "quniform": _quniform,
}


def _log_at(share: float, low: float, high: float) -> float:
    return min(max(math.exp(math.log(low) + share * (math.log(high) - math.log(low))), low), high)


def _step_at(share: float, low: float, high: float, step: float) -> float:
    count = math.floor((high - low) / step + 1e-9) + 1
    return low + step * min(int(share * count), count - 1)


# The ends of a normal distribution are infinite: shares nearer to 0 or 1 than this are moved in.
_TAIL = 1e-9
QUANTILES: dict[str, Draw] = {
    "uniform": lambda share, low, high: low + share * (high - low),
    "loguniform": _log_at,
    "one_minus_loguniform": lambda share, low, high: 1.0 - _log_at(share, low, high),
    "normal": lambda share, mean, std: NormalDist(mean, std).inv_cdf(min(max(share, _TAIL), 1 - _TAIL)),
    "randint": lambda share, low, high: min(int(low + share * (high + 1 - low)), int(high)),
    "lograndint": lambda share, low, high: min(int(_log_at(share, low, high + 1)), int(high)),
    "quniform": _step_at,
}
ARGUMENTS = {
    "uniform": "[low, high]",
    "loguniform": "[low, high], both above 0",
    "one_minus_loguniform": "[low, high] of u in 1 - u, both above 0",
    "normal": "[mean, standard deviation]",
    "randint": "[low, high], whole numbers, both included",
    "lograndint": "[low, high], whole numbers from 1, both included",
    "quniform": "[low, high, step]",
}
KINDS = (*LISTED, *DRAWS)


def build_domain(kind: str, arguments: Any) -> Domain:
    """A domain from its name and the plain data behind it.

    Raises:
        ValueError: the arguments do not fit; the text says what is wrong and what is allowed.
    """
    if kind == "value":
        return Domain(kind, (arguments,))
    if not isinstance(arguments, list):
        raise ValueError(f"{kind} needs a list, {ARGUMENTS.get(kind, '[value, ...]')}")
    if kind in LISTED:
        if not arguments:
            raise ValueError(f"{kind} is empty; list at least one value")
        if len({(type(value).__name__, str(value)) for value in arguments}) < len(arguments):
            raise ValueError(f"{kind} lists a value twice")
        return Domain(kind, tuple(arguments))
    _check_numbers(kind, arguments)
    return Domain(kind, tuple(arguments))


def _check_numbers(kind: str, numbers: Sequence[Any]) -> None:
    wanted = f"{kind} needs {ARGUMENTS[kind]}"
    expected = 3 if kind == "quniform" else 2
    if len(numbers) != expected or any(isinstance(n, bool) or not isinstance(n, int | float) for n in numbers):
        raise ValueError(wanted)
    if any(not math.isfinite(number) for number in numbers):
        raise ValueError(f"{wanted}; NaN and infinity are not allowed")
    if kind in WHOLE and any(not isinstance(number, int) for number in numbers):
        raise ValueError(wanted)
    if kind == "normal":
        if numbers[1] <= 0:
            raise ValueError(f"normal: the standard deviation is {numbers[1]:g}, must be above 0")
        return
    low, high = numbers[:2]
    if low >= high:
        raise ValueError(f"{kind}: low {low:g} is not below high {high:g}")
    if "log" in kind and low <= 0:
        raise ValueError(f"{kind}: low is {low:g}, a log range must start above 0")
    if kind == "quniform" and not 0 < numbers[2] <= high - low:
        raise ValueError(f"quniform: step is {numbers[2]:g}, must be above 0 and at most high - low")
