"""Sequential digits: images to sequences, a classifier on the last output, accuracy and cross-entropy."""

# Shapes: N rows, H rows and W columns of an image, T steps, I inputs of a step, C classes.

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn.functional import cross_entropy

from rnnbench.base.canonical import Plain
from rnnbench.base.parameters import Value
from rnnbench.base.seeds import child
from rnnbench.cells.network import RecurrentNetwork
from rnnbench.task.answers import Answer, Question
from rnnbench.task.module import Batch, TaskData, TaskModule
from rnnbench.task.sources import OWN
from rnnbench.task.splits import nested_rows
from rnnbench_tasks.sequential_digits.images import Pixels, read_images
from rnnbench_tasks.sequential_digits.sets import ImageSet, Labelled, read_digits, read_mnist, read_own

# More rows do not change a linear baseline on MNIST in the second digit, and it stays a matter of seconds.
BASELINE_ROWS = 10_000
# A class with so many times fewer images than another is named by `check_data`.
_UNEVEN = 3
_SPLITS = ("train", "validation", "test")


def read_data(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value], splits: Sequence[str]) -> TaskData:
    """Images of a set as sequences of rows or pixels in 0..1.

    Raises:
        DataError: a file is damaged, or holds something else.
    """
    images = _read_set(files, data, parameters, splits)
    found = dict(images.splits)
    if "train" in found:
        found["train"] = _part(found["train"], parameters)
    batches = {name: Batch(_sequence(split.pixels, parameters), torch.from_numpy(split.labels)) for name, split in found.items()}
    first = next(iter(batches.values())).inputs
    facts = {f"{name} rows": len(batch) for name, batch in batches.items()} | {"steps": first.shape[1], "inputs": first.shape[2]}
    height, width = next(iter(found.values())).pixels.shape[1:]
    preparation: dict[str, Plain] = {"height": height, "width": width, "full": images.full, "classes": list(images.classes)}
    return TaskData(batches, input_size=first.shape[2], output_size=len(images.classes), facts=facts, preparation=preparation)


class Module(TaskModule):
    """Classifies after the last step; cross-entropy in nats."""

    def __init__(self, network: RecurrentNetwork, data: TaskData, parameters: Mapping[str, Value]) -> None:
        super().__init__(network, data, parameters)
        classes = data.preparation["classes"]
        assert isinstance(classes, list), "read_data wrote it"
        self.classes = [str(name) for name in classes]

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

    def examine(self, split: Batch) -> dict[str, Plain]:
        """Which class was taken for which, and the share of each that was recognised."""
        said = torch.cat([self(split.rows(rows)).argmax(dim=1) for rows in self.plan_evaluation(split)])
        num_classes = len(self.classes)
        counts = (split.targets * num_classes + said).bincount(minlength=num_classes**2).view(num_classes, num_classes)
        shares = zip(self.classes, counts.diagonal().tolist(), counts.sum(1).tolist(), strict=True)
        recall = {f"of {name}": right / total for name, right, total in shares if total}
        return {"confusion": {"classes": self.classes, "counts": counts.tolist()}, "recall": recall}


def baselines(data: TaskData, split: str) -> dict[str, float]:
    """Accuracy, on a split, of always saying the commonest class, and of logistic regression on all pixels."""
    train, judged = data.splits["train"], data.splits[split]
    commonest = train.targets.bincount().argmax()
    model = LogisticRegression(max_iter=200)
    model.fit(train.inputs[:BASELINE_ROWS].flatten(1).numpy(), train.targets[:BASELINE_ROWS].numpy())
    linear = model.score(judged.inputs.flatten(1).numpy(), judged.targets.numpy())
    return {"majority class": float((judged.targets == commonest).double().mean()), "logistic regression": float(linear)}


def answer(module: TaskModule, data: TaskData, question: Question) -> Answer:
    """The class of each image of the files, and how sure the model is.

    Raises:
        DataError: a file has no images that this model can read.
    """
    height, width, full, classes = (data.preparation[name] for name in ("height", "width", "full", "classes"))
    assert isinstance(height, int), "read_data wrote it"
    assert isinstance(width, int), "read_data wrote it"
    assert isinstance(full, float | int), "read_data wrote it"
    assert isinstance(classes, list), "read_data wrote it"
    rows = []
    for path in question.files:
        images = read_images(path, height, width, full)
        inputs_NTI = _sequence(np.stack([image.pixels for image in images]), module.task_parameters)
        batch = Batch(inputs_NTI, torch.zeros(len(images), dtype=torch.int64))
        with torch.inference_mode():
            chances_NC = torch.cat([module(batch.rows(index)) for index in module.plan_evaluation(batch)]).double().softmax(dim=1)
        for image, chances_C in zip(images, chances_NC, strict=True):
            best = int(chances_C.argmax())
            rows.append({"file": path.name, "image": image.name, "class": classes[best], "probability": float(chances_C[best])})
    return Answer(rows)


def check_data(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value]) -> list[str]:
    """Images that are in several splits or many times, blank ones, and classes with few."""
    images = _read_set(files, data, parameters, _SPLITS)
    counts = {name: Counter(image.tobytes() for image in split.pixels) for name, split in images.splits.items()}
    found = []
    for name, earlier in (("validation", ("train",)), ("test", ("train", "validation"))):
        again = sum(number for image, number in counts[name].items() if any(image in counts[other] for other in earlier))
        if again:
            found.append(f"{name}: {again} of {len(images.splits[name].labels)} images also in {' or '.join(earlier)}, pixel for pixel")
    for name, split in images.splits.items():
        if again := sum(counts[name].values()) - len(counts[name]):
            found.append(f"{name}: {again} of {len(split.labels)} images repeated")
        if blank := int((split.pixels.max(axis=(1, 2)) == split.pixels.min(axis=(1, 2))).sum()):
            found.append(f"{name}: {blank} of {len(split.labels)} images of one grey")
    trained = np.bincount(images.splits["train"].labels, minlength=len(images.classes))
    if trained.max() > _UNEVEN * trained.min():
        rarest, commonest = images.classes[int(trained.argmin())], images.classes[int(trained.argmax())]
        found.append(
            f"train: {trained.min()} images of class {rarest}, {trained.max()} of {commonest}: accuracy says little of the rare one"
        )
    return found


def _read_set(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value], splits: Sequence[str]) -> ImageSet:
    seed = parameters["data.seed"]
    assert isinstance(seed, int), "checked when the sweep file was read"
    if data.startswith(OWN):
        return read_own(files, seed, splits)
    return read_mnist(files, seed, splits) if data == "mnist" else read_digits(seed, splits)


def _part(train: Labelled, parameters: Mapping[str, Value]) -> Labelled:
    seed, fraction = parameters["data.seed"], parameters.get("data.train_fraction", 1.0)
    assert isinstance(seed, int), "checked when the sweep file was read"
    assert isinstance(fraction, float), "checked when the sweep file was read"
    if fraction >= 1:
        return train
    return train.rows(nested_rows(len(train.labels), fraction, child(seed, "sequential_digits", "part"), train.labels.tolist()))


def _sequence(pixels_NHW: Pixels, parameters: Mapping[str, Value]) -> Tensor:
    images = torch.from_numpy(pixels_NHW)
    if parameters["task.order"] == "rows":
        return images
    pixels_NT1 = images.flatten(1).unsqueeze(-1)
    if parameters["task.order"] == "pixels":
        return pixels_NT1
    seed = parameters["task.permutation_seed"]
    assert isinstance(seed, int), "checked when the sweep file was read"
    generator = torch.Generator().manual_seed(child(seed, "sequential_digits", "permutation"))
    return pixels_NT1[:, torch.randperm(pixels_NT1.shape[1], generator=generator)]
