"""Simple recurrent networks: h = phi(W x + b + R h- + c), and relatives that start or stay close to the identity.

Source: Elman 1990, doi:10.1207/s15516709cog1402_1; torch.nn.RNN.
"""
# Shapes: B batch, T time, I inputs, H hidden, G = H. `step` also takes a leading model axis on every tensor.

import torch
from torch import Tensor, nn

from rnnbench.cells.cell import Cell
from rnnbench.cells.operations import Parts, Product, Scale, Weights
from rnnbench.cells.step import State


class Elman(Cell):
    """Args: `nonlinearity` is tanh or relu."""

    has_kernel = True
    num_gates = 1
    operations = (Product("hh", 1, bias=True),)

    def __init__(self, input_size: int, hidden_size: int, nonlinearity: str = "tanh") -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = nonlinearity

    def step(self, weights: Weights, gates: Parts, state: State) -> State:
        """See Cell."""
        (h_BH,) = state
        (gate_BH,) = weights.apply("hh", h_BH, gates)
        return (gate_BH.tanh() if self.nonlinearity == "tanh" else gate_BH.relu(),)

    def run(self, x_BTI: Tensor, state: State) -> tuple[Tensor, State]:
        """The fused kernel of torch."""
        return self.run_kernel(torch.rnn_tanh if self.nonlinearity == "tanh" else torch.rnn_relu, x_BTI, state, self.flat_weights())


class IRNN(Elman):
    """ReLU, with R = I, zero biases and small W at the start, so that the state at first only adds up.

    Source: Le, Jaitly, Hinton 2015, arXiv:1504.00941; W from N(0, 0.001), as there.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, "relu")

    def reset_parameters(self) -> None:
        """See the class."""
        nn.init.normal_(self.weight_ih, std=0.001)
        nn.init.eye_(self.get_parameter("weight_hh"))
        nn.init.zeros_(self.bias_ih)
        nn.init.zeros_(self.get_parameter("bias_hh"))


class IndRNN(Cell):
    """h = phi(W x + b + u * h-): each unit sees of the state only itself.

    Args: `nonlinearity` is relu or tanh.
    Source: Li et al. 2018, arXiv:1803.04831; u from U(0, 1), as there for short sequences.
    """

    num_gates = 1
    operations = (Scale("u", 0),)

    def __init__(self, input_size: int, hidden_size: int, nonlinearity: str = "relu") -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = nonlinearity
        nn.init.uniform_(self.get_parameter("scale_u"), 0, 1)

    def step(self, weights: Weights, gates: Parts, state: State) -> State:
        """See Cell."""
        gate_BH = weights.scale("u", state[0], gates[0])
        return (gate_BH.tanh() if self.nonlinearity == "tanh" else gate_BH.relu(),)
