"""Chaotic series, integrated rather than downloaded: Mackey-Glass (one column, with a delay) and Lorenz (three columns)."""

# Shapes: T samples, C columns.

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

SAMPLES = 3000
# Discarded samples, after which the trajectory is on the attractor.
_TRANSIENT = 500


def draw_mackey_glass(seed: int, samples: int = SAMPLES) -> Values:
    """One sample a time unit of x' = 0.2 x(t - 17) / (1 + x(t - 17)^10) - 0.1 x, (T, 1), from a random constant history.

    Source: Mackey and Glass 1977, doi:10.1126/science.267326; delay 17 and sampling as in Jaeger and Haas 2004.
    """
    start = np.random.default_rng(seed).uniform(0.6, 1.4)
    return integrate_mackey_glass(start, samples + _TRANSIENT)[_TRANSIENT:, None]


def draw_lorenz(seed: int, samples: int = SAMPLES) -> Values:
    """A sample every 0.05 time units of Lorenz's three variables, (T, 3), from a random point.

    Source: Lorenz 1963, doi:10.1175/1520-0469(1963)020<0130:DNF>2.0.CO;2; sigma 10, rho 28, beta 8/3.
    """
    start = np.random.default_rng(seed).uniform(-10, 10, 3) + np.array([0, 0, 25])
    return integrate(lorenz, start, 0.01, 5, samples + _TRANSIENT)[_TRANSIENT:]


def lorenz(state: Values) -> Values:
    """The derivative of Lorenz's system."""
    x, y, z = state
    return np.array([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z])


def integrate(derivative: Callable[[Values], Values], start: Values, step: float, steps_per_sample: int, samples: int) -> Values:
    """Samples of an autonomous system, the first at the start, by the classical Runge-Kutta method of order four."""
    found = np.empty((samples, len(start)))
    found[0] = state = start
    for sample in range(1, samples):
        for _ in range(steps_per_sample):
            k1 = derivative(state)
            k2 = derivative(state + step / 2 * k1)
            k3 = derivative(state + step / 2 * k2)
            k4 = derivative(state + step * k3)
            state = state + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        found[sample] = state
    return found


def integrate_mackey_glass(start: float, samples: int, steps_per_unit: int = 10, delay: int = 17) -> Values:
    """Samples at 0, 1, 2, ... time units; the history before 0 is `start` throughout.

    Runge-Kutta of order four; in the middle of a step the delayed value is read from the cubic through the values and slopes at both
    ends of that step, whose error is of order four too.
    """
    step, lag = 1 / steps_per_unit, delay * steps_per_unit
    total = (samples - 1) * steps_per_unit
    values = [start] * (lag + 1)  # up to time 0
    slopes = [0.0] * lag  # before time 0; at 0 begins the equation's own
    slopes.append(_slope(start, start))
    for now in range(lag, lag + total):
        first, last = now - lag, now - lag + 1
        early, late = values[first], values[last]
        # Before time 0 the history is flat.
        bend = step / 8 * (slopes[first] - slopes[last]) if first >= lag else 0.0
        middle = (early + late) / 2 + bend
        x = values[now]
        k1 = _slope(x, early)
        k2 = _slope(x + step / 2 * k1, middle)
        k3 = _slope(x + step / 2 * k2, middle)
        k4 = _slope(x + step * k3, late)
        values.append(x + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4))
        slopes.append(_slope(values[-1], late))
    return np.array(values[lag::steps_per_unit])


def _slope(x: float, delayed: float) -> float:
    return 0.2 * delayed / (1 + delayed**10) - 0.1 * x
