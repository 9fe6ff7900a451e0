"""From a cell's entry to its class."""

import importlib

from rnnbench.base.errors import InputError
from rnnbench.cells.entry import CellEntry
from rnnbench.cells.layer import Layer
from rnnbench.cells.own import SCHEME, load_own


def load_cell(entry: CellEntry) -> type[Layer]:
    """The class that an entry names.

    Raises:
        InputError: it is no cell.
    """
    if entry.target.startswith(SCHEME):
        found: object = load_own(entry.target.removeprefix(SCHEME))
    else:
        module, _, name = entry.target.partition(":")
        found = getattr(importlib.import_module(module), name)
    if not (isinstance(found, type) and issubclass(found, Layer)):
        raise InputError(f"{entry.name} is not a cell: derive it from rnnbench.cells.cell.Cell, or from rnnbench.cells.layer.Layer")
    return found
