"""Long short-term memory without peepholes: c = f * c- + i * g, h = o * tanh(c).

Source: Hochreiter and Schmidhuber 1997; forget gate of Gers et al. 2000; torch.nn.LSTM.
"""
# Shapes: B batch, T time, I inputs, H hidden, G = 4H gates (i, f, g, o). `step` also takes a leading model axis on every tensor.

import torch
from torch import Tensor

from rnnbench.cells.bptt import State
from rnnbench.cells.cell import Cell
from rnnbench.cells.operations import Kept, Parts, Product, Weights


class LSTM(Cell):
    """Args: `forget_bias` is added to the initial bias of the forget gate (Jozefowicz et al. 2015 advise 1)."""

    num_gates = 4
    operations = (Product("hh", 4, bias=True), Kept("c"))
    state_names = ("h", "c")

    def __init__(self, input_size: int, hidden_size: int, forget_bias: float = 0.0) -> None:
        super().__init__(input_size, hidden_size)
        with torch.no_grad():
            self.bias_ih[hidden_size : 2 * hidden_size] += forget_bias

    def step(self, weights: Weights, gates: Parts, state: State) -> State:
        """See Cell."""
        h_BH, c_BH = state
        i_BH, f_BH, g_BH, o_BH = weights.apply("hh", h_BH, gates)
        c_BH = weights.keep("c", f_BH.sigmoid() * c_BH + i_BH.sigmoid() * g_BH.tanh())
        return o_BH.sigmoid() * c_BH.tanh(), c_BH

    def run(self, x_BTI: Tensor, state: State) -> tuple[Tensor, State]:
        """The fused kernel of torch."""
        start = [part.unsqueeze(0) for part in state]
        flat_weights = self.flat_weights()
        outputs_BTH, h_1BH, c_1BH = torch.lstm(x_BTI, start, flat_weights, True, 1, 0.0, self.training, False, True)
        return outputs_BTH, (h_1BH.squeeze(0), c_1BH.squeeze(0))
