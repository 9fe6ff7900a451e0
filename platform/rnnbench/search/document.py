"""A YAML 1.2 text as plain data with the place of every key and value; nothing is constructed, aliased or merged.

Read from the parser's events: only mappings, lists and scalars of the core schema exist, so no object tag, alias bomb or
duplicate key survives, and `no` is a word while `1e-6` is a number.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, Event, MappingEndEvent, MappingStartEvent, ScalarEvent, SequenceEndEvent, SequenceStartEvent

from rnnbench.base.errors import SweepFileError
from rnnbench.base.names import printable

MAX_SIZE_BYTES = 1_000_000
MAX_DEPTH = 20
# A large study has some hundred keys and values; reading this many takes a quarter of a second.
MAX_NODES = 5_000
MAX_DIGITS = 100

Place = tuple[int, int]
Keys = tuple[str | int, ...]

_INT = re.compile(r"[-+]?[0-9]+|0x[0-9a-fA-F]+|0o[0-7]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS = {"", "~", "null", "Null", "NULL"}


@dataclass
class Document:
    """A parsed file.

    Attributes:
        content: Plain data.
        places: Line and column, from 1, of the value at each path of keys; a key's own place under `path + ("#key",)`.
        overrides: Paths that a `--set` option gave, with that option's text.
    """

    name: str
    text: str
    content: Any
    places: dict[Keys, Place]
    overrides: dict[Keys, str] = field(default_factory=dict)

    def where(self, *path: str | int, key: bool = False) -> str:
        """`file:line:column` of a value, or of its key; of the nearest enclosing place where the path itself has none."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.overrides:
                return self.overrides[path[:end]]
            marked = (*path[:end], "#key")
            if key and end == len(path) and marked in self.places:
                return self._at(self.places[marked])
            if path[:end] in self.places:
                return self._at(self.places[path[:end]])
        return self.name

    def _at(self, place: Place) -> str:
        return f"{self.name}:{place[0]}:{place[1]}"


def read_document(path: Path) -> Document:
    """Parses a file.

    Raises:
        SweepFileError: not there, too large, not UTF-8, not YAML 1.2, or holding tags, aliases or duplicate keys.
    """
    name = str(path)
    try:
        if path.stat().st_size > MAX_SIZE_BYTES:
            raise SweepFileError(f"the file has more than {MAX_SIZE_BYTES} bytes; a sweep file has a few hundred", name)
        raw = path.read_bytes()
    except OSError as error:
        raise SweepFileError(f"cannot be read: {error.strerror}", name) from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise SweepFileError("not UTF-8 text; save the file as UTF-8", f"{name}:{line}:1") from error
    return parse_document(text, name)


def parse_document(text: str, name: str) -> Document:
    """Parses a text; see `read_document`."""
    builder = _Builder(name)
    try:
        events = (event for event in YAML(typ="safe", pure=True).parse(text) if isinstance(event, _NODES))
        first = next(events, None)
        content = None if first is None else builder.build(first, events, ())
        second = next(events, None)
        if second is not None:
            raise SweepFileError("a second document; a sweep file has one", builder.at(second))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        problem = " ".join(str(error.problem or error.context).split())
        hint = "; indent with spaces, not tabs" if r"'\t'" in problem else ""
        raise SweepFileError(f"not YAML: {printable(problem, 160)}{hint}", where) from error
    except YAMLError as error:
        raise SweepFileError(_unreadable(text, error), _first_control(text, name)) from error
    return Document(name, text, content, builder.places)


def parse_value(text: str) -> Any:
    """The plain value of a `--set` text.

    Raises:
        SweepFileError: not a YAML value.
    """
    return parse_document(text, "value").content


_STARTS = (ScalarEvent, MappingStartEvent, SequenceStartEvent)
_NODES = (ScalarEvent, MappingStartEvent, MappingEndEvent, SequenceStartEvent, SequenceEndEvent, AliasEvent)


class _Builder:
    def __init__(self, name: str) -> None:
        self.name = name
        self.places: dict[Keys, Place] = {}
        self.num_nodes = 0

    def at(self, event: Event) -> str:
        return f"{self.name}:{event.start_mark.line + 1}:{event.start_mark.column + 1}"

    def build(self, event: Event, events: Iterator[Event], path: Keys) -> Any:
        self.places[path] = (event.start_mark.line + 1, event.start_mark.column + 1)
        self.num_nodes += 1
        if self.num_nodes > MAX_NODES:
            raise SweepFileError(f"more than {MAX_NODES} values; a sweep file has some dozen", self.at(event))
        if len(path) > MAX_DEPTH:
            raise SweepFileError(f"nested deeper than {MAX_DEPTH} levels", self.at(event))
        if isinstance(event, AliasEvent) or not isinstance(event, _STARTS) or event.anchor is not None:
            raise SweepFileError("anchors and aliases (&, *) are not allowed; write the value out", self.at(event))
        if event.tag is not None and str(event.tag) != "!":
            raise SweepFileError(f"the tag {printable(str(event.tag), 60)} is not allowed; write a plain value", self.at(event))
        if isinstance(event, ScalarEvent):
            if len(str(event.value)) > MAX_DIGITS and not event.style and _INT.fullmatch(str(event.value)):
                raise SweepFileError(f"a number of more than {MAX_DIGITS} digits", self.at(event))
            return _scalar(event)
        return self._mapping(events, path) if isinstance(event, MappingStartEvent) else self._list(events, path)

    def _mapping(self, events: Iterator[Event], path: Keys) -> dict[str, Any]:
        content: dict[str, Any] = {}
        while not isinstance(event := next(events), MappingEndEvent):
            if not isinstance(event, ScalarEvent) or event.tag is not None or event.anchor is not None:
                raise SweepFileError("a key must be a plain word", self.at(event))
            key = str(event.value)
            if key in content:
                first = self.places[(*path, key, "#key")][0]
                raise SweepFileError(f"the key '{printable(key)}' stands twice, first in line {first}", self.at(event))
            self.places[(*path, key, "#key")] = (event.start_mark.line + 1, event.start_mark.column + 1)
            content[key] = self.build(next(events), events, (*path, key))
        return content

    def _list(self, events: Iterator[Event], path: Keys) -> list[Any]:
        content: list[Any] = []
        while not isinstance(event := next(events), SequenceEndEvent):
            content.append(self.build(event, events, (*path, len(content))))
        return content


def _scalar(event: ScalarEvent) -> Any:
    text = str(event.value)
    if event.style:
        return text
    if text in _NULLS:
        return None
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
    if _FLOAT.fullmatch(text):
        return float(
            text.replace(".inf", "inf")
            .replace(".Inf", "inf")
            .replace(".INF", "inf")
            .replace(".nan", "nan")
            .replace(".NaN", "nan")
            .replace(".NAN", "nan")
        )
    return text


def _unreadable(text: str, error: YAMLError) -> str:
    return (
        "a control character is not allowed in YAML"
        if _control(text) is not None
        else f"not YAML: {printable(' '.join(str(error).split()), 160)}"
    )


def _first_control(text: str, name: str) -> str:
    found = _control(text)
    if found is None:
        return name
    before = text[:found]
    return f"{name}:{before.count(chr(10)) + 1}:{found - before.rfind(chr(10))}"


def _control(text: str) -> int | None:
    return next((place for place, ch in enumerate(text) if ord(ch) < 32 and ch not in "\t\n\r"), None)
