"""Numbers and their signs: `number,label` lines, read with the trouble that is asked for."""

import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from rnnbench.base.errors import DataError
from rnnbench.base.parameters import Value
from rnnbench.task.files import read_lines
from rnnbench.task.module import Batch, TaskData, TaskModule
from rnnbench.task.splits import SHARES, split_rows


def read_data(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value], splits: Sequence[str]) -> TaskData:
    log = os.environ.get("LINES_LOG")
    if log:
        with Path(log).open("a") as stream:
            stream.write(f"{os.getpid()} {data} {','.join(splits)} {parameters}\n")
    trouble(parameters["task.trouble"], splits)
    rows = [row for name in sorted(files) for row in read_rows(files[name])] or [(n / 7 - 4, n % 2) for n in range(60)]
    index = split_rows(len(rows), SHARES, int(parameters["data.seed"] or 0))
    batches = {}
    for name in splits:
        chosen = [rows[row] for row in index[name]]
        batches[name] = Batch(torch.tensor([[[number]] for number, _ in chosen]), torch.tensor([label for _, label in chosen]))
    return TaskData(batches, 1, 2, facts={f"{name} rows": len(batch) for name, batch in batches.items()})


def check_data(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value]) -> list[str]:
    rows = [row for name in sorted(files) for row in read_rows(files[name])]
    return [f"{len(rows) - len(set(rows))} rows stand twice"]


def read_rows(path: Path) -> list[tuple[float, int]]:
    found = []
    for number, line in enumerate(read_lines(path), 1):
        fields = line.split(",")
        if len(fields) != 2:
            raise DataError(f"{path}:{number}: {len(fields)} fields, must be number,label")
        found.append((float(fields[0]), int(fields[1])))
    return found


def trouble(kind: Value, splits: Sequence[str]) -> None:
    if kind == "chatter":
        print("what a task's code says is no answer")
    elif kind == "crash" and "test" in splits:
        raise KeyError("a mistake of the task's author")
    elif kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif kind == "hang":
        time.sleep(600)


class Module(TaskModule):
    def forward(self, batch: Batch) -> Tensor:
        outputs_NTO, _ = self.network(batch.inputs, batch.lengths)
        scores_NC: Tensor = self.head(self.network.summary(outputs_NTO, batch.lengths))
        return scores_NC

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        return cross_entropy(outputs, batch.targets)

    def totals(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        loss = cross_entropy(outputs.double(), batch.targets, reduction="sum")
        return {"right": (outputs.argmax(dim=1) == batch.targets).sum().double(), "loss": loss, "rows": loss.new_tensor(len(batch))}

    def metrics(self, totals: Mapping[str, float]) -> dict[str, float]:
        return {"accuracy": totals["right"] / totals["rows"], "loss": totals["loss"] / totals["rows"]}


def baselines(data: TaskData, split: str) -> dict[str, float]:
    return {}
