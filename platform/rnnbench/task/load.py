"""A task's code by name."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path

from rnnbench.base.errors import InputError
from rnnbench.base.parameters import Value
from rnnbench.task.answers import Answer, Question
from rnnbench.task.catalogue import get_task
from rnnbench.task.module import TaskData, TaskModule

Files = Mapping[str, Path]
Parameters = Mapping[str, Value]


def nothing_odd(_files: Files, _data: str, _parameters: Parameters) -> list[str]:
    """What a task finds odd about its data that does not look for anything."""
    return []


def no_answer(_module: TaskModule, _data: TaskData, _question: Question) -> Answer:
    """A task whose card has no `predict` is never asked."""
    raise AssertionError("the card says whether a task answers")


@dataclass(frozen=True)
class TaskCode:
    """What task.py holds; a DataError of any of its functions names the file that cannot be used, and where in it.

    Attributes:
        Module: The network with its loss and metrics.
        read_data: The asked splits of a data set, the same every time. Takes the set's files by name (none where it is embedded), its
            name, the resolved `data.*` and `task.*` parameters by full name, and the names of the splits.
        baselines: The task's metric, on a split, of methods without a recurrent network that learn from the training split; takes data
            with both, and the split's name.
        answer: What a trained model, in evaluation mode, says to new input; its data have sizes and preparation, but no splits. Only in
            tasks whose card has `predict`.
        check_data: What a careful person would want to know before training, one line each; `rnnbench data check` prints it. Takes what
            `read_data` takes but the splits; may compare every row with every other.
    """

    Module: type[TaskModule]
    read_data: Callable[[Files, str, Parameters, Sequence[str]], TaskData]
    baselines: Callable[[TaskData, str], dict[str, float]]
    answer: Callable[[TaskModule, TaskData, Question], Answer] = no_answer
    check_data: Callable[[Files, str, Parameters], list[str]] = nothing_odd


def load_task(name: str) -> TaskCode:
    """Imports a task's code.

    Raises:
        UnknownNameError: there is no such task.
        InputError: its code lacks something that every task has.
    """
    card = get_task(name)
    module = importlib.import_module(card.module)
    needed = [field.name for field in fields(TaskCode) if field.default is MISSING] + (["answer"] if card.predict is not None else [])
    if missing := [part for part in needed if not hasattr(module, part)]:
        raise InputError(f"task '{name}': {module.__file__ or card.module} has no {' and no '.join(missing)}; every task.py needs them")
    return TaskCode(**{field.name: getattr(module, field.name) for field in fields(TaskCode) if hasattr(module, field.name)})
