"""A person's own texts: a table, lines that begin with a label, or a folder of text files for each class."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from rnnbench.base.errors import DataError
from rnnbench.base.names import printable
from rnnbench.base.parameters import Value
from rnnbench.task.files import TABLES, decode, get_column, kind_of, read_bytes, read_lines, read_table
from rnnbench_tasks.text_classification.rows import SPLITS, Row, find_split, get_text

ACCEPTED = (
    "a table (.csv, .tsv, .jsonl), a .txt file of lines that begin with a label, a folder of tables called train, validation and test, "
    "or a folder with one folder of .txt files for each class"
)
_SPLIT_COLUMN = "split"
# JSON can write half of a character of two; nothing can print or keep it.
_LONE_HALF = re.compile("[\ud800-\udfff]")
# As the program fastText wants them.
_LABEL = "__label__"


def read_own(files: Mapping[str, Path], parameters: Mapping[str, Value]) -> list[Row]:
    """The rows of a file, or of the files of a folder by their places in it.

    Raises:
        DataError: it is none of what is accepted, or a row cannot be used.
    """
    if len(files) == 1 and "/" not in next(iter(files)):
        rows = list(_read_file(next(iter(files.values())), "", parameters))
    elif any("/" in name and name.lower().endswith(".txt") for name in files):
        rows = list(_read_folders(files))
    else:
        rows = list(_read_by_split(files, parameters))
    if not rows:
        raise DataError(f"{_place(files)}: no rows; what can be read is {ACCEPTED}")
    return rows


def _read_file(path: Path, split: str, parameters: Mapping[str, Value]) -> Iterator[Row]:
    name = kind_of(path.name)
    if name.endswith(TABLES):
        return _read_table(path, split, parameters)
    if name.endswith(".txt"):
        return _read_labelled_lines(path, split)
    raise DataError(f"{path}: not a file that this task reads; it takes {ACCEPTED}")


def _read_table(path: Path, split: str, parameters: Mapping[str, Value]) -> Iterator[Row]:
    table = read_table(path)
    columns = {name: get_text(parameters, f"data.{name}") for name in ("text_column", "label_column")}
    if columns["text_column"] == columns["label_column"]:
        raise DataError(f"{path}: data.text_column and data.label_column are both '{printable(columns['text_column'])}'")
    texts, labels = (get_column(table, column, path, f"data.{name}") for name, column in columns.items())
    has_split = not split and any(_SPLIT_COLUMN in row for row in table)
    named = get_column(table, _SPLIT_COLUMN, path, "the column") if has_split else [split] * len(table)
    for number, (text, label, name) in enumerate(zip(texts, labels, named, strict=True), 1):
        where = f"{path}, row {number}"
        if _LONE_HALF.search(text + label):
            raise DataError(f"{where}: half of a character (\\ud800 to \\udfff alone); leave it out")
        yield Row(text, label.strip(), _known_split(name, where) if has_split else split, where)


def _known_split(name: str, where: str) -> str:
    split = find_split(name)
    if not split:
        raise DataError(f"{where}: its split is '{printable(name)}', must be one of {', '.join(SPLITS)} (or rename the column 'split')")
    return split


def _read_labelled_lines(path: Path, split: str) -> Iterator[Row]:
    """Lines such as `spam<tab>win a prize` or `__label__spam win a prize`."""
    for number, line in enumerate(read_lines(path), 1):
        where = f"{path}:{number}"
        label, space, text = line.partition("\t") if "\t" in line else line.partition(" ")
        if not space:
            raise DataError(f"{where}: '{printable(line, 40)}' must be a label, a tab or space, and a text")
        if label.startswith(_LABEL) and text.startswith(_LABEL):
            raise DataError(f"{where}: has several labels; this task gives one to each text")
        yield Row(text, label.removeprefix(_LABEL).strip(), split, where)


def _read_folders(files: Mapping[str, Path]) -> Iterator[Row]:
    """`CLASS/file.txt`, or `train/CLASS/file.txt` and so on; other files are passed over."""
    depths = {len(PurePosixPath(name).parts): name for name in files if "/" in name and name.lower().endswith(".txt")}
    if len(depths) > 1:
        shallow, deep = depths[min(depths)], depths[max(depths)]
        raise DataError(f"{_place(files)}: {printable(shallow)} and {printable(deep)} do not lie equally deep; {_layout()}")
    for name, path in files.items():
        parts = PurePosixPath(name).parts
        if len(parts) not in depths or not name.lower().endswith(".txt"):
            continue
        split = find_split(parts[0]) if len(parts) == 3 else ""
        if len(parts) > 3 or (len(parts) == 3 and not split):
            raise DataError(f"{path}: must lie in a class's folder; {_layout()}")
        if len(parts) == 2 and find_split(parts[0]):
            raise DataError(f"{path}: '{parts[0]}' is the name of a split, and must have a folder for each class; {_layout()}")
        yield Row(decode(read_bytes(path), str(path)), parts[-2], split, str(path))


def _read_by_split(files: Mapping[str, Path], parameters: Mapping[str, Value]) -> Iterator[Row]:
    """`train.csv`, `validation.csv` and `test.csv`, or tables of another kind."""
    found: dict[str, Path] = {}
    for name, path in files.items():
        split = find_split(PurePosixPath(name).name.split(".")[0])
        if "/" in name or not split or not kind_of(name).endswith((*TABLES, ".txt")):
            continue
        if split in found:
            raise DataError(f"{path}: {found[split].name} is the {split} split already")
        found[split] = path
    for split, path in found.items():
        yield from _read_file(path, split, parameters)


def _layout() -> str:
    return "a folder is CLASS/file.txt, or train/CLASS/file.txt and test/CLASS/file.txt"


def _place(files: Mapping[str, Path]) -> str:
    """The folder that the files lie in."""
    name, path = next(iter(files.items()))
    return str(path.parents[len(PurePosixPath(name).parts) - 1]) if len(files) > 1 else str(path)
