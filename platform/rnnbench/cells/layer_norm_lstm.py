"""Layer-normalised LSTM.

(i, f, g, o) = LN(R h-; a_1) + LN(W x; a_2) + b;  c = s(f) * c- + s(i) * tanh(g);  h = s(o) * tanh(LN(c; a_3, b_3)).
LN is over all four gates together; the shifts of the first two are one with b.

Source: Ba, Kiros, Hinton 2016, arXiv:1607.06450, equations 20 to 22.
"""
# Shapes: B batch, T time, I inputs, G = 4H gates (i, f, g, o). `step` also takes a leading model axis on every tensor.

import torch
from torch import Tensor, nn

from rnnbench.cells.cell import Cell
from rnnbench.cells.operations import Kept, Normalisation, Parts, Product, Weights
from rnnbench.cells.step import Projection, State


class LayerNormLSTM(Cell):
    """Args: `forget_bias` is added to the initial bias of the forget gate."""

    num_gates = 4
    state_names = ("h", "c")

    def __init__(self, input_size: int, hidden_size: int, forget_bias: float = 0.0) -> None:
        self.operations = (
            Product("hh", shared=False, num_results=4 * hidden_size),
            Normalisation("norm_hh", 4, shared=True),
            Kept("c"),
            Normalisation("norm_c", shift=True),
        )
        super().__init__(input_size, hidden_size)
        self.gain_ih = nn.Parameter(torch.ones(4 * hidden_size))
        with torch.no_grad():
            self.bias_ih[hidden_size : 2 * hidden_size] += forget_bias

    def projection(self) -> Projection | None:
        """None: the product is normalised."""
        return None

    def project(self, x_TBI: Tensor) -> Tensor:
        """LN(W x; a_2) + b."""
        return nn.functional.layer_norm(x_TBI @ self.weight_ih.mT, (len(self.weight_ih),), self.gain_ih, self.bias_ih)

    def step(self, weights: Weights, gates: Parts, state: State) -> State:
        """See Cell."""
        h_BH, c_BH = state
        i_BH, f_BH, g_BH, o_BH = weights.apply("norm_hh", weights.apply("hh", h_BH), gates)
        c_BH = weights.keep("c", torch.addcmul(i_BH.sigmoid() * g_BH.tanh(), f_BH.sigmoid(), c_BH))
        return o_BH.sigmoid() * weights.normalise("norm_c", c_BH).tanh(), c_BH
