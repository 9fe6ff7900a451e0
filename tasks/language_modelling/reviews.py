"""IMDB's reviews without their labels, from the publisher's archive or from tables of it."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from rnnbench.base.errors import DataError
from rnnbench.base.names import printable
from rnnbench.task.files import decode, get_column, open_archive, read_table

# The archive also has 50000 reviews that nobody labelled (unsup), which the tables lack, and counts of words.
_MEMBER = re.compile(r"aclImdb/(train|test)/((?:neg|pos)/\d+_\d+)\.txt")
_NAME = re.compile(r"(neg|pos)/(\d+)_(\d+)")
_BREAKS = re.compile(r"\s*(?:<br\s*/?>\s*)+", re.IGNORECASE)


def read_reviews(files: Mapping[str, Path]) -> tuple[list[str], list[str]]:
    """The labelled reviews of train and of test, by class and number, each paragraph a line; a text that stood before is left out.

    Raises:
        DataError: a file is damaged, or holds no reviews; the text names it.
    """
    archive = files.get("aclImdb_v1.tar.gz")
    found = sorted(_read_archive(archive) if archive else _read_tables(files))
    texts = {split: [_BREAKS.sub("\n", text).strip() for named, *_, text in found if named == split] for split in ("train", "test")}
    train = dict.fromkeys(texts["train"])
    test = [text for text in dict.fromkeys(texts["test"]) if text not in train]
    if not train or not test:
        raise DataError(f"no reviews of {'test' if train else 'train'} in {', '.join(map(str, files.values()))}")
    return list(train), test


def _read_archive(path: Path) -> Iterator[tuple[str, str, int, int, str]]:
    with open_archive(path) as members:
        for name, content in members.items():
            if member := _MEMBER.fullmatch(name):
                where = f"{path}, {name}"
                yield member[1], *_place(member[2], where), decode(content, where)


def _read_tables(files: Mapping[str, Path]) -> Iterator[tuple[str, str, int, int, str]]:
    for split in ("train", "test"):
        path = files[f"{split}.jsonl.gz"]
        table = read_table(path)
        names, texts = get_column(table, "id", path, "the column"), get_column(table, "text", path, "the column")
        for number, (name, text) in enumerate(zip(names, texts, strict=True), 1):
            yield split, *_place(name, f"{path}:{number}"), text


def _place(name: str, where: str) -> tuple[str, int, int]:
    """What orders reviews: class, number, rating."""
    match = _NAME.fullmatch(name)
    if not match:
        raise DataError(f"{where}: '{printable(name)}' does not name a review, such as neg/0_3 (class, number, rating)")
    return match[1], int(match[2]), int(match[3])
