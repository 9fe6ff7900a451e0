"""sLSTM: an LSTM with exponential gates, a normaliser and a stabiliser.

m = max(i~, m- + logsig(f~)); i = exp(i~ - m); f = exp(logsig(f~) + m- - m); c = f c- + i tanh(z~); n = f n- + i; h = s(o~) * c / n,
each gate v~ = W_v x + R_v h- + b_v.

Source: Beck et al. 2024, arXiv:2405.04517, one head, exponential input gate and sigmoid forget gate.
"""
# Shapes: B batch, H hidden. `step` also takes a leading model axis on every tensor.

import torch
from torch import Tensor

from rnnbench.cells.cell import Cell
from rnnbench.cells.operations import Kept, Parts, Product, Weights
from rnnbench.cells.step import State


class SLSTM(Cell):
    """Args: `forget_bias` is added to the initial bias of the forget gate."""

    num_gates = 4
    operations = (Product("hh", 4), Kept("c"), Kept("n"))
    state_names = ("h", "c", "n", "m")

    def __init__(self, input_size: int, hidden_size: int, forget_bias: float = 0.0) -> None:
        super().__init__(input_size, hidden_size)
        with torch.no_grad():
            self.bias_ih[hidden_size : 2 * hidden_size] += forget_bias

    def initial_state(self, x_BTI: Tensor) -> State:
        """Zeros, and for m the lowest number, so that the first step's own gate decides."""
        zeros_BH = x_BTI.new_zeros(x_BTI.shape[0], self.hidden_size)
        return zeros_BH, zeros_BH, zeros_BH, torch.full_like(zeros_BH, torch.finfo(zeros_BH.dtype).min / 2)

    def step(self, weights: Weights, gates: Parts, state: State) -> State:
        """See Cell."""
        h_BH, c_BH, n_BH, m_BH = state
        i_BH, f_BH, z_BH, o_BH = weights.apply("hh", h_BH, gates)
        # m is a scale that the output does not depend on: it has no gradient, and that of c and n is for a given scale.
        kept_BH = m_BH.detach() + torch.nn.functional.logsigmoid(f_BH)
        m_BH = torch.maximum(i_BH, kept_BH).detach()
        i_BH, f_BH = (i_BH - m_BH).exp(), (kept_BH - m_BH).exp()
        c_BH = weights.keep("c", torch.addcmul(i_BH * z_BH.tanh(), f_BH, c_BH))
        n_BH = weights.keep("n", torch.addcmul(i_BH, f_BH, n_BH))
        return o_BH.sigmoid() * c_BH / n_BH, c_BH, n_BH, m_BH
