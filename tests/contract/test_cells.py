"""One contract for every cell of the table, run unchanged over each; a new cell needs no line here."""

from collections.abc import Mapping

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from rnnbench.base.parameters import Parameter, Value
from rnnbench.cells import chain, contract, linear
from rnnbench.cells.cell import Cell
from rnnbench.cells.contract import draw, gradients, start
from rnnbench.cells.entry import CellEntry
from rnnbench.cells.layer import Layer
from rnnbench.cells.load import load_cell
from rnnbench.cells.lstm import LSTM
from rnnbench.cells.network import RecurrentNetwork
from rnnbench.cells.operations import Parts, Weights
from rnnbench.cells.step import State
from rnnbench.cells.table import list_cells


def class_of(entry: CellEntry) -> type[Layer]:
    return load_cell(entry)


def other_values(parameter: Parameter) -> list[Value]:
    """What a parameter can be beside its default, where that makes another form of the cell."""
    if parameter.kind == "int":
        return [int(parameter.low) + 1]
    allowed = (False, True) if parameter.kind == "bool" else parameter.choices
    return [value for value in allowed if value != parameter.default]


FORMS = [
    pytest.param(entry, {name: value} if name else {}, id=f"{entry.name}-{name}-{value}" if name else entry.name)
    for entry in list_cells()
    for name, value in [
        ("", None),
        *((parameter.name.removeprefix("cell."), value) for parameter in entry.parameters for value in other_values(parameter)),
    ]
]
every_form = pytest.mark.parametrize(("entry", "options"), FORMS)
STEPPED = [form for form in FORMS if issubclass(class_of(form.values[0]), Cell)]  # type: ignore[arg-type]  # pytest's values are objects
every_stepped_form = pytest.mark.parametrize(("entry", "options"), STEPPED)


def build(entry: CellEntry, options: Mapping[str, Value], inputs: int = 3, units: int = 4) -> Layer:
    return contract.builder(lambda m, n: class_of(entry)(m, n, **options))(inputs, units)


def full(options: Mapping[str, Value]) -> dict[str, Value]:
    return {f"cell.{name}": value for name, value in options.items()}


@every_form
@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.__name__)
def test_every_form_of_every_cell_keeps_the_contract(check: contract.Check, entry: CellEntry, options: dict[str, Value]) -> None:
    check(contract.builder(lambda m, n: class_of(entry)(m, n, **options)))


@every_stepped_form
def test_a_long_sequence_crosses_the_blocks_of_the_backward_pass(
    entry: CellEntry, options: dict[str, Value], monkeypatch: pytest.MonkeyPatch
) -> None:
    cell, x_BTI = build(entry, options), draw(2, 11, 3).requires_grad_()
    whole = gradients(cell, *cell.run(x_BTI, cell.initial_state(x_BTI)), [x_BTI])
    for module in (chain, linear):
        monkeypatch.setattr(module, "BLOCK_ELEMENTS", 2 * 4 * 3)
    for one, other in zip(gradients(cell, *cell.run(x_BTI, cell.initial_state(x_BTI)), [x_BTI]), whole, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@settings(max_examples=15)
@given(
    rows=st.integers(1, 4), steps=st.integers(1, 6), inputs=st.integers(1, 5), units=st.integers(1, 6), place=st.integers(0, len(FORMS) - 1)
)
def test_the_fast_form_equals_the_loop_at_any_size(rows: int, steps: int, inputs: int, units: int, place: int) -> None:
    entry, options = FORMS[place].values
    assert isinstance(entry, CellEntry)
    assert isinstance(options, dict)
    assume(options.get("projection_size", 0) < units)  # else there is no such cell
    cell = build(entry, options, inputs, units)
    x_BTI, state = draw(rows, steps, inputs), start(cell, rows)
    torch.testing.assert_close(cell.run(x_BTI, state)[0], cell.unroll(x_BTI, state)[0], rtol=0, atol=1e-10)


@every_form
def test_the_closed_form_counts_the_parameters(entry: CellEntry, options: dict[str, Value]) -> None:
    for inputs, units in [(1, 2), (3, 4), (88, 100)]:
        cell = build(entry, options, inputs, units)
        assert sum(weight.numel() for weight in cell.parameters()) == entry.num_parameters(inputs, units, full(options))


@every_form
def test_the_closed_form_counts_the_flops_of_the_step_loop(entry: CellEntry, options: dict[str, Value]) -> None:
    cell, rows, steps = build(entry, options, 5, 7), 3, 4
    x_BTI = draw(rows, steps, 5)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        cell.unroll(x_BTI, cell.initial_state(x_BTI))
    assert counter.get_total_flops() == entry.flops_per_step(5, 7, full(options)) * rows * steps


@every_form
def test_padding_changes_neither_outputs_nor_gradients(entry: CellEntry, options: dict[str, Value]) -> None:
    torch.manual_seed(0)
    for bidirectional in (False, True):
        network = RecurrentNetwork(lambda m, n: class_of(entry)(m, n, **options), 3, 4, 2, bidirectional=bidirectional).double()
        lengths_B, x_BTI, results = torch.tensor([6, 2, 4]), draw(3, 6, 3), []
        for filling in (0.0, 10.0):
            padded_BTI = x_BTI.clone()
            for row, length in enumerate(lengths_B.tolist()):
                padded_BTI[row, length:] = filling
            outputs_BTO, _ = network(padded_BTI, lengths_B)
            summary_BO = network.summary(outputs_BTO, lengths_B)
            results.append((summary_BO, *torch.autograd.grad((summary_BO**2).sum(), list(network.parameters()), materialize_grads=True)))
        for one, other in zip(*results, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-12)
        alone_1TO, _ = network(x_BTI[1:2, :2])
        torch.testing.assert_close(results[0][0][1:2], network.summary(alone_1TO), rtol=0, atol=1e-12)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@every_form
def test_cpu_and_gpu_agree(entry: CellEntry, options: dict[str, Value]) -> None:
    cell, x_BTI = build(entry, options, 8, 16), draw(4, 20, 8)
    expected_BTH = cell(x_BTI)[0]
    torch.testing.assert_close(cell.cuda()(x_BTI.cuda())[0].cpu(), expected_BTH, rtol=1e-9, atol=1e-9)


class FlippedGate(LSTM):
    """An LSTM whose input gate has the wrong sign in `step`: what the contract must notice."""

    def step(self, weights: Weights, gates: Parts, state: State) -> State:
        h_BH, c_BH = state
        i_BH, f_BH, g_BH, o_BH = weights.apply("hh", h_BH, gates)
        c_BH = f_BH.sigmoid() * c_BH - i_BH.sigmoid() * g_BH.tanh()
        return o_BH.sigmoid() * c_BH.tanh(), c_BH


class MixedUnits(LSTM):
    """A step that is not elementwise between its operations, which the fast backward pass relies on."""

    run = Cell.run

    def step(self, weights: Weights, gates: Parts, state: State) -> State:
        h_BH, c_BH = super().step(weights, gates, state)
        return h_BH.flip(-1), c_BH


class Peeking(LSTM):
    """A cell that looks ahead."""

    def run(self, x_BTI: Tensor, state: State) -> tuple[Tensor, State]:
        return super().run(x_BTI + x_BTI.roll(-1, 1), state)


class Mixing(LSTM):
    """A cell whose rows see each other."""

    def run(self, x_BTI: Tensor, state: State) -> tuple[Tensor, State]:
        return super().run(x_BTI - x_BTI.mean(0), state)


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (FlippedGate, contract.check_fast_form),
        (MixedUnits, contract.check_fast_form),
        (Peeking, contract.check_causality),
        (Mixing, contract.check_rows),
    ],
)
def test_a_broken_cell_is_noticed(broken: type[Layer], check: contract.Check) -> None:
    with pytest.raises(AssertionError):
        check(contract.builder(broken))
    assert contract.failures(contract.builder(broken))
