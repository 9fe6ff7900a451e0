"""Sequential digits: data to sequences, a classifier on the last output, accuracy and cross-entropy."""

# Shapes: N rows, S side of an image, T steps, I inputs of a step, C classes.

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from torch import Tensor
from torch.nn.functional import cross_entropy

from rnnbench.base.parameters import Value
from rnnbench.base.seeds import child
from rnnbench.task.module import Batch, TaskData, TaskModule
from rnnbench_tasks.sequential_digits.idx import read_idx

NUM_CLASSES = 10
# More rows do not change a linear baseline on MNIST in the second digit, and it stays a matter of seconds.
BASELINE_ROWS = 10_000

Images = tuple[NDArray[np.float32], NDArray[np.int64]]


def read_data(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value], splits: Sequence[str]) -> TaskData:
    """Images of a set as sequences of rows or pixels in 0..1.

    Raises:
        DataError: an MNIST file is damaged.
    """
    seed = parameters["data.seed"]
    assert isinstance(seed, int), "checked when the sweep file was read"
    images = _mnist(files, seed, splits) if data == "mnist" else _digits(seed, splits)
    order = parameters["task.order"]
    arranged = {name: Batch(_sequence(pixels, order, parameters), torch.from_numpy(labels)) for name, (pixels, labels) in images.items()}
    first = next(iter(arranged.values())).inputs
    facts = {f"{name} rows": len(batch) for name, batch in arranged.items()} | {"steps": first.shape[1], "inputs": first.shape[2]}
    return TaskData(arranged, input_size=first.shape[2], output_size=NUM_CLASSES, facts=facts)


class Module(TaskModule):
    """Classifies after the last step; cross-entropy in nats."""

    def forward(self, batch: Batch) -> Tensor:
        """Class scores, (N, C)."""
        outputs_NTO, _ = self.network(batch.inputs)
        scores_NC: Tensor = self.head(self.network.summary(outputs_NTO))
        return scores_NC

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Mean cross-entropy."""
        return cross_entropy(outputs, batch.targets)

    def totals(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Right answers, summed cross-entropy, rows."""
        loss = cross_entropy(outputs.double(), batch.targets, reduction="sum")
        right = (outputs.argmax(dim=1) == batch.targets).sum().double()
        return {"right": right, "loss": loss, "rows": loss.new_tensor(len(batch))}

    def metrics(self, totals: Mapping[str, float]) -> dict[str, float]:
        """Accuracy in 0..1 and mean cross-entropy in nats."""
        return {"accuracy": totals["right"] / totals["rows"], "loss": totals["loss"] / totals["rows"]}


def baselines(data: TaskData) -> dict[str, float]:
    """Validation accuracy of always saying the commonest class, and of logistic regression on all pixels."""
    train, validation = data.splits["train"], data.splits["validation"]
    commonest = train.targets.bincount().argmax()
    model = LogisticRegression(max_iter=200)
    model.fit(train.inputs[:BASELINE_ROWS].flatten(1).numpy(), train.targets[:BASELINE_ROWS].numpy())
    linear = model.score(validation.inputs.flatten(1).numpy(), validation.targets.numpy())
    return {"majority class": float((validation.targets == commonest).double().mean()), "logistic regression": float(linear)}


def _sequence(pixels_NSS: NDArray[np.float32], order: Value, parameters: Mapping[str, Value]) -> Tensor:
    images = torch.from_numpy(pixels_NSS)
    if order == "rows":
        return images
    pixels_NT1 = images.flatten(1).unsqueeze(-1)
    if order == "pixels":
        return pixels_NT1
    seed = parameters["task.permutation_seed"]
    assert isinstance(seed, int), "checked when the sweep file was read"
    generator = torch.Generator().manual_seed(child(seed, "sequential_digits", "permutation"))
    return pixels_NT1[:, torch.randperm(pixels_NT1.shape[1], generator=generator)]


def _digits(seed: int, splits: Sequence[str]) -> dict[str, Images]:
    bunch = load_digits()
    pixels, labels = (bunch.images / 16).astype(np.float32), bunch.target.astype(np.int64)
    state = child(seed, "sequential_digits", "digits") % 2**32
    rest, test = train_test_split(np.arange(len(labels)), test_size=270, stratify=labels, random_state=state)
    train, validation = train_test_split(rest, test_size=270, stratify=labels[rest], random_state=state)
    index = {"train": train, "validation": validation, "test": test}
    return {name: (pixels[index[name]], labels[index[name]]) for name in splits}


def _mnist(files: Mapping[str, Path], seed: int, splits: Sequence[str]) -> dict[str, Images]:
    read = partial(_idx_pair, files)
    found = {}
    if "test" in splits:
        found["test"] = read("t10k")
    if "train" in splits or "validation" in splits:
        pixels, labels = read("train")
        state = child(seed, "sequential_digits", "mnist") % 2**32
        train, validation = train_test_split(np.arange(len(labels)), test_size=len(labels) // 10, stratify=labels, random_state=state)
        index = {"train": train, "validation": validation}
        found |= {name: (pixels[index[name]], labels[index[name]]) for name in splits if name in index}
    return found


def _idx_pair(files: Mapping[str, Path], part: str) -> Images:
    pixels = read_idx(files[f"{part}-images-idx3-ubyte.gz"], 3)
    labels = read_idx(files[f"{part}-labels-idx1-ubyte.gz"], 1, num_rows=len(pixels), below=NUM_CLASSES)
    return (pixels / np.float32(255)).astype(np.float32), labels.astype(np.int64)
