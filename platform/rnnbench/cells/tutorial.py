"""The single-state cell of the tutorial that this project started from, with its gates as it writes them.

h = s(W_i [x, h-] + b_i) * h- + s(W_f [x, h-] + b_f) * tanh(W_c [x, h-] + b_c);  y = s(W_o [x, h] + b_o) * tanh(h).
It calls the gate on the old state "input" and the one on the candidate "forget", and its output gate reads the new h.

Source: the tutorial; see docs/tutorial.md.
"""
# Shapes: B batch, H hidden. `step` also takes a leading model axis on every tensor.

from rnnbench.cells.cell import Cell
from rnnbench.cells.operations import Kept, Parts, Product, Weights
from rnnbench.cells.step import State


class TutorialLSTM(Cell):
    """See the module."""

    num_gates = 4
    operations = (Product("hh", 3), Product("ho", 1), Kept("h"))
    state_names = ("y", "h")

    def step(self, weights: Weights, gates: Parts, state: State) -> State:
        """See Cell."""
        i_BH, f_BH, g_BH = weights.apply("hh", state[1], gates)
        h_BH = weights.keep("h", i_BH.sigmoid() * state[1] + f_BH.sigmoid() * g_BH.tanh())
        (o_BH,) = weights.apply("ho", h_BH, gates)
        return o_BH.sigmoid() * h_BH.tanh(), h_BH
