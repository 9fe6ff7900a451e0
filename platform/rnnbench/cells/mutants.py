"""The three cells that an evolutionary search over recurrent architectures found to match or beat the GRU.

MUT1: z = s(W_z x + b_z); r = s(W_r x + R_r h- + b_r); h = tanh(R_n (r * h-) + tanh(W_n x) + b_n) * z + h- * (1 - z).
MUT2: z = s(W_z x + R_z h- + b_z); r = s(W_r x + R_r h- + b_r); h = tanh(R_n (r * h-) + W_n x + b_n) * z + h- * (1 - z).
MUT3: as MUT2 with z = s(W_z x + R_z tanh(h-) + b_z).
W_n x in MUT1 and W_r x in MUT2 stand for the paper's bare x, which needs as many inputs as units.

Source: Jozefowicz, Zaremba, Sutskever 2015, proceedings.mlr.press/v37/jozefowicz15.
"""
# Shapes: B batch, H hidden. `step` also takes a leading model axis on every tensor.

import torch

from rnnbench.cells.cell import Cell
from rnnbench.cells.operations import Parts, Product, Weights
from rnnbench.cells.step import State


class Mutant1(Cell):
    """MUT1; gates r, z, n, of which n has its bias outside the inner tanh."""

    num_gates = 3
    num_biased = 2
    operations = (Product("hr"), Product("hn", shared=False, bias=True))

    def step(self, weights: Weights, gates: Parts, state: State) -> State:
        """See Cell."""
        (h_BH,) = state
        r_BH = weights.apply("hr", h_BH, gates)[0].sigmoid()
        n_BH = (weights.apply("hn", r_BH * h_BH)[0] + gates[2].tanh()).tanh()
        return (torch.lerp(h_BH, n_BH, gates[1].sigmoid()),)


class Mutant2(Cell):
    """MUT2; gates r, z, n."""

    num_gates = 3
    operations = (Product("hh", 2), Product("hn"))

    def step(self, weights: Weights, gates: Parts, state: State) -> State:
        """See Cell."""
        (h_BH,) = state
        r_BH, z_BH = weights.apply("hh", h_BH, gates)
        n_BH = weights.apply("hn", r_BH.sigmoid() * h_BH, gates)[0].tanh()
        return (torch.lerp(h_BH, n_BH, z_BH.sigmoid()),)


class Mutant3(Cell):
    """MUT3; gates r, z, n."""

    num_gates = 3
    operations = (Product("hr"), Product("hz"), Product("hn"))

    def step(self, weights: Weights, gates: Parts, state: State) -> State:
        """See Cell."""
        (h_BH,) = state
        r_BH = weights.apply("hr", h_BH, gates)[0].sigmoid()
        z_BH = weights.apply("hz", h_BH.tanh(), gates)[0].sigmoid()
        n_BH = weights.apply("hn", r_BH * h_BH, gates)[0].tanh()
        return (torch.lerp(h_BH, n_BH, z_BH),)
