"""What a careful person would want to know of labelled texts before training on them, one line each."""

import itertools
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rnnbench.base.names import printable
from rnnbench.task.files import is_number
from rnnbench.task.text import PAD, UNKNOWN
from rnnbench_tasks.text_classification.preparation import Preparation
from rnnbench_tasks.text_classification.reading import Corpus
from rnnbench_tasks.text_classification.rows import SPLITS, Row

# Some programs take these for the end of a line, and cut a text in two.
LINE_ENDS = {
    "\r": "a carriage return", "\v": "U+000B", "\f": "U+000C", "\x1c": "U+001C", "\x1d": "U+001D", "\x1e": "U+001E", "\x85": "U+0085",
    "\u2028": "U+2028", "\u2029": "U+2029",
}  # fmt: skip
# UTF-8 that was read as Latin-1 or Windows-1252 and written again: A or a with a sign on it, then what stood for a second byte.
_TWICE_ENCODED = re.compile("[\u00c2\u00c3][\u0080-\u00bf]|\u00e2\u20ac|\u00e2[\u0080-\u009f]")
# What stands behind the file's name where a row is from.
_PLACE_IN_FILE = re.compile(r"(, row \d+|:\d+)$")
_MARKUP = re.compile(r"</?[a-zA-Z][^<>]*>")
# Above these shares or below these counts a number is worth a line.
SHOWN, MANY_RARE = 3, 10
RARE_ROWS, MUCH_UNKNOWN, MANY_CUT, ONE_SIDED = 10, 0.1, 0.25, 0.9


def check_rows(corpus: Corpus, prepared: Preparation) -> list[str]:
    """Findings about the rows, their classes, splits and characters."""
    rows = corpus.rows
    parts = {name: [rows[number] for number in corpus.splits[name]] for name in SPLITS}
    return [*_about_classes(rows, parts), *_about_copies(rows, parts), *_about_characters(rows), *_about_tokens(parts, prepared)]


def check_files(files: Mapping[str, Path], rows: Sequence[Row]) -> list[str]:
    """Whether files of a person's own folder were passed over."""
    read = {_PLACE_IN_FILE.sub("", row.where) for row in rows}
    if passed := [name for name, path in files.items() if str(path) not in read]:
        more = f" and {len(passed) - SHOWN} more" if len(passed) > SHOWN else ""
        return [f"{_count(len(passed), 'file')} of the folder not read: {', '.join(map(printable, passed[:SHOWN]))}{more}"]
    return []


def _about_classes(rows: Sequence[Row], parts: Mapping[str, Sequence[Row]]) -> list[str]:
    counts = Counter(row.label for row in rows)
    listed = ", ".join(f"{printable(label, 40)} {count}" for label, count in counts.most_common(20))
    found = [f"{len(counts)} classes: {listed}{' and so on' if len(counts) > 20 else ''}"]
    runs = 1 + sum(one.label != other.label for one, other in itertools.pairwise(rows))
    by_split = len({(row.split, row.label) for row in rows})
    if runs <= by_split and len(rows) > len(counts):
        found.append("the rows are sorted by label: a part from the start or end is one-sided; splits and batches here are drawn at random")
    label, most = counts.most_common(1)[0]
    spellings: dict[str, list[str]] = {}
    for name in counts:
        spellings.setdefault(_as_meant(name), []).append(name)
    found += [
        f"classes {', '.join(map(repr, map(printable, names)))} differ in spelling alone: are they one?"
        for names in spellings.values()
        if len(names) > 1
    ]
    if most > ONE_SIDED * len(rows):
        found.append(f"{most / len(rows):.1%} of the rows are '{printable(label)}': look at macro F1 beside accuracy")
    rare = {label: count for label, count in counts.items() if count < RARE_ROWS}
    if len(rare) > MANY_RARE:
        found.append(f"{len(rare)} classes have fewer than {RARE_ROWS} rows: too few to learn or to test them")
    else:
        found += [f"class '{printable(label)}' has {_count(count, 'row')}: too few to learn or to test it" for label, count in rare.items()]
    for name, part in parts.items():
        there = {row.label for row in part}
        if len(there) == 1:
            found.append(f"the {name} split holds one class only, '{printable(part[0].label)}'")
        elif missing := sorted(set(counts) - there):
            found.append(f"the {name} split has no row of {', '.join(map(printable, missing))}")
    return found


def _about_copies(rows: Sequence[Row], parts: Mapping[str, Sequence[Row]]) -> list[str]:
    found = []
    texts = {name: Counter(row.key() for row in part) for name, part in parts.items()}
    for name, counted in texts.items():
        if repeated := counted.total() - len(counted):
            found.append(f"{_count(repeated, 'row')} of the {name} split: a text that it has already, but for case and white space")
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        if shared := len(texts[one].keys() & texts[other].keys()):
            found.append(f"{_count(shared, 'text')} in both the {one} and the {other} split: what is tested was seen")
    labels: dict[str, set[str]] = {}
    for row in rows:
        labels.setdefault(row.key(), set()).add(row.label)
    if torn := sum(len(names) > 1 for names in labels.values()):
        example = next(row for row in rows if len(labels[row.key()]) > 1)
        found.append(f"{_count(torn, 'text')} with several labels, e.g. '{printable(example.text, 40)}' ({example.where})")
    return found


def _about_characters(rows: Sequence[Row]) -> list[str]:
    tests: dict[str, Callable[[str], bool]] = {
        "without anything in it": lambda text: not text.strip(),
        "with U+FFFD, which stands for what an earlier program could not read": lambda text: "\ufffd" in text,
        "that looks like UTF-8 read as Latin-1": lambda text: _TWICE_ENCODED.search(text) is not None,
        "with markup such as <br />": lambda text: _MARKUP.search(text) is not None,
        "with a zero-width sign or byte order mark": lambda text: any(sign in text for sign in "\ufeff\u200b\u2060"),
        **{f"with {name}, which some programs take for the end of a line": _holder(sign) for sign, name in LINE_ENDS.items()},
    }
    found = []
    for words, test in tests.items():
        hits = [row for row in rows if test(row.text)]
        if hits:
            found.append(f"{_count(len(hits), 'text')} {words} (the first: {hits[0].where})")
    return found


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _as_meant(label: str) -> str:
    """The same for Yes and yes, and for 1 and 1.0."""
    return f"{float(label):g}" if is_number(label) else " ".join(label.casefold().split())


def _holder(sign: str) -> Callable[[str], bool]:
    return lambda text: sign in text


def _about_tokens(parts: Mapping[str, Sequence[Row]], prepared: Preparation) -> list[str]:
    found = []
    for name, part in parts.items():
        inputs, _, num_cut = prepared.encode([row.text for row in part])
        if num_cut > MANY_CUT * len(part):
            found.append(f"{num_cut} of {len(part)} texts of the {name} split are cut: longer than data.max_tokens = {prepared.max_tokens}")
        unknown = int((inputs == UNKNOWN).sum()) / int((inputs != PAD).sum())
        if unknown > MUCH_UNKNOWN:
            words = f"{unknown:.1%} of the tokens of the {name} split are unknown"
            found.append(f"{words}: try data.tokens subword, or a larger data.vocabulary_size")
    return found
