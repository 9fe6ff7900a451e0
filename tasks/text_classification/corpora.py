"""The public data sets: from their files, in the form of their publishers or another, to labelled texts."""

import csv
import html
import io
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from rnnbench.base.errors import DataError
from rnnbench.task.files import decode, open_archive, read_bytes, read_lines, read_text
from rnnbench.task.imdb import read_reviews
from rnnbench_tasks.text_classification.rows import Row, get_file

Files = Mapping[str, Path]

AG_CLASSES = {"1": "World", "2": "Sports", "3": "Business", "4": "Sci/Tech"}
_SENTIMENTS = {"0": "negative", "1": "positive"}
_GRADES = {"0": "very negative", "1": "negative", "2": "neutral", "3": "positive", "4": "very positive"}
_FOLDERS = {"neg": "negative", "pos": "positive"}
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
# The news lost the & of "&#39;" on their way.
_ENTITY = re.compile(r" ?#(\d{1,5});")


def read_corpus(files: Files, data: str) -> list[Row]:
    """All rows of a named data set, in an order that does not depend on the form of its files.

    Raises:
        DataError: a file is damaged, or not what it should be; the text names the row.
    """
    rows = list(_READERS[data](files))
    if not rows:
        raise DataError(f"data set '{data}': no rows in {', '.join(map(str, files.values()))}")
    return rows


def _imdb(files: Files) -> Iterator[Row]:
    """Reviews by class and number; marked line breaks become line breaks."""
    for review in read_reviews(files):
        yield Row(_BREAK.sub("\n", review.text), _FOLDERS[review.kind], review.split, review.where)


def _sst(files: Files, kind: str, labels: Mapping[str, str]) -> Iterator[Row]:
    """One `label text` a line; the publisher's dev split is the validation split."""
    for split, name in (("train", "train"), ("validation", "dev"), ("test", "test")):
        path = files[f"stsa.{kind}.{name}"]
        for number, line in enumerate(read_lines(path), 1):
            label, space, text = line.partition(" ")
            if not space or label not in labels:
                raise DataError(f"{path}:{number}: must be a number from 0 to {len(labels) - 1}, a space and a text")
            yield Row(text, labels[label], split, f"{path}:{number}")


def _sms(files: Files) -> Iterator[Row]:
    """One `label<tab>text` a line, ham or spam, in the publisher's archive or beside it."""
    if "SMSSpamCollection" in files:
        path = files["SMSSpamCollection"]
        where, text = str(path), read_text(path)
    else:
        path = get_file(files, "sms+spam+collection.zip")
        where = f"{path}, SMSSpamCollection"
        with open_archive(path) as members:
            if "SMSSpamCollection" not in members:
                raise DataError(f"{path}: holds no SMSSpamCollection")
            text = decode(members["SMSSpamCollection"], where)
    for number, line in enumerate(text.removesuffix("\n").split("\n"), 1):
        label, tab, message = line.partition("\t")
        if not tab or label not in ("ham", "spam"):
            raise DataError(f"{where}:{number}: must be ham or spam, a tab and a text")
        yield Row(message, label, "", f"{where}:{number}")


def _ag(files: Files) -> Iterator[Row]:
    """The official files, without a line that names the columns: class, title, description."""
    yield from _ag_rows(get_file(files, "train.csv", "train.csv.gz"), "train")
    yield from _ag_rows(get_file(files, "test.csv", "test.csv.gz"), "test")


def _ag_test(files: Files) -> Iterator[Row]:
    yield from _ag_rows(get_file(files, "test.csv", "test.csv.gz"), "")


def _ag_rows(path: Path, split: str) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(decode(read_bytes(path), str(path)), newline=""), strict=True)
    try:
        for number, fields in enumerate(reader, 1):
            if len(fields) != 3 or fields[0] not in AG_CLASSES:
                raise DataError(f"{path}, row {number}: must be a class from 1 to 4, a title and a description")
            yield Row(clean_news(f"{fields[1]}\n{fields[2]}"), AG_CLASSES[fields[0]], split, f"{path}, row {number}")
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: not a table ({error})") from error


def clean_news(text: str) -> str:
    """The news as they were written: a backslash stands for a line break, and signs are numbers without their &."""
    text = _ENTITY.sub(lambda match: html.unescape(f"&#{match[1]};"), text.replace("\\", "\n"))
    return html.unescape(text)


def _surnames(files: Files) -> Iterator[Row]:
    """One name a line in a file for each nationality."""
    if "data.zip" in files:
        path = files["data.zip"]
        with open_archive(path) as members:
            named = [PurePosixPath(name) for name in members if re.fullmatch(r"data/names/\w+\.txt", name)]
            contents = {name.stem: (f"{path}, {name}", decode(members[str(name)], f"{path}, {name}")) for name in named}
    else:
        contents = {path.stem: (str(path), read_text(path)) for path in files.values()}
    for nationality, (where, text) in sorted(contents.items()):
        for number, name in enumerate(text.removesuffix("\n").split("\n"), 1):
            yield Row(name.strip(), nationality, "", f"{where}:{number}")


_READERS: Mapping[str, Callable[[Files], Iterator[Row]]] = {
    "imdb": _imdb,
    "sst2": lambda files: _sst(files, "binary", _SENTIMENTS),
    "sst5": lambda files: _sst(files, "fine", _GRADES),
    "sms_spam": _sms,
    "ag_news": _ag,
    "ag_news_test": _ag_test,
    "surnames": _surnames,
}
