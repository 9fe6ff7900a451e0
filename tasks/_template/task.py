"""My task: one sentence on the data, the head and the metric."""

# Shapes: N rows, T steps, C classes.

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from rnnbench.base.parameters import Value
from rnnbench.base.seeds import child
from rnnbench.task.module import Batch, TaskData, TaskModule

ROWS = {"train": 1000, "validation": 200, "test": 200}


def read_data(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value], splits: Sequence[str]) -> TaskData:
    """The asked splits; each has a random stream of its own."""
    length, seed = parameters["task.length"], parameters["data.seed"]
    assert isinstance(length, int), "checked when the sweep file was read"
    assert isinstance(seed, int), "checked when the sweep file was read"
    batches = {}
    for name in splits:
        generator = torch.Generator().manual_seed(child(seed, "my_task", name))
        bits_NT = torch.randint(0, 2, (ROWS[name], length), generator=generator)
        batches[name] = Batch(bits_NT.unsqueeze(2).float(), (2 * bits_NT.sum(dim=1) > length).long())
    return TaskData(batches, input_size=1, output_size=2, facts={f"{name} rows": len(batch) for name, batch in batches.items()})


class Module(TaskModule):
    """Classifies after the last step."""

    def forward(self, batch: Batch) -> Tensor:
        """Class scores, (N, C)."""
        outputs_NTO, _ = self.network(batch.inputs, batch.lengths)
        scores_NC: Tensor = self.head(self.network.summary(outputs_NTO, batch.lengths))
        return scores_NC

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Mean cross-entropy in nats."""
        return cross_entropy(outputs, batch.targets)

    def totals(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Right answers, summed cross-entropy, rows."""
        loss = cross_entropy(outputs.double(), batch.targets, reduction="sum")
        return {"right": (outputs.argmax(dim=1) == batch.targets).sum().double(), "loss": loss, "rows": loss.new_tensor(len(batch))}

    def metrics(self, totals: Mapping[str, float]) -> dict[str, float]:
        """Accuracy in 0..1 and mean cross-entropy."""
        return {"accuracy": totals["right"] / totals["rows"], "loss": totals["loss"] / totals["rows"]}


def baselines(data: TaskData, split: str) -> dict[str, float]:
    """Accuracy, on a split, of always saying the commonest class."""
    commonest = data.splits["train"].targets.bincount().argmax()
    return {"majority class": float((data.splits[split].targets == commonest).double().mean())}
