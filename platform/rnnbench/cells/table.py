"""The table of cells, and those that other packages add. No torch."""

from functools import cache
from importlib.metadata import entry_points

from rnnbench.base.errors import InputError, UnknownNameError
from rnnbench.base.names import printable, suggest
from rnnbench.base.parameters import Parameter
from rnnbench.cells.entry import CellEntry

ENTRY_POINTS = "rnnbench.cells"


CELLS = (
    CellEntry(
        name="elman",
        version=1,
        summary="simple recurrent network",
        citation="Elman 1990, doi:10.1207/s15516709cog1402_1; torch.nn.RNN",
        equations=("h = phi(W x + b + R h- + b_r)", "phi = tanh or relu"),
        target="rnnbench.cells.elman:Elman",
        state_names=("h",),
        num_parameters=lambda inputs, units: units * (inputs + units + 2),
        flops_per_step=lambda inputs, units: 2 * units * (inputs + units),
        parameters=(Parameter("cell.nonlinearity", "choice", "tanh", "phi of the recurrence", choices=("tanh", "relu")),),
    ),
    CellEntry(
        name="gru",
        version=1,
        summary="gated recurrent unit, reset gate after the recurrent product (cuDNN, torch)",
        citation="Cho et al. 2014, arXiv:1406.1078, in the form of version 3; torch.nn.GRU",
        equations=(
            "r = s(W_r x + b_r + R_r h- + c_r)",
            "z = s(W_z x + b_z + R_z h- + c_z)",
            "n = tanh(W_n x + b_n + r * (R_n h- + c_n))",
            "h = (1 - z) * n + z * h-",
        ),
        target="rnnbench.cells.gru:GRU",
        state_names=("h",),
        num_parameters=lambda inputs, units: 3 * units * (inputs + units + 2),
        flops_per_step=lambda inputs, units: 6 * units * (inputs + units),
    ),
    CellEntry(
        name="lstm",
        version=1,
        summary="long short-term memory without peepholes (cuDNN, torch)",
        citation="Hochreiter and Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735; forget gate: Gers et al. 2000; torch.nn.LSTM",
        equations=(
            "i = s(W_i x + b_i + R_i h- + c_i)",
            "f = s(W_f x + b_f + R_f h- + c_f)",
            "g = tanh(W_g x + b_g + R_g h- + c_g)",
            "o = s(W_o x + b_o + R_o h- + c_o)",
            "c = f * c- + i * g",
            "h = o * tanh(c)",
        ),
        target="rnnbench.cells.lstm:LSTM",
        state_names=("h", "c"),
        num_parameters=lambda inputs, units: 4 * units * (inputs + units + 2),
        flops_per_step=lambda inputs, units: 8 * units * (inputs + units),
        parameters=(Parameter("cell.forget_bias", "float", 0.0, "added to the initial bias of the forget gate", low=-100.0, high=100.0),),
    ),
)


@cache
def list_cells() -> tuple[CellEntry, ...]:
    """Every cell: ours in the table's order, then those of the entry-point group `rnnbench.cells` by name.

    Raises:
        InputError: two cells have one name.
    """
    others = [point.load() for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name)]
    entries = (*CELLS, *others)
    names = [entry.name for entry in entries]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two cells are called '{name}': uninstall one of the packages that add it (entry points {ENTRY_POINTS})")
    return entries


def get_cell(name: str) -> CellEntry:
    """The cell of that name.

    Raises:
        UnknownNameError: there is none; the text has the nearest name.
    """
    known = {entry.name: entry for entry in list_cells()}
    if name not in known:
        raise UnknownNameError(f"no cell '{printable(name)}'{suggest(name, known)}")
    return known[name]
