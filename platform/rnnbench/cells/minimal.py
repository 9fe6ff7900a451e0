"""Gated cells with fewer parts: the minimal gated unit, and JANET, an LSTM of which only the forget gate is left."""
# Shapes: B batch, H hidden. `step` also takes a leading model axis on every tensor.

import torch

from rnnbench.cells.cell import Cell
from rnnbench.cells.operations import Parts, Product, Weights
from rnnbench.cells.step import State


class MGU(Cell):
    """f = s(W_f x + R_f h- + b_f); n = tanh(W_n x + R_n (f * h-) + b_n); h = (1 - f) * h- + f * n.

    Source: Zhou et al. 2016, arXiv:1603.09420.
    """

    num_gates = 2
    operations = (Product("hh", 1), Product("hn", 1))

    def step(self, weights: Weights, gates: Parts, state: State) -> State:
        """See Cell."""
        (h_BH,) = state
        f_BH = weights.apply("hh", h_BH, gates)[0].sigmoid()
        n_BH = weights.apply("hn", f_BH * h_BH, gates)[0].tanh()
        return (torch.lerp(h_BH, n_BH, f_BH),)


class JANET(Cell):
    """f = s(W_f x + R_f h- + b_f); h = f * h- + (1 - f) * tanh(W x + R h- + b).

    Args: `forget_bias` is added to the initial bias of the forget gate.
    Source: van der Westhuizen and Lasenby 2018, arXiv:1804.04849, without the shift of the input gate.
    """

    num_gates = 2
    operations = (Product("hh", 2),)

    def __init__(self, input_size: int, hidden_size: int, forget_bias: float = 0.0) -> None:
        super().__init__(input_size, hidden_size)
        with torch.no_grad():
            self.bias_ih[:hidden_size] += forget_bias

    def step(self, weights: Weights, gates: Parts, state: State) -> State:
        """See Cell."""
        (h_BH,) = state
        f_BH, n_BH = weights.apply("hh", h_BH, gates)
        return (torch.lerp(n_BH.tanh(), h_BH, f_BH.sigmoid()),)
