"""The parameters of a network around a cell, declared once. No torch."""

from collections.abc import Mapping

from rnnbench.base.parameters import Parameter, Value

# These need recurrent weights, or steps that keep a state: a cell without them is refused.
RECURRENT_ONLY = ("network.recurrent_dropout", "network.zoneout", "network.weight_drop", "network.initial_weights")

NETWORK_PARAMETERS = (
    Parameter(
        "network.param_budget",
        "int",
        None,
        "weights of all layers together; the hidden size is solved from it for each cell",
        low=1,
        high=10**12, is_later=True),
    Parameter(
        "network.hidden_size", "int", 64, "units in each layer and direction", low=1, high=65_536, when={"network.param_budget": (None,)}
    ),
    Parameter("network.num_layers", "int", 1, "stacked layers", low=1, high=64),
    Parameter(
        "network.dropout", "float", 0.0, "share of each layer's outputs dropped, between layers and before the head", low=0.0, high=1 - 1e-9
    ),
    Parameter("network.variational", "bool", False, "whether dropout is the same at every step of a sequence", is_later=True),
    Parameter(
        "network.recurrent_dropout", "float", 0.0, "share of the state that recurrent weights do not see, the same at every step",
        low=0.0, high=1 - 1e-9, is_later=True),
    Parameter(
        "network.zoneout", "float", 0.0, "share of every state's units that keep their value, at each step",
        low=0.0, high=1 - 1e-9, is_later=True,
    ),
    Parameter(
        "network.weight_drop", "float", 0.0, "share of recurrent weights that are zero, for each batch",
        low=0.0, high=1 - 1e-9, is_later=True,
    ),
    Parameter(
        "network.input_noise", "float", 0.0, "standard deviation of the noise that is added to the inputs in training",
        low=0.0, high=1e3, is_later=True,
    ),
    Parameter("network.bidirectional", "bool", False, "whether a second set of layers reads the sequence backwards"),
    Parameter(
        "network.connections", "choice", "plain",
        "residual: a layer's input is added where sizes agree; skip: every layer also reads the network's input",
        choices=("plain", "residual", "skip"), is_later=True),
    Parameter("network.layer_norm", "bool", False, "whether each layer's outputs are normalised", is_later=True),
    Parameter("network.initial_state", "choice", "zeros", "the state before the first step", choices=("zeros", "learned"), is_later=True),
    Parameter(
        "network.initial_weights", "choice", "own",
        "own: as the cell's authors or torch draw them; normal: all of cells and head from N(0, network.initial_std), gains stay 1",
        choices=("own", "normal"), is_later=True),
    Parameter(
        "network.initial_std", "float", 0.1, "standard deviation of the initial weights",
        above=0.0, high=100.0, when={"network.initial_weights": ("normal",)}, is_later=True),
    Parameter(
        "network.pooling", "choice", "last", "how a sequence becomes one vector for a classifier",
        choices=("last", "mean", "max", "additive", "dot"), is_later=True),
)  # fmt: skip


def fill_defaults(parameters: Mapping[str, Value]) -> dict[str, Value]:
    """A trial's `network.*` parameters with those that it does not mention."""
    return {one.name: parameters.get(one.name, one.default) for one in NETWORK_PARAMETERS}
