"""The contract of a cell: its parameters, one step, and the function that the loop over steps defines, in a fast form."""

# Shapes: B batch, T time, I inputs, H hidden, G gates times H. `step` also takes a leading model axis N on every tensor.

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn

from rnnbench.cells.bptt import Program, run
from rnnbench.cells.layer import Layer
from rnnbench.cells.models import Share, draw_mask, each_model, fill, has_models
from rnnbench.cells.noise import Noise, mask_products, zone_out
from rnnbench.cells.operations import Operation, Parts, Weights, recurrent_weight, weight_of
from rnnbench.cells.step import Projection, State, Step, Structure, unroll

_initial_std: ContextVar[float | None] = ContextVar("initial_std", default=None)


@contextmanager
def initial_weights(std: float | None) -> Iterator[None]:
    """Within, cells draw their weights from N(0, std); None: as they do anyway."""
    token = _initial_std.set(std)
    try:
        yield
    finally:
        _initial_std.reset(token)


class Cell(Layer):
    """A recurrent cell: gates W x + b from the input, and a step that combines them with the state.

    A new cell sets `operations` (its recurrent weights), `num_gates` and `state_names`, and writes `step`; between its
    operations a step is elementwise. The backward pass follows from that (bptt). A cell overrides `run` where a faster form exists.

    Attributes:
        num_gates: Gates that are a share of the input, W x + b.
        num_biased: How many of them, the first ones, have a bias; None: all.
        operations: What `step` does to a vector as a whole.
        state_names: Names of the states, the output first, each (B, H).
        noise: What a network around the cell adds to its recurrence.
    """

    num_gates: int
    num_biased: int | None = None
    operations: tuple[Operation, ...]
    state_names: tuple[str, ...] = ("h",)
    has_kernel = False  # whether `run` is one call of torch

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        if self.num_gates:
            self.weight_ih = nn.Parameter(torch.empty(self.num_gates * hidden_size, input_size))
            num_biased = self.num_gates if self.num_biased is None else self.num_biased
            self.bias_ih = nn.Parameter(torch.empty(num_biased * hidden_size))
        for operation in self.operations:
            operation.register(self, input_size, hidden_size)
        self.noise = Noise()
        self._structures: dict[str, Structure] = {}
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws every weight from U(-1/sqrt(H), 1/sqrt(H)), as torch.nn.LSTM does; gains of normalisations are 1, shifts 0.

        Within `initial_weights` from a normal distribution.
        """
        bound, std = self.hidden_size**-0.5, _initial_std.get()
        # Matrices first, as torch.nn does: the same seed then gives the same LSTM.
        for name, weight in sorted(self.named_parameters(), key=lambda pair: not pair[0].startswith("weight_")):
            if name.startswith(("gain_", "shift_")):
                nn.init.constant_(weight, float(name.startswith("gain_")))
            elif std is not None:
                nn.init.normal_(weight, std=std)
            else:
                nn.init.uniform_(weight, -bound, bound)

    def step(self, weights: Weights, gates: Parts, state: State) -> State:
        """One step: the next state from the input's share of the gates and the last state; the output comes first."""
        raise TypeError(f"{type(self).__name__} has no step")

    def projection(self) -> Projection | None:
        """W (G, I) and b (G,) of the input's share of the gates; None where `project` is something else."""
        return self.weight_ih, nn.functional.pad(self.bias_ih, (0, len(self.weight_ih) - len(self.bias_ih)))

    def project(self, x_TBI: Tensor) -> Tensor:
        """The input's share of the gates, for all steps at once: (T, B, G)."""
        projection = self.projection()
        assert projection is not None, "a cell without a projection says how the input enters"
        return nn.functional.linear(x_TBI, *projection)

    def gate_widths(self) -> list[int]:
        """Length of each gate."""
        return [self.hidden_size] * self.num_gates

    def weights(self) -> Weights:
        """What `step` computes with."""
        operations = {operation.name: operation for operation in self.operations}
        return Weights(operations, {name: operation.operands(self) for name, operation in operations.items()})

    def flat_weights(self) -> list[Tensor]:
        """W, R, b and c in the order of torch's fused kernels."""
        return [self.weight_ih, recurrent_weight(self, "weight_hh"), self.bias_ih, weight_of(self, "bias_hh")]

    @property
    def weight_drop(self) -> Share:
        """See Noise."""
        return self.noise.weight_drop

    def takes_half(self) -> bool:
        """See Layer."""
        return self.has_kernel and not self.noise.is_within_steps(training=self.training)

    def initial_state(self, x_BTI: Tensor) -> State:
        """Zeros, (B, H) for each state."""
        zeros_BH = x_BTI.new_zeros(x_BTI.shape[0], self.hidden_size)
        return tuple(zeros_BH for _ in self.state_names)

    def unroll(self, x_BTI: Tensor, state: State) -> tuple[Tensor, State]:
        """The loop over `step`."""
        states = unroll(self.step, self.weights(), self.project(x_BTI.transpose(0, 1)), self.gate_widths(), state)
        return torch.stack([state[0] for state in states], dim=1), states[-1]

    def run(self, x_BTI: Tensor, state: State) -> tuple[Tensor, State]:
        """The loop with the backward pass of bptt."""
        x_TBI, projection = x_BTI.transpose(0, 1), self.projection()
        if projection is None:
            x_TBI = self.project(x_TBI)
        return self._run(self.step, "step", self.weights(), self.gate_widths(), x_TBI, projection, state)

    def run_kernel(
        self, kernel: Callable[..., tuple[Tensor, ...]], x_BTI: Tensor, state: State, flat_weights: Sequence[Tensor]
    ) -> tuple[Tensor, State]:
        """A fused kernel of torch (torch.lstm and its kind), which knows one model: on a GPU many go through the loop together."""
        if has_models() and x_BTI.is_cuda:
            return Cell.run(self, x_BTI, state)

        def run(x_BTI: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
            start, weights = [part.unsqueeze(0) for part in rest[: len(state)]], list(rest[len(state) :])
            found = kernel(x_BTI, start if len(start) > 1 else start[0], weights, True, 1, 0.0, self.training, False, True)
            return found[0], *(part.squeeze(0) for part in found[1:])

        outputs_BTH, *end = each_model(run, 1 + len(state), x_BTI, *state, *flat_weights)
        return outputs_BTH, tuple(end)

    def forward(self, x_BTI: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """See Layer."""
        state = self.initial_state(x_BTI) if state is None else state
        if not self.noise.is_within_steps(training=self.training):
            return self.run(x_BTI, state)
        weights, gates_TBG, widths = self.weights(), self.project(x_BTI.transpose(0, 1)), self.gate_widths()
        if self.training and self.noise.recurrent_dropout:
            weights = mask_products(weights, self.noise.recurrent_dropout, len(x_BTI))
        if not self.noise.zoneout:
            return self._run(self.step, "masked", weights, widths, gates_TBG, None, state)
        # The masks travel with the gates.
        shape_TBS = *gates_TBG.shape[:2], sum(part.shape[-1] for part in state)
        masks_TBS = (draw_mask if self.training else fill)(gates_TBG, shape_TBS, self.noise.zoneout)
        widths = [*widths, *(part.shape[-1] for part in state)]
        return self._run(self._zoned_step, "zoned", weights, widths, torch.cat([gates_TBG, masks_TBS], dim=-1), None, state)

    def _zoned_step(self, weights: Weights, gates: Parts, state: State) -> State:
        own = len(gates) - len(state)
        return zone_out(state, self.step(weights, gates[:own], state), gates[own:])

    def _run(
        self, step: Step, kind: str, weights: Weights, widths: list[int], x_TBI: Tensor, projection: Projection | None, state: State
    ) -> tuple[Tensor, State]:
        outputs_TBH, end = run(Program(step, kind, tuple(widths), self._structures), weights, x_TBI, projection, state)
        return outputs_TBH.transpose(0, 1), end
