"""The gated recurrent unit, reset gate after the recurrent product: h = (1 - z) * n + z * h-.

Source: Cho et al. 2014, arXiv:1406.1078, in the form of cuDNN and torch.nn.GRU.
"""
# Shapes: B batch, T time, I inputs, H hidden, G = 3H gates (r, z, n). `step` also takes a leading model axis on every tensor.

import torch
from torch import Tensor

from rnnbench.cells.cell import Cell, State, Weights


class GRU(Cell):
    """See the module."""

    num_gates = 3

    def step(self, weights: Weights, gates_BG: Tensor, state: State) -> State:
        """See Cell."""
        (h_BH,) = state
        input_r_BH, input_z_BH, input_n_BH = gates_BG.chunk(3, dim=-1)
        hidden_r_BH, hidden_z_BH, hidden_n_BH = (h_BH @ weights.recurrent_HG + weights.bias_G).chunk(3, dim=-1)
        r_BH = (input_r_BH + hidden_r_BH).sigmoid()
        z_BH = (input_z_BH + hidden_z_BH).sigmoid()
        n_BH = (input_n_BH + r_BH * hidden_n_BH).tanh()
        return ((1 - z_BH) * n_BH + z_BH * h_BH,)

    def run(self, x_BTI: Tensor, state: State) -> tuple[Tensor, State]:
        """The fused kernel of torch."""
        outputs_BTH, h_1BH = torch.gru(x_BTI, state[0].unsqueeze(0), self.flat_weights(), True, 1, 0.0, self.training, False, True)
        return outputs_BTH, (h_1BH.squeeze(0),)
