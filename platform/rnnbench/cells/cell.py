"""The contract of a cell: parameters, one step, the loop over steps, and a fast form that is the same function."""

# Shapes: B batch, T time, I inputs, H hidden, G gates times H. `step` also takes a leading model axis N on every tensor.

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

State = tuple[Tensor, ...]


class Weights(NamedTuple):
    """What `step` needs: the recurrent matrix as it stands right of the state, and the bias on the recurrent side."""

    recurrent_HG: Tensor
    bias_G: Tensor


class Cell(nn.Module):
    """A recurrent cell whose gates are W x + b + R h + c, laid out and initialised as torch.nn does.

    A new cell sets `num_gates` and `state_names`, writes `step`, and overrides `run` where a faster form exists.

    Attributes:
        num_gates: G / H.
        state_names: Names of the states, the output first.
    """

    num_gates: ClassVar[int]
    state_names: ClassVar[tuple[str, ...]] = ("h",)

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        gates = self.num_gates * hidden_size
        self.weight_ih = nn.Parameter(torch.empty(gates, input_size))
        self.weight_hh = nn.Parameter(torch.empty(gates, hidden_size))
        self.bias_ih = nn.Parameter(torch.empty(gates))
        self.bias_hh = nn.Parameter(torch.empty(gates))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws every weight from U(-1/sqrt(H), 1/sqrt(H)), as torch.nn.LSTM does."""
        bound = self.hidden_size**-0.5
        for weight in self.parameters():
            nn.init.uniform_(weight, -bound, bound)

    def step(self, weights: Weights, gates_BG: Tensor, state: State) -> State:
        """One step: the next state from the input's share of the gates and the last state; the output comes first."""
        raise TypeError(f"{type(self).__name__} has no step")

    def project(self, x_BTI: Tensor) -> Tensor:
        """The input's share of the gates, W x + b, for all steps at once: (B, T, G)."""
        return torch.nn.functional.linear(x_BTI, self.weight_ih, self.bias_ih)

    def weights(self) -> Weights:
        """The recurrent weights in the form `step` reads."""
        return Weights(self.weight_hh.mT, self.bias_hh)

    def flat_weights(self) -> list[Tensor]:
        """The parameters in the order of torch's fused kernels."""
        return [self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh]

    def initial_state(self, x_BTI: Tensor) -> State:
        """Zeros, (B, H) for each state."""
        zeros_BH = x_BTI.new_zeros(x_BTI.shape[0], self.hidden_size)
        return tuple(zeros_BH for _ in self.state_names)

    def unroll(self, x_BTI: Tensor, state: State) -> tuple[Tensor, Sequence[State]]:
        """The loop over `step`: outputs (B, T, H) and the state after each step. The reference for every fast form."""
        weights, states = self.weights(), []
        for gates_BG in self.project(x_BTI).unbind(1):
            state = self.step(weights, gates_BG, state)
            states.append(state)
        return torch.stack([state[0] for state in states], dim=1), states

    def run(self, x_BTI: Tensor, state: State) -> tuple[Tensor, State]:
        """The fast form: outputs (B, T, H) and the state after the last step."""
        outputs_BTH, states = self.unroll(x_BTI, state)
        return outputs_BTH, states[-1]

    def forward(self, x_BTI: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Outputs (B, T, H) and the final state, from zeros or a given state of (B, H) tensors. T is at least 1."""
        return self.run(x_BTI, self.initial_state(x_BTI) if state is None else state)
