"""A network around any cell: stacked, in one or both directions, with what is usually put between and around the layers."""

# Shapes: B batch, T time, I inputs, H hidden, O = H, or 2H in both directions.

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from rnnbench.cells.cell import Cell
from rnnbench.cells.layer import Layer
from rnnbench.cells.models import Share, draw_noise, drop
from rnnbench.cells.noise import Noise
from rnnbench.cells.pooling import Pooling, build_pooling
from rnnbench.cells.step import State

BuildCell = Callable[[int, int], Layer]
Connections = Literal["plain", "residual", "skip"]


@dataclass(frozen=True)
class Surroundings:
    """What is around the cells.

    Attributes:
        dropout: Share of each layer's outputs dropped, between layers and before the head.
        variational: Whether what is dropped is the same at every step.
        connections: residual adds a layer's input to its output where sizes agree; with skip every layer also reads the input.
        layer_norm: Whether each layer's outputs are normalised.
        learned_state: Whether the initial state is learned.
        pooling: How a sequence becomes one vector.
        noise: Inside the recurrence.
        input_noise: Standard deviation of what is added to the inputs in training. Source: Graves 2012, arXiv:1211.3711.
    """

    dropout: float = 0.0
    variational: bool = False
    connections: Connections = "plain"
    layer_norm: bool = False
    learned_state: bool = False
    pooling: Pooling = "last"
    noise: Noise = field(default_factory=Noise)
    input_noise: float = 0.0


class RecurrentNetwork(nn.Module):
    """Layers of one kind of cell.

    Attributes:
        output_size: Size of an output: the cell's, or twice that in both directions.
    """

    def __init__(
        self,
        build_cell: BuildCell,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bidirectional: bool = False,
        around: Surroundings | None = None,
    ) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.bidirectional = bidirectional
        self.around = around = around or Surroundings()
        first = build_cell(input_size, hidden_size)
        self._one_way = first.output_size
        self.output_size = first.output_size * (2 if bidirectional else 1)
        sizes = input_sizes(input_size, self.output_size, num_layers, around.connections)
        self.forwards = nn.ModuleList([first, *(build_cell(size, hidden_size) for size in sizes[1:])])
        self.backwards = nn.ModuleList(build_cell(size, hidden_size) for size in sizes) if bidirectional else nn.ModuleList()
        self.starts = nn.ModuleList(_Start(cell) for cell in (*self.forwards, *self.backwards)) if around.learned_state else None
        self.norms = nn.ModuleList(nn.LayerNorm(self.output_size) for _ in sizes) if around.layer_norm else None
        self.dropout = _Dropout(around.dropout, same_at_every_step=around.variational)
        self.set_noise(*self.noise_shares())
        self.pool = build_pooling(around.pooling, self.output_size)

    def forward(self, x_BTI: Tensor, lengths_B: Tensor | None = None, state: Sequence[State] | None = None) -> tuple[Tensor, list[State]]:
        """Outputs (B, T, O) and the final state of every layer, forward direction first.

        Args:
            lengths_B: Valid steps of each row, at least 1; None: all. What lies behind them changes neither an output within
                them nor a gradient. The returned state is then that of the last padded step: carry state only over full rows.
            state: What an earlier call returned, to go on where it ended; not in both directions.
        """
        if self.bidirectional and state is not None:
            raise ValueError("a network in both directions cannot go on from a state")
        if self.training and self.input_noise:
            x_BTI = x_BTI + draw_noise(x_BTI, self.input_noise)
        final: list[State] = []
        network_input_BTI = x_BTI
        for layer, cell in enumerate(self.forwards):
            if layer and self.around.connections == "skip":
                x_BTI = torch.cat([x_BTI, network_input_BTI], dim=-1)
            outputs_BTO, last = _call(cell, x_BTI, self._start(layer, x_BTI) if state is None else state[layer])
            final.append(last)
            if self.bidirectional:
                start = self._start(len(self.forwards) + layer, x_BTI)
                reversed_BTH, last = _call(self.backwards[layer], _reverse(x_BTI, lengths_B), start)
                outputs_BTO = torch.cat([outputs_BTO, _reverse(reversed_BTH, lengths_B)], dim=-1)
                final.append(last)
            if self.around.connections == "residual" and x_BTI.shape[-1] == outputs_BTO.shape[-1]:
                outputs_BTO = outputs_BTO + x_BTI
            if self.norms is not None:
                outputs_BTO = self.norms[layer](outputs_BTO)
            x_BTI = self.dropout(outputs_BTO)
        return x_BTI, final

    def noise_shares(self) -> tuple[float, ...]:
        """Input noise, and shares of dropout, recurrent dropout, zoneout and weight drop, as built."""
        noise = self.around.noise
        shares = self.around.input_noise, self.around.dropout, noise.recurrent_dropout, noise.zoneout, noise.weight_drop
        return tuple(share for share in shares if isinstance(share, float | int))

    def set_noise(self, input_noise: Share, dropout: Share, *within: Share) -> None:
        """Replaces those, for all layers; for a network that stands for several, with each one's."""
        self.input_noise = input_noise
        self.dropout.share = dropout
        for cell in (*self.forwards, *self.backwards):
            if isinstance(cell, Cell):
                cell.noise = Noise(*within)

    def summary(self, outputs_BTO: Tensor, lengths_B: Tensor | None = None) -> Tensor:
        """What a classifier reads, (B, O), by the network's pooling."""
        if self.pool is not None:
            pooled_BO: Tensor = self.pool(outputs_BTO, lengths_B)
            return pooled_BO
        if lengths_B is None:
            last_BO = outputs_BTO[:, -1]
        else:
            index_B11 = (lengths_B - 1).view(-1, 1, 1)
            last_BO = outputs_BTO.gather(1, index_B11.expand(-1, 1, outputs_BTO.shape[2])).squeeze(1)
        if not self.bidirectional:
            return last_BO
        # The backward direction has read everything when it is at the first step.
        return torch.cat([last_BO[:, : self._one_way], outputs_BTO[:, 0, self._one_way :]], dim=-1)

    def _start(self, place: int, x_BTI: Tensor) -> State | None:
        return None if self.starts is None else self.starts[place](x_BTI)


def input_sizes(inputs: int, outputs: int, num_layers: int, connections: str) -> list[int]:
    """Inputs of each layer."""
    return [inputs] + [outputs + (inputs if connections == "skip" else 0)] * (num_layers - 1)


class _Start(nn.Module):
    """A learned initial state: what a cell starts from anyway, plus weights that start at zero."""

    def __init__(self, cell: Layer) -> None:
        super().__init__()
        # Behind a list, so that the cell is not a part of this module too.
        self._cell = [cell]
        like = cell.initial_state(torch.zeros(1, 1, cell.input_size))
        self.parts = nn.ParameterList(torch.zeros_like(part[0]) for part in like)

    def forward(self, x_BTI: Tensor) -> State:
        return tuple(part + learned for part, learned in zip(self._cell[0].initial_state(x_BTI), self.parts, strict=True))


class _Dropout(nn.Module):
    def __init__(self, share: float, *, same_at_every_step: bool) -> None:
        super().__init__()
        self.share: Share = share
        self.same_at_every_step = same_at_every_step

    def forward(self, x_BTO: Tensor) -> Tensor:
        shape_BTO = x_BTO.shape[0], 1 if self.same_at_every_step else x_BTO.shape[1], x_BTO.shape[2]
        return drop(x_BTO, self.share, training=self.training, shape=shape_BTO)


def _call(cell: nn.Module, x_BTI: Tensor, state: State | None) -> tuple[Tensor, State]:
    """The cell, in full precision where autocast is on and its hand-derived passes have no types for it."""
    kind = x_BTI.device.type
    if not torch.is_autocast_enabled(kind) or (isinstance(cell, Layer) and cell.takes_half()):
        found: tuple[Tensor, State] = cell(x_BTI, state)
        return found
    with torch.autocast(kind, enabled=False):
        full: tuple[Tensor, State] = cell(x_BTI.float(), None if state is None else tuple(part.float() for part in state))
        return full


def _reverse(x_BTI: Tensor, lengths_B: Tensor | None) -> Tensor:
    """Each row reversed within its length, the padding left where it is."""
    if lengths_B is None:
        return x_BTI.flip(1)
    step_1T = torch.arange(x_BTI.shape[1], device=x_BTI.device).unsqueeze(0)
    length_B1 = lengths_B.unsqueeze(1)
    source_BT = torch.where(step_1T < length_B1, length_B1 - 1 - step_1T, step_1T)
    return x_BTI.gather(1, source_BT.unsqueeze(-1).expand_as(x_BTI))
