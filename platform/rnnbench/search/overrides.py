"""`--set KEY=VALUE`: changes to a sweep file's content before it is checked."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rnnbench.base.errors import SweepFileError
from rnnbench.base.names import printable
from rnnbench.base.parameters import NAMESPACES
from rnnbench.search.document import Document, Keys, parse_value, read_document


def override(path: Path, changes: Sequence[str], name: str | None, num_samples: int | None) -> Document:
    """The file's document with changes put in; a later change of the same key wins.

    Raises:
        SweepFileError: the file or a change cannot be read.
    """
    document = read_document(path)
    if name is not None:
        _put(document, ("name",), name, "--name")
    for change in changes:
        key, equals, text = change.partition("=")
        option = f"--set {printable(change)}"
        if not equals or not key:
            raise SweepFileError("must be KEY=VALUE, e.g. --set optimizer.lr=0.01", option)
        try:
            value = parse_value(text)
        except SweepFileError as error:
            raise SweepFileError(error.message, option) from error
        parts: Keys = ("space", key) if key.split(".")[0] in NAMESPACES and "." in key else tuple(key.split("."))
        _put(document, parts, value, option)
    if num_samples is not None:
        _put(document, ("search", "num_samples"), num_samples, "--num-samples")
    return document


def _put(document: Document, path: Keys, value: Any, option: str) -> None:
    target = document.content
    for part in path[:-1]:
        if not isinstance(target, dict):
            break
        target = target.setdefault(part, {})
    if not isinstance(target, dict):
        raise SweepFileError(f"'{'.'.join(map(str, path[:-1]))}' is not a mapping in the file, so nothing can be set in it", option)
    target[path[-1]] = value
    document.overrides[path] = option
