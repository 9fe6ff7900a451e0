"""Text classification: what the platform asks of a task, from the files beside this one."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rnnbench.base.parameters import Value
from rnnbench.task.answers import Answer, Question
from rnnbench.task.module import TaskData, TaskModule
from rnnbench.task.sources import OWN
from rnnbench_tasks.text_classification.answering import answer_lines
from rnnbench_tasks.text_classification.baselines import find_baselines
from rnnbench_tasks.text_classification.checks import check_files, check_rows
from rnnbench_tasks.text_classification.module import Module
from rnnbench_tasks.text_classification.preparation import Preparation
from rnnbench_tasks.text_classification.reading import prepare, read_rows

__all__ = ["Module", "answer", "baselines", "check_data", "read_data"]


def read_data(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value], splits: Sequence[str]) -> TaskData:
    """Texts as token numbers, with the vocabulary of the training texts.

    Raises:
        DataError: a file or a row of it cannot be used.
    """
    return prepare(read_rows(files, data, parameters), parameters, splits)


def answer(module: TaskModule, data: TaskData, question: Question) -> Answer:
    """The class of each line."""
    return answer_lines(module, data, question)


def baselines(data: TaskData, split: str) -> dict[str, float]:
    """Accuracy, on a split, of the commonest class and of naive Bayes."""
    return find_baselines(data, split)


def check_data(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value]) -> list[str]:
    """What is worth knowing before training."""
    corpus = read_rows(files, data, parameters)
    prepared = Preparation.from_plain(prepare(corpus, parameters, ()).preparation)
    return [*check_rows(corpus, prepared), *(check_files(files, corpus.rows) if data.startswith(OWN) else ())]
