"""The catalogue: a task's card by name, and what is refused."""

import math
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from rnnbench.base.errors import InputError, UnknownNameError
from rnnbench.task import catalogue
from rnnbench.task.cards import TaskCard, parse_card


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    catalogue.forget_tasks()
    yield
    catalogue.forget_tasks()


def test_a_task_is_found_without_reading_the_cards_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def noted(text: str, module: str, where: str) -> TaskCard:
        read.append(where)
        return parse_card(text, module, where)

    monkeypatch.setattr(catalogue, "parse_card", noted)
    assert catalogue.get_task("parity").name == "parity"
    assert catalogue.get_task("parity").metric.direction == "max"
    assert read == ["tasks/parity/task.yaml"]


def test_an_unknown_task_gets_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match="no task 'pariti'; did you mean 'parity'"):
        catalogue.get_task("pariti")


def test_a_second_task_of_one_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "another_parity"
    package.mkdir()
    (package / "__init__.py").write_text("")
    own = Path(catalogue.__file__).parents[3] / "tasks" / "parity" / "task.yaml"
    (package / "task.yaml").write_text(own.read_text())
    monkeypatch.syspath_prepend(str(tmp_path))
    point = EntryPoint("parity", "another_parity", catalogue.ENTRY_POINTS)
    monkeypatch.setattr(catalogue, "entry_points", lambda group: (point,))
    for look in (catalogue.list_tasks, lambda: catalogue.get_task("parity")):
        with pytest.raises(InputError, match="two tasks are called 'parity'"):
            look()
    assert catalogue.get_task("adding").name == "adding"


def test_a_card_must_have_the_name_of_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = Path(catalogue.__file__).parents[3] / "tasks" / "parity" / "task.yaml"
    (tmp_path / "evenness").mkdir()
    (tmp_path / "evenness" / "task.yaml").write_text(own.read_text())
    monkeypatch.setattr(catalogue, "files", lambda package: tmp_path)
    with pytest.raises(InputError, match=r"tasks/evenness/task.yaml: name is 'parity', must be 'evenness'"):
        catalogue.get_task("evenness")


def test_a_cards_range_is_by_name_and_may_be_open() -> None:
    card = catalogue.get_task("sequential_digits")
    assert card.range_of("accuracy") == card.range_of("recall of 7") == (0.0, 1.0)
    assert card.range_of("loss") == (0.0, math.inf)
    assert card.range_of("mse less that of persistence") == (-math.inf, math.inf)
    text = Path(catalogue.__file__).parents[3].joinpath("tasks", "parity", "task.yaml").read_text()
    with pytest.raises(InputError, match=r"here: ranges: accuracy\*: \[2, 1\] is empty"):
        parse_card(text.replace('"accuracy*": [0, 1]', '"accuracy*": [2, 1]'), "m", "here")
