"""Quasi-recurrent network: gates from a window of inputs, pooled by a recurrence without weights.

z = tanh(W_z x'), f = s(W_f x'), o = s(W_o x'), x' the last k inputs;  c = f * c- + (1 - f) * z;  h = o * c (fo-pooling).

Source: Bradbury et al. 2017, arXiv:1611.01576.
"""
# Shapes: B batch, T time, I inputs, H hidden, K window.

import torch
from torch import Tensor, nn

from rnnbench.cells.layer import Layer
from rnnbench.cells.linear import Gated, run_gated, sigmoid_backward, tanh_backward
from rnnbench.cells.operations import Parts
from rnnbench.cells.step import State


class _QRNN(Gated):
    num_gates = 3
    emits = True

    def activate(self, gates: Parts) -> Parts:
        z, f, o = gates
        return f.sigmoid(), z.tanh(), o.sigmoid()

    def emit(self, kept: Parts, states: Tensor, out: Tensor | None = None) -> Tensor:
        return torch.mul(kept[2], states, out=out)

    def pull_emit(self, kept: Parts, states: Tensor, grad: Tensor) -> Parts:
        return grad * kept[2], sigmoid_backward(grad * states, kept[2])

    def pull(self, kept: Parts, grad_a: Tensor, grad_v: Tensor, grads_emit: Parts) -> Parts:
        return tanh_backward(grad_v, kept[1]), sigmoid_backward(grad_a, kept[0]), grads_emit[0]


class QRNN(Layer):
    """Args: `window` is k."""

    def __init__(self, input_size: int, hidden_size: int, window: int = 2) -> None:
        super().__init__(input_size, hidden_size)
        self.window = window
        self.weight = nn.Parameter(torch.empty(3 * hidden_size, window * input_size))
        self.bias = nn.Parameter(torch.empty(3 * hidden_size))
        for weight in self.parameters():
            nn.init.uniform_(weight, -(hidden_size**-0.5), hidden_size**-0.5)

    def initial_state(self, x_BTI: Tensor) -> State:
        """c of zeros, and k - 1 inputs of zeros."""
        rows = x_BTI.shape[0]
        return x_BTI.new_zeros(rows, self.hidden_size), x_BTI.new_zeros(rows, self.window - 1, self.input_size)

    def run(self, x_BTI: Tensor, state: State) -> tuple[Tensor, State]:
        """One linear recurrence."""
        c_BH, before_BKI = state
        x_BTI = torch.cat([before_BKI, x_BTI], dim=1)
        outputs_TBH, end_BH = run_gated(_QRNN(), x_BTI.transpose(0, 1), self.weight, self.bias, c_BH)
        # A slice from -0 would be the whole sequence.
        return outputs_TBH.transpose(0, 1), (end_BH, x_BTI[:, x_BTI.shape[1] - (self.window - 1) :])
