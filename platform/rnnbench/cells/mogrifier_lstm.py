"""Mogrifier LSTM: before each step input and state gate each other in turns, then an LSTM step.

x^i = 2 s(Q^i h^(i-1)) * x^(i-2) for odd i;  h^i = 2 s(R^i x^(i-1)) * h^(i-2) for even i;  then LSTM(x, h) with the last of each.

Source: Melis, Kocisky, Blunsom 2020, arXiv:1909.01792, full-rank Q and R.
"""
# Shapes: B batch, T time, I inputs, H hidden. `step` also takes a leading model axis on every tensor.

import torch
from torch import Tensor

from rnnbench.cells.cell import Cell
from rnnbench.cells.operations import Kept, Operation, Parts, Product, Weights
from rnnbench.cells.step import Projection, State


class MogrifierLSTM(Cell):
    """Args: `rounds` of gating (0: an LSTM)."""

    num_gates = 0
    state_names = ("h", "c")

    def __init__(self, input_size: int, hidden_size: int, rounds: int = 5) -> None:
        self.rounds = rounds
        operations: list[Operation] = []
        for number in range(1, rounds + 1):
            operations.append(Product(self._name(number), shared=False, input_sized="result" if number % 2 else "argument"))
            operations.append(Kept(f"round{number}"))
        last = Product("xh", 4, shared=False, bias=True, num_arguments=input_size + hidden_size)
        self.operations = (*operations, last, Kept("c"))
        super().__init__(input_size, hidden_size)

    def projection(self) -> Projection | None:
        """None: the step reads the input itself."""
        return None

    def project(self, x_TBI: Tensor) -> Tensor:
        """The input: it meets its weights within the step."""
        return x_TBI

    def gate_widths(self) -> list[int]:
        """See Cell."""
        return [self.input_size]

    def step(self, weights: Weights, gates: Parts, state: State) -> State:
        """See Cell."""
        (x_BI,) = gates
        h_BH, c_BH = state
        for number in range(1, self.rounds + 1):
            if number % 2:
                x_BI = weights.keep(f"round{number}", 2 * weights.apply(self._name(number), h_BH)[0].sigmoid() * x_BI)
            else:
                h_BH = weights.keep(f"round{number}", 2 * weights.apply(self._name(number), x_BI)[0].sigmoid() * h_BH)
        i_BH, f_BH, g_BH, o_BH = weights.apply("xh", (x_BI, h_BH))
        c_BH = weights.keep("c", torch.addcmul(i_BH.sigmoid() * g_BH.tanh(), f_BH.sigmoid(), c_BH))
        return o_BH.sigmoid() * c_BH.tanh(), c_BH

    @staticmethod
    def _name(number: int) -> str:
        """Q and R as the paper numbers them."""
        return f"{'q' if number % 2 else 'r'}{number}"
