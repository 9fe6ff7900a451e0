"""Cells whose gates do not see the state, so that a sequence is one linear scan: minGRU, minLSTM, SRU.

Each has a `step` like any other cell, and the same once more as h = a * h- + b.
"""
# Shapes: T time, B batch, H hidden. `step` also takes a leading model axis on every tensor.

import torch
from torch import Tensor
from torch.nn.functional import softplus

from rnnbench.cells.bptt import Projection, State
from rnnbench.cells.cell import Cell
from rnnbench.cells.linear import Recurrence, run_linear
from rnnbench.cells.operations import Parts, Scale, Weights


def positive(v: Tensor) -> Tensor:
    """g(v) = v + 0.5 where v >= 0, else s(v): continuous and above zero."""
    # relu(v) + s(min(v, 0)): torch.where takes five times as long.
    above = v.relu()
    return above + (v - above).sigmoid()


def forget_share(f: Tensor, i: Tensor) -> Tensor:
    """s(f) / (s(f) + s(i)) = s(log s(f) - log s(i)), which does not divide by a small sum; log s(v) = v - softplus(v)."""
    return (f - i + (softplus(i) - softplus(f))).sigmoid()


class MinGRU(Cell):
    """h = (1 - z) * h- + z * g(W_h x + b_h), z = s(W_z x + b_z).

    Source: Feng et al. 2024, arXiv:2410.01201; its log-space form is the same function.
    """

    num_gates = 2
    operations = ()

    def step(self, weights: Weights, gates: Parts, state: State) -> State:
        """See Cell."""
        z_BH, candidate_BH = gates
        return (torch.lerp(state[0], positive(candidate_BH), z_BH.sigmoid()),)

    def run(self, x_BTI: Tensor, state: State) -> tuple[Tensor, State]:
        """One linear recurrence."""
        outputs_TBH, end_BH = run_linear(self.RECURRENCE, x_BTI.transpose(0, 1), self.weight_ih, self.bias_ih, state[0])
        return outputs_TBH.transpose(0, 1), (end_BH,)

    @staticmethod
    def _coefficients(gates: Parts, _extras: Parts) -> tuple[Tensor, Tensor]:
        z_TBH = gates[0].sigmoid()
        return 1 - z_TBH, z_TBH * positive(gates[1])

    RECURRENCE = Recurrence(2, _coefficients)


class MinLSTM(Cell):
    """h = f' * h- + i' * g(W_h x + b_h), f' = f / (f + i), i' = i / (f + i), f = s(W_f x + b_f), i = s(W_i x + b_i).

    Source: Feng et al. 2024, arXiv:2410.01201; its log-space form is the same function.
    """

    num_gates = 3
    operations = ()

    def step(self, weights: Weights, gates: Parts, state: State) -> State:
        """See Cell."""
        f_BH, i_BH, candidate_BH = gates
        return (torch.lerp(positive(candidate_BH), state[0], forget_share(f_BH, i_BH)),)

    def run(self, x_BTI: Tensor, state: State) -> tuple[Tensor, State]:
        """One linear recurrence."""
        outputs_TBH, end_BH = run_linear(self.RECURRENCE, x_BTI.transpose(0, 1), self.weight_ih, self.bias_ih, state[0])
        return outputs_TBH.transpose(0, 1), (end_BH,)

    @staticmethod
    def _coefficients(gates: Parts, _extras: Parts) -> tuple[Tensor, Tensor]:
        share_TBH = forget_share(gates[0], gates[1])
        return share_TBH, (1 - share_TBH) * positive(gates[2])

    RECURRENCE = Recurrence(3, _coefficients)


class SRU(Cell):
    """f = s(W_f x + v_f * c- + b_f); r = s(W_r x + v_r * c- + b_r); c = f * c- + (1 - f) * W x; h = r * c + (1 - r) * x'.

    x' is x, or a projection of it where sizes differ. Without the vectors v a sequence is one scan, with them a loop.

    Args: `vectors` says whether gates see the cell state.
    Source: Lei et al. 2018, arXiv:1709.02755: versions 1 to 3 without v, version 5 with v.
    """

    num_biased = 2
    state_names = ("h", "c")

    def __init__(self, input_size: int, hidden_size: int, *, vectors: bool = False) -> None:
        self.vectors = vectors
        self.num_gates = 3 if input_size == hidden_size else 4
        self.operations = (Scale("f", 0), Scale("r", 1)) if vectors else ()
        super().__init__(input_size, hidden_size)

    def projection(self) -> Projection | None:
        """None where the input itself is a gate."""
        return super().projection() if self.num_gates == 4 else None

    def project(self, x_TBI: Tensor) -> Tensor:
        """Gates f, r, the candidate, and x'."""
        weight_GI, bias_G = super().projection() or (self.weight_ih, self.bias_ih)
        gates_TBG = torch.nn.functional.linear(x_TBI, weight_GI, bias_G)
        return gates_TBG if self.num_gates == 4 else torch.cat([gates_TBG, x_TBI], dim=-1)

    def gate_widths(self) -> list[int]:
        """See Cell."""
        return [self.hidden_size] * 4

    def step(self, weights: Weights, gates: Parts, state: State) -> State:
        """See Cell."""
        f_BH, r_BH, candidate_BH, x_BH = gates
        _, c_BH = state
        if self.vectors:
            f_BH, r_BH = weights.scale("f", c_BH, f_BH), weights.scale("r", c_BH, r_BH)
        c_BH = torch.lerp(candidate_BH, c_BH, f_BH.sigmoid())
        return torch.lerp(x_BH, c_BH, r_BH.sigmoid()), c_BH

    def run(self, x_BTI: Tensor, state: State) -> tuple[Tensor, State]:
        """One linear recurrence, or the loop."""
        if self.vectors:
            return super().run(x_BTI, state)
        bias_G = torch.nn.functional.pad(self.bias_ih, (0, len(self.weight_ih) - len(self.bias_ih)))
        recurrence = Recurrence(self.num_gates, self._coefficients, self._emit, reads_input=self.num_gates == 3)
        outputs_TBH, end_BH = run_linear(recurrence, x_BTI.transpose(0, 1), self.weight_ih, bias_G, state[1])
        return outputs_TBH.transpose(0, 1), (outputs_TBH[-1], end_BH)

    @staticmethod
    def _coefficients(gates: Parts, _extras: Parts) -> tuple[Tensor, Tensor]:
        f_TBH = gates[0].sigmoid()
        return f_TBH, (1 - f_TBH) * gates[2]

    @staticmethod
    def _emit(gates: Parts, states_TBH: Tensor) -> Tensor:
        return torch.lerp(gates[3], states_TBH, gates[1].sigmoid())
