"""How far back a trained network's gradients reach, on rows that it was validated on."""

import torch
from torch import Tensor

from rnnbench.cells.gradient_flow import gradient_flow
from rnnbench.task.module import Batch, TaskModule

ROWS, STEPS, POINTS = 16, 256, 48


def measure_flow(module: TaskModule, split: Batch) -> dict[str, list[float]] | None:
    """Lags in steps, at most POINTS and evenly in their logarithm, and the norm of the last output's gradient by the state so far back.

    Of the longest rows of the split, see `gradient_flow`; None where the network has no answer, or reads a single step.
    """
    read: list[Tensor] = []

    def note(_: torch.nn.Module, given: tuple[Tensor, ...]) -> None:
        read.append(given[0].detach())

    longest = torch.arange(len(split)) if split.lengths is None else split.lengths.argsort(descending=True, stable=True)
    rows = split.rows(longest[:ROWS])
    hook = module.network.register_forward_pre_hook(note)
    try:
        with torch.no_grad():
            module.eval()
            module.carried = None
            module(rows)
            module.carried = None
    finally:
        hook.remove()
    steps = read[0].shape[1] if rows.lengths is None else min(read[0].shape[1], int(rows.lengths.min()))
    if steps < 2:
        return None
    norms = gradient_flow(module.network, read[0][:, max(0, steps - STEPS) : steps])
    if norms is None:
        return None
    lags = sorted({round(float(lag)) for lag in torch.logspace(0, torch.log10(torch.tensor(float(len(norms)))).item(), POINTS)})
    return {"lags": [float(lag) for lag in lags], "norms": [float(norms[lag - 1]) for lag in lags]}
