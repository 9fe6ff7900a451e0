"""The catalogue of tasks: every folder with a task.yaml, ours and other packages', without importing their code. No torch."""

from collections.abc import Iterable, Mapping, Sequence
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


def list_tasks() -> tuple[TaskCard, ...]:
    """Every task by name: the folders of rnnbench_tasks, then the modules of the entry-point group `rnnbench.tasks`.

    Raises:
        InputError: a card is not valid, or two tasks have one name.
    """
    cards = tuple(_own_card(name) for name in _own_names()) + _foreign_cards()
    names = [card.name for card in cards]
    for name in names:
        _require_one(names, name)
    return cards


@cache
def get_task(name: str) -> TaskCard:
    """The task of that name; of the others no card is read.

    Raises:
        InputError: its card is not valid, or another package has a task of that name.
        UnknownNameError: there is none; the text has the nearest name.
    """
    names = [*_own_names(), *(card.name for card in _foreign_cards())]
    if name not in names:
        raise UnknownNameError(f"no task '{printable(name)}'{suggest(name, names)}")
    _require_one(names, name)
    return next((card for card in _foreign_cards() if card.name == name), None) or _own_card(name)


def forget_tasks() -> None:
    """Has every card read anew: packages came or went."""
    for remembered in (get_task, _own_names, _own_card, _foreign_cards):
        remembered.cache_clear()


@cache
def _own_names() -> tuple[str, ...]:
    """The folders of rnnbench_tasks that have a card."""
    folders = sorted(files(PACKAGE).iterdir(), key=lambda item: item.name)
    return tuple(one.name for one in folders if not one.name.startswith(("_", ".")) and (one / "task.yaml").is_file())


@cache
def _own_card(folder: str) -> TaskCard:
    where = f"tasks/{folder}/task.yaml"
    card = parse_card((files(PACKAGE) / folder / "task.yaml").read_text(encoding="utf-8"), f"{PACKAGE}.{folder}.task", where)
    if card.name != folder:
        raise InputError(f"{where}: name is '{printable(card.name)}', must be '{folder}', that of its folder; rename one of them")
    return card


@cache
def _foreign_cards() -> tuple[TaskCard, ...]:
    return tuple(_foreign_card(point.value) for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name))


def _require_one(names: Sequence[str], name: str) -> None:
    if names.count(name) > 1:
        raise InputError(f"two tasks are called '{name}': uninstall one of the packages that add it (entry points {ENTRY_POINTS})")


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


def tell_apart(places: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """What to call each task and data set among these: by the task, and by the data set too where the task has several."""
    ordered = list(dict.fromkeys(places))
    tasks = [task for task, _ in ordered]
    return {(task, data): task if tasks.count(task) == 1 else f"{task} ({data})" for task, data in ordered}


def question_of(task: str, parameters: Mapping[str, Value]) -> tuple[tuple[str, Value], ...]:
    """What is asked of a trial with these parameters, see `TaskCard.question`: only trials with equal answers to it are compared."""
    card = get_task(task)
    defaults = {parameter.name: parameter.default for parameter in card.parameters}
    return tuple((name, parameters.get(name, defaults[name])) for name in card.question)
