"""The simple recurrent network: h = phi(W x + b + R h- + c), phi tanh or relu.

Source: Elman 1990, doi:10.1207/s15516709cog1402_1; torch.nn.RNN.
"""
# Shapes: B batch, T time, I inputs, H hidden, G = H. `step` also takes a leading model axis on every tensor.

import torch
from torch import Tensor

from rnnbench.cells.cell import Cell, State, Weights


class Elman(Cell):
    """Args: `nonlinearity` is tanh or relu."""

    num_gates = 1

    def __init__(self, input_size: int, hidden_size: int, nonlinearity: str = "tanh") -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = nonlinearity

    def step(self, weights: Weights, gates_BG: Tensor, state: State) -> State:
        """See Cell."""
        (h_BH,) = state
        gates_BG = gates_BG + h_BH @ weights.recurrent_HG + weights.bias_G
        return (gates_BG.tanh() if self.nonlinearity == "tanh" else gates_BG.relu(),)

    def run(self, x_BTI: Tensor, state: State) -> tuple[Tensor, State]:
        """The fused kernel of torch."""
        kernel = torch.rnn_tanh if self.nonlinearity == "tanh" else torch.rnn_relu
        outputs_BTH, h_1BH = kernel(x_BTI, state[0].unsqueeze(0), self.flat_weights(), True, 1, 0.0, self.training, False, True)
        return outputs_BTH, (h_1BH.squeeze(0),)
