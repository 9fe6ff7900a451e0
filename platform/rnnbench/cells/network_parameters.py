"""The parameters of a network around a cell, declared once. No torch."""

from rnnbench.base.parameters import Parameter

NETWORK_PARAMETERS = (
    Parameter("network.hidden_size", "int", 64, "units in each layer and direction", low=1, high=65_536),
    Parameter("network.num_layers", "int", 1, "stacked layers", low=1, high=64),
    Parameter(
        "network.dropout", "float", 0.0, "share of each layer's outputs dropped, between layers and before the head", low=0.0, high=1 - 1e-9
    ),
    Parameter("network.bidirectional", "bool", False, "whether a second set of layers reads the sequence backwards"),
)
