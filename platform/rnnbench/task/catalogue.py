"""The catalogue of tasks: every folder with a task.yaml, ours and other packages', without importing their code. No torch."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from rnnbench.base.errors import InputError, UnknownNameError
from rnnbench.base.names import printable, suggest
from rnnbench.base.parameters import Value
from rnnbench.task.cards import TaskCard, parse_card

PACKAGE = "rnnbench_tasks"
ENTRY_POINTS = "rnnbench.tasks"


@cache
def list_tasks() -> tuple[TaskCard, ...]:
    """Every task by name: the folders of rnnbench_tasks, then the modules of the entry-point group `rnnbench.tasks`.

    Raises:
        InputError: a card is not valid, or two tasks have one name.
    """
    cards = []
    for folder in sorted(files(PACKAGE).iterdir(), key=lambda item: item.name):
        if not folder.name.startswith(("_", ".")) and (folder / "task.yaml").is_file():
            text = (folder / "task.yaml").read_text(encoding="utf-8")
            cards.append(parse_card(text, f"{PACKAGE}.{folder.name}.task", f"tasks/{folder.name}/task.yaml"))
    cards += [_foreign_card(point.value) for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name)]
    names = [card.name for card in cards]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two tasks are called '{name}': uninstall one of the packages that add it (entry points {ENTRY_POINTS})")
    return tuple(cards)


def get_task(name: str) -> TaskCard:
    """The task of that name.

    Raises:
        UnknownNameError: there is none; the text has the nearest name.
    """
    known = {card.name: card for card in list_tasks()}
    if name not in known:
        raise UnknownNameError(f"no task '{printable(name)}'{suggest(name, known)}")
    return known[name]


def _foreign_card(module: str) -> TaskCard:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise InputError(f"entry point {ENTRY_POINTS}: no module {module}")
    card = Path(spec.origin).parent / "task.yaml"
    if not card.is_file():
        raise InputError(f"entry point {ENTRY_POINTS}: {module} has no task.yaml beside it")
    return parse_card(card.read_text(encoding="utf-8"), module, str(card))


def is_maximized(task: str) -> bool:
    """Whether the task's metric is better when higher."""
    return get_task(task).metric.direction == "max"


def question_of(task: str, parameters: Mapping[str, Value]) -> tuple[tuple[str, Value], ...]:
    """What is asked of a trial with these parameters, see `TaskCard.question`: only trials with equal answers to it are compared."""
    card = get_task(task)
    defaults = {parameter.name: parameter.default for parameter in card.parameters}
    return tuple((name, parameters.get(name, defaults[name])) for name in card.question)
