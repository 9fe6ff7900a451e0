"""FLOPs of an epoch, against closed forms by hand and against torch's counter on the networks themselves."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from rnnbench.base.parameters import Value
from rnnbench.cells.build import build_network
from rnnbench.cells.layer import Layer
from rnnbench.cells.network_parameters import NETWORK_PARAMETERS
from rnnbench.cells.step import State
from rnnbench.cells.table import list_cells
from rnnbench.task.cards import TaskCard
from rnnbench.task.catalogue import get_task, list_tasks
from rnnbench.task.load import load_task
from rnnbench.task.module import Batch, TaskData, TaskModule
from rnnbench.trial.flops import FORWARD_AND_BACKWARD, count_epoch
from rnnbench.trial.spec import TrialSpec

UNITS = 16
SLOW = {"machine_translation": pytest.mark.slow}


@cache
def read(task: str) -> TaskData:
    card = get_task(task)
    return load_task(task).read_data({}, card.default_data, {one.name: one.default for one in card.parameters}, ("train",))


def made(task: str, cell: str, **changes: Value) -> tuple[TrialSpec, TaskModule, TaskData]:
    card: TaskCard = get_task(task)
    parameters: dict[str, Value] = {one.name: one.default for one in (*NETWORK_PARAMETERS, *card.parameters)}
    parameters |= {"network.hidden_size": UNITS, **{name.replace("__", "."): value for name, value in changes.items()}}
    data = read(task)
    torch.manual_seed(0)
    module = load_task(task).Module.build(partial(build_network, cell, parameters=parameters), data, parameters)
    return TrialSpec("search", task, 1, card.default_data, "f", cell, 1, parameters, seed=0), module, data


def counted_by_torch(module: TaskModule, rows: Batch) -> int:
    """FLOPs of a forward pass through rows one by one, every layer as the loop over its steps."""
    layers = [layer for layer in module.modules() if isinstance(layer, Layer)]
    for layer in layers:
        layer.forward = partial(loop, layer)  # type: ignore[method-assign]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module.eval()
        for row in torch.arange(len(rows)).split(1):
            module.carried = None
            module(rows.rows(row))
    for layer in layers:
        del layer.forward
    return int(counter.get_total_flops())


def loop(layer: Layer, x_BTI: torch.Tensor, state: State | None = None) -> tuple[torch.Tensor, State]:
    return layer.unroll(x_BTI, layer.initial_state(x_BTI) if state is None else state)


# Inputs I, units N: gates times N times (I + N) weights, each a multiply-add.
FAMILIES: dict[str, Callable[[int, int], int]] = {
    "elman": lambda i, n: 2 * n * (i + n),
    "gru": lambda i, n: 2 * 3 * n * (i + n),
    "lstm": lambda i, n: 2 * 4 * n * (i + n),
    "cifg": lambda i, n: 2 * 3 * n * (i + n),
    "indrnn": lambda i, n: 2 * n * i,
    "min_gru": lambda i, n: 2 * 2 * n * i,
    "sru": lambda i, n: 2 * 4 * n * i if i != n else 2 * 3 * n * i,
}


@pytest.mark.parametrize("cell", FAMILIES)
@pytest.mark.parametrize("both_ways", [False, True])
def test_rows_of_one_length_cost_what_the_equations_say(cell: str, both_ways: bool) -> None:
    spec, module, data = made("sequential_digits", cell, network__bidirectional=both_ways, network__num_layers=2)
    rows, steps, inputs = data.splits["train"].inputs.shape
    ways, of_step = 1 + both_ways, FAMILIES[cell]
    layers = ways * (of_step(inputs, UNITS) + of_step(ways * UNITS, UNITS))
    head = 2 * ways * UNITS * data.output_size
    assert count_epoch(spec, module, data.splits["train"]) == FORWARD_AND_BACKWARD * rows * (steps * layers + head)


@pytest.mark.parametrize("cell", [entry.name for entry in list_cells()])
def test_every_cell_costs_what_torch_counts_of_its_step_loop(cell: str) -> None:
    spec, module, data = made("sequential_digits", cell)
    few = data.splits["train"].rows(torch.arange(3))
    counted = FORWARD_AND_BACKWARD * counted_by_torch(module, few)
    assert count_epoch(spec, module, few) == counted


@pytest.mark.parametrize("task", [pytest.param(card.name, marks=SLOW.get(card.name, ())) for card in list_tasks()])
def test_every_task_costs_what_torch_counts_of_its_rows_one_by_one(task: str) -> None:
    spec, module, data = made(task, "elman")
    train = data.splits["train"]
    chosen = train.rows(torch.linspace(0, len(train) - 1, 12).long())
    counted = FORWARD_AND_BACKWARD * counted_by_torch(module, chosen)
    assert count_epoch(spec, module, chosen) == pytest.approx(counted, rel=0.02)


def test_padding_costs_nothing_and_the_module_is_what_it_was() -> None:
    spec, module, data = made("text_classification", "gru")
    train = data.splits["train"]
    assert train.lengths is not None
    weights = {name: weight.clone() for name, weight in module.state_dict().items()}
    longer = replace(train, inputs=nn.functional.pad(train.inputs, (0, 50)))
    assert count_epoch(spec, module, longer) == count_epoch(spec, module, train)
    assert list(module.state_dict()) == list(weights)
    assert all(torch.equal(weight, weights[name]) for name, weight in module.state_dict().items())
