"""The adding problem: generated sequences, one number after the last step, mean squared error.

Source: Hochreiter and Schmidhuber 1997, in the form of Bai et al. 2018, arXiv:1803.01271 (values U[0, 1], one mark in each half).
"""

# Shapes: N rows, T steps, 2 inputs of a step (value, mark).

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from rnnbench.base.parameters import Value
from rnnbench.base.seeds import child
from rnnbench.task.module import Batch, TaskData, TaskModule

EVALUATION_ROWS = 1000


def read_data(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value], splits: Sequence[str]) -> TaskData:
    """Generated sequences; each split has a random stream of its own."""
    length, num_train, seed = (parameters[name] for name in ("task.length", "task.num_train", "data.seed"))
    assert isinstance(length, int), "checked when the sweep file was read"
    assert isinstance(num_train, int), "checked when the sweep file was read"
    assert isinstance(seed, int), "checked when the sweep file was read"
    batches = {}
    for name in splits:
        generator = torch.Generator().manual_seed(child(seed, "adding", length, name))
        batches[name] = draw_sequences(num_train if name == "train" else EVALUATION_ROWS, length, generator)
    facts = {f"{name} rows": len(batch) for name, batch in batches.items()} | {"steps": length, "always predicting 1 (closed form)": 1 / 6}
    return TaskData(batches, input_size=2, output_size=1, facts=facts)


def draw_sequences(num_rows: int, length: int, generator: torch.Generator) -> Batch:
    """Rows of the adding problem: inputs (N, T, 2) and targets (N,), the sum of the two marked values."""
    values_NT = torch.rand(num_rows, length, generator=generator)
    half = length // 2
    first_N = torch.randint(0, half, (num_rows,), generator=generator)
    second_N = torch.randint(half, length, (num_rows,), generator=generator)
    marks_NT = torch.zeros(num_rows, length)
    row_N = torch.arange(num_rows)
    marks_NT[row_N, first_N] = 1
    marks_NT[row_N, second_N] = 1
    return Batch(torch.stack([values_NT, marks_NT], dim=2), (values_NT * marks_NT).sum(dim=1))


class Module(TaskModule):
    """Predicts one number after the last step."""

    def forward(self, batch: Batch) -> Tensor:
        """Predictions, (N,)."""
        outputs_NTO, _ = self.network(batch.inputs)
        prediction_N1: Tensor = self.head(self.network.summary(outputs_NTO))
        return prediction_N1.squeeze(1)

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Mean squared error."""
        return mse_loss(outputs, batch.targets)

    def totals(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Summed squared error and rows."""
        squared = mse_loss(outputs.double(), batch.targets.double(), reduction="sum")
        return {"squared": squared, "rows": squared.new_tensor(len(batch))}

    def metrics(self, totals: Mapping[str, float]) -> dict[str, float]:
        """Mean squared error; the loss is the same number."""
        mse = totals["squared"] / totals["rows"]
        return {"mse": mse, "loss": mse}


def baselines(data: TaskData) -> dict[str, float]:
    """Validation error of always predicting 1, the mean of the sum of two U[0, 1] (its expectation is 1/6)."""
    targets = data.splits["validation"].targets
    return {"always predicting 1": float(mse_loss(torch.ones_like(targets), targets))}
