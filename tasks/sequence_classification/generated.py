"""Generated waves whose class is in the order of their values alone."""

# Shapes: T steps.

import numpy as np

from rnnbench.task.sequences import Sequences

ROWS = {"train": 600, "validation": 200, "test": 200}
CLASSES = ("falling", "rising", "triangle")
_LENGTHS = (20, 60)
_NOISE = 0.15


def draw_waves(seed: int) -> Sequences:
    """Saw teeth that rise slowly and fall at once, their mirror images, and triangles, of random period, phase, height and length.

    The values of all three are spread alike over their range (uniformly), so that no statistic without order tells them apart.
    """
    random = np.random.default_rng(seed)
    splits = [split for split, rows in ROWS.items() for _ in range(rows)]
    values, targets = [], []
    for row in range(len(splits)):
        kind = CLASSES[row % len(CLASSES)]
        length, period = int(random.integers(_LENGTHS[0], _LENGTHS[1] + 1)), random.uniform(6, 15)
        phase_T = (np.arange(length) / period + random.uniform()) % 1
        if kind == "rising":
            wave_T = phase_T
        elif kind == "falling":
            wave_T = 1 - phase_T
        else:
            wave_T = np.abs(2 * phase_T - 1)
        wave_T = random.uniform(0.5, 2) * (2 * wave_T - 1) + random.normal(0, _NOISE, length)
        values.append(wave_T[:, None])
        targets.append(kind)
    names = [str(row) for row in range(1, len(splits) + 1)]
    return Sequences(("x",), names, values, [f"waves, sequence {name}" for name in names], targets, splits=splits)
