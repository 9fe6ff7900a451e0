"""One contract for every cell of the table, run unchanged over each; a new cell needs no line here."""

import importlib
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from rnnbench.cells.cell import Cell, State, Weights
from rnnbench.cells.entry import CellEntry
from rnnbench.cells.lstm import LSTM
from rnnbench.cells.table import list_cells

# Every allowed choice of every cell parameter that is a choice, so that each form of a cell meets the contract.
FORMS = [
    pytest.param(entry, options, id="-".join([entry.name, *map(str, options.values())]))
    for entry in list_cells()
    for options in [
        {},
        *(
            {parameter.name.removeprefix("cell."): choice}
            for parameter in entry.parameters
            for choice in parameter.choices
            if choice != parameter.default
        ),
    ]
]
every_cell = pytest.mark.parametrize(("entry", "options"), FORMS)


def build(entry: CellEntry, options: dict[str, object], inputs: int = 3, units: int = 4) -> Cell:
    torch.manual_seed(0)
    module, _, name = entry.target.partition(":")
    cell = getattr(importlib.import_module(module), name)(inputs, units, **options)
    assert isinstance(cell, Cell)
    return cell.double()


def draw(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def start(cell: Cell, rows: int) -> State:
    return tuple(draw(rows, cell.hidden_size, seed=7 + place).tanh() for place in range(len(cell.state_names)))


def gradients(cell: Cell, outputs: Tensor, state: State, leaves: Sequence[Tensor]) -> list[Tensor]:
    weighted = (outputs * draw(*outputs.shape, seed=3)).sum() + sum((part * draw(*part.shape, seed=4)).sum() for part in state)
    return list(torch.autograd.grad(weighted, [*cell.parameters(), *leaves]))


@every_cell
def test_gradients_of_the_fast_form_match_finite_differences(entry: CellEntry, options: dict[str, object]) -> None:
    cell = build(entry, options, 2, 3)
    x_BTI = draw(2, 3, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: cell(x)[0], (x_BTI,))


@every_cell
def test_second_gradients_of_the_step_loop_match_finite_differences(entry: CellEntry, options: dict[str, object]) -> None:
    cell = build(entry, options, 2, 2)
    x_BTI = draw(1, 3, 2).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: cell.unroll(x, cell.initial_state(x))[0], (x_BTI,))


@every_cell
def test_the_fast_form_equals_the_loop_over_step_in_values_and_all_gradients(entry: CellEntry, options: dict[str, object]) -> None:
    cell = build(entry, options)
    x_BTI, state = draw(5, 9, 3).requires_grad_(), tuple(part.requires_grad_() for part in start(build(entry, options), 5))
    fast_BTH, fast_end = cell.run(x_BTI, state)
    slow_BTH, states = cell.unroll(x_BTI, state)
    torch.testing.assert_close(fast_BTH, slow_BTH, rtol=0, atol=1e-10)
    for one, other in zip(fast_end, states[-1], strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)
    leaves = [x_BTI, *state]
    pairs = zip(gradients(cell, fast_BTH, fast_end, leaves), gradients(cell, slow_BTH, states[-1], leaves), strict=True)
    for one, other in pairs:
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


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


@every_cell
def test_two_chunks_with_carried_state_equal_the_whole(entry: CellEntry, options: dict[str, object]) -> None:
    cell, x_BTI = build(entry, options), draw(4, 10, 3)
    whole_BTH, end = cell(x_BTI)
    first_BTH, carried = cell(x_BTI[:, :4])
    second_BTH, chunk_end = cell(x_BTI[:, 4:], carried)
    torch.testing.assert_close(torch.cat([first_BTH, second_BTH], dim=1), whole_BTH, rtol=0, atol=1e-12)
    for one, other in zip(end, chunk_end, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


@every_cell
def test_the_closed_form_counts_the_parameters(entry: CellEntry, options: dict[str, object]) -> None:
    for inputs, units in [(1, 1), (3, 4), (88, 100)]:
        cell = build(entry, options, inputs, units)
        assert sum(weight.numel() for weight in cell.parameters()) == entry.num_parameters(inputs, units)


@every_cell
def test_the_closed_form_counts_the_flops_of_the_step_loop(entry: CellEntry, options: dict[str, object]) -> None:
    cell, rows, steps = build(entry, options, 5, 7), 3, 4
    x_BTI = draw(rows, steps, 5)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        cell.unroll(x_BTI, cell.initial_state(x_BTI))
    assert counter.get_total_flops() == entry.flops_per_step(5, 7) * rows * steps


@every_cell
def test_a_leading_model_axis_gives_each_models_own_step(entry: CellEntry, options: dict[str, object]) -> None:
    cells = [build(entry, options), build(entry, options), build(entry, options)]
    with torch.no_grad():
        for number, cell in enumerate(cells):
            for weight in cell.parameters():
                weight.add_(0.1 * number)
    gates = [cell.project(draw(5, 1, 3, seed=number))[:, 0] for number, cell in enumerate(cells)]
    states = [start(cell, 5) for cell in cells]
    # A bias (G,) needs an axis for the rows when it is stacked over models: (N, 1, G).
    stacked = Weights(
        torch.stack([cell.weights().recurrent_HG for cell in cells]), torch.stack([cell.weights().bias_G for cell in cells]).unsqueeze(1)
    )
    together = cells[0].step(stacked, torch.stack(gates), tuple(torch.stack(parts) for parts in zip(*states, strict=True)))
    for number, cell in enumerate(cells):
        for one, other in zip(together, cell.step(cell.weights(), gates[number], states[number]), strict=True):
            torch.testing.assert_close(one[number], other, rtol=0, atol=1e-12)


@every_cell
def test_a_row_does_not_depend_on_the_rows_beside_it(entry: CellEntry, options: dict[str, object]) -> None:
    cell, x_BTI = build(entry, options), draw(6, 5, 3)
    torch.testing.assert_close(cell(x_BTI)[0][2:3], cell(x_BTI[2:3])[0], rtol=0, atol=1e-12)


@every_cell
def test_single_precision_follows_double_within_its_rounding(entry: CellEntry, options: dict[str, object]) -> None:
    cell, x_BTI, steps = build(entry, options), draw(4, 12, 3), 12
    exact_BTH = cell(x_BTI)[0]
    single_BTH = cell.float()(x_BTI.float())[0]
    # Each step rounds a sum of I + H products; with weights below 1 in norm the errors of earlier steps do not grow.
    tolerance = 8 * torch.finfo(torch.float32).eps * steps * max(1.0, float(exact_BTH.detach().abs().max()))
    torch.testing.assert_close(single_BTH.double(), exact_BTH, rtol=0, atol=tolerance)


@every_cell
def test_weights_saved_and_loaded_give_the_same_outputs(entry: CellEntry, options: dict[str, object]) -> None:
    cell, other, x_BTI = build(entry, options), build(entry, options), draw(2, 4, 3)
    with torch.no_grad():
        for weight in other.parameters():
            weight.fill_(0.5)
    other.load_state_dict(cell.state_dict())
    assert torch.equal(cell(x_BTI)[0], other(x_BTI)[0])


class FlippedGate(LSTM):
    """An LSTM whose input gate has the wrong sign in `step`: what the contract must notice."""

    def step(self, weights: Weights, gates_BG: Tensor, state: State) -> State:
        h_BH, c_BH = state
        i_BH, f_BH, g_BH, o_BH = (gates_BG + h_BH @ weights.recurrent_HG + weights.bias_G).chunk(4, dim=-1)
        c_BH = f_BH.sigmoid() * c_BH - i_BH.sigmoid() * g_BH.tanh()
        return o_BH.sigmoid() * c_BH.tanh(), c_BH


def test_a_flipped_gate_would_be_noticed() -> None:
    torch.manual_seed(0)
    cell, x_BTI = FlippedGate(3, 4).double(), draw(5, 9, 3)
    state = cell.initial_state(x_BTI)
    assert (cell.run(x_BTI, state)[0] - cell.unroll(x_BTI, state)[0]).abs().max() > 1e-3
