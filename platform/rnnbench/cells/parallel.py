"""Cells whose gates do not see the state, so that a sequence is one linear scan: minGRU, minLSTM, SRU.

Each has a `step` like any other cell, and the same once more as h = a * h- + b.
"""
# Shapes: T time, B batch, H hidden. `step` also takes a leading model axis on every tensor.

import torch
from torch import Tensor

from rnnbench.cells.cell import Cell
from rnnbench.cells.linear import Gated, keep_above, run_gated, sigmoid_backward
from rnnbench.cells.operations import Parts, Scale, Weights
from rnnbench.cells.step import Projection, State


def positive(v: Tensor) -> Tensor:
    """g(v) = v + 0.5 where v >= 0, else s(v): continuous and above zero."""
    # relu(v) + s(min(v, 0)): torch.where takes five times as long.
    above = v.relu()
    return above + (v - above).sigmoid()


def positive_backward(grad: Tensor, y: Tensor) -> Tensor:
    """The way back through y = g(v): 1 where v > 0, that is y > 0.5, else y (1 - y)."""
    below = sigmoid_backward(grad, y)
    return below + keep_above(grad - below, y, 0.5)


def forget_share(f: Tensor, i: Tensor) -> Parts:
    """s(f) / (s(f) + s(i)), s(f) and s(i), from exponentials that neither overflow nor all vanish.

    s(f) / (s(f) + s(i)) = (e^m + e^(m - i)) / (2 e^m + e^(m - i) + e^(m - f)) for any m; here min(f, i, 0).
    """
    m = torch.minimum(f, i).clamp_max(0).detach()
    one = m.exp()
    over_f, over_i = one + (m - f).exp(), one + (m - i).exp()
    return over_i / (over_i + over_f), one / over_f, one / over_i


class _MinGRU(Gated):
    num_gates = 2

    def activate(self, gates: Parts) -> Parts:
        return 1 - gates[0].sigmoid(), positive(gates[1])

    def pull(self, kept: Parts, grad_a: Tensor, grad_v: Tensor, grads_emit: Parts) -> Parts:
        a, v = kept
        return sigmoid_backward(grad_a, a).neg_(), positive_backward(grad_v, v)


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
        outputs_TBH, end_BH = run_gated(_MinGRU(), x_BTI.transpose(0, 1), self.weight_ih, self.bias_ih, state[0])
        return outputs_TBH.transpose(0, 1), (end_BH,)


class _MinLSTM(Gated):
    num_gates = 3

    def activate(self, gates: Parts) -> Parts:
        share, f, i = forget_share(gates[0], gates[1])
        return share, positive(gates[2]), f, i

    def pull(self, kept: Parts, grad_a: Tensor, grad_v: Tensor, grads_emit: Parts) -> Parts:
        a, v, f, i = kept
        grad = sigmoid_backward(grad_a, a)
        # a = s(log f - log i), and (log s(v))' = 1 - s(v).
        grad_f, grad_i = torch.addcmul(grad, grad, f, value=-1), torch.addcmul(grad, grad, i, value=-1).neg_()
        return grad_f, grad_i, positive_backward(grad_v, v)


class MinLSTM(Cell):
    """h = f' * h- + i' * g(W_h x + b_h), f' = f / (f + i), i' = i / (f + i), f = s(W_f x + b_f), i = s(W_i x + b_i).

    Source: Feng et al. 2024, arXiv:2410.01201; its log-space form is the same function.
    """

    num_gates = 3
    operations = ()

    def step(self, weights: Weights, gates: Parts, state: State) -> State:
        """See Cell."""
        f_BH, i_BH, candidate_BH = gates
        return (torch.lerp(positive(candidate_BH), state[0], forget_share(f_BH, i_BH)[0]),)

    def run(self, x_BTI: Tensor, state: State) -> tuple[Tensor, State]:
        """One linear recurrence."""
        outputs_TBH, end_BH = run_gated(_MinLSTM(), x_BTI.transpose(0, 1), self.weight_ih, self.bias_ih, state[0])
        return outputs_TBH.transpose(0, 1), (end_BH,)


class _SRU(Gated):
    """Args: `reads_input` says whether x' is the input itself, not a fourth gate."""

    emits = True

    def __init__(self, *, reads_input: bool) -> None:
        self.reads_input = reads_input
        self.num_gates = 3 if reads_input else 4

    def activate(self, gates: Parts) -> Parts:
        f, r, candidate, x = gates
        return f.sigmoid(), candidate, r.sigmoid(), x

    def emit(self, kept: Parts, states: Tensor, out: Tensor | None = None) -> Tensor:
        # torch's lerp has no out=None.
        return torch.lerp(kept[3], states, kept[2]) if out is None else torch.lerp(kept[3], states, kept[2], out=out)

    def pull_emit(self, kept: Parts, states: Tensor, grad: Tensor) -> Parts:
        _, _, r, x = kept
        of_states = grad * r
        return of_states, sigmoid_backward((states - x).mul_(grad), r), grad - of_states

    def pull(self, kept: Parts, grad_a: Tensor, grad_v: Tensor, grads_emit: Parts) -> Parts:
        return sigmoid_backward(grad_a, kept[0]), grads_emit[0], grad_v, grads_emit[1]


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
        gated = _SRU(reads_input=self.num_gates == 3)
        outputs_TBH, end_BH = run_gated(gated, x_BTI.transpose(0, 1), self.weight_ih, bias_G, state[1])
        return outputs_TBH.transpose(0, 1), (outputs_TBH[-1], end_BH)
