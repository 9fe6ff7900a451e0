"""A network around a cell: padding, dropout, state."""

import pytest
import torch

from rnnbench.base.errors import ParameterError, UnknownNameError
from rnnbench.base.parameters import Value
from rnnbench.cells.build import build_network
from rnnbench.cells.cell import Cell
from rnnbench.cells.gru import GRU
from rnnbench.cells.network import RecurrentNetwork
from rnnbench.cells.noise import mask_products
from rnnbench.cells.table import get_cell, list_cells

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
        return valid.sum() + (network.summary(outputs_BTO, lengths_B) ** 3).sum()

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
        network.summary(network(x_BTI, lengths_B)[0], lengths_B)[1], network.summary(alone_BTO)[0], rtol=0, atol=1e-12
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


def network_of(cell: str = "lstm", **changes: Value) -> RecurrentNetwork:
    torch.manual_seed(0)
    return build_network(cell, 3, {**PARAMETERS, "network.dropout": 0.0, **{f"network.{key}": value for key, value in changes.items()}})


X_BTI = torch.randn(4, 7, 3, generator=torch.Generator().manual_seed(5))
LENGTHS_B = torch.tensor([7, 2, 5, 1])


def test_variational_dropout_drops_the_same_units_at_every_step() -> None:
    network = network_of(dropout=0.5, variational=True)
    dropped_BTO = network.dropout(torch.ones(3, 6, 4))
    assert set(dropped_BTO.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(dropped_BTO, dropped_BTO[:, :1].expand_as(dropped_BTO))
    fresh_BTO = network_of(dropout=0.5).dropout(torch.ones(3, 6, 4))
    assert not torch.equal(fresh_BTO, fresh_BTO[:, :1].expand_as(fresh_BTO))


@pytest.mark.parametrize("cell", ["lstm", "gru", "elman", "peephole_lstm", "mut1", "layer_norm_lstm", "mogrifier_lstm", "slstm", "fgr"])
def test_gradients_through_noisy_steps_equal_those_of_the_written_out_loop(cell: str) -> None:
    network = network_of(cell, num_layers=1, recurrent_dropout=0.4, zoneout=0.3).double()
    layer = network.forwards[0]
    assert isinstance(layer, Cell)
    x_TBI = torch.randn(5, 2, 3, dtype=torch.float64).requires_grad_()
    torch.manual_seed(3)
    outputs_BTH, _ = layer(x_TBI.transpose(0, 1))
    ours = torch.autograd.grad((outputs_BTH**2).sum(), [x_TBI, *layer.parameters()], materialize_grads=True)
    # The same draws in the same order, by plain autograd.
    torch.manual_seed(3)
    weights = mask_products(layer.weights(), 0.4, 2)
    state = layer.initial_state(x_TBI.transpose(0, 1))
    masks_TBS = torch.bernoulli(x_TBI.new_full((5, 2, len(state) * 4), 0.3))
    gates = [gate_BG.split(layer.gate_widths(), dim=-1) for gate_BG in layer.project(x_TBI)]
    outputs = []
    for parts, mask_BS in zip(gates, masks_TBS, strict=True):
        following = layer.step(weights, parts, state)
        state = tuple(
            mask * old + (1 - mask) * new for mask, old, new in zip(mask_BS.chunk(len(state), dim=-1), state, following, strict=True)
        )
        outputs.append(state[0])
    expected_BTH = torch.stack(outputs, dim=1)
    torch.testing.assert_close(outputs_BTH, expected_BTH, rtol=0, atol=1e-12)
    theirs = torch.autograd.grad((expected_BTH**2).sum(), [x_TBI, *layer.parameters()], materialize_grads=True)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_zoneout_mixes_old_and_new_when_not_training() -> None:
    network = network_of("gru", num_layers=1, zoneout=0.25).eval()
    layer = network.forwards[0]
    assert isinstance(layer, Cell)
    h_BH, outputs = torch.zeros(4, 4), []
    for x_BI in X_BTI.unbind(1):
        (new_BH,) = layer.run(x_BI.unsqueeze(1), (h_BH,))[1]
        h_BH = 0.25 * h_BH + 0.75 * new_BH
        outputs.append(h_BH)
    torch.testing.assert_close(network(X_BTI)[0], torch.stack(outputs, dim=1), rtol=0, atol=1e-6)


def test_weight_drop_zeroes_recurrent_weights_while_training_only() -> None:
    network = network_of("gru", num_layers=1, weight_drop=0.5)
    torch.manual_seed(1)
    first_BTO = network(X_BTI)[0]
    assert not torch.equal(network(X_BTI)[0], first_BTO)
    network.eval()
    torch.testing.assert_close(network(X_BTI)[0], network_of("gru", num_layers=1)(X_BTI)[0], rtol=0, atol=1e-6)


def test_residual_connections_add_where_sizes_agree() -> None:
    plain, residual = network_of(num_layers=3), network_of(num_layers=3, connections="residual")
    residual.load_state_dict(plain.state_dict())
    x_BTO = X_BTI
    for layer, cell in enumerate(plain.forwards):
        outputs_BTO, _ = cell(x_BTO)
        x_BTO = outputs_BTO + x_BTO if layer else outputs_BTO
    torch.testing.assert_close(residual(X_BTI)[0], x_BTO, rtol=0, atol=1e-6)


def test_skip_connections_show_every_layer_the_input() -> None:
    network = network_of(connections="skip")
    first_BTO, _ = network.forwards[0](X_BTI)
    expected_BTO, _ = network.forwards[1](torch.cat([first_BTO, X_BTI], dim=-1))
    torch.testing.assert_close(network(X_BTI)[0], expected_BTO, rtol=0, atol=1e-6)


def test_layer_norm_leaves_each_step_with_mean_0_and_variance_1() -> None:
    outputs_BTO = network_of(layer_norm=True, bidirectional=True)(X_BTI)[0]
    torch.testing.assert_close(outputs_BTO.mean(-1), torch.zeros(4, 7), rtol=0, atol=1e-5)
    torch.testing.assert_close(outputs_BTO.var(-1, unbiased=False), torch.ones(4, 7), rtol=0, atol=1e-2)


@pytest.mark.parametrize("cell", [entry.name for entry in list_cells() if entry.can_learn_state])
def test_a_learned_initial_state_is_learned(cell: str) -> None:
    network = network_of(cell, initial_state="learned")
    torch.testing.assert_close(network(X_BTI)[0], network_of(cell)(X_BTI)[0], rtol=0, atol=1e-6)
    network(X_BTI)[0].square().sum().backward()
    assert network.starts is not None
    gradients = [weight.grad for weight in network.starts.parameters()]
    assert any(gradient is not None and gradient.abs().max() > 0 for gradient in gradients)


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "additive", "dot"])
def test_pooling_reads_valid_steps_only(pooling: str) -> None:
    network = network_of("gru", pooling=pooling)
    for name, weight in network.named_parameters():
        if name == "pool.question":
            torch.nn.init.normal_(weight)
    outputs_BTO, _ = network(X_BTI, LENGTHS_B)
    pooled_BO = network.summary(outputs_BTO, LENGTHS_B)
    for row, length in enumerate(LENGTHS_B.tolist()):
        alone_TO = outputs_BTO[row, :length]
        torch.testing.assert_close(pooled_BO[row], network.summary(alone_TO.unsqueeze(0))[0], rtol=0, atol=1e-6)
    one_TO = outputs_BTO[0]
    if pooling == "mean":
        torch.testing.assert_close(pooled_BO[0], one_TO.mean(0))
    if pooling == "max":
        torch.testing.assert_close(pooled_BO[0], one_TO.max(0).values)
    if pooling == "dot":
        question_O = network.get_parameter("pool.question")
        torch.testing.assert_close(pooled_BO[0], (one_TO @ question_O / 2).softmax(0) @ one_TO)
    if pooling == "additive":
        inner, score = network.get_submodule("pool.inner"), network.get_parameter("pool.score.weight")
        torch.testing.assert_close(pooled_BO[0], (inner(one_TO).tanh() @ score[0]).softmax(0) @ one_TO)


@pytest.mark.parametrize("cell", [entry.name for entry in list_cells()])
@pytest.mark.parametrize(
    "form", [{}, {"num_layers": 3}, {"num_layers": 2, "bidirectional": True}, {"num_layers": 2, "connections": "skip"}]
)
def test_a_budget_of_weights_is_met_within_one_percent(cell: str, form: dict[str, Value]) -> None:
    parameters = {**PARAMETERS, "network.num_layers": 1, **{f"network.{key}": value for key, value in form.items()}}
    del parameters["network.hidden_size"]
    for budget, inputs in ((2_000_000, 88), (5_000_000, 1)):
        network = build_network(cell, inputs, {**parameters, "network.param_budget": budget})
        cells = [*network.forwards, *network.backwards]
        count = sum(weight.numel() for layer in cells for weight in layer.parameters())
        assert abs(count - budget) <= 0.01 * budget, (network.hidden_size, count)


def test_a_budget_that_no_size_meets_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"network\.param_budget is 50, but lstm with 88 inputs comes no nearer than 364 weights"):
        build_network("lstm", 88, {**PARAMETERS, "network.num_layers": 1, "network.param_budget": 50})


def test_input_noise_has_its_deviation_in_training_and_is_absent_otherwise() -> None:
    seen: list[torch.Tensor] = []
    network = network_of(input_noise=0.5)
    network.forwards[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    x_BTI = torch.zeros(50, 100, 3)
    network.train()(x_BTI)
    network.eval()(x_BTI)
    # 15000 draws: six standard errors of a standard deviation.
    assert abs(float(seen[0].std()) - 0.5) < 6 * 0.5 / (2 * 15000) ** 0.5
    assert abs(float(seen[0].mean())) < 6 * 0.5 / 15000**0.5
    assert torch.equal(seen[1], x_BTI)


@pytest.mark.parametrize("cell", ["peephole_lstm", "fgr", "gru", "layer_norm_lstm"])
def test_normal_initial_weights_have_their_deviation_and_gains_stay_one(cell: str) -> None:
    changes: dict[str, Value] = {"network.hidden_size": 64, "network.initial_weights": "normal", "network.initial_std": 0.1}
    torch.manual_seed(0)
    network = build_network(cell, 3, {**PARAMETERS, **changes, "cell.forget_bias": 0.0})
    for name, weight in network.named_parameters():
        if "gain_" in name:
            assert bool((weight == 1).all()), name
        elif "shift_" not in name:
            assert abs(float(weight.detach().std()) - 0.1) < 6 * 0.1 / (2 * weight.numel()) ** 0.5, name
    assert float(next(network.parameters()).detach().abs().max()) > 64**-0.5, "as the cell draws them itself"
