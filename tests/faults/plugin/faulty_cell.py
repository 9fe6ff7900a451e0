"""A cell from another package that does what a parameter says: the faults that a worker can meet. No torch here."""

from rnnbench.base.parameters import Parameter
from rnnbench.cells.entry import CellEntry

FAULTS = ("none", "raise", "long", "secret", "nan", "allocate", "hang", "die_once")
ENTRY = CellEntry(
    name="faulty",
    version=1,
    summary="a simple RNN with a fault",
    citation="none",
    equations=("h = tanh(W x + b + R h- + c)",),
    target="faulty_network:Faulty",
    state_names=("h",),
    fast_form="fused kernel of torch",
    parameter_count=lambda inputs, units, _: units * (inputs + units + 2),
    flop_count=lambda inputs, units, _: 2 * units * (inputs + units),
    parameters=(Parameter("cell.fault", "choice", "none", "what goes wrong", choices=FAULTS),),
)
