"""A toy language for the tests of machine translation: words of a few letters, translated to the same word turned round, in capitals."""

import itertools
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from rnnbench.base.parameters import Value
from rnnbench.cells.build import build_network
from rnnbench.cells.network_parameters import NETWORK_PARAMETERS
from rnnbench.task.catalogue import get_task
from rnnbench.task.module import TaskData
from rnnbench_tasks.machine_translation.module import Module
from rnnbench_tasks.machine_translation.pairs import read_data

CARD = get_task("machine_translation")
SPLITS = ("train", "validation", "test")
PAIRS = [("".join(word), "".join(word)[::-1].upper()) for length in (1, 2, 3) for word in itertools.product("abcd", repeat=length)]


def parameters(**changes: Value) -> dict[str, Value]:
    """The defaults of the card and of networks, small sizes, and changes: `task__attention` for `task.attention`."""
    values: dict[str, Value] = {one.name: one.default for one in (*CARD.parameters, *NETWORK_PARAMETERS)}
    small: dict[str, Value] = {"network.hidden_size": 8, "task.embedding_size": 6, "data.tokens": "char"}
    return {**values, **small, **{name.replace("__", "."): value for name, value in changes.items()}}


def read_toy(folder: Path, splits: Sequence[str] = SPLITS, **changes: Value) -> TaskData:
    path = folder / "toy.csv"
    path.write_text("\n".join(["source,target", *(f"{source},{target}" for source, target in PAIRS)]))
    return read_data({path.name: path}, f"path:{path.name}", parameters(**changes), splits)


def build(data: TaskData, cell: str = "gru", seed: int = 0, sharpness: float = 1.0, **changes: Value) -> Module:
    """A module with random weights; with more sharpness it is surer of what it says."""
    torch.manual_seed(seed)
    chosen = parameters(**changes)
    module = Module.build(partial(build_network, cell, parameters=chosen), data, chosen)
    with torch.no_grad():
        for weight in module.parameters():
            weight.mul_(sharpness)
    return module
