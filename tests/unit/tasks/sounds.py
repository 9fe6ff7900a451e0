"""What tests of sound share: parameters, trained modules, a person's own folders of sounds."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from rnnbench.base.parameters import Value
from rnnbench.cells.build import build_network
from rnnbench.cells.network_parameters import NETWORK_PARAMETERS
from rnnbench.cells.table import get_cell
from rnnbench.task.audio import Samples
from rnnbench.task.catalogue import get_task
from rnnbench.task.load import load_task
from rnnbench.task.module import Batch, TaskData, TaskModule
from rnnbench.trial.parameters import OPTIMIZER_PARAMETERS, TRAINING_PARAMETERS
from rnnbench.trial.spec import Budget, TrialSpec

EVERY = ("train", "validation", "test")


def parameters(task: str, changes: Mapping[str, Value] | None = None) -> dict[str, Value]:
    """A task's parameters as a trial has them: defaults with changes, those left out that exist only beside others."""
    declared = get_task(task).parameters
    values = {parameter.name: parameter.default for parameter in declared} | dict(changes or {})
    return {parameter.name: values[parameter.name] for parameter in declared if parameter.is_active(values)}


def read(
    task: str, data: str = "tones", files: Mapping[str, Path] | None = None, splits: Sequence[str] = EVERY, **changes: Value
) -> TaskData:
    """A set with changed parameters, `data_split="rows"` for data.split."""
    dotted = {name.replace("_", ".", 1): value for name, value in changes.items()}
    return load_task(task).read_data(files or {}, data, parameters(task, dotted), splits)


def build(task: str, data: TaskData, changes: Mapping[str, Value] | None = None, **network: Value) -> TaskModule:
    """A module with the initial weights of seed 0."""
    torch.manual_seed(0)
    chosen: dict[str, Value] = {parameter.name: parameter.default for parameter in NETWORK_PARAMETERS}
    chosen |= {f"network.{name}": value for name, value in network.items()}
    return load_task(task).Module.build(partial(build_network, "gru", parameters=chosen), data, parameters(task, changes))


def train(module: TaskModule, split: Batch, epochs: int, lr: float = 0.01, batch_size: int = 16) -> TaskModule:
    """Trains and returns it, in evaluation mode."""
    optimizer = torch.optim.Adam(module.parameters(), lr=lr)
    order = torch.Generator().manual_seed(0)
    module.train()
    for _ in range(epochs):
        for rows in module.plan_epoch(split, batch_size, order):
            optimizer.zero_grad()
            module.training_step(split.rows(rows), 0).backward()
            torch.nn.utils.clip_grad_norm_(module.parameters(), 5.0)
            optimizer.step()
    return module.eval()


def measure(module: TaskModule, split: Batch) -> dict[str, float]:
    """The metrics of a split."""
    totals: dict[str, float] = {}
    with torch.inference_mode():
        for rows in module.plan_evaluation(split):
            batch = split.rows(rows)
            for name, total in module.totals(module(batch), batch).items():
                totals[name] = totals.get(name, 0.0) + float(total)
    return module.metrics(totals)


def spec(task: str, changes: Mapping[str, Value], epochs: int = 2) -> TrialSpec:
    """A trial of a GRU on the embedded set."""
    card, entry = get_task(task), get_cell("gru")
    declared = (*NETWORK_PARAMETERS, *entry.parameters, *OPTIMIZER_PARAMETERS, *TRAINING_PARAMETERS, *card.parameters)
    values = {parameter.name: parameter.default for parameter in declared} | {"network.hidden_size": 8} | dict(changes)
    return TrialSpec(
        stage="search", task=task, task_version=card.version, data=card.default_data, data_fingerprint="embedded", cell="gru",
        cell_version=entry.version, parameters={p.name: values[p.name] for p in declared if p.is_active(values)}, seed=3,
        budget=Budget(max_epochs=epochs),
    )  # fmt: skip


def write_sounds(folder: Path, sounds: Mapping[str, Samples], rate: int = 8000, manifest: str = "") -> dict[str, Path]:
    """A folder of sounds and of other files, as the platform hands it to a task."""
    for name, samples in sounds.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, rate)
    if manifest:
        (folder / "manifest.csv").write_text(manifest, encoding="utf-8")
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}


def hiss(seed: int, seconds: float = 0.3, rate: int = 8000) -> Samples:
    """A sound that is no other's."""
    found: Samples = (3000 * np.random.default_rng(seed).standard_normal(int(seconds * rate))).astype(np.int16)
    return found


def kept(data: TaskData) -> TaskData:
    """What stays of data beside a trained model, after the way through a file."""
    import json

    preparation: dict[str, Any] = json.loads(json.dumps(dict(data.preparation)))
    return TaskData({}, data.input_size, data.output_size, preparation=preparation)
