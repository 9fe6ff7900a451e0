"""One contract for every cell of the table, run unchanged over each; a new cell needs no line here."""

import importlib
from collections.abc import Mapping, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from rnnbench.base.parameters import Parameter, Value
from rnnbench.cells import bptt
from rnnbench.cells.bptt import State
from rnnbench.cells.cell import Cell
from rnnbench.cells.entry import CellEntry
from rnnbench.cells.layer import Layer
from rnnbench.cells.lstm import LSTM
from rnnbench.cells.operations import Parts, Weights
from rnnbench.cells.table import list_cells


def class_of(entry: CellEntry) -> type[Layer]:
    module, _, name = entry.target.partition(":")
    found = getattr(importlib.import_module(module), name)
    assert isinstance(found, type)
    assert issubclass(found, Layer)
    return found


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
    torch.manual_seed(0)
    cell = class_of(entry)(inputs, units, **options)
    with torch.no_grad():
        # Weights that start as 0 or 1 would hide mistakes.
        for number, weight in enumerate(cell.parameters()):
            weight.add_(0.1 * draw(*weight.shape, seed=100 + number).float())
    return cell.double().eval()


def draw(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def full(options: Mapping[str, Value]) -> dict[str, Value]:
    return {f"cell.{name}": value for name, value in options.items()}


def start(cell: Layer, rows: int) -> State:
    """A state as a cell can be in: after a few steps."""
    before_BTI = draw(rows, 3, cell.input_size, seed=7)
    return tuple(part.detach().clone() for part in cell.unroll(before_BTI, cell.initial_state(before_BTI))[1])


def gradients(cell: Layer, outputs: Tensor, state: State, leaves: Sequence[Tensor]) -> list[Tensor]:
    weighted = (outputs * draw(*outputs.shape, seed=3)).sum() + sum((part * draw(*part.shape, seed=4)).sum() for part in state)
    return list(torch.autograd.grad(weighted, [*cell.parameters(), *leaves], materialize_grads=True))


@every_form
def test_gradients_of_the_fast_form_match_finite_differences(entry: CellEntry, options: dict[str, Value]) -> None:
    cell = build(entry, options, 2, 3)
    x_BTI = draw(2, 3, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: cell(x)[0], (x_BTI,))


@every_form
def test_second_gradients_of_the_fast_form_match_finite_differences(entry: CellEntry, options: dict[str, Value]) -> None:
    cell = build(entry, options, 2, 2)
    x_BTI = draw(1, 3, 2).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: cell(x)[0], (x_BTI,))


@every_form
def test_the_fast_form_equals_the_loop_over_steps_in_values_and_all_gradients(entry: CellEntry, options: dict[str, Value]) -> None:
    cell = build(entry, options)
    x_BTI, state = draw(5, 9, 3).requires_grad_(), tuple(part.requires_grad_() for part in start(cell, 5))
    fast_BTH, fast_end = cell.run(x_BTI, state)
    slow_BTH, slow_end = cell.unroll(x_BTI, state)
    torch.testing.assert_close(fast_BTH, slow_BTH, rtol=0, atol=1e-10)
    for one, other in zip(fast_end, slow_end, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)
    leaves = [x_BTI, *state]
    pairs = zip(gradients(cell, fast_BTH, fast_end, leaves), gradients(cell, slow_BTH, slow_end, leaves), strict=True)
    for one, other in pairs:
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@every_stepped_form
def test_a_long_sequence_crosses_the_blocks_of_the_backward_pass(
    entry: CellEntry, options: dict[str, Value], monkeypatch: pytest.MonkeyPatch
) -> None:
    cell, x_BTI = build(entry, options), draw(2, 11, 3).requires_grad_()
    whole = gradients(cell, *cell.run(x_BTI, cell.initial_state(x_BTI)), [x_BTI])
    monkeypatch.setattr(bptt, "BLOCK_ELEMENTS", 2 * 4 * 3)
    for one, other in zip(gradients(cell, *cell.run(x_BTI, cell.initial_state(x_BTI)), [x_BTI]), whole, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@settings(max_examples=15, deadline=None)
@given(
    rows=st.integers(1, 4), steps=st.integers(1, 6), inputs=st.integers(1, 5), units=st.integers(1, 6), place=st.integers(0, len(FORMS) - 1)
)
def test_the_fast_form_equals_the_loop_at_any_size(rows: int, steps: int, inputs: int, units: int, place: int) -> None:
    entry, options = FORMS[place].values
    assert isinstance(entry, CellEntry)
    cell = build(entry, options, inputs, units)  # type: ignore[arg-type]  # pytest types a parameter's values as object
    x_BTI, state = draw(rows, steps, inputs), start(cell, rows)
    torch.testing.assert_close(cell.run(x_BTI, state)[0], cell.unroll(x_BTI, state)[0], rtol=0, atol=1e-10)


@every_form
def test_two_chunks_with_carried_state_equal_the_whole(entry: CellEntry, options: dict[str, Value]) -> None:
    cell, x_BTI = build(entry, options), draw(4, 10, 3)
    whole_BTH, end = cell(x_BTI)
    first_BTH, carried = cell(x_BTI[:, :4])
    second_BTH, chunk_end = cell(x_BTI[:, 4:], carried)
    torch.testing.assert_close(torch.cat([first_BTH, second_BTH], dim=1), whole_BTH, rtol=0, atol=1e-12)
    for one, other in zip(end, chunk_end, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


@every_form
def test_the_closed_form_counts_the_parameters(entry: CellEntry, options: dict[str, Value]) -> None:
    for inputs, units in [(1, 1), (3, 4), (88, 100)]:
        cell = build(entry, options, inputs, units)
        assert sum(weight.numel() for weight in cell.parameters()) == entry.num_parameters(inputs, units, full(options))


@every_form
def test_the_closed_form_counts_the_flops_of_the_step_loop(entry: CellEntry, options: dict[str, Value]) -> None:
    cell, rows, steps = build(entry, options, 5, 7), 3, 4
    x_BTI = draw(rows, steps, 5)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        cell.unroll(x_BTI, cell.initial_state(x_BTI))
    assert counter.get_total_flops() == entry.flops_per_step(5, 7, full(options)) * rows * steps


@every_stepped_form
def test_a_leading_model_axis_gives_each_models_own_step(entry: CellEntry, options: dict[str, Value]) -> None:
    cells = [cell for cell in (build(entry, options) for _ in range(3)) if isinstance(cell, Cell)]
    with torch.no_grad():
        for number, cell in enumerate(cells):
            for weight in cell.parameters():
                weight.add_(0.1 * number)
    assert len(cells) == 3
    widths, weights = cells[0].gate_widths(), [cell.weights() for cell in cells]
    gates = [cell.project(draw(1, 5, 3, seed=number))[0].split(widths, dim=-1) for number, cell in enumerate(cells)]
    states = [start(cell, 5) for cell in cells]
    operands = {
        name: tuple(torch.stack(parts) for parts in zip(*(one.operands[name] for one in weights), strict=True))
        for name in weights[0].operations
    }
    together = cells[0].step(
        Weights(weights[0].operations, operands),
        tuple(torch.stack(parts) for parts in zip(*gates, strict=True)),
        tuple(torch.stack(parts) for parts in zip(*states, strict=True)),
    )
    for number, cell in enumerate(cells):
        for one, other in zip(together, cell.step(weights[number], gates[number], states[number]), strict=True):
            torch.testing.assert_close(one[number], other, rtol=0, atol=1e-12)


@every_form
def test_a_row_does_not_depend_on_the_rows_beside_it(entry: CellEntry, options: dict[str, Value]) -> None:
    cell, x_BTI = build(entry, options), draw(6, 5, 3)
    torch.testing.assert_close(cell(x_BTI)[0][2:3], cell(x_BTI[2:3])[0], rtol=0, atol=1e-12)


@every_form
def test_single_precision_follows_double_within_its_rounding(entry: CellEntry, options: dict[str, Value]) -> None:
    cell, x_BTI, steps = build(entry, options), draw(4, 12, 3), 12
    exact_BTH = cell(x_BTI)[0]
    single_BTH = cell.float()(x_BTI.float())[0]
    # Each step rounds a sum of I + H products; with weights below 1 in norm the errors of earlier steps do not grow.
    tolerance = 8 * torch.finfo(torch.float32).eps * steps * max(1.0, float(exact_BTH.detach().abs().max()))
    torch.testing.assert_close(single_BTH.double(), exact_BTH, rtol=0, atol=tolerance)


@every_form
def test_weights_saved_and_loaded_give_the_same_outputs(entry: CellEntry, options: dict[str, Value]) -> None:
    cell, other, x_BTI = build(entry, options), build(entry, options), draw(2, 4, 3)
    with torch.no_grad():
        for weight in other.parameters():
            weight.fill_(0.5)
    other.load_state_dict(cell.state_dict())
    assert torch.equal(cell(x_BTI)[0], other(x_BTI)[0])


class FlippedGate(LSTM):
    """An LSTM whose input gate has the wrong sign in `step`: what the contract must notice."""

    def step(self, weights: Weights, gates: Parts, state: State) -> State:
        h_BH, c_BH = state
        i_BH, f_BH, g_BH, o_BH = weights.apply("hh", h_BH, gates)
        c_BH = f_BH.sigmoid() * c_BH - i_BH.sigmoid() * g_BH.tanh()
        return o_BH.sigmoid() * c_BH.tanh(), c_BH


def test_a_flipped_gate_would_be_noticed() -> None:
    torch.manual_seed(0)
    cell, x_BTI = FlippedGate(3, 4).double(), draw(5, 9, 3)
    state = cell.initial_state(x_BTI)
    assert (cell.run(x_BTI, state)[0] - cell.unroll(x_BTI, state)[0]).abs().max() > 1e-3
