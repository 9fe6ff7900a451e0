"""Letters: more vowels or more consonants. Small, with embeddings that another model can start from, and an answer to lines of text."""

# Shapes: N rows, T letters, C classes.

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from rnnbench.base.errors import DataError
from rnnbench.base.parameters import Value
from rnnbench.base.seeds import child
from rnnbench.task.answers import Answer, Curve, Plot, Question
from rnnbench.task.module import Batch, BuildNetwork, TaskData, TaskModule

LETTERS = "abcdefghijklmnopqrstuvwxyz"
CLASSES = ("consonants", "vowels")
LENGTH = 7


def read_data(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value], splits: Sequence[str]) -> TaskData:
    """Drawn words of letters that are vowels half of the time."""
    seed, num_train = parameters["data.seed"], parameters["task.num_train"]
    assert isinstance(seed, int)
    assert isinstance(num_train, int)
    batches = {}
    for name in splits:
        generator = torch.Generator().manual_seed(child(seed, "asked_letters", name))
        rows = num_train if name == "train" else 100
        vowels_NT = torch.rand(rows, LENGTH, generator=generator) < 0.5
        pick_NT = torch.randint(0, 5, (rows, LENGTH), generator=generator)
        numbers_NT = torch.where(vowels_NT, encode("aeiou")[pick_NT], encode("bcdfg")[pick_NT])
        batches[name] = Batch(numbers_NT, (vowels_NT.sum(dim=1) * 2 > LENGTH).long())
    facts = {f"{name} rows": len(batch) for name, batch in batches.items()}
    return TaskData(batches, len(LETTERS), len(CLASSES), facts, {"letters": LETTERS, "classes": list(CLASSES)})


def encode(word: str) -> Tensor:
    return torch.tensor([LETTERS.index(letter) for letter in word])


class Module(TaskModule):
    """Classifies after the last letter."""

    @classmethod
    def build(cls, build_network: BuildNetwork, data: TaskData, parameters: Mapping[str, Value]) -> "Module":
        size = parameters["task.embedding_size"]
        assert isinstance(size, int)
        module = cls(build_network(size), data, parameters)
        module.embedding = nn.Embedding(len(str(data.preparation["letters"])), size)
        return module

    embedding: nn.Embedding

    def forward(self, batch: Batch) -> Tensor:
        outputs_NTO, _ = self.network(self.embedding(batch.inputs))
        scores_NC: Tensor = self.head(self.network.summary(outputs_NTO))
        return scores_NC

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        return cross_entropy(outputs, batch.targets)

    def totals(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        loss = cross_entropy(outputs.double(), batch.targets, reduction="sum")
        return {"right": (outputs.argmax(dim=1) == batch.targets).sum().double(), "loss": loss, "rows": loss.new_tensor(len(batch))}

    def metrics(self, totals: Mapping[str, float]) -> dict[str, float]:
        return {"accuracy": totals["right"] / totals["rows"], "loss": totals["loss"] / totals["rows"]}

    def start_from(self, source: TaskModule, data: TaskData) -> list[str]:
        taken = super().start_from(source, data)
        if isinstance(source, Module):
            self.embedding.load_state_dict(source.embedding.state_dict())
            taken.append("embedding.weight")
        return taken


def baselines(data: TaskData, split: str) -> dict[str, float]:
    targets = data.splits[split].targets
    return {"majority class": float(targets.bincount().max() / len(targets))}


def answer(module: TaskModule, data: TaskData, question: Question) -> Answer:
    letters, classes = str(data.preparation["letters"]), list(data.preparation["classes"])
    rows = []
    for number, line in enumerate(question.lines, 1):
        if not line or not set(line) <= set(letters):
            raise DataError(f"line {number}: not a word of small letters")
        (scores_C,) = module(Batch(encode(line).unsqueeze(0), torch.zeros(1))).softmax(dim=1)
        top, digits = question.options["top"], question.options["digits"]
        assert isinstance(top, int)
        assert isinstance(digits, int)
        for place in scores_C.argsort(descending=True)[:top].tolist():
            said = classes[place] if question.options["style"] == "words" else place
            rows.append({"line": line, "class": said, "share": float(scores_C[place])})
    plot = Plot("shares", "line", "share", [Curve("share", list(range(len(rows))), [row["share"] for row in rows])])
    return Answer(rows, plots=[plot])
