"""The labelled reviews of IMDB, from the publisher's archive or from tables of it, for every task that reads them."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from rnnbench.base.errors import DataError
from rnnbench.base.names import printable
from rnnbench.task.files import decode, get_column, open_archive, read_table

# The archive also has 50000 reviews that nobody labelled (unsup), which the tables lack, and counts of words.
_MEMBER = re.compile(r"(?:\./)?[^/]+/(train|test)/((?:neg|pos)/[^/]+)\.txt")
_NAME = re.compile(r"(neg|pos)/(\d+)_(\d+)")


class Review(NamedTuple):
    """A review as it was written, line breaks as `<br />`; its parts before the text order them.

    Attributes:
        split: train or test.
        kind: neg or pos.
        where: Its file and row, for messages.
    """

    split: str
    kind: str
    number: int
    rating: int
    text: str
    where: str


def read_reviews(files: Mapping[str, Path]) -> list[Review]:
    """Every review by split, class and number, whatever the form of the files.

    Raises:
        DataError: a file is damaged, or not what it should be; the text names the row.
    """
    archive = files.get("aclImdb_v1.tar.gz")
    return sorted(_read_archive(archive) if archive else _read_tables(files))


def _read_archive(path: Path) -> Iterator[Review]:
    with open_archive(path) as members:
        for name, content in members.items():
            if member := _MEMBER.fullmatch(name):
                where = f"{path}, {name}"
                yield _review(member[1], member[2], decode(content, where), where)


def _read_tables(files: Mapping[str, Path]) -> Iterator[Review]:
    for split in ("train", "test"):
        path = files[f"{split}.jsonl.gz"]
        table = read_table(path)
        names, texts = get_column(table, "id", path, "the column"), get_column(table, "text", path, "the column")
        for number, (name, text) in enumerate(zip(names, texts, strict=True), 1):
            yield _review(split, name, text, f"{path}:{number}")


def _review(split: str, name: str, text: str, where: str) -> Review:
    match = _NAME.fullmatch(name)
    if not match:
        raise DataError(f"{where}: '{printable(name)}' does not name a review, such as neg/0_3 (class, number, rating)")
    return Review(split, match[1], int(match[2]), int(match[3]), text, where)
