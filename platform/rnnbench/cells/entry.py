"""What the platform knows about a cell without importing it: name, equations, counts, parameters. No torch."""

from collections.abc import Callable
from dataclasses import dataclass

from rnnbench.base.parameters import Parameter


@dataclass(frozen=True)
class CellEntry:
    """One line of the table of cells.

    Attributes:
        version: Raised by hand when the cell's numbers change; part of every trial's key.
        equations: One line for each, in the notation of the citation.
        target: `module:Class` of the implementation.
        parameters: The `cell.*` parameters.
        num_parameters: Closed form for one layer and direction, from inputs M and units N.
        flops_per_step: Matrix products of one row and one step forward (a multiply-add is 2), from M and N.
    """

    name: str
    version: int
    summary: str
    citation: str
    equations: tuple[str, ...]
    target: str
    state_names: tuple[str, ...]
    num_parameters: Callable[[int, int], int]
    flops_per_step: Callable[[int, int], int]
    parameters: tuple[Parameter, ...] = ()
