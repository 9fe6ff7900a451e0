"""The contract suite of cells: what every cell must satisfy, as checks that say what is wrong. Tests and `rnnbench check cell` run it."""

# Shapes: B rows, T time, I inputs, H hidden.

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state

from rnnbench.cells.cell import Cell
from rnnbench.cells.layer import Layer
from rnnbench.cells.models import models
from rnnbench.cells.operations import Weights
from rnnbench.cells.step import State

# From inputs and units to a cell whose weights are the same at each call.
Build = Callable[[int, int], Layer]
Check = Callable[[Build], None]


def builder(make: Callable[[int, int], Layer]) -> Build:
    """Cells in float64, not training, whose weights are drawn from one seed, none exactly 0 or 1, which would hide mistakes."""

    def build(inputs: int, units: int) -> Layer:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            cell = make(inputs, units)
        with torch.no_grad():
            for number, weight in enumerate(cell.parameters()):
                weight.add_(0.1 * draw(*weight.shape, seed=100 + number).to(weight.dtype))
        return cell.double().eval()

    return build


def draw(*shape: int, seed: int = 1) -> Tensor:
    """Standard normal numbers in float64."""
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def start(cell: Layer, rows: int) -> State:
    """A state as a cell can be in: after a few steps."""
    before_BTI = draw(rows, 3, cell.input_size, seed=7)
    return tuple(part.detach().clone() for part in cell.unroll(before_BTI, cell.initial_state(before_BTI))[1])


def gradients(cell: Layer, outputs: Tensor, state: State, leaves: Sequence[Tensor]) -> list[Tensor]:
    """Of a sum with drawn weights over outputs and state, for all parameters and leaves."""
    weighted = (outputs * draw(*outputs.shape, seed=3)).sum() + sum((part * draw(*part.shape, seed=4)).sum() for part in state)
    return list(torch.autograd.grad(weighted, [*cell.parameters(), *leaves], materialize_grads=True))


def close(one: Tensor, other: Tensor, tolerance: float, what: str) -> None:
    """Fails with `what` where two tensors differ by more than the tolerance, relative for numbers above one."""
    torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance, msg=lambda text: f"{what}: {text}")


def check_shapes(build: Build) -> None:
    """Outputs are (B, T, H); a state has as many parts as at the beginning, rows first."""
    cell, x_BTI = build(3, 4), draw(5, 6, 3)
    outputs_BTH, end = cell(x_BTI)
    wanted = (5, 6, cell.output_size)
    assert outputs_BTH.shape == wanted, f"outputs have shape {tuple(outputs_BTH.shape)}, must be {wanted} for 5 rows and 6 steps"
    begin = cell.initial_state(x_BTI)
    assert [part.shape for part in end] == [part.shape for part in begin], "the state after the sequence has other shapes than before it"


def check_fast_form(build: Build) -> None:
    """The fast form equals the loop over steps, in values and all gradients, to 1e-10."""
    cell = build(3, 4)
    x_BTI, state = draw(5, 9, 3).requires_grad_(), tuple(part.requires_grad_() for part in start(cell, 5))
    fast_BTH, fast_end = cell.run(x_BTI, state)
    slow_BTH, slow_end = cell.unroll(x_BTI, state)
    close(fast_BTH, slow_BTH, 1e-10, "outputs of the fast form and of the loop over step differ")
    for one, other in zip(fast_end, slow_end, strict=True):
        close(one, other, 1e-10, "last states of the fast form and of the loop over step differ")
    leaves = [x_BTI, *state]
    pairs = zip(gradients(cell, fast_BTH, fast_end, leaves), gradients(cell, slow_BTH, slow_end, leaves), strict=True)
    for one, other in pairs:
        close(one, other, 1e-10, "gradients of fast form and loop differ; a step must be elementwise between operations")


def check_gradients(build: Build) -> None:
    """Gradients match finite differences."""
    cell = build(2, 3)
    torch.autograd.gradcheck(lambda x: cell(x)[0], (draw(2, 3, 2).requires_grad_(),))


def check_second_gradients(build: Build) -> None:
    """Gradients of gradients match finite differences."""
    cell = build(2, 2)
    torch.autograd.gradgradcheck(lambda x: cell(x)[0], (draw(1, 3, 2).requires_grad_(),))


def check_chunks(build: Build) -> None:
    """A sequence in two parts with carried state equals the sequence at once."""
    cell, x_BTI = build(3, 4), draw(4, 10, 3)
    whole_BTH, end = cell(x_BTI)
    first_BTH, carried = cell(x_BTI[:, :4])
    second_BTH, chunk_end = cell(x_BTI[:, 4:], carried)
    close(torch.cat([first_BTH, second_BTH], dim=1), whole_BTH, 1e-12, "two parts of a sequence differ from the whole")
    for one, other in zip(end, chunk_end, strict=True):
        close(one, other, 1e-12, "the states after two parts and after the whole differ")


def check_causality(build: Build) -> None:
    """No output depends on a later input."""
    cell, x_BTI = build(3, 4), draw(2, 8, 3)
    changed_BTI = torch.cat([x_BTI[:, :5], draw(2, 3, 3, seed=2)], dim=1)
    close(cell(x_BTI)[0][:, :5], cell(changed_BTI)[0][:, :5], 1e-12, "an output depends on a later input")


def check_rows(build: Build) -> None:
    """A row does not depend on the rows beside it."""
    cell, x_BTI = build(3, 4), draw(6, 5, 3)
    close(cell(x_BTI)[0][2:3], cell(x_BTI[2:3])[0], 1e-12, "a row depends on the rows beside it")


def check_precision(build: Build) -> None:
    """Single precision follows double within its rounding."""
    cell, x_BTI, steps = build(3, 4), draw(4, 12, 3), 12
    exact_BTH = cell(x_BTI)[0]
    single_BTH = cell.float()(x_BTI.float())[0]
    # Each step rounds a sum of I + H products; with weights below 1 in norm the errors of earlier steps do not grow.
    tolerance = 8 * torch.finfo(torch.float32).eps * steps * max(1.0, float(exact_BTH.detach().abs().max()))
    difference = float((single_BTH.double() - exact_BTH).detach().abs().max())
    assert difference <= tolerance, f"single and double precision differ by {difference:.1e}, more than rounding explains ({tolerance:.1e})"


def check_state_dict(build: Build) -> None:
    """Weights saved and loaded give the same outputs."""
    cell, other, x_BTI = build(3, 4), build(3, 4), draw(2, 4, 3)
    with torch.no_grad():
        for weight in other.parameters():
            weight.fill_(0.5)
    other.load_state_dict(cell.state_dict())
    assert torch.equal(cell(x_BTI)[0], other(x_BTI)[0]), "weights saved and loaded give other outputs"


def check_model_axis(build: Build) -> None:
    """A step of several models at once, on one leading axis, gives each model's own; for cells with a step."""
    cells = [cell for cell in (build(3, 4) for _ in range(3)) if isinstance(cell, Cell)]
    if not cells:
        return
    with torch.no_grad():
        for number, cell in enumerate(cells):
            for weight in cell.parameters():
                weight.add_(0.1 * number)
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
            close(one[number], other, 1e-12, "a step with a leading model axis differs from each model's own")


def check_models(build: Build) -> None:
    """Several models that go through their sequences together give each model's own outputs and gradients."""
    cells = [build(3, 4) for _ in range(3)]
    with torch.no_grad():
        for number, cell in enumerate(cells):
            for weight in cell.parameters():
                weight.add_(0.1 * number)
    x_NBTI, weighted_NBTO = draw(3, 2, 7, 3), draw(3, 2, 7, cells[0].output_size, seed=3)
    stacks, buffers = stack_module_state([*cells])

    def run(weights: dict[str, Tensor], x_BTI: Tensor) -> Tensor:
        outputs_BTO: Tensor = functional_call(cells[0], {**weights, **buffers_of_one}, (x_BTI,))[0]
        return outputs_BTO

    buffers_of_one = {name: buffer[0] for name, buffer in buffers.items()}
    with models([torch.Generator() for _ in cells]):
        together_NBTO = torch.vmap(run)(stacks, x_NBTI)
    (together_NBTO * weighted_NBTO).sum().backward()
    for number, cell in enumerate(cells):
        outputs_BTO = cell(x_NBTI[number])[0]
        close(together_NBTO[number], outputs_BTO, 1e-10, "outputs of several models at once differ from each one's own")
        grads = torch.autograd.grad((outputs_BTO * weighted_NBTO[number]).sum(), list(cell.parameters()), materialize_grads=True)
        for (name, _), grad in zip(cell.named_parameters(), grads, strict=True):
            found = stacks[name].grad
            close(torch.zeros_like(grad) if found is None else found[number], grad, 1e-10, f"gradients of {name} differ for models at once")


CHECKS: tuple[Check, ...] = (
    check_shapes,
    check_fast_form,
    check_gradients,
    check_second_gradients,
    check_chunks,
    check_causality,
    check_rows,
    check_precision,
    check_state_dict,
    check_model_axis,
    check_models,
)


def failures(build: Build) -> list[tuple[str, str]]:
    """For each check that fails: what it asks, and what went wrong."""
    found = []
    for check in CHECKS:
        try:
            check(build)
        # A person's cell may raise anything.
        except Exception as error:  # noqa: BLE001 - see above
            text: Any = str(error) or type(error).__name__
            found.append(((check.__doc__ or check.__name__).strip(), f"{type(error).__name__}: {text}".strip()))
    return found
