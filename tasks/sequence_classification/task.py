"""Sequence classification: padded sequences, class scores from the network's summary, accuracy and macro F1."""

# Shapes: N sequences, C classes.

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch.nn.functional import cross_entropy

from rnnbench.base.canonical import Plain
from rnnbench.base.parameters import Value
from rnnbench.base.seeds import child
from rnnbench.cells.network import RecurrentNetwork
from rnnbench.task.answers import Answer, Question
from rnnbench.task.module import Batch, TaskData, TaskModule
from rnnbench.task.padded import Scaling, learn_scaling, names_of, pad, part_of_training, read_for_answer, split_sequences, summarise, tell
from rnnbench.task.sequences import Sequences, read_sequences
from rnnbench_tasks.sequence_classification.checking import check_sequences, require_classes
from rnnbench_tasks.sequence_classification.generated import draw_waves

TASK = "sequence_classification"
# Shortest to longest, as many rows in each.
LENGTH_PARTS = 3


def read_data(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value], splits: Sequence[str]) -> TaskData:
    """Padded sequences of the asked splits; classes are those of the training split, scales those of its used part.

    Raises:
        DataError: a file cannot be used; the text names it and the row.
    """
    sequences = read_own(files, data, parameters)
    rows = split_sequences(sequences, parameters, TASK, sequences.targets)
    classes = require_classes(sequences, rows)
    rows["train"] = part_of_training(rows["train"], parameters, TASK, sequences.targets)
    scaling = learn_scaling(sequences, rows["train"], parameters)
    number = {name: place for place, name in enumerate(classes)}
    batches = {}
    for split in splits:
        inputs_NTF, lengths_N = pad(sequences, rows[split], scaling)
        batches[split] = Batch(inputs_NTF, torch.tensor([number[sequences.targets[row]] for row in rows[split]]), lengths_N)
    facts = tell(sequences, rows, scaling) | {"classes": ", ".join(classes)}
    return TaskData(batches, scaling.num_inputs, len(classes), facts, {"classes": classes, "scaling": scaling.to_plain()})


def read_own(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value]) -> Sequences:
    """The sequences of a set, with the split of each where it is generated.

    Raises:
        DataError: see `read_data`.
    """
    if data != "waves":
        return read_sequences(files, names_of(parameters))
    seed = parameters["data.seed"]
    assert isinstance(seed, int), "checked when the sweep file was read"
    return draw_waves(child(seed, TASK, data))


def check_data(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value]) -> list[str]:
    """What to know of the sequences before training.

    Raises:
        DataError: see `read_data`.
    """
    sequences = read_own(files, data, parameters)
    return check_sequences(sequences, split_sequences(sequences, parameters, TASK, sequences.targets))


class Module(TaskModule):
    """Classifies a sequence by the network's summary of it; cross-entropy in nats."""

    def __init__(self, network: RecurrentNetwork, data: TaskData, parameters: Mapping[str, Value]) -> None:
        super().__init__(network, data, parameters)
        self.classes: list[str] = list(data.preparation["classes"])

    def forward(self, batch: Batch) -> Tensor:
        """Class scores, (N, C)."""
        outputs_NTO, _ = self.network(batch.inputs, batch.lengths)
        scores_NC: Tensor = self.head(self.network.summary(outputs_NTO, batch.lengths))
        return scores_NC

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Mean cross-entropy."""
        return cross_entropy(outputs, batch.targets)

    def totals(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Summed cross-entropy and rows; of each class how often it was there, was said, and was rightly said."""
        loss = cross_entropy(outputs.double(), batch.targets, reduction="sum")
        said_N, num_classes = outputs.argmax(dim=1), outputs.shape[1]
        found = {"loss": loss, "rows": loss.new_tensor(len(batch))}
        counts = {"there": batch.targets, "said": said_N, "right": batch.targets[said_N == batch.targets]}
        for name, classes_N in counts.items():
            for place, count in enumerate(classes_N.bincount(minlength=num_classes)):
                found[f"{name} {place}"] = count.double()
        return found

    def metrics(self, totals: Mapping[str, float]) -> dict[str, float]:
        """Accuracy, macro F1 (a class that is neither there nor said counts 0) and mean cross-entropy in nats."""
        there, said, right = ([totals[f"{name} {place}"] for place in range(len(self.classes))] for name in ("there", "said", "right"))
        scores = [2 * hits / (a + b) if a + b else 0.0 for a, b, hits in zip(there, said, right, strict=True)]
        rows = totals["rows"]
        return {"accuracy": sum(right) / rows, "macro_f1": sum(scores) / len(scores), "loss": totals["loss"] / rows}

    def examine(self, split: Batch) -> dict[str, Plain]:
        """The confusion matrix (rows: the truth), and accuracy by length."""
        said_N = torch.cat([self(split.rows(rows)).argmax(dim=1) for rows in self.plan_evaluation(split)])
        total = len(self.classes)
        matrix_CC = (split.targets * total + said_N).bincount(minlength=total * total).view(total, total)
        found: dict[str, Plain] = {"confusion": {"classes": self.classes, "counts": matrix_CC.tolist()}}
        assert split.lengths is not None, "sequences have lengths"
        parts = split.lengths.argsort(stable=True).tensor_split(LENGTH_PARTS)
        found["by_length"] = [
            {
                "from": int(split.lengths[part].min()),
                "to": int(split.lengths[part].max()),
                "rows": len(part),
                "accuracy": float((said_N[part] == split.targets[part]).double().mean()),
            }
            for part in parts
            if len(part)
        ]
        return found


def baselines(data: TaskData, split: str) -> dict[str, float]:
    """Accuracy, on a split, of the commonest class, and of logistic regression on statistics that know no order."""
    train, judged = data.splits["train"], data.splits[split]
    commonest = train.targets.bincount().argmax()
    found = {"majority class": float((judged.targets == commonest).double().mean())}
    if len(train.targets.unique()) > 1:
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        model.fit(summarise(train), train.targets.numpy())
        found["logistic regression on mean, deviation, extremes and length"] = float(model.score(summarise(judged), judged.targets.numpy()))
    return found


def answer(module: TaskModule, data: TaskData, question: Question) -> Answer:
    """The class of every sequence of every file, with its probability.

    Raises:
        DataError: a file cannot be read, or lacks a feature that the model was trained on.
    """
    assert isinstance(module, Module), "a model of this task"
    scaling = Scaling(**data.preparation["scaling"])
    rows: list[dict[str, Plain]] = []
    for path in question.files:
        sequences = read_for_answer(path, module.task_parameters, scaling)
        inputs_NTF, lengths_N = pad(sequences, np.arange(len(sequences)), scaling)
        whole = Batch(inputs_NTF, torch.zeros(len(sequences), dtype=torch.int64), lengths_N)
        shares_NC = torch.cat([module(whole.rows(part)).softmax(dim=1) for part in module.plan_evaluation(whole)])
        for name, share_C in zip(sequences.names, shares_NC, strict=True):
            place = int(share_C.argmax())
            file: dict[str, Plain] = {"file": path.name} if len(question.files) > 1 else {}
            rows.append({**file, "id": name, "label": module.classes[place], "probability": float(share_C[place])})
    return Answer(rows)
