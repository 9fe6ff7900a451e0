"""Generated oscillations whose frequency is asked for: it is in the order of their values alone."""

# Shapes: T steps.

import numpy as np

from rnnbench.task.sequences import Sequences

ROWS = {"train": 800, "validation": 200, "test": 200}
# Cycles a step.
_FREQUENCIES = (0.03, 0.2)
_LENGTHS = (30, 80)
_NOISE = 0.2


def draw_oscillations(seed: int) -> Sequences:
    """Decaying sines of random height, phase, decay and length with noise; the target is the frequency, evenly spread."""
    random = np.random.default_rng(seed)
    splits = [split for split, rows in ROWS.items() for _ in range(rows)]
    values, targets = [], []
    for _ in splits:
        length, frequency = int(random.integers(_LENGTHS[0], _LENGTHS[1] + 1)), random.uniform(*_FREQUENCIES)
        steps_T = np.arange(length)
        wave_T = np.sin(2 * np.pi * (frequency * steps_T + random.uniform())) * np.exp(-random.uniform(0, 2) * steps_T / length)
        values.append((random.uniform(0.5, 2) * wave_T + random.normal(0, _NOISE, length))[:, None])
        targets.append(repr(float(frequency)))
    names = [str(row) for row in range(1, len(splits) + 1)]
    return Sequences(("x",), names, values, [f"oscillations, sequence {name}" for name in names], targets, splits=splits)
