"""How far back gradients reach: against a closed form and finite differences, and what the field knows of its cells."""

import pytest
import torch

from rnnbench.base.parameters import Value
from rnnbench.cells.build import build_network
from rnnbench.cells.gradient_flow import gradient_flow
from rnnbench.cells.network import RecurrentNetwork
from rnnbench.cells.table import list_cells


def network_of(cell: str, hidden: int = 16, layers: int = 1, **options: Value) -> RecurrentNetwork:
    torch.manual_seed(0)
    parameters: dict[str, Value] = {"network.hidden_size": hidden, "network.num_layers": layers, "network.bidirectional": False}
    return build_network(cell, 3, {**parameters, "network.dropout": 0.3, **{f"cell.{name}": value for name, value in options.items()}})


def draw(steps: int, rows: int = 4) -> torch.Tensor:
    return torch.randn(rows, steps, 3, generator=torch.Generator().manual_seed(1))


def norms(network: RecurrentNetwork, x_BTI: torch.Tensor) -> torch.Tensor:
    found = gradient_flow(network, x_BTI)
    assert found is not None
    return found


def test_a_linear_recurrence_gives_the_powers_of_its_weight() -> None:
    network = network_of("elman", nonlinearity="relu")
    for name, weight in network.named_parameters():
        square = weight.ndim == 2 and weight.shape[0] == weight.shape[1]
        # Inputs and bias keep every unit above zero.
        weight.data = 0.9 * torch.eye(16) if square else torch.full_like(weight, 0.5)
        assert square or "hh" not in name or weight.ndim == 1
    expected = 0.9 ** torch.arange(1, 30, dtype=torch.float64)
    torch.testing.assert_close(norms(network, draw(30).abs()), expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("cell", ["lstm", "gru_v1", "lru", "peephole_lstm"])
def test_it_is_the_derivative_by_finite_differences(cell: str) -> None:
    network, x_BTI = network_of(cell, hidden=4, layers=2).double().eval(), draw(6, rows=2).double()
    found = norms(network, x_BTI)
    direction_BO = torch.randn(2, network.output_size, generator=torch.Generator().manual_seed(0)).double()
    direction_BO = direction_BO / direction_BO.norm(dim=-1, keepdim=True)
    lag, squares_B = 3, torch.zeros(2, dtype=torch.float64)
    with torch.no_grad():
        _, state = network(x_BTI[:, :-lag])

        def output(changed: list[tuple[torch.Tensor, ...]]) -> torch.Tensor:
            # Step by step, as the state is handed on.
            for step in range(6 - lag, 6):
                y_B1O, changed = network(x_BTI[:, step : step + 1], state=changed)
            told_B: torch.Tensor = (y_B1O[:, 0] * direction_BO).sum(dim=-1)
            return told_B

        for layer, parts in enumerate(state):
            for place, part in enumerate(parts):
                if not (part.is_floating_point() or part.is_complex()):
                    continue
                for unit in range(part[0].numel()):
                    for way in (1.0, 1.0j) if part.is_complex() else (1.0,):
                        told = []
                        for sign in (1, -1):
                            moved = part.clone()
                            moved.view(2, -1)[:, unit] += sign * 1e-6 * way
                            changed = [
                                tuple(moved if (row, p) == (layer, place) else q for p, q in enumerate(of)) for row, of in enumerate(state)
                            ]
                            told.append(output(changed))
                        squares_B += ((told[0] - told[1]) / 2e-6) ** 2
    torch.testing.assert_close(found[lag - 1], squares_B.sqrt().mean(), rtol=1e-5, atol=1e-9)


def test_an_elman_network_forgets_what_an_lstm_holds_for_200_steps() -> None:
    x_BTI = draw(201)
    elman, lstm = norms(network_of("elman"), x_BTI), norms(network_of("lstm", forget_bias=6.0), x_BTI)
    assert elman[199] < 1e-12 * elman[0]
    assert lstm[199] > 1e-2 * lstm[0]


@pytest.mark.parametrize("cell", [entry.name for entry in list_cells()])
def test_every_cell_with_a_state_tells_it_and_training_goes_on_as_before(cell: str) -> None:
    network = network_of(cell, hidden=4)
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    found = gradient_flow(network, draw(5))
    assert found is None or (found.shape == (4,) and bool(torch.isfinite(found).all()))
    assert (found is None) == (cell == "mlp")
    assert network.training
    assert all(weight.grad is None for weight in network.parameters())
    assert all(torch.equal(weight, before[name]) for name, weight in network.state_dict().items())


def test_both_directions_have_no_answer() -> None:
    parameters: dict[str, Value] = {
        "network.hidden_size": 4,
        "network.num_layers": 1,
        "network.bidirectional": True,
        "network.dropout": 0.0,
    }
    assert gradient_flow(build_network("gru", 3, parameters), draw(5)) is None
