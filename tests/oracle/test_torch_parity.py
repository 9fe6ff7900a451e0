"""Cells and networks against torch's own layers with the same weights."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnbench.cells.cell import Cell
from rnnbench.cells.elman import Elman
from rnnbench.cells.greff import NoPeepholes
from rnnbench.cells.gru import GRU
from rnnbench.cells.lstm import LSTM
from rnnbench.cells.network import RecurrentNetwork

NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
CELLS: dict[str, tuple[Callable[[int, int], Cell], Callable[[int, int], nn.RNNBase]]] = {
    "lstm": (LSTM, lambda i, h: nn.LSTM(i, h, batch_first=True)),
    "gru": (GRU, lambda i, h: nn.GRU(i, h, batch_first=True)),
    "elman": (Elman, lambda i, h: nn.RNN(i, h, batch_first=True)),
    "elman relu": (lambda i, h: Elman(i, h, "relu"), lambda i, h: nn.RNN(i, h, nonlinearity="relu", batch_first=True)),
}


def copy(cell: Cell, layer: nn.RNNBase, suffix: str) -> None:
    with torch.no_grad():
        for name in NAMES:
            getattr(layer, f"{name}_{suffix}").copy_(getattr(cell, name))


@pytest.mark.parametrize("name", CELLS)
def test_the_step_loop_equals_torchs_layer(name: str) -> None:
    torch.manual_seed(0)
    build, reference = CELLS[name]
    cell, layer, x_BTI = build(6, 9), reference(6, 9), torch.randn(4, 15, 6)
    copy(cell, layer, "l0")
    expected_BTH, _ = layer(x_BTI)
    torch.testing.assert_close(cell.unroll(x_BTI, cell.initial_state(x_BTI))[0], expected_BTH, rtol=0, atol=1e-6)
    torch.testing.assert_close(cell(x_BTI)[0], expected_BTH, rtol=0, atol=1e-6)


def test_greffs_np_equals_torchs_lstm_with_one_bias() -> None:
    torch.manual_seed(0)
    cell, layer, x_BTI = NoPeepholes(6, 9), torch.nn.LSTM(6, 9, batch_first=True), torch.randn(4, 15, 6)
    for name, part in (("weight_ih", 1.0), ("bias_ih", 0.25), ("weight_hh", 1.0)):
        layer.get_parameter(f"{name}_l0").data.copy_(cell.get_parameter(name) * part)
    layer.get_parameter("bias_hh_l0").data.copy_(cell.bias_ih * 0.75)
    expected_BTH, _ = layer(x_BTI)
    torch.testing.assert_close(cell(x_BTI)[0], expected_BTH, rtol=0, atol=1e-6)
    torch.testing.assert_close(cell.unroll(x_BTI, cell.initial_state(x_BTI))[0], expected_BTH, rtol=0, atol=1e-6)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
def test_projections_equal_torchs() -> None:
    torch.manual_seed(0)
    cell, layer, x_BTI = LSTM(6, 9, projection_size=4), torch.nn.LSTM(6, 9, batch_first=True, proj_size=4), torch.randn(4, 15, 6)
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"):
        layer.get_parameter(f"{name}_l0").data.copy_(cell.get_parameter(name))
    expected_BTO, _ = layer(x_BTI)
    torch.testing.assert_close(cell(x_BTI)[0], expected_BTO, rtol=0, atol=1e-6)
    torch.testing.assert_close(cell.unroll(x_BTI, cell.initial_state(x_BTI))[0], expected_BTO, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", CELLS)
def test_initial_weights_have_torchs_range(name: str) -> None:
    build, reference = CELLS[name]
    torch.manual_seed(3)
    cell, layer = build(5, 100), reference(5, 100)
    for part in NAMES:
        ours, theirs = getattr(cell, part), getattr(layer, f"{part}_l0")
        assert ours.shape == theirs.shape
        assert 0.09 < float(ours.detach().abs().max()) <= 0.1
        assert 0.09 < float(theirs.detach().abs().max()) <= 0.1


def test_the_forget_bias_is_added_to_one_gate_only() -> None:
    torch.manual_seed(3)
    plain = LSTM(5, 8)
    torch.manual_seed(3)
    biased = LSTM(5, 8, forget_bias=2.0)
    difference = (biased.bias_ih - plain.bias_ih).detach()
    torch.testing.assert_close(difference, torch.tensor([0.0] * 8 + [2.0] * 8 + [0.0] * 16), rtol=0, atol=1e-6)


def test_a_stacked_network_in_both_directions_equals_torch_on_packed_sequences() -> None:
    torch.manual_seed(1)
    network = RecurrentNetwork(LSTM, 3, 5, 2, bidirectional=True).double()
    layer = nn.LSTM(3, 5, num_layers=2, bidirectional=True, batch_first=True).double()
    for depth in range(2):
        forwards, backwards = network.forwards[depth], network.backwards[depth]
        assert isinstance(forwards, Cell)
        assert isinstance(backwards, Cell)
        copy(forwards, layer, f"l{depth}")
        copy(backwards, layer, f"l{depth}_reverse")
    lengths_B, x_BTI = torch.tensor([7, 3, 1, 5]), torch.randn(4, 7, 3, dtype=torch.float64)
    ours_BTO, _ = network(x_BTI, lengths_B)
    packed, _ = layer(pack_padded_sequence(x_BTI, lengths_B, batch_first=True, enforce_sorted=False))
    theirs_BTO, _ = pad_packed_sequence(packed, batch_first=True)
    mask_BT1 = (torch.arange(7) < lengths_B.unsqueeze(1)).unsqueeze(2)
    torch.testing.assert_close(ours_BTO * mask_BT1, theirs_BTO, rtol=0, atol=1e-12)
    weight_BTO = torch.randn_like(theirs_BTO)
    mine = torch.autograd.grad((ours_BTO * mask_BT1 * weight_BTO).sum(), _first(network).get_parameter("weight_hh"))[0]
    reference = torch.autograd.grad((theirs_BTO * weight_BTO).sum(), _torch_weight(layer))[0]
    torch.testing.assert_close(mine, reference, rtol=0, atol=1e-10)


def _first(network: RecurrentNetwork) -> Cell:
    cell = network.forwards[0]
    assert isinstance(cell, Cell)
    return cell


def _torch_weight(layer: nn.LSTM) -> Tensor:
    weight = layer.weight_hh_l0
    assert isinstance(weight, Tensor)
    return weight
