"""From a cell's name and a trial's parameters to a network."""

import importlib
from collections.abc import Mapping
from functools import partial

from rnnbench.base.parameters import Value
from rnnbench.cells.network import RecurrentNetwork
from rnnbench.cells.table import get_cell


def build_network(cell: str, input_size: int, parameters: Mapping[str, Value]) -> RecurrentNetwork:
    """The network of `network.*` around a cell with its `cell.*` parameters, weights drawn from torch's default generator.

    Args:
        parameters: Resolved, by full dotted name; of other namespaces nothing is read.
    Raises:
        UnknownNameError: no such cell.
    """
    entry = get_cell(cell)
    module, _, name = entry.target.partition(":")
    options = {
        parameter.name.removeprefix("cell."): parameters[parameter.name] for parameter in entry.parameters if parameter.name in parameters
    }
    build_cell = partial(getattr(importlib.import_module(module), name), **options)
    size, layers, dropout = (parameters[f"network.{key}"] for key in ("hidden_size", "num_layers", "dropout"))
    assert isinstance(size, int), "checked when the sweep file was read"
    assert isinstance(layers, int), "checked when the sweep file was read"
    assert isinstance(dropout, float), "checked when the sweep file was read"
    return RecurrentNetwork(build_cell, input_size, size, layers, dropout=dropout, bidirectional=bool(parameters["network.bidirectional"]))
