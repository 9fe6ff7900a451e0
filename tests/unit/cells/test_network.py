"""A network around a cell: padding, dropout, state."""

import pytest
import torch

from rnnbench.base.errors import UnknownNameError
from rnnbench.base.parameters import Value
from rnnbench.cells.build import build_network
from rnnbench.cells.gru import GRU
from rnnbench.cells.network import RecurrentNetwork
from rnnbench.cells.table import get_cell

PARAMETERS: dict[str, Value] = {
    "network.hidden_size": 4, "network.num_layers": 2, "network.dropout": 0.5, "network.bidirectional": False, "cell.forget_bias": 1.0,
}  # fmt: skip


@pytest.mark.parametrize("bidirectional", [False, True])
def test_padding_changes_neither_outputs_nor_gradients(bidirectional: bool) -> None:
    torch.manual_seed(0)
    network = RecurrentNetwork(GRU, 3, 4, 2, bidirectional=bidirectional).double()
    x_BTI, lengths_B = torch.randn(3, 6, 3, dtype=torch.float64), torch.tensor([6, 2, 4])

    def loss(inputs: torch.Tensor) -> torch.Tensor:
        outputs_BTO, _ = network(inputs, lengths_B)
        valid = torch.stack([(outputs_BTO[row, :length] ** 2).sum() for row, length in enumerate(lengths_B.tolist())])
        return valid.sum() + (network.last_output(outputs_BTO, lengths_B) ** 3).sum()

    changed_BTI = x_BTI.clone()
    for row, length in enumerate(lengths_B.tolist()):
        changed_BTI[row, length:] = 1e3
    weights = list(network.parameters())
    one, other = torch.autograd.grad(loss(x_BTI), weights), torch.autograd.grad(loss(changed_BTI), weights)
    for gradient, again in zip(one, other, strict=True):
        torch.testing.assert_close(gradient, again, rtol=0, atol=1e-12)
    alone_BTO, _ = network(x_BTI[1:2, :2])
    torch.testing.assert_close(network(x_BTI, lengths_B)[0][1:2, :2], alone_BTO, rtol=0, atol=1e-12)
    torch.testing.assert_close(
        network.last_output(network(x_BTI, lengths_B)[0], lengths_B)[1], network.last_output(alone_BTO)[0], rtol=0, atol=1e-12
    )


def test_dropout_acts_in_training_only() -> None:
    network, x_BTI = build_network("lstm", 3, PARAMETERS), torch.randn(2, 5, 3)
    network.eval()
    assert torch.equal(network(x_BTI)[0], network(x_BTI)[0])
    network.train()
    dropped = network(x_BTI)[0]
    assert not torch.equal(dropped, network(x_BTI)[0])
    assert (dropped == 0).any()


def test_state_carries_a_stacked_network_over_a_cut() -> None:
    network, x_BTI = build_network("lstm", 3, {**PARAMETERS, "network.dropout": 0.0}).double(), torch.randn(2, 6, 3, dtype=torch.float64)
    whole_BTO, _ = network(x_BTI)
    first_BTO, state = network(x_BTI[:, :2])
    second_BTO, _ = network(x_BTI[:, 2:], state=state)
    torch.testing.assert_close(torch.cat([first_BTO, second_BTO], dim=1), whole_BTO, rtol=0, atol=1e-12)


def test_both_directions_cannot_go_on_from_a_state() -> None:
    network, x_BTI = build_network("gru", 3, {**PARAMETERS, "network.bidirectional": True}), torch.randn(2, 4, 3)
    _, state = network(x_BTI)
    with pytest.raises(ValueError, match="both directions"):
        network(x_BTI, state=state)


def test_an_unknown_cell_gets_a_suggestion() -> None:
    with pytest.raises(UnknownNameError, match="no cell 'ltsm'; did you mean 'lstm'"):
        get_cell("ltsm")
