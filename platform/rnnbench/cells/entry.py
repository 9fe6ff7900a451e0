"""What the platform knows about a cell without importing it: name, equations, counts, parameters. No torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rnnbench.base.parameters import Parameter, Value

# From inputs M, units N and the cell's options by their short names, e.g. {"peepholes": True}.
Count = Callable[[int, int, Mapping[str, Value]], int]


# Forms in which many cells compute a sequence.
FUSED = "fused kernel of torch"
BPTT = "step by step, with a backward pass derived from the step"


@dataclass(frozen=True)
class CellEntry:
    """One line of the table of cells.

    Attributes:
        version: Raised by hand when the cell's numbers change; part of every trial's key.
        equations: One line for each, in the notation of the citation.
        target: `module:Class` of the implementation.
        parameter_count: Closed form for one layer and direction.
        flop_count: Matrix products of one row and one step forward (a multiply-add is 2).
        fast_form: How a sequence is computed.
        parameters: The `cell.*` parameters.
        output_count: Size of an output from units and options; None: the units.
        is_control: Whether it is no recurrent network.
        takes_silent_units: Whether units whose weights are all zero give nothing and get no gradient.
        can_learn_state: Whether the state before the first step can be anything but its own.
        has_recurrent_weights: Whether a state passes through weights, so that noise can be put there.
    """

    name: str
    version: int
    summary: str
    citation: str
    equations: tuple[str, ...]
    target: str
    state_names: tuple[str, ...]
    parameter_count: Count
    flop_count: Count
    fast_form: str
    parameters: tuple[Parameter, ...] = ()
    output_count: Callable[[int, Mapping[str, Value]], int] | None = None
    is_control: bool = False
    has_recurrent_weights: bool = True
    takes_silent_units: bool = True
    can_learn_state: bool = True

    def options(self, parameters: Mapping[str, Value]) -> dict[str, Value]:
        """The cell's options among a trial's parameters, by their short names; what is not there has its default."""
        return {one.name.removeprefix("cell."): parameters.get(one.name, one.default) for one in self.parameters}

    def num_parameters(self, inputs: int, units: int, parameters: Mapping[str, Value] | None = None) -> int:
        """Parameters of one layer and direction with M inputs and N units."""
        return self.parameter_count(inputs, units, self.options(parameters or {}))

    def flops_per_step(self, inputs: int, units: int, parameters: Mapping[str, Value] | None = None) -> int:
        """FLOPs of the matrix products of one row and one step forward."""
        return self.flop_count(inputs, units, self.options(parameters or {}))

    def output_size(self, units: int, parameters: Mapping[str, Value] | None = None) -> int:
        """Size of an output of N units."""
        return units if self.output_count is None else self.output_count(units, self.options(parameters or {}))
