"""A task's code by name."""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, cast

from rnnbench.base.parameters import Value
from rnnbench.task.answers import Answer, Question
from rnnbench.task.catalogue import get_task
from rnnbench.task.module import TaskData, TaskModule


class TaskCode(Protocol):
    """What task.py holds."""

    Module: type[TaskModule]

    def read_data(self, files: Mapping[str, Path], data: str, parameters: Mapping[str, Value], splits: Sequence[str]) -> TaskData:
        """The asked splits of a data set, the same every time.

        Args:
            files: The data set's files by name; empty for an embedded set.
            data: The data set's name.
            parameters: Resolved `data.*` and `task.*` parameters by full name.
        Raises:
            DataError: a file cannot be used; the text names it.
        """

    def answer(self, module: TaskModule, data: TaskData, question: Question) -> Answer:
        """What a trained model says to new input; only in tasks whose card has `predict`.

        Args:
            module: In evaluation mode.
            data: Without splits: sizes and preparation.
        Raises:
            DataError: the input cannot be used.
        """

    def baselines(self, data: TaskData) -> dict[str, float]:
        """The task's metric, on the validation split, of methods without a recurrent network; needs train and validation."""


def load_task(name: str) -> TaskCode:
    """Imports a task's code.

    Raises:
        UnknownNameError: there is no such task.
    """
    return cast(TaskCode, importlib.import_module(get_task(name).module))
