"""From what a person types to a Question: options checked, text files as their lines, tables as a column of them, others as they are."""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rnnbench.base.errors import DataError, InputError, ParameterError
from rnnbench.base.names import listed, printable, suggest
from rnnbench.base.parameters import Value
from rnnbench.task.answers import Question
from rnnbench.task.cards import TaskCard
from rnnbench.task.catalogue import list_tasks
from rnnbench.task.files import TABLES, decode, kind_of, read_lines, read_table

STANDARD_INPUT = "-"
_PREFIX = "predict."
_LIKE_A_FILE = re.compile(r"\S*\.(txt|csv|tsv|json|jsonl|ndjson|md|wav|flac|npz|npy|mat|ts|gz|zip)")


def build_question(
    card: TaskCard, lines: Sequence[str], files: Sequence[Path], options: Mapping[str, Value], parameters: Mapping[str, Value]
) -> Question:
    """What the task is asked.

    Args:
        files: For a task of lines text files, or tables where the card has a `predict_column`, whose texts come behind `lines`.
        options: Some of the card's `predict` options, by their short names.
        parameters: Those that the model was trained with.
    Raises:
        InputError: the task cannot be asked, or not with this, or with nothing.
        ParameterError: an option's name or value.
        DataError: a file is not there, or no text.
    """
    checked = check_options(card, options)
    if card.predict_input == "lines":
        lines, files = [*lines, *(line for file in files for line in _texts_of(file, card, parameters))], ()
    elif lines:
        raise InputError(f"there is no file {printable(lines[0])}; models of task '{card.name}' are asked with files{_accepted(card)}")
    for file in files:
        if not file.is_file():
            found = "is a folder; name its files" if file.is_dir() else "is not there"
            raise InputError(f"{printable(str(file))} {found}")
    if not lines and not files:
        raise InputError(f"no input: give --input {'FILE' if files or card.predict_input == 'files' else 'TEXT, FILE or -'}")
    return Question(list(lines), list(files), checked)


def read_inputs(
    card: TaskCard, inputs: Sequence[str], standard_input: Callable[[], bytes], parameters: Mapping[str, Value]
) -> tuple[list[str], list[Path]]:
    """Lines of text and files from the words of a command line, in their order: each is a file's name, a text, or `-`.

    Args:
        parameters: Those that the model was trained with.
        standard_input: Reads all of it.
    Raises:
        InputError: something that must be a file is none.
        DataError: a text is not UTF-8, or holds nothing.
    """
    lines: list[str] = []
    files: list[Path] = []
    for given in inputs:
        path = Path(given)
        if card.predict_input == "files":
            if given == STANDARD_INPUT:
                raise InputError(f"models of task '{card.name}' are asked with files{_accepted(card)}, not with standard input")
            files.append(path)
        elif given == STANDARD_INPUT:
            text = decode(standard_input(), "standard input")
            if not text.strip():
                raise InputError("standard input is empty")
            lines += text.removesuffix("\n").split("\n")
        elif _is_file(path):
            lines += _texts_of(path, card, parameters)
        elif _looks_like_a_file(given):
            if _is_folder(path):
                raise InputError(f"{printable(given)} is a folder; name its files")
            near = _near(path)
            hint = f", but there is {near}" if near else ""
            raise InputError(f"there is no file {printable(given)}{hint}; a text that looks like one goes in by standard input (--input -)")
        else:
            lines.append(given)
    return lines, files


def check_options(card: TaskCard, given: Mapping[str, Value]) -> dict[str, Value]:
    """Every option of `rnnbench predict` for the task, by its short name: as given, else its default.

    Raises:
        InputError: the task's models cannot be asked.
        ParameterError: an option that it does not have, or not beside the others, or of a wrong value.
    """
    if card.predict is None:
        able = [other.name for other in list_tasks() if other.predict is not None]
        raise InputError(f"models of task '{card.name}' cannot be asked; those that can: {', '.join(able) or 'none'}")
    declared = {option.name.removeprefix(_PREFIX): option for option in card.predict}
    chosen = {name.removeprefix(_PREFIX): value for name, value in given.items()}
    for name in chosen:
        if name not in declared:
            hint = suggest(name, declared) if declared else "; it has none"
            raise ParameterError(f"no option '{printable(name)}' of predict in task '{card.name}'{hint}")
    values = {name: option.check(chosen.get(name, option.default)) for name, option in declared.items()}
    full = {f"{_PREFIX}{name}": value for name, value in values.items()} | values
    for name in chosen:
        if not declared[name].is_active(full):
            needs = declared[name].when.items()
            words = [f"{other.removeprefix(_PREFIX)} {' or '.join(map(str, allowed))}" for other, allowed in needs]
            raise ParameterError(f"predict.{name} exists only with {listed(words)}")
    return values


def _texts_of(path: Path, card: TaskCard, parameters: Mapping[str, Value]) -> list[str]:
    """The lines of a text file, or one column of a table."""
    if card.predict_column is None or not kind_of(path.name).endswith(TABLES):
        return read_lines(path)
    rows, column = read_table(path), str(parameters[card.predict_column])
    for number, row in enumerate(rows, 1):
        if column not in row:
            words = f"no column '{printable(column)}', which the model reads ({card.predict_column}){suggest(column, row)}"
            raise DataError(f"{path}, row {number}: {words}; call it so, or give its lines by standard input (--input -)")
    return [row[column] for row in rows]


def _accepted(card: TaskCard) -> str:
    return f" ({card.own_data.accepts})" if card.own_data else ""


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a text too long, or with a zero byte, for a file's name
        return False


def _looks_like_a_file(text: str) -> bool:
    """Whether one word is more likely a misspelt file than a text: it ends like one, or begins with a folder, or almost is one there."""
    if _LIKE_A_FILE.fullmatch(text) is not None:
        return True
    folder, slash, name = text.rpartition("/")
    is_path = len(text.split()) == 1 and (bool(slash) or "." in name[1:-1])
    return is_path and ((bool(slash) and _is_folder(Path(folder or "/"))) or _near(Path(text)) is not None)


def _near(path: Path) -> Path | None:
    """The file in the same folder whose name is nearest, if one is near."""
    try:
        names = [file.name for file in path.parent.iterdir()]
    except (OSError, ValueError):
        return None
    found = difflib.get_close_matches(path.name, names, n=1, cutoff=0.8)
    return path.with_name(found[0]) if found else None


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False
