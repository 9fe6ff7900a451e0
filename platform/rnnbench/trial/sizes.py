"""Which models of different sizes may stand in one model: the sizes that others are padded to. No torch."""

from collections.abc import Mapping

from rnnbench.base.parameters import Value
from rnnbench.cells.table import get_cell

# Sizes of an octave that others are padded to: at most a quarter of the units is padding.
SIZES_PER_OCTAVE = 4
_ACROSS_UNITS = ("network.layer_norm", "network.dropout", "network.recurrent_dropout", "network.zoneout", "network.weight_drop")


def padded_size(units: int) -> int:
    """The size that models of so many units are padded to: 8 to 8, 33 to 40, 100 to 112, powers of two to themselves."""
    step = max(1, (1 << (units - 1).bit_length()) // (2 * SIZES_PER_OCTAVE))
    return -(-units // step) * step


def can_pad(cell: str, parameters: Mapping[str, Value]) -> bool:
    """Whether silent units change nothing: they would, where something is computed across units or random numbers are drawn for each."""
    return get_cell(cell).takes_silent_units and not any(parameters.get(name) for name in _ACROSS_UNITS)
