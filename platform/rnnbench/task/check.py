"""Reads a data set as a trial would, and says what it holds and what is odd about it.

As a program it does so for those who must not import torch: its argument is a file of JSON with a list of what is to be read, and a line
for each goes out, the last of them the first problem. It ends with its standard input, and so with whoever asked.
"""

import json
import os
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rnnbench.base.canonical import Plain
from rnnbench.base.errors import RnnbenchError
from rnnbench.base.parameters import Value
from rnnbench.task.load import load_task
from rnnbench.task.module import Batch


@dataclass(frozen=True)
class Contents:
    """What a data set holds: the facts of all its splits, and in a line each what a careful person would want to know."""

    facts: Mapping[str, Plain]
    findings: Sequence[str]


def read_contents(task: str, data: str, files: Mapping[str, Path], parameters: Mapping[str, Value], *, thorough: bool) -> Contents:
    """Reads all splits, in the two calls in which trials do: what trains and validates, and what tests.

    Args:
        parameters: The trial's `data.*` and `task.*`.
        thorough: Ask the task too, which may compare every row with every other (its `check_data`).
    Raises:
        DataError: a trial could not use it.
    """
    code = load_task(task)
    found = code.read_data(files, data, parameters, ("train", "validation"))
    facts, findings = dict(found.facts), [line for name in found.splits for line in _odd(name, found.splits[name])]
    del found  # both would not always fit into memory, nor need they for a trial
    test = code.read_data(files, data, parameters, ("test",))
    findings += _odd("test", test.splits["test"])
    facts |= {name: value for name, value in test.facts.items() if name not in facts}
    if thorough:
        findings += code.check_data(files, data, parameters)
    return Contents(facts, findings)


def _odd(name: str, split: Batch) -> list[str]:
    found = []
    for words, values in (("inputs", split.inputs), ("targets", split.targets)):
        if values.is_floating_point() and (rows := _rows_not_finite(values)):
            found.append(f"{name}: {len(rows)} rows with {words} that are not finite numbers, the first is row {rows[0] + 1}")
    return found


def _rows_not_finite(values: Tensor) -> list[int]:
    finite = [part.isfinite().flatten(1).all(1) if part.ndim > 1 else part.isfinite() for part in values.split(4096)]
    rows: list[int] = torch.cat(finite).logical_not().nonzero().flatten().tolist()
    return rows


def main() -> None:
    """Answers the request in the file that the argument names."""
    threading.Thread(target=_end_with_asker, daemon=True).start()
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a task's code prints is no answer
    request: list[dict[str, Any]] = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    for reading in request:
        answer = _answer(reading)
        print(json.dumps(answer, default=str), file=replies, flush=True)
        if "contents" not in answer:
            return


def _answer(reading: dict[str, Any]) -> dict[str, Any]:
    files = {name: Path(path) for name, path in reading["files"].items()}
    try:
        contents = read_contents(reading["task"], reading["data"], files, reading["parameters"], thorough=False)
    except RnnbenchError as error:
        return {"problem": str(error)}
    except Exception:  # noqa: BLE001 - the border of the process; whoever asked shows it
        return {"crash": traceback.format_exc()}
    return {"contents": asdict(contents)}


def _end_with_asker() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
