"""Keyword spotting: what the platform asks of a task, from the files beside this one."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rnnbench.base.parameters import Value
from rnnbench.task.answers import Answer, Question
from rnnbench.task.module import TaskData, TaskModule
from rnnbench.task.sound_check import check_labels, check_sounds
from rnnbench_tasks.keyword_spotting.answering import answer_files
from rnnbench_tasks.keyword_spotting.baselines import find_baselines
from rnnbench_tasks.keyword_spotting.module import Module
from rnnbench_tasks.keyword_spotting.reading import divide_set, read_words, to_tensors

__all__ = ["Module", "answer", "baselines", "check_data", "read_data"]


def read_data(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value], splits: Sequence[str]) -> TaskData:
    """Samples and classes of a set.

    Raises:
        DataError: a sound, archive or manifest cannot be used, or there are too few classes.
    """
    return to_tensors(read_words(files, data, parameters, splits))


def answer(module: TaskModule, data: TaskData, question: Question) -> Answer:
    """Which word each file is."""
    return answer_files(module, question)


def baselines(data: TaskData, split: str) -> dict[str, float]:
    """Accuracy, on a split, of the commonest class, of the nearest class mean and of logistic regression, without the frames' order."""
    return find_baselines(data, split)


def check_data(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value]) -> list[str]:
    """What is worth knowing before training: equal, silent, clipped and unused sounds, sample rates, channels, rare classes."""
    if not files:
        return []
    sounds, divided = divide_set(files, data, parameters)
    rows = {**divided.clips, "train": divided.whole_train}
    return [*check_labels(divided.whole_train), *check_sounds(sounds, rows)]
