"""Texts: the training, validation and test text of a corpus, from its files, a person's own or the standard library."""

import pydoc_data.topics
import re
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from pathlib import Path

from rnnbench.base.errors import DataError
from rnnbench.base.names import listed, printable
from rnnbench.base.seeds import child
from rnnbench.task.files import read_lines, read_text
from rnnbench.task.imdb import read_reviews
from rnnbench.task.sources import OWN
from rnnbench.task.splits import shuffled

SPLITS = ("train", "validation", "test")
# Of a text that has no splits of its own.
SHARES = (0.9, 0.05, 0.05)
# nanoGPT trains on the first 0.9 of Shakespeare, validates on the rest, and tests on nothing. Pieces of the rest validate and test by
# turns, for its two halves are not equally hard: a number of either is then one of nanoGPT's validation text.
SHAKESPEARE_SHARES = (0.9, *[0.1 / 20] * 20)
# Of IMDB's training reviews, which have no validation split.
REVIEWS_TO_VALIDATE = 0.05
_BREAKS = re.compile(r"\s*(?:<br\s*/?>\s*)+", re.IGNORECASE)
# How far behind its share a part may end, as a share of the whole text.
_REACH = 0.01
_CALLED = {"train": "train", "training": "train", "valid": "validation", "validation": "validation", "val": "validation"} | {
    "dev": "validation",
    "test": "test",
}

Texts = dict[str, str]


def read_texts(files: Mapping[str, Path], data: str, seed: int) -> Texts:
    """The text of every split, in the order of the corpus.

    Args:
        seed: Orders the standard library's topics and IMDB's training reviews; all other texts are cut by place, without a random number.
    Raises:
        DataError: a file is not UTF-8, empty, too short to be cut, or not the one that is meant.
    """
    if data == "pydoc":
        return _pydoc(seed)
    if data == "imdb":
        return _reviews(files, seed)
    if data == "sst2":
        return {split: _sentences(path) for split, path in _by_name(files, data).items()}
    if data == "wikitext2_small":
        first, second = cut_text(read_text(_named(files, "valid.txt")), (0.5, 0.5), "valid.txt")
        return {"train": read_text(_named(files, "test.txt")), "validation": first, "test": second}
    if data == "tinyshakespeare":
        path = files["input.txt"]
        train, *pieces = cut_text(read_text(path), SHAKESPEARE_SHARES, str(path))
        return {"train": train, "validation": "".join(pieces[::2]), "test": "".join(pieces[1::2])}
    if data.startswith(OWN) and len(files) == 1:
        path = next(iter(files.values()))
        return dict(zip(SPLITS, cut_text(read_text(path), SHARES, str(path)), strict=True))
    return {split: read_text(path) for split, path in _by_name(files, data).items()}


def describe_splits(files: Mapping[str, Path], data: str) -> str:
    """How the splits were made, in words for a reader of the report."""
    if data == "pydoc":
        return "topics in an order of data.seed, repeated paragraphs left out; the first 90 % train, then 5 % validation, 5 % test"
    if data == "imdb":
        return "training reviews in an order of data.seed, the last 5 % validate; the test reviews; a text that stood before is left out"
    if data == "wikitext2_small":
        return "official test text for training; first half of the official validation text for validation, second half for test"
    if data == "tinyshakespeare":
        return "by place: the first 90 % train; of the last 10 %, nanoGPT's validation text, twenty pieces validate and test by turns"
    if data.startswith(OWN) and len(files) == 1:
        return "by place, each part to a line's end: the first 90 % train, then 5 % validation, 5 % test"
    return "a file for each"


def cut_text(text: str, shares: Sequence[float], where: str) -> list[str]:
    """Contiguous parts that together are the text, each but the last ending near its share; see `_end_near`.

    Raises:
        DataError: a part holds nothing but white space.
    """
    ends = [_end_near(text, round(share * len(text))) for share in accumulate(shares[:-1])]
    parts = [text[start:end] for start, end in pairwise([0, *ends, len(text)])]
    if not all(part.strip() for part in parts):
        raise DataError(f"{where}: {len(text)} characters are too few to be cut into {len(parts)} parts; give more text")
    return parts


def cut_prefix(text: str, share: float) -> str:
    """The first share of a text, so that a smaller share is the beginning of a larger one; at least one character."""
    if share >= 1:
        return text
    return text[: max(1, _end_near(text, round(share * len(text))))]


def _end_near(text: str, place: int) -> int:
    """Behind the first line's end at or behind a place, if one is near; else behind the first white space; else the place."""
    start = max(place - 1, 0)
    near = text[start : place + int(_REACH * len(text))]
    found = re.search(r"\n", near) or re.search(r"\s", near)
    return start + found.end() if found else place


def _pydoc(seed: int) -> Texts:
    """Topics that share paragraphs (a table of operators stands in four) give each to the first of them only."""
    topics = pydoc_data.topics.topics
    names = sorted(topics)
    order = [names[place] for place in shuffled(len(names), child(seed, "language_modelling", "pydoc"))]
    paragraphs = dict.fromkeys(part for name in order for part in topics[name].strip("\n").split("\n\n"))
    text = "\n\n".join(paragraphs) + "\n"
    return dict(zip(SPLITS, cut_text(text, SHARES, "pydoc_data.topics"), strict=True))


def _reviews(files: Mapping[str, Path], seed: int) -> Texts:
    """IMDB's reviews, each paragraph a line; a text that stood before, in train or in its split, is left out.

    They are sorted by class: the order of the seed mixes them, so that a beginning of the training text is like all of it.
    """
    texts = [(review.split, _BREAKS.sub("\n", review.text).strip()) for review in read_reviews(files)]
    train = dict.fromkeys(text for split, text in texts if split == "train")
    test = [text for text in dict.fromkeys(text for split, text in texts if split == "test") if text not in train]
    where = ", ".join(map(str, files.values()))
    if not train or not test:
        raise DataError(f"no reviews of {'test' if train else 'train'} in {where}")
    reviews = list(train)
    order = [reviews[place] for place in shuffled(len(reviews), child(seed, "language_modelling", "imdb"))]
    end = len(order) - max(1, round(REVIEWS_TO_VALIDATE * len(order)))
    if not end:
        raise DataError(f"one review in {where} cannot both train and validate")
    return {split: "\n".join(part) + "\n" for split, part in zip(SPLITS, (order[:end], order[end:], test), strict=True)}


def _sentences(path: Path) -> str:
    """The sentences of a file of `label sentence` lines, without their labels."""
    lines = []
    for number, line in enumerate(read_lines(path), 1):
        label, _, sentence = line.partition(" ")
        if not label.isdecimal() or not sentence.strip():
            raise DataError(f"{path}:{number}: '{printable(line, 40)}' is not a label (0 or 1), a space and a sentence")
        lines.append(sentence)
    return "\n".join(lines) + "\n"


def _named(files: Mapping[str, Path], name: str) -> Path:
    """A file as it is or packed."""
    return files[name] if name in files else files[f"{name}.gz"]


def _by_name(files: Mapping[str, Path], data: str) -> dict[str, Path]:
    """The file of each split, by a word of its name."""
    found: dict[str, Path] = {}
    for name, path in files.items():
        splits = {_CALLED[word] for word in re.split(r"[\W_]+", Path(name).name.lower()) if word in _CALLED}
        if len(splits) != 1:
            continue
        split = splits.pop()
        if split in found:
            raise DataError(f"{path}: a second file for {split} beside {found[split]}; give one file for each of train, valid and test")
        found[split] = path
    if missing := [split for split in SPLITS if split not in found]:
        folder = next(iter(files.values())).parent
        raise DataError(
            f"{folder}: no file for {listed(missing)} among {printable(', '.join(files), 100)}; "
            f"call them train.txt, valid.txt and test.txt, or give one file, which is then cut ({data})"
        )
    return {split: found[split] for split in SPLITS}
