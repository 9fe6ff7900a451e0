"""Labelled texts as they are read, each with its place in its file, and what makes two of them the same text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rnnbench.base.errors import DataError
from rnnbench.base.names import printable
from rnnbench.base.parameters import Value

SPLITS = ("train", "validation", "test")
# What people and archives call them.
_NAMES = {"train": "train", "training": "train", "test": "test", **dict.fromkeys(("validation", "valid", "val", "dev"), "validation")}


@dataclass(frozen=True, slots=True)
class Row:
    """A labelled text.

    Attributes:
        split: train, validation or test where the data say so; empty: not said.
        where: Its file and row, for messages.
    """

    text: str
    label: str
    split: str
    where: str

    def key(self) -> str:
        """The same for texts that differ in nothing but case and white space."""
        return " ".join(self.text.split()).casefold()


def find_split(name: str) -> str:
    """The split that a person's word for it means; empty: none of them."""
    return _NAMES.get(name.strip().lower(), "")


def get_file(files: Mapping[str, Path], *names: str) -> Path:
    """The first of these files that is there.

    Raises:
        DataError: none is.
    """
    for name in names:
        if name in files:
            return files[name]
    raise DataError(f"none of {', '.join(names)} is among the files: {', '.join(sorted(files))[:200]}")


def get_text(parameters: Mapping[str, Value], name: str) -> str:
    """A text among resolved parameters."""
    value = parameters[name]
    assert isinstance(value, str), "checked when the sweep file was read"
    return value


def get_int(parameters: Mapping[str, Value], name: str) -> int:
    """A whole number among resolved parameters."""
    value = parameters[name]
    assert isinstance(value, int), "checked when the sweep file was read"
    return value


def get_float(parameters: Mapping[str, Value], name: str) -> float:
    """A number among resolved parameters."""
    value = parameters[name]
    assert isinstance(value, float), "checked when the sweep file was read"
    return value


def require_labels(rows: Sequence[Row]) -> None:
    """Every row has a label, and there is something to choose from.

    Raises:
        DataError: a row has none, all have the same, or so many different ones that they cannot be classes.
    """
    first = rows[0]
    for row in rows:
        if not row.label:
            raise DataError(f"{row.where}: no label; give it one, or leave the row out")
    labels = {row.label for row in rows}
    if len(labels) == 1:
        raise DataError(f"{first.where}: all {len(rows)} rows have the label '{printable(first.label)}'; a classifier needs two classes")
    if len(labels) > max(3, len(rows) // 2):
        raise DataError(
            f"{first.where}: {len(labels)} different labels in {len(rows)} rows (the first is '{printable(first.label)}'): not classes; "
            "set data.label_column to the column that has them"
        )
