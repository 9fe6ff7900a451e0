"""A task's code: what every task has, and what one may leave out."""

import importlib

import pytest

from rnnbench.base.errors import InputError
from rnnbench.task.catalogue import get_task
from rnnbench.task.load import load_task
from rnnbench.task.module import TaskData


def test_a_task_that_checks_nothing_finds_nothing_odd() -> None:
    assert not hasattr(importlib.import_module(get_task("adding").module), "check_data")
    assert load_task("adding").check_data({}, "generated", {}) == []


def test_what_a_task_holds_is_what_is_called() -> None:
    module = importlib.import_module(get_task("text_classification").module)
    code = load_task("text_classification")
    held = (code.Module, code.read_data, code.baselines, code.answer, code.check_data)
    assert held == (module.Module, module.read_data, module.baselines, module.answer, module.check_data)


def test_a_task_that_is_not_asked_anything_has_no_answer() -> None:
    code = load_task("adding")
    with pytest.raises(AssertionError, match="the card says"):
        code.answer(None, TaskData({}, 1, 1), None)  # type: ignore[arg-type]  # never looked at


@pytest.mark.parametrize(("task", "lost"), [("adding", "baselines"), ("adding", "Module"), ("text_classification", "answer")])
def test_a_task_without_what_every_task_has_is_one_line(task: str, lost: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(f"{get_task(task).module}.{lost}")
    with pytest.raises(InputError, match=rf"task '{task}': .*{task}/task\.py has no {lost}; every task\.py needs") as caught:
        load_task(task)
    assert "\n" not in str(caught.value)
