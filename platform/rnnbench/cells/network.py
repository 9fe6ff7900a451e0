"""A network around any cell: stacked, in one or both directions, with dropout on each layer's outputs."""

# Shapes: B batch, T time, I inputs, H hidden, O = H, or 2H in both directions.

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from rnnbench.cells.bptt import State
from rnnbench.cells.layer import Layer

BuildCell = Callable[[int, int], Layer]


class RecurrentNetwork(nn.Module):
    """Layers of one kind of cell.

    Attributes:
        output_size: Size of an output: hidden_size, or twice that in both directions.
    """

    def __init__(
        self,
        build_cell: BuildCell,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        dropout: float = 0.0,
        bidirectional: bool = False,
    ) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.bidirectional = bidirectional
        self.output_size = hidden_size * (2 if bidirectional else 1)
        sizes = [input_size] + [self.output_size] * (num_layers - 1)
        self.forwards = nn.ModuleList(build_cell(size, hidden_size) for size in sizes)
        self.backwards = nn.ModuleList(build_cell(size, hidden_size) for size in sizes) if bidirectional else nn.ModuleList()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BTI: Tensor, lengths_B: Tensor | None = None, state: Sequence[State] | None = None) -> tuple[Tensor, list[State]]:
        """Outputs (B, T, O) and the final state of every layer, forward direction first.

        Args:
            lengths_B: Valid steps of each row, at least 1; None: all. What lies behind them changes neither an output within
                them nor a gradient. The returned state is then that of the last padded step: carry state only over full rows.
            state: What an earlier call returned, to go on where it ended; not in both directions.
        """
        if self.bidirectional and state is not None:
            raise ValueError("a network in both directions cannot go on from a state")
        final: list[State] = []
        for layer, cell in enumerate(self.forwards):
            outputs_BTO, last = cell(x_BTI, None if state is None else state[layer])
            final.append(last)
            if self.bidirectional:
                reversed_BTH, last = self.backwards[layer](_reverse(x_BTI, lengths_B))
                outputs_BTO = torch.cat([outputs_BTO, _reverse(reversed_BTH, lengths_B)], dim=-1)
                final.append(last)
            x_BTI = self.dropout(outputs_BTO)
        return x_BTI, final

    def last_output(self, outputs_BTO: Tensor, lengths_B: Tensor | None = None) -> Tensor:
        """What a classifier reads, (B, O): the forward direction's last valid step, the backward one's first step."""
        if lengths_B is None:
            last_BO = outputs_BTO[:, -1]
        else:
            index_B11 = (lengths_B - 1).view(-1, 1, 1)
            last_BO = outputs_BTO.gather(1, index_B11.expand(-1, 1, outputs_BTO.shape[2])).squeeze(1)
        if not self.bidirectional:
            return last_BO
        return torch.cat([last_BO[:, : self.hidden_size], outputs_BTO[:, 0, self.hidden_size :]], dim=-1)


def _reverse(x_BTI: Tensor, lengths_B: Tensor | None) -> Tensor:
    """Each row reversed within its length, the padding left where it is."""
    if lengths_B is None:
        return x_BTI.flip(1)
    step_1T = torch.arange(x_BTI.shape[1], device=x_BTI.device).unsqueeze(0)
    length_B1 = lengths_B.unsqueeze(1)
    source_BT = torch.where(step_1T < length_B1, length_B1 - 1 - step_1T, step_1T)
    return x_BTI.gather(1, source_BT.unsqueeze(-1).expand_as(x_BTI))
