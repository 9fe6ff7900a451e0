"""The contract of anything that maps a sequence to a sequence without looking ahead: a cell, or a control without recurrence."""

# Shapes: B batch, T time, I inputs, H hidden.

import torch
from torch import Tensor, nn

from rnnbench.cells.step import State


class Layer(nn.Module):
    """One layer of a network, whose state lets a sequence go on where it stopped.

    Attributes:
        hidden_size: Units, H.
        output_size: Of an output, O; H except where a cell projects it.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.output_size = hidden_size

    def takes_half(self) -> bool:
        """Whether autocast may choose the types inside: where torch's own calls compute the layer, they know how."""
        return False

    def initial_state(self, x_BTI: Tensor) -> State:
        """The state before the first step: a tuple of tensors, rows first."""
        raise TypeError(f"{type(self).__name__} has no initial_state")

    def run(self, x_BTI: Tensor, state: State) -> tuple[Tensor, State]:
        """The fast form: outputs (B, T, H) and the state after the last step."""
        raise TypeError(f"{type(self).__name__} has no run")

    def unroll(self, x_BTI: Tensor, state: State) -> tuple[Tensor, State]:
        """The same function one step at a time: the reference for every fast form."""
        outputs = []
        for place in range(x_BTI.shape[1]):
            output_B1H, state = self.run(x_BTI[:, place : place + 1], state)
            outputs.append(output_B1H)
        return torch.cat(outputs, dim=1), state

    def forward(self, x_BTI: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Outputs (B, T, H) and the final state, from the initial or a given state. T is at least 1."""
        return self.run(x_BTI, self.initial_state(x_BTI) if state is None else state)
