"""From a cell's name and a trial's parameters to a network."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from rnnbench.base.parameters import Value
from rnnbench.cells.cell import initial_weights
from rnnbench.cells.load import load_cell
from rnnbench.cells.network import RecurrentNetwork, Surroundings
from rnnbench.cells.network_parameters import fill_defaults
from rnnbench.cells.noise import Noise
from rnnbench.cells.sizing import solve_hidden_size
from rnnbench.cells.table import get_cell


def build_network(cell: str, input_size: int, parameters: Mapping[str, Value], **changes: Value) -> RecurrentNetwork:
    """The network of `network.*` around a cell with its `cell.*` parameters, weights drawn from torch's default generator.

    Args:
        parameters: Resolved, by full dotted name; of other namespaces nothing is read.
        changes: `network.*` parameters by their short names that are others for this network, one of several of a model.
    Raises:
        UnknownNameError: no such cell.
        ParameterError: `network.param_budget` cannot be met.
    """
    entry = get_cell(cell)
    options: dict[str, Any] = entry.options(parameters)
    build_cell = partial(load_cell(entry), **options)
    # Checked when the sweep file was read, so that each has the type that is wanted here.
    changed = {f"network.{name}": value for name, value in changes.items()}
    parameters = {**parameters, **fill_defaults({**parameters, **changed})}
    assert changed.keys() <= parameters.keys(), f"no such parameter among {', '.join(changed)}"
    network: dict[str, Any] = {key.removeprefix("network."): value for key, value in parameters.items() if key.startswith("network.")}
    if network["param_budget"] is not None:
        network["hidden_size"] = solve_hidden_size(entry, input_size, parameters)
    around = Surroundings(
        dropout=network["dropout"],
        variational=network["variational"],
        connections=network["connections"],
        layer_norm=network["layer_norm"],
        learned_state=network["initial_state"] == "learned",
        pooling=network["pooling"],
        noise=Noise(network["recurrent_dropout"], network["zoneout"], network["weight_drop"]),
        input_noise=network["input_noise"],
    )
    with initial_weights(initial_std(parameters)):
        return RecurrentNetwork(
            build_cell, input_size, network["hidden_size"], network["num_layers"], bidirectional=network["bidirectional"], around=around
        )


def initial_std(parameters: Mapping[str, Value]) -> float | None:
    """Standard deviation that `network.*` asks of the initial weights of cells and head; None: as they draw them themselves."""
    network = fill_defaults(parameters)
    std = network["network.initial_std"] if network["network.initial_weights"] == "normal" else None
    assert std is None or isinstance(std, float), "checked when the sweep file was read"
    return std
