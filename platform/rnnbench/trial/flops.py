"""What training costs in arithmetic: the floating-point operations that a network needs for the rows it learns from.

Counted are matrix products, convolutions and attention, a multiply-add as two, of the whole network: recurrent layers by the closed form
of their cell, which holds however they are computed, everything around them by torch's own counter. Backward passes count twice the
forward one (Kaplan et al. 2020, arXiv:2001.08361, section 2.1). Left out are elementwise functions, looking up embeddings, the optimiser,
padding, validation and tests: the figure belongs to the trial's settings and data, not to how and where it was run.
"""

# Shapes: N rows, B batch, T time, I inputs, O outputs.

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from rnnbench.base.parameters import Value
from rnnbench.cells.entry import CellEntry
from rnnbench.cells.layer import Layer
from rnnbench.cells.network import RecurrentNetwork
from rnnbench.cells.step import State
from rnnbench.cells.table import get_cell
from rnnbench.task.module import Batch, TaskModule
from rnnbench.trial.spec import TrialSpec

FORWARD_AND_BACKWARD = 3
# Rows, evenly spaced by length, that stand for all where lengths differ.
SAMPLED_ROWS = 8


def count_epoch(spec: TrialSpec, module: TaskModule, train: Batch) -> int:
    """FLOPs of one epoch of training: of every row by itself, at its own length.

    Exact where all rows have one length. Else some rows are counted and the rest go by their steps, which is exact for whatever is done at
    each step, and close for what is done once for a row. The module is left in evaluation mode.
    """
    size_N = _sizes(train)
    index = torch.zeros(1, dtype=torch.int64) if size_N is None else _spread(size_N)
    with _counted(module, spec) as layers, FlopCounterMode(display=False) as around, torch.no_grad():
        module.eval()
        for row in index.split(1):
            module.carried = None
            module(train.rows(row).to(module.device))
        module.carried = None
    forward = int(around.get_total_flops()) + sum(layer.flops for layer in layers)
    scale = len(train) if size_N is None else float(size_N.sum()) / float(size_N[index].sum())
    return int(FORWARD_AND_BACKWARD * forward * scale + 0.5)


def _sizes(train: Batch) -> Tensor | None:
    """Steps of each row, its target's too where that is a sequence of its own; None where all have the same."""
    parts = [lengths.cpu() for lengths in (train.lengths, train.target_lengths) if lengths is not None]
    if not parts or all(int(part.min()) == int(part.max()) for part in parts):
        return None
    return torch.stack(parts).sum(0)


def _spread(size_N: Tensor) -> Tensor:
    """Places of some rows, evenly spaced in the order of their sizes."""
    count = min(SAMPLED_ROWS, len(size_N))
    return size_N.argsort(stable=True)[((torch.arange(count) + 0.5) * len(size_N) / count).long()]


class _Counted(Layer):
    """Stands in for a layer: computes nothing, and adds up what the layer would."""

    def __init__(self, layer: Layer, entry: CellEntry, parameters: dict[str, Value]) -> None:
        super().__init__(layer.input_size, layer.hidden_size)
        self.output_size = layer.output_size
        self.flops = 0
        # Behind a list, so that the layer is no part of this one.
        self._layer = [layer]
        self._flops_of_step = entry.flops_per_step(layer.input_size, layer.hidden_size, parameters)

    def forward(self, x_BTI: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        rows, steps = x_BTI.shape[:2]
        self.flops += rows * steps * self._flops_of_step
        return x_BTI.new_zeros(rows, steps, self.output_size), self._layer[0].initial_state(x_BTI) if state is None else state


@contextmanager
def _counted(module: TaskModule, spec: TrialSpec) -> Iterator[list[_Counted]]:
    """Within, every recurrent layer of a module is replaced by one that only counts."""
    entry, parameters = get_cell(spec.cell), dict(spec.parameters)
    networks = [part for part in module.modules() if isinstance(part, RecurrentNetwork)]
    before = [(network.forwards, network.backwards) for network in networks]
    found: list[_Counted] = []

    def stand_in(layers: nn.ModuleList) -> nn.ModuleList:
        counted = [_Counted(layer, entry, parameters) for layer in layers if isinstance(layer, Layer)]
        found.extend(counted)
        return nn.ModuleList(counted)

    try:
        for network in networks:
            network.forwards, network.backwards = stand_in(network.forwards), stand_in(network.backwards)
        yield found
    finally:
        for network, (forwards, backwards) in zip(networks, before, strict=True):
            network.forwards, network.backwards = forwards, backwards
