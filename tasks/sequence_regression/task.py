"""Sequence regression: padded sequences, one number from the network's summary, errors beside those of statistics without order."""

# Shapes: N sequences.

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch.nn.functional import huber_loss, l1_loss, mse_loss

from rnnbench.base.canonical import Plain
from rnnbench.base.errors import DataError
from rnnbench.base.parameters import Value
from rnnbench.base.seeds import child
from rnnbench.cells.network import RecurrentNetwork
from rnnbench.task.answers import Answer, Question
from rnnbench.task.module import Batch, TaskData, TaskModule
from rnnbench.task.padded import Scaling, learn_scaling, names_of, pad, part_of_training, read_for_answer, split_sequences, summarise, tell
from rnnbench.task.sequence_checks import check_sequences
from rnnbench.task.sequences import Sequences, parse_targets, read_sequences
from rnnbench_tasks.sequence_regression.generated import draw_oscillations

TASK = "sequence_regression"
# Parts of the range of targets, as many rows in each, and points of the figure of truth and prediction.
TARGET_PARTS, POINTS = 5, 500
EXAMPLES = 5
PENALTIES = tuple(10.0**power for power in range(-3, 5))


def read_data(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value], splits: Sequence[str]) -> TaskData:
    """Padded sequences of the asked splits; targets in deviations of the training targets.

    Raises:
        DataError: a file cannot be used; the text names it and the row.
    """
    sequences = read_own(files, data, parameters)
    targets_N = parse_targets(sequences)
    rows = split_sequences(sequences, parameters, TASK)
    # The unit of the metric does not change with data.train_fraction.
    mean, deviation = _unit(sequences, targets_N[rows["train"]])
    rows["train"] = part_of_training(rows["train"], parameters, TASK)
    scaling = learn_scaling(sequences, rows["train"], parameters)
    batches = {}
    for split in splits:
        inputs_NTF, lengths_N = pad(sequences, rows[split], scaling)
        batches[split] = Batch(inputs_NTF, torch.from_numpy((targets_N[rows[split]] - mean) / deviation).float(), lengths_N)
    facts = tell(sequences, rows, scaling) | {"training targets": f"mean {mean:.6g}, standard deviation {deviation:.6g}"}
    return TaskData(batches, scaling.num_inputs, 1, facts, {"mean": mean, "deviation": deviation, "scaling": scaling.to_plain()})


def read_own(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value]) -> Sequences:
    """The sequences of a set.

    Raises:
        DataError: see `read_data`.
    """
    if data != "oscillations":
        return read_sequences(files, names_of(parameters))
    seed = parameters["data.seed"]
    assert isinstance(seed, int), "checked when the sweep file was read"
    return draw_oscillations(child(seed, TASK, data))


def check_data(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value]) -> list[str]:
    """What to know of the sequences before training.

    Raises:
        DataError: see `read_data`.
    """
    sequences = read_own(files, data, parameters)
    targets_N, splits = parse_targets(sequences), split_sequences(sequences, parameters, TASK)
    found = check_sequences(replace(sequences, targets=[repr(float(target)) for target in targets_N]), splits)
    mean, deviation = _unit(sequences, targets_N[splits["train"]])
    far = int(np.abs(targets_N - mean).argmax())
    if (distance := abs(targets_N[far] - mean) / deviation) > 10:
        found.append(f"{sequences.where[far]}: target {targets_N[far]:g} lies {distance:.0f} standard deviations from the mean")
    return found


class Module(TaskModule):
    """Predicts one number, in deviations of the training targets, from the network's summary."""

    def __init__(self, network: RecurrentNetwork, data: TaskData, parameters: Mapping[str, Value]) -> None:
        super().__init__(network, data, parameters)
        self.deviation = float(data.preparation["deviation"])
        self.mean = float(data.preparation["mean"])

    def forward(self, batch: Batch) -> Tensor:
        """Predictions, (N,)."""
        outputs_NTO, _ = self.network(batch.inputs, batch.lengths)
        prediction_N1: Tensor = self.head(self.network.summary(outputs_NTO, batch.lengths))
        return prediction_N1.squeeze(-1)

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Mean of the squared, absolute or Huber loss."""
        kind, truth_N = self.task_parameters["task.loss"], batch.targets.to(outputs.dtype)
        if kind == "huber":
            return huber_loss(outputs, truth_N)
        return l1_loss(outputs, truth_N) if kind == "absolute" else mse_loss(outputs, truth_N)

    def totals(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Sums of the loss, of errors, and of the targets and their squares, over rows."""
        said, truth = outputs.double(), batch.targets.double()
        error = said - truth
        found = {
            "squared": error.square().sum(),
            "absolute": error.abs().sum(),
            "truth": truth.sum(),
            "truth_squared": truth.square().sum(),
        }
        return found | {"loss": self.loss(said, batch) * len(batch), "rows": error.new_tensor(len(batch))}

    def metrics(self, totals: Mapping[str, float]) -> dict[str, float]:
        """mse in variances of the training targets, rmse and mae in the targets' own units, r2 (0 where all targets are equal), loss."""
        mean = {name: total / totals["rows"] for name, total in totals.items()}
        variance = mean["truth_squared"] - mean["truth"] ** 2
        r2 = 1 - mean["squared"] / variance if variance > 1e-12 else 0.0
        rmse, mae = self.deviation * mean["squared"] ** 0.5, self.deviation * mean["absolute"]
        return {"mse": mean["squared"], "rmse": rmse, "mae": mae, "r2": r2, "loss": mean["loss"]}

    def to_units(self, outputs: Tensor) -> Tensor:
        """Predictions in the targets' own units."""
        return outputs.double() * self.deviation + self.mean

    def examine(self, split: Batch) -> dict[str, Plain]:
        """Errors by the size of the target, and truth and prediction of some rows, in the targets' own units."""
        said_N = self.to_units(torch.cat([self(split.rows(rows)) for rows in self.plan_evaluation(split)]))
        truth_N = self.to_units(split.targets)
        parts = [part for part in truth_N.argsort(stable=True).tensor_split(TARGET_PARTS) if len(part)]
        by_target = [
            {
                "from": float(truth_N[part].min()),
                "to": float(truth_N[part].max()),
                "rows": len(part),
                "rmse": float((said_N[part] - truth_N[part]).square().mean().sqrt()),
                "bias": float((said_N[part] - truth_N[part]).mean()),
            }
            for part in parts
        ]
        shown = torch.linspace(0, len(truth_N) - 1, min(len(truth_N), POINTS), dtype=torch.float64).round().long()
        points = {"truth": truth_N[shown].tolist(), "prediction": said_N[shown].tolist()}
        examples = [{"target": float(truth_N[row]), "prediction": float(said_N[row])} for row in shown[:EXAMPLES].tolist()]
        return {"by_target": by_target, "points": points, "examples": examples}


def baselines(data: TaskData, split: str) -> dict[str, float]:
    """Error, on a split, of the mean of the training targets, and of ridge regression on statistics that know no order."""
    train, judged = data.splits["train"], data.splits[split]
    truth = judged.targets.double().numpy()
    model = make_pipeline(StandardScaler(), RidgeCV(PENALTIES))
    model.fit(summarise(train), train.targets.double().numpy())
    linear = np.square(model.predict(summarise(judged)) - truth).mean()
    return {
        "mean of the training targets": float(np.square(train.targets.double().mean().item() - truth).mean()),
        "ridge regression on mean, deviation, extremes and length": float(linear),
    }


def answer(module: TaskModule, data: TaskData, question: Question) -> Answer:
    """The number of every sequence of every file.

    Raises:
        DataError: a file cannot be read, or lacks a feature that the model was trained on.
    """
    assert isinstance(module, Module), "a model of this task"
    scaling = Scaling(**data.preparation["scaling"])
    column = str(module.task_parameters["data.target_column"])
    rows: list[dict[str, Plain]] = []
    for path in question.files:
        sequences = read_for_answer(path, module.task_parameters, scaling)
        inputs_NTF, lengths_N = pad(sequences, np.arange(len(sequences)), scaling)
        whole = Batch(inputs_NTF, torch.zeros(len(sequences)), lengths_N)
        said_N = module.to_units(torch.cat([module(whole.rows(part)) for part in module.plan_evaluation(whole)]))
        file: dict[str, Plain] = {"file": path.name} if len(question.files) > 1 else {}
        rows += [{**file, "id": name, column: float(said)} for name, said in zip(sequences.names, said_N, strict=True)]
    return Answer(rows)


def _unit(sequences: Sequences, targets_N: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and standard deviation of training targets."""
    if targets_N.min() == targets_N.max():
        raise DataError(f"{sequences.where[0]}: every training sequence has the target {targets_N[0]:g}; there is nothing to learn")
    return float(targets_N.mean()), float(targets_N.std())
