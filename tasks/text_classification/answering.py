"""What a trained classifier says to lines of text: the likeliest classes with their probabilities."""

# Shapes: N lines, C classes.

import torch

from rnnbench.base.canonical import Plain
from rnnbench.task.answers import Answer, Question
from rnnbench.task.module import EVALUATION_ROWS, Batch, TaskData, TaskModule
from rnnbench_tasks.text_classification.preparation import Preparation


def answer_lines(module: TaskModule, data: TaskData, question: Question) -> Answer:
    """One row for each line: its label and the probability of it, then those of the next classes, `top` in all."""
    prepared = Preparation.from_plain(data.preparation)
    top = question.options["top"]
    assert isinstance(top, int), "checked when the question was asked"
    inputs, lengths, _ = prepared.encode(question.lines)
    batch = Batch(inputs, torch.zeros(len(inputs), dtype=torch.int64), lengths)
    scores_NC = torch.cat([module(batch.rows(rows)) for rows in torch.arange(len(batch)).split(EVALUATION_ROWS)])
    likeliest = scores_NC.double().softmax(1).sort(dim=1, descending=True, stable=True)
    rows: list[dict[str, Plain]] = []
    for line, shares, numbers in zip(question.lines, likeliest.values.tolist(), likeliest.indices.tolist(), strict=True):
        row: dict[str, Plain] = {"text": line}
        for place, (share, number) in enumerate(list(zip(shares, numbers, strict=True))[:top], 1):
            behind = "" if place == 1 else f" {place}"
            row |= {f"label{behind}": prepared.classes[number], f"probability{behind}": share}
        rows.append(row)
    return Answer(rows)
