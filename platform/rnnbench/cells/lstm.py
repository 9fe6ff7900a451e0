"""Long short-term memory without peepholes: c = f * c- + i * g, h = o * tanh(c).

Source: Hochreiter and Schmidhuber 1997; forget gate of Gers et al. 2000; torch.nn.LSTM.
"""
# Shapes: B batch, T time, I inputs, H hidden, O output, G = 4H gates (i, f, g, o). `step` also takes a leading model axis on every tensor.

import warnings

import torch
from torch import Tensor

from rnnbench.base.errors import ParameterError
from rnnbench.cells.cell import Cell
from rnnbench.cells.operations import Kept, Parts, Product, Weights, recurrent_weight
from rnnbench.cells.step import State


class LSTM(Cell):
    """See the module; with a projection h = W_r (o * tanh(c)).

    Args: `forget_bias` is added to the initial bias of the forget gate (Jozefowicz et al. 2015 advise 1). `projection_size`, below
        the hidden size, is the size of h; 0: no projection. Source of projections: Sak, Senior, Beaufays 2014, arXiv:1402.1128.
    Raises:
        ParameterError: the projection is not smaller than the hidden size.
    """

    num_gates = 4
    has_kernel = True
    state_names = ("h", "c")

    def __init__(self, input_size: int, hidden_size: int, forget_bias: float = 0.0, projection_size: int = 0) -> None:
        if projection_size >= hidden_size:
            raise ParameterError(f"cell.projection_size is {projection_size}, must be below network.hidden_size ({hidden_size})")
        self.projection_size = projection_size
        self.operations = (Product("hh", 4, bias=True, num_arguments=projection_size), Kept("c"))
        if projection_size:
            self.operations = (*self.operations, Product("hr", shared=False, num_results=projection_size))
        super().__init__(input_size, hidden_size)
        self.output_size = projection_size or hidden_size
        with torch.no_grad():
            self.bias_ih[hidden_size : 2 * hidden_size] += forget_bias

    def initial_state(self, x_BTI: Tensor) -> State:
        """Zeros, (B, O) for h and (B, H) for c."""
        return x_BTI.new_zeros(len(x_BTI), self.output_size), x_BTI.new_zeros(len(x_BTI), self.hidden_size)

    def step(self, weights: Weights, gates: Parts, state: State) -> State:
        """See Cell."""
        h_BO, c_BH = state
        i_BH, f_BH, g_BH, o_BH = weights.apply("hh", h_BO, gates)
        c_BH = weights.keep("c", f_BH.sigmoid() * c_BH + i_BH.sigmoid() * g_BH.tanh())
        h_BH = o_BH.sigmoid() * c_BH.tanh()
        return (weights.apply("hr", h_BH)[0] if self.projection_size else h_BH), c_BH

    def run(self, x_BTI: Tensor, state: State) -> tuple[Tensor, State]:
        """The fused kernel of torch."""
        if not self.projection_size:
            return self.run_kernel(torch.lstm, x_BTI, state, self.flat_weights())
        flat_weights = [*self.flat_weights(), recurrent_weight(self, "weight_hr")]
        with warnings.catch_warnings():
            # That oneDNN has no projections is nothing a person could change.
            warnings.filterwarnings("ignore", "LSTM with projections is not supported with oneDNN")
            return self.run_kernel(torch.lstm, x_BTI, state, flat_weights)
