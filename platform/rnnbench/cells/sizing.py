"""The hidden size that a budget of weights gives, from each cell's closed form. No torch."""

from collections.abc import Mapping

from rnnbench.base.errors import ParameterError
from rnnbench.base.parameters import Value
from rnnbench.cells.entry import CellEntry

# A nearest size further from the budget than this is no answer to the question.
TOLERANCE = 0.1


def num_weights(entry: CellEntry, inputs: int, units: int, parameters: Mapping[str, Value]) -> int:
    """Weights of all layers and directions of a network of cells, without what stands around them and without a head.

    Args:
        inputs: Of the first layer.
        parameters: A trial's, by full name.
    """
    layers, directions = int(parameters["network.num_layers"] or 1), 2 if parameters["network.bidirectional"] else 1
    more = directions * entry.output_size(units, parameters) + (inputs if parameters["network.connections"] == "skip" else 0)
    first = entry.num_parameters(inputs, units, parameters)
    return directions * (first + (layers - 1) * entry.num_parameters(more, units, parameters))


def solve_hidden_size(entry: CellEntry, inputs: int, parameters: Mapping[str, Value]) -> int:
    """The hidden size whose number of weights is nearest to `network.param_budget`.

    Raises:
        ParameterError: no size comes within 10 % of it.
    """
    budget = parameters["network.param_budget"]
    assert isinstance(budget, int), "asked for with a budget only"

    def distance(units: int) -> int:
        return abs(num_weights(entry, inputs, units, parameters) - budget)

    low, high = 1, 2
    while num_weights(entry, inputs, high, parameters) < budget:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if num_weights(entry, inputs, middle, parameters) < budget else (low, middle)
    # Counts that depend on divisors or on equal sizes are not quite monotonous.
    best = min(range(max(1, low - 16), high + 17), key=distance)
    if distance(best) > TOLERANCE * budget:
        found = num_weights(entry, inputs, best, parameters)
        raise ParameterError(
            f"network.param_budget is {budget}, but {entry.name} with {inputs} inputs comes no nearer than {found} weights "
            f"({best} units); give a larger budget or fewer layers"
        )
    return best
