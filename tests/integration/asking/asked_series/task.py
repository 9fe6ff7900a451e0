"""The next number of a sine; its models read tables and draw what follows."""

# Shapes: N rows, T steps.

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from rnnbench.base.errors import DataError
from rnnbench.base.parameters import Value
from rnnbench.base.seeds import child
from rnnbench.task.answers import Answer, Curve, Plot, Question
from rnnbench.task.files import get_column, parse_number, read_table
from rnnbench.task.module import Batch, TaskData, TaskModule

STEP = 0.4


def read_data(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value], splits: Sequence[str]) -> TaskData:
    """Windows of a sine, or of a person's own column."""
    window, seed = parameters["task.window"], parameters["data.seed"]
    assert isinstance(window, int)
    assert isinstance(seed, int)
    batches = {}
    for number, name in enumerate(("train", "validation", "test")):
        if name not in splits:
            continue
        if files:
            (path,) = files.values()
            values = torch.tensor([parse_number(text, str(path)) for text in get_column(read_table(path), "value", path, "none")])
            rows_NT = values.unfold(0, window + 1, 1)[number::3]
        else:
            generator = torch.Generator().manual_seed(child(seed, "asked_series", name))
            phases_N1 = torch.rand(200 if name == "train" else 100, 1, generator=generator) * 2 * math.pi
            rows_NT = torch.sin(phases_N1 + STEP * torch.arange(window + 1))
        batches[name] = Batch(rows_NT[:, :-1].unsqueeze(2), rows_NT[:, -1])
    return TaskData(batches, 1, 1, {}, {"window": window})


class Module(TaskModule):
    """Predicts one number after the last step."""

    def forward(self, batch: Batch) -> Tensor:
        outputs_NTO, _ = self.network(batch.inputs)
        predicted_N1: Tensor = self.head(self.network.summary(outputs_NTO))
        return predicted_N1.squeeze(1)

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        return mse_loss(outputs, batch.targets)

    def totals(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        squared = mse_loss(outputs.double(), batch.targets.double(), reduction="sum")
        return {"squared": squared, "rows": squared.new_tensor(len(batch))}

    def metrics(self, totals: Mapping[str, float]) -> dict[str, float]:
        mse = totals["squared"] / totals["rows"]
        return {"mse": mse, "loss": mse}


def baselines(data: TaskData, split: str) -> dict[str, float]:
    return {"persistence": float(mse_loss(data.splits[split].inputs[:, -1, 0], data.splits[split].targets))}


def answer(module: TaskModule, data: TaskData, question: Question) -> Answer:
    window, steps = data.preparation["window"], question.options["steps"]
    assert isinstance(steps, int)
    rows, plots = [], []
    for path in question.files:
        values = [parse_number(text, str(path)) for text in get_column(read_table(path), "value", path, "none")]
        if len(values) < window:
            raise DataError(f"{path}: {len(values)} rows, and the model looks at {window}")
        known = len(values)
        for step in range(steps):
            seen_NTI = torch.tensor(values[-window:]).view(1, -1, 1)
            values.append(float(module(Batch(seen_NTI, torch.zeros(1)))))
            rows.append({"file": path.name, "step": step + 1, "value": values[-1]})
        past, future = (
            Curve("past", list(range(known)), values[:known]),
            Curve("predicted", list(range(known, len(values))), values[known:]),
        )
        plots.append(Plot(path.name, "step", "value", [past, future]))
    return Answer(rows, plots=plots)
