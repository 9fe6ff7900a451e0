"""The gated recurrent unit, reset gate after the recurrent product: h = (1 - z) * n + z * h-.

Source: Cho et al. 2014, arXiv:1406.1078, in the form of cuDNN and torch.nn.GRU.
"""
# Shapes: B batch, T time, I inputs, H hidden, G = 3H gates (r, z, n). `step` also takes a leading model axis on every tensor.

import torch
from torch import Tensor

from rnnbench.cells.cell import Cell
from rnnbench.cells.operations import Parts, Product, Weights
from rnnbench.cells.step import State


class GRU(Cell):
    """See the module."""

    has_kernel = True
    num_gates = 3
    operations = (Product("hh", 3, shared=False, bias=True),)

    def step(self, weights: Weights, gates: Parts, state: State) -> State:
        """See Cell."""
        (h_BH,) = state
        input_r_BH, input_z_BH, input_n_BH = gates
        hidden_r_BH, hidden_z_BH, hidden_n_BH = weights.apply("hh", h_BH)
        r_BH = (input_r_BH + hidden_r_BH).sigmoid()
        z_BH = (input_z_BH + hidden_z_BH).sigmoid()
        n_BH = (input_n_BH + r_BH * hidden_n_BH).tanh()
        return (torch.lerp(n_BH, h_BH, z_BH),)

    def run(self, x_BTI: Tensor, state: State) -> tuple[Tensor, State]:
        """The fused kernel of torch."""
        return self.run_kernel(torch.gru, x_BTI, state, self.flat_weights())


class GRUv1(Cell):
    """The first form, reset gate before the recurrent product: n = tanh(W_n x + R_n (r * h-) + b_n).

    Source: Cho et al. 2014, arXiv:1406.1078v1.
    """

    num_gates = 3
    operations = (Product("hh", 2), Product("hn"))

    def step(self, weights: Weights, gates: Parts, state: State) -> State:
        """See Cell."""
        (h_BH,) = state
        r_BH, z_BH = weights.apply("hh", h_BH, gates)
        n_BH = weights.apply("hn", r_BH.sigmoid() * h_BH, gates)[0].tanh()
        return (torch.lerp(n_BH, h_BH, z_BH.sigmoid()),)
