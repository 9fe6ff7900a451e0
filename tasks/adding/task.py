"""The adding problem: generated sequences, one number after the last step, mean squared error.

Source: Hochreiter and Schmidhuber 1997, in the form of Bai et al. 2018, arXiv:1803.01271 (values U[0, 1], one mark in each half).
"""

# Shapes: N rows, T steps, 2 inputs of a step (value, mark).

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from rnnbench.base.canonical import Plain
from rnnbench.base.parameters import Value
from rnnbench.base.seeds import child
from rnnbench.task.memory import examine_lengths, get_int
from rnnbench.task.module import Batch, TaskData, TaskModule
from rnnbench.task.splits import nested_rows

EVALUATION_ROWS = 1000
# Of always answering 1, the mean: the variance of a sum of two U[0, 1].
MEMORYLESS = 1 / 6


def read_data(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value], splits: Sequence[str]) -> TaskData:
    """Generated sequences; each split has a random stream of its own, and the test split `task.test_length` steps."""
    length, num_train, seed = (get_int(parameters, name) for name in ("task.length", "task.num_train", "data.seed"))
    test_length, fraction = parameters.get("task.test_length") or length, parameters.get("data.train_fraction", 1.0)
    assert isinstance(test_length, int), "checked when the sweep file was read"
    assert isinstance(fraction, float), "checked when the sweep file was read"
    batches = {}
    for name in splits:
        steps = test_length if name == "test" else length
        generator = torch.Generator().manual_seed(child(seed, "adding", steps, name))
        batches[name] = draw_sequences(num_train if name == "train" else EVALUATION_ROWS, steps, generator)
    if "train" in batches and fraction < 1:
        batches["train"] = batches["train"].rows(torch.from_numpy(nested_rows(num_train, fraction, child(seed, "adding", "part"))))
    facts = {f"{name} rows": len(batch) for name, batch in batches.items()} | {"steps": length, "memoryless": MEMORYLESS}
    if test_length != length:
        facts["steps of the test"] = test_length
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

    def examine(self, split: Batch) -> dict[str, Plain]:
        """The error at the training length and at the test length."""
        trained = read_data({}, "generated", {**self.task_parameters, "task.test_length": None}, ("test",)).splits["test"]
        return examine_lengths(self, "mse", trained, split)


def baselines(data: TaskData, split: str) -> dict[str, float]:
    """Error, on a split, of always predicting 1, the mean of the sum of two U[0, 1]: in closed form, and on these sequences."""
    targets = data.splits[split].targets
    return {"memoryless": MEMORYLESS, "always predicting 1": float(mse_loss(torch.ones_like(targets), targets))}
