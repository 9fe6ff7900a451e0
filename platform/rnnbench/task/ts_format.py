"""The .ts text format of time-series archives (UEA, UCR, Monash): a head of @ lines, then a sequence in each line.

Source: https://www.sktime.net/en/stable/examples/AA_datatypes_and_datasets.html and https://www.timeseriesclassification.com
"""

# Shapes: T steps, F features (dimensions).

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnbench.base.errors import DataError
from rnnbench.base.names import printable
from rnnbench.task.files import parse_number, read_lines


@dataclass(frozen=True)
class TsContent:
    """What a file holds.

    Attributes:
        values: (T, F) each; nan for `?`.
        targets: The last part of each line, where the head says that there is one; else empty.
        lines: Of each sequence in the file, from 1.
    """

    values: Sequence[NDArray[np.float64]]
    targets: Sequence[str]
    lines: Sequence[int]


def read_ts(path: Path) -> TsContent:
    """The sequences of a file.

    Raises:
        DataError: no @data, time stamps (they are not read), dimensions of different length or number, a value that is no number, a label
            that the head does not list.
    """
    head: dict[str, list[str]] = {}
    lines = read_lines(path)
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or line.startswith("#"):
            continue
        if not line.startswith("@"):
            raise DataError(f"{path}:{number}: '{printable(line, 40)}' before the line @data")
        if words[0].lower() == "@data":
            return _read_body(path, lines, number, head)
        head[words[0].lower()] = words[1:]
    raise DataError(f"{path}: no line @data; not a .ts file")


def _read_body(path: Path, lines: Sequence[str], start: int, head: dict[str, list[str]]) -> TsContent:
    if _is_true(head, "@timestamps"):
        raise DataError(f"{path}: @timeStamps true: values with times in brackets are not read; write the values alone")
    has_class, has_number = _is_true(head, "@classlabel"), _is_true(head, "@targetlabel")
    known = set(head.get("@classlabel", [])[1:])
    values, targets, numbers = [], [], []
    for number, line in enumerate(lines[start:], start + 1):
        if not line.strip() or line.startswith("#"):
            continue
        parts = line.strip().split(":")
        if has_class or has_number:
            target = parts.pop().strip()
            if has_class and known and target not in known:
                raise DataError(f"{path}:{number}: class '{printable(target, 40)}' is not among those of @classLabel")
            targets.append(target)
        if not parts:
            raise DataError(f"{path}:{number}: a target without values")
        values.append(_dimensions(parts, f"{path}:{number}"))
        numbers.append(number)
        if values[-1].shape[1] != values[0].shape[1]:
            raise DataError(f"{path}:{number}: {values[-1].shape[1]} dimensions, but line {numbers[0]} has {values[0].shape[1]}")
    if not values:
        raise DataError(f"{path}: no sequence behind @data")
    return TsContent(values, targets, numbers)


def _dimensions(parts: Sequence[str], where: str) -> NDArray[np.float64]:
    columns = []
    for place, part in enumerate(parts, 1):
        texts = part.split(",") if part.strip() else []
        columns.append([parse_number(text, f"{where}, dimension {place}, value {step}") for step, text in enumerate(texts, 1)])
        if len(columns[-1]) != len(columns[0]):
            raise DataError(f"{where}: dimension {place} has {len(columns[-1])} values, dimension 1 has {len(columns[0])}")
    return np.array(columns, dtype=np.float64).T


def _is_true(head: dict[str, list[str]], name: str) -> bool:
    return [word.lower() for word in head.get(name, [])[:1]] == ["true"]
