"""From a spec to the things that train: data (kept per process), network and LightningModule."""

import json
from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path

import torch
from torch import nn

from rnnbench.base.canonical import canonical_json
from rnnbench.base.seeds import child
from rnnbench.cells.build import build_network, initial_std
from rnnbench.task.load import load_task
from rnnbench.task.module import TaskData, TaskModule
from rnnbench.trial.optimizer import build_optimizer
from rnnbench.trial.spec import TrialSpec


def read_data(spec: TrialSpec, files: Mapping[str, Path], splits: tuple[str, ...] = ("train", "validation")) -> TaskData:
    """The splits of the spec's data set; read once per process for each choice of `data.*` and `task.*`.

    Raises:
        DataError: a file is damaged or cannot be used.
    """
    parameters = {name: value for name, value in spec.parameters.items() if name.startswith(("data.", "task."))}
    paths = {name: str(path) for name, path in files.items()}
    return _read_data(spec.task, spec.data, spec.data_fingerprint, canonical_json(parameters), canonical_json(paths), splits)


def build_module(spec: TrialSpec, data: TaskData) -> TaskModule:
    """Network and LightningModule of a trial, with the initial weights that its seed gives."""
    torch.manual_seed(child(spec.seed, "weights"))
    network_of = partial(build_network, spec.cell, parameters=spec.parameters)
    module = load_task(spec.task).Module.build(network_of, data, spec.parameters)
    std, head = initial_std(spec.parameters), getattr(module, "head", None)  # a translator has none
    if std is not None and isinstance(head, nn.Linear):
        for weight in head.parameters():
            nn.init.normal_(weight, std=std)
    module.build_optimizer = partial(build_optimizer, spec.parameters)
    return module


@lru_cache(maxsize=4)
def _read_data(task: str, data: str, _fingerprint: str, parameters: str, paths: str, splits: tuple[str, ...]) -> TaskData:
    # The fingerprint is part of the cache's key only: changed files under an unchanged path are read again.
    files = {name: Path(path) for name, path in json.loads(paths).items()}
    return load_task(task).read_data(files, data, json.loads(parameters), splits)
