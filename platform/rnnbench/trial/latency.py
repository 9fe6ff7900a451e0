"""How long a trained network takes to answer: forward passes over validation rows, one row at a time and a batch at a time."""

import statistics
import time
from collections.abc import Callable

import torch

from rnnbench.task.module import Batch, TaskModule

# Of each size of batch, after one that is not timed.
LEAST_PASSES, MOST_PASSES = 3, 50


def measure_latency(
    module: TaskModule, split: Batch, batch_size: int, budget_s: float, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Milliseconds of a sequence, `one_ms` by itself and `batch_ms` in batches: the median pass by its rows, beside whatever else runs.

    The rows are of median length: `steps` of the one, `batch` of them together, at most as many as the split has. A pass is what
    validation computes, so that a task which searches for its answer, such as a translation, takes more.

    Args:
        budget_s: Seconds after which no further pass begins; each size has at least LEAST_PASSES.
    """
    order = torch.arange(len(split)) if split.lengths is None else split.lengths.argsort(stable=True)
    size = min(batch_size, len(split))
    first = (len(split) - size) // 2
    one, several = split.rows(order[[len(split) // 2]]), split.rows(order[first : first + size])
    steps = one.inputs.shape[1] if one.inputs.ndim > 1 else 1
    one_ms = 1000 * _median_s(module, one, budget_s / 2, clock)
    batch_ms = 1000 * _median_s(module, several, budget_s / 2, clock) / size
    return {"one_ms": one_ms, "batch_ms": batch_ms, "batch": size, "steps": steps}


def _median_s(module: TaskModule, batch: Batch, budget_s: float, clock: Callable[[], float]) -> float:
    taken: list[float] = []
    module.eval()
    with torch.inference_mode():
        started = clock()
        while len(taken) <= LEAST_PASSES or (len(taken) <= MOST_PASSES and clock() - started < budget_s):
            module.carried = None
            begun = clock()
            module(batch)
            taken.append(clock() - begun)
    module.carried = None
    return statistics.median(taken[1:])
