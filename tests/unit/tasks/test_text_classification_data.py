"""Labelled texts from public sets and people's own files: rows, splits, vocabulary, and one line for whatever cannot be used."""

import gzip
import json
import re
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB

from rnnbench.base.errors import DataError
from rnnbench.base.parameters import Value
from rnnbench.task.catalogue import get_task
from rnnbench.task.module import TaskData
from rnnbench.task.sources import locate
from rnnbench_tasks.text_classification.corpora import clean_news, read_corpus
from rnnbench_tasks.text_classification.opinions import WORDS, draw_opinions
from rnnbench_tasks.text_classification.own import read_own
from rnnbench_tasks.text_classification.preparation import Preparation, sort_classes
from rnnbench_tasks.text_classification.reading import read_rows
from rnnbench_tasks.text_classification.rows import SPLITS, Row
from rnnbench_tasks.text_classification.splitting import assign_splits
from rnnbench_tasks.text_classification.task import check_data, read_data
from tests.unit.tasks.reviews import review_files

CARD = get_task("text_classification")
DEFAULTS: dict[str, Value] = {parameter.name: parameter.default for parameter in CARD.parameters}
EVERY = ("train", "validation", "test")


def own(path: Path) -> dict[str, Path]:
    """As the platform hands over a person's file or folder."""
    if path.is_file():
        return {path.name: path}
    return {found.relative_to(path).as_posix(): found for found in sorted(path.rglob("*")) if found.is_file()}


def read(path: Path, splits: tuple[str, ...] = EVERY, **changes: Value) -> TaskData:
    parameters = DEFAULTS | {"data.min_count": 1} | {f"data.{name}": value for name, value in changes.items()}
    return read_data(own(path), f"path:{path.name}", parameters, splits)


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def table(rows: int = 60) -> str:
    return "text,label\n" + "".join(f"{'good' if n % 2 else 'bad'} text number {n},{'yes' if n % 2 else 'no'}\n" for n in range(rows))


def pairs(rows: list[Row]) -> list[tuple[str, str, str]]:
    return [(row.text, row.label, row.split) for row in rows]


# Public sets, in each of their forms.


def test_reviews_are_the_same_rows_from_the_archive_and_from_tables(tmp_path: Path) -> None:
    from_archive, from_tables = (read_corpus(files, "imdb") for files in review_files(tmp_path))
    assert pairs(from_archive) == pairs(from_tables)
    assert ("Bad. \n\nVery\u0085bad", "negative", "train") in pairs(from_archive)
    assert [row.text for row in from_archive if row.split == "train"] == ["Bad. \n\nVery\u0085bad", "Bad too", "Worse", "Fine", "Worse"]


def test_messages_are_the_same_rows_from_the_archive_and_from_the_file(tmp_path: Path) -> None:
    text = 'ham\tOk lar... "quoted\nspam\tWin\u0085 now\twith a tab\n'
    plain = write(tmp_path / "SMSSpamCollection", text.replace("\n", "\r\n"))
    with zipfile.ZipFile(tmp_path / "sms+spam+collection.zip", "w") as file:
        file.writestr("SMSSpamCollection", text)
        file.writestr("readme", "SMS Spam Collection v.1")
    from_zip = read_corpus({"sms+spam+collection.zip": tmp_path / "sms+spam+collection.zip"}, "sms_spam")
    assert pairs(from_zip) == pairs(read_corpus({plain.name: plain}, "sms_spam"))
    assert pairs(from_zip) == [('Ok lar... "quoted', "ham", ""), ("Win\u0085 now\twith a tab", "spam", "")]


def test_surnames_are_the_same_rows_from_the_archive_and_from_files(tmp_path: Path) -> None:
    names = {"Polish": "Adamczak\n\u0141ukasz", "Arabic": "Khoury\nNahas\n"}
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as file:
        file.writestr("data/eng-fra.txt", "Go.\tVa !")
        for name, text in names.items():
            file.writestr(f"data/names/{name}.txt", text)
    files = {f"{name}.txt": write(tmp_path / f"{name}.txt", text) for name, text in names.items()}
    rows = read_corpus({"data.zip": tmp_path / "data.zip"}, "surnames")
    assert pairs(rows) == pairs(read_corpus(files, "surnames"))
    assert pairs(rows)[0] == ("Khoury", "Arabic", "")
    assert len(rows) == 4


def test_names_are_read_by_characters_unless_asked_otherwise(tmp_path: Path) -> None:
    files = {f"{name}.txt": write(tmp_path / f"{name}.txt", "Anna\nBea\nCem\nDana\nEva") for name in ("Polish", "Arabic")}
    kinds = [read_data(files, "surnames", DEFAULTS | {"data.tokens": asked}, ("train",)).preparation["codec"] for asked in (None, "word")]
    assert [kind["kind"] for kind in kinds if isinstance(kind, dict)] == ["char", "word"]


def test_sentences_have_the_publishers_splits(tmp_path: Path) -> None:
    files = {
        f"stsa.fine.{name}": write(tmp_path / f"stsa.fine.{name}", f"{label} a text ,\u0085 {name}\n")
        for name, label in (("train", 0), ("dev", 2), ("test", 4))
    }
    assert pairs(read_corpus(files, "sst5")) == [
        ("a text ,\u0085 train", "very negative", "train"),
        ("a text ,\u0085 dev", "neutral", "validation"),
        ("a text ,\u0085 test", "very positive", "test"),
    ]


def test_news_are_read_without_a_line_of_names_and_as_they_were_written(tmp_path: Path) -> None:
    path = write(tmp_path / "test.csv", '"3","A ""title""","It #39;s\\a  #36;10 deal &amp; more"\n"2","Sports","1, 2"\n')
    assert pairs(read_corpus({path.name: path}, "ag_news_test")) == [
        ('A "title"\nIt\'s\na $10 deal & more', "Business", ""),
        ("Sports\n1, 2", "Sports", ""),
    ]
    assert clean_news("a#1 b #; c") == "a#1 b #; c"


@pytest.mark.parametrize(
    ("data", "name", "content", "message"),
    [
        ("sst2", "stsa.binary.train", "1 fine\n2 grade two\n", r"train:2: must be a number from 0 to 1, a space and a text"),
        ("sst2", "stsa.binary.train", "1 fine\n\n0 bad", r"train:2: must be a number"),
        ("sst2", "stsa.binary.train", "", r"train: the file is empty"),
        ("sms_spam", "SMSSpamCollection", "ham\tone\neggs\ttwo", r"Collection:2: must be ham or spam, a tab and a text"),
        ("sms_spam", "SMSSpamCollection", b"ham\tone\nham\t\xff", r"Collection:2: not UTF-8 \(byte 0xff\)"),
        ("sms_spam", "sms+spam+collection.zip", b"PK\x03\x04 cut short", r"zip: not a whole archive"),
        ("ag_news_test", "test.csv", '"1","a","b"\n"5","a","b"\n', r"csv, row 2: must be a class from 1 to 4, a title and a description"),
        ("ag_news_test", "test.csv", '"1","a","b"\n"2","a"\n', r"csv, row 2: must be a class"),
        ("ag_news_test", "test.csv", '"1","a","b\n', r"csv:1: not a table"),
        ("ag_news_test", "test.csv.gz", b"\x1f\x8b\x08\x00cut", r"gz: not a whole gzip file"),
        ("imdb", "aclImdb_v1.tar.gz", b"\x1f\x8b\x08\x00cut", r"gz: not a whole archive"),
    ],
)
def test_a_damaged_public_file_is_one_line_with_its_row(tmp_path: Path, data: str, name: str, content: str | bytes, message: str) -> None:
    files = {name: write(tmp_path / name, content)}
    if data == "sst2":
        files |= {f"stsa.binary.{part}": write(tmp_path / f"stsa.binary.{part}", "1 fine\n0 bad\n") for part in ("dev", "test")}
    with pytest.raises(DataError, match=message) as raised:
        read_data(files, data, DEFAULTS, ("train",))
    assert "\n" not in str(raised.value)


def test_an_archive_without_its_reviews_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "aclImdb_v1.tar.gz", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("aclImdb/README"))
    with pytest.raises(DataError, match="data set 'imdb': no rows in"):
        read_corpus({"aclImdb_v1.tar.gz": tmp_path / "aclImdb_v1.tar.gz"}, "imdb")


# A person's own files.


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("own.csv", 'text,label\n"good, said ""he""",yes\nbad,no\n'),
        ("own.csv", 'label;more;text\nyes;1;good, said "he"\nno;2;bad\n'.replace('good, said "he"', '"good, said ""he"""')),
        ("own.tsv", 'label\ttext\nyes\t"good, said ""he"""\nno\tbad\n'),
        ("own.jsonl", '{"text": "good, said \\"he\\"", "label": "yes"}\n\n{"label": "no", "text": "bad", "id": 7}\n'),
        ("own.txt", '__label__yes good, said "he"\n__label__no bad\n'),
        ("own.txt", 'yes\tgood, said "he"\nno\tbad'),
        ("own.txt", '\ufeffyes good, said "he"\r\nno bad\r\n'),
    ],
)
def test_every_kind_of_file_gives_the_same_rows(tmp_path: Path, name: str, content: str) -> None:
    path = write(tmp_path / name, content)
    assert pairs(read_own(own(path), DEFAULTS)) == [('good, said "he"', "yes", ""), ("bad", "no", "")]
    loud = path.rename(tmp_path / name.upper())
    assert pairs(read_own(own(loud), DEFAULTS)) == [('good, said "he"', "yes", ""), ("bad", "no", "")]
    path = loud
    zipped = tmp_path / f"{name}.gz"
    zipped.write_bytes(gzip.compress(path.read_bytes()))
    assert pairs(read_own(own(zipped), DEFAULTS)) == [('good, said "he"', "yes", ""), ("bad", "no", "")]


def test_columns_are_those_that_the_parameters_name(tmp_path: Path) -> None:
    path = write(tmp_path / "own.csv", "review,stars,text\nfine,5,x\nbad,1,y\n")
    rows = read_own(own(path), DEFAULTS | {"data.text_column": "review", "data.label_column": "stars"})
    assert pairs(rows) == [("fine", "5", ""), ("bad", "1", "")]


def test_labels_of_json_may_be_numbers_or_truths(tmp_path: Path) -> None:
    path = write(tmp_path / "own.jsonl", '{"text": "a", "label": 10}\n{"text": "b", "label": 9}\n{"text": "c", "label": true}')
    assert [row.label for row in read_own(own(path), DEFAULTS)] == ["10", "9", "true"]


def test_a_folder_for_each_class_with_and_without_splits(tmp_path: Path) -> None:
    for place, text in (("yes/1.txt", "good\nline"), ("no/1.txt", ""), ("no/2.TXT", "bad"), ("notes.md", "not a text")):
        write(tmp_path / "plain" / place, text)
        write(tmp_path / "split" / ("train" if "1" in place else "test") / place, text)
    assert pairs(read_own(own(tmp_path / "plain"), DEFAULTS)) == [("", "no", ""), ("bad", "no", ""), ("good\nline", "yes", "")]
    assert pairs(read_own(own(tmp_path / "split"), DEFAULTS)) == [
        ("bad", "no", "test"),
        ("", "no", "train"),
        ("good\nline", "yes", "train"),
    ]


def test_a_folder_of_tables_by_split(tmp_path: Path) -> None:
    for name, text in (("train.csv", "a"), ("dev.jsonl", "b"), ("test.csv", "c"), ("README.md", "d")):
        content = f"text,label\n{text},yes\n" if name.endswith("csv") else json.dumps({"text": text, "label": "no"})
        write(tmp_path / name, content)
    assert sorted(pairs(read_own(own(tmp_path), DEFAULTS))) == [("a", "yes", "train"), ("b", "no", "validation"), ("c", "yes", "test")]


def test_a_column_of_splits_is_honoured_in_any_spelling(tmp_path: Path) -> None:
    lines = [f"text {n} {'good' if n % 2 else 'bad'},{n % 2},{['Train', 'train', 'DEV', 'test'][n % 4]}" for n in range(40)]
    path = write(tmp_path / "own.csv", "text,label,split\n" + "\n".join(lines))
    data = read(path)
    assert [len(data.splits[name]) for name in EVERY] == [20, 10, 10]
    assert data.facts["splits"] == "as the data say"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("own.csv", "", "own.csv: the file is empty"),
        ("own.csv", "text,label\n", "own.csv: no rows below the line that names the columns"),
        (
            "own.csv",
            "text,lable\na,yes\n",
            "own.csv, row 1: no column 'label'; did you mean 'lable'?; set data.label_column to one of text, lable",
        ),
        ("own.csv", "text,label\na,yes\nb\n", "own.csv:3: 1 fields, but 2 columns: text, label"),
        ("own.csv", "text,label\na,yes\nb,yes\n", "own.csv, row 1: all 2 rows have the label 'yes'; a classifier needs two classes"),
        ("own.csv", "text,label\na,yes\nb,\n", "own.csv, row 2: no label; give it one, or leave the row out"),
        ("own.jsonl", '{"text": "a", "label": "x"}\n{"text": "b", "label": null}', "own.jsonl, row 2: no label"),
        ("own.jsonl", '{"text": "a", "label": "x"}\n{"text": "b\\ud83d", "label": "y"}', "own.jsonl, row 2: half of a character"),
        ("own.jsonl", '{"text": "a", "label": "x"}\n{"text": ', "own.jsonl:2: not JSON"),
        ("own.csv", "text,label\na,yes\nb,no\n", "own.csv, row 1: 2 different texts cannot be split into train, validation, test"),
        ("own.csv", "text,label\n" + "same,yes\nSame ,no\n" * 9, "own.csv, row 1: 1 different texts cannot be split"),
        ("own.csv", "text,label\n" + "".join(f"a{n},{n / 7}\n" for n in range(9)), "own.csv, row 1: 9 different labels in 9 rows"),
        (
            "own.csv",
            "text,label,split\na,yes,train\nb,no,fold1\n",
            "own.csv, row 2: its split is 'fold1', must be one of train, validation, test",
        ),
        ("own.csv", "text,label,split\na,yes,test\nb,no,test\n", "own.csv, row 1: no row is in the train split; there are test"),
        ("own.csv", b"text,label\na,yes\nb\xe9,no\n", "own.csv:3: not UTF-8 (byte 0xe9)"),
        ("own.csv", "text,label\n" + "?,yes\n!,no\n..,yes\n" * 9, "no token of the training texts occurs 99 times; lower data.min_count"),
        ("own.txt", "yes good\nlonely\n", "own.txt:2: 'lonely' must be a label, a tab or space, and a text"),
        ("own.txt", "__label__a __label__b text\n", "own.txt:1: has several labels"),
        ("own.doc", "text,label\n", "own.doc: not a file that this task reads"),
    ],
)
def test_bad_own_data_is_one_line_with_file_and_row(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    path = write(tmp_path / name, content)
    with pytest.raises(DataError, match=re.escape(message)) as raised:
        read(path, min_count=99 if "99" in message else 1)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_one_column_cannot_be_text_and_label(tmp_path: Path) -> None:
    path = write(tmp_path / "own.csv", table())
    with pytest.raises(DataError, match=r"data\.text_column and data\.label_column are both 'text'"):
        read(path, label_column="text")


@pytest.mark.parametrize(
    ("places", "message"),
    [
        (("yes/a.txt", "train/no/b.txt"), "do not lie equally deep"),
        (("folds/yes/a.txt", "folds/no/b.txt"), "must lie in a class's folder"),
        (("train/a.txt", "test/b.txt"), "is the name of a split, and must have a folder for each class"),
        (("a/b/c/d.txt",), "must lie in a class's folder"),
        (("one.csv", "two.csv"), "no rows; what can be read is"),
        (("train.csv", "training.csv"), "is the train split already"),
    ],
)
def test_a_folder_of_another_layout_is_refused(tmp_path: Path, places: tuple[str, ...], message: str) -> None:
    for place in places:
        write(tmp_path / place, "text,label\na,b\n")
    with pytest.raises(DataError, match=re.escape(message)) as raised:
        read_own(own(tmp_path), DEFAULTS)
    assert str(tmp_path) in str(raised.value)


# Splits.


def rows_of(texts: list[str], split: str = "") -> list[Row]:
    return [Row(text, "yes" if len(text) % 2 else "no", split, f"row {number}") for number, text in enumerate(texts)]


@given(
    st.lists(st.sampled_from(["a", "A ", " a", "bb", "b b", "ccc", "dd", "e", "f f", "F  f", "g", "hh"]), min_size=20, max_size=60),
    st.integers(0, 9),
)
def test_every_row_is_in_one_split_and_equal_texts_are_in_the_same(texts: list[str], seed: int) -> None:
    rows = rows_of(texts)
    if len({row.key() for row in rows}) < len(SPLITS):
        return
    splits, _ = assign_splits(rows, seed)
    assert sorted(number for numbers in splits.values() for number in numbers) == list(range(len(rows)))
    keys = [{rows[number].key() for number in splits[name]} for name in SPLITS]
    assert all(keys)
    assert not keys[0] & keys[1]
    assert not keys[0] & keys[2]
    assert not keys[1] & keys[2]


def test_drawn_splits_have_their_sizes_and_each_class_its_share() -> None:
    rows = [Row(f"text {n}", "rare" if n % 10 == 0 else "common", "", "") for n in range(1000)]
    splits, how = assign_splits(rows, 3)
    assert [len(splits[name]) for name in SPLITS] == [800, 100, 100]
    assert [sum(rows[number].label == "rare" for number in splits[name]) for name in SPLITS] == [80, 10, 10]
    assert how == "drawn by data.seed, train 0.8, validation 0.1, test 0.1"
    assert assign_splits(rows, 4)[0] != splits
    assert assign_splits(rows, 3)[0] == splits


def test_a_split_that_the_data_have_is_kept_and_a_missing_one_comes_from_the_training_rows() -> None:
    rows = [Row(f"text {n}", "ab"[n % 2], "train" if n < 200 else "test", "") for n in range(260)]
    splits, how = assign_splits(rows, 0)
    assert list(splits["test"]) == list(range(200, 260))
    assert [len(splits[name]) for name in ("train", "validation")] == [180, 20]
    assert how == "as the data say, validation drawn by data.seed: a tenth of the training rows"
    alone = [Row(row.text, row.label, "train", "") for row in rows[:200]]
    assert [len(assign_splits(alone, 0)[0][name]) for name in SPLITS] == [160, 20, 20]


def test_smaller_parts_of_the_training_rows_lie_in_larger_ones_and_leave_the_rest_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "own.csv", table(200))
    whole = read(path)
    texts = {}
    for fraction in (0.1, 0.3, 1.0):
        data = read(path, train_fraction=fraction)
        codec = Preparation.from_plain(data.preparation).codec
        batch = data.splits["train"]
        assert batch.lengths is not None
        texts[fraction] = {codec.decode(row[:length]) for row, length in zip(batch.inputs.tolist(), batch.lengths.tolist(), strict=True)}
        assert data.splits["train"].targets.bincount().tolist() == [80 * fraction, 80 * fraction]
        assert torch.equal(data.splits["test"].targets, whole.splits["test"].targets)
    assert texts[0.1] < texts[0.3] < texts[1.0]


# From texts to numbers.


def test_the_vocabulary_is_that_of_the_training_texts_alone(tmp_path: Path) -> None:
    lines = [f"word{n % 5} {'good' if n % 2 else 'bad'},{n % 2},train" for n in range(30)]
    others = [f"unseen{n},{n % 2},{split}" for n in range(6) for split in ("validation", "test")]
    alone = read(write(tmp_path / "one.csv", "\n".join(["text,label,split", *lines, "good,1,validation", "bad,0,test"])))
    other = read(write(tmp_path / "two.csv", "\n".join(["text,label,split", *lines, *others])))
    assert alone.preparation == other.preparation
    assert other.facts["validation unknown tokens"] == 1.0
    assert alone.facts["validation unknown tokens"] == 0.0


def test_the_vocabulary_is_that_of_the_part_that_is_trained_on(tmp_path: Path) -> None:
    path = write(tmp_path / "own.csv", table(400))
    assert read(path, train_fraction=0.1).input_size < read(path).input_size


@pytest.mark.parametrize(("keep", "expected"), [("first", "a b c d"), ("last", "d e f g"), ("both_ends", "a b f g")])
def test_a_long_text_keeps_the_tokens_that_are_asked_for(tmp_path: Path, keep: str, expected: str) -> None:
    path = write(tmp_path / "own.csv", "text,label,split\n" + "a b c d e f g,yes,train\nx,no,train\nx,no,validation\nx,no,test\n")
    data = read(path, max_tokens=4, keep=keep)
    codec = Preparation.from_plain(data.preparation).codec
    assert codec.decode(data.splits["train"].inputs[0].tolist()) == expected
    assert data.facts["train texts cut"] == 1


@given(st.lists(st.integers(), max_size=12), st.integers(1, 12), st.sampled_from(["first", "last", "both_ends"]))
def test_what_stays_of_a_text_is_its_start_and_its_end(row: list[int], max_tokens: int, keep: str) -> None:
    codec = Preparation.learn(["a a"], ("x", "y"), DEFAULTS, "").codec
    kept = Preparation(codec, ("x", "y"), max_tokens, keep).shorten(row)
    half = {"first": max_tokens, "last": 0, "both_ends": -(-max_tokens // 2)}[keep]
    assert len(kept) == min(len(row), max_tokens)
    if len(row) > max_tokens:
        assert kept == row[:half] + (row[half - max_tokens :] if half < max_tokens else [])


def test_classes_that_are_numbers_are_in_the_order_of_numbers() -> None:
    assert sort_classes(["10", "9", "-1", "9"]) == ["-1", "9", "10"]
    assert sort_classes(["10", "9", "nan"]) == ["10", "9", "nan"]


def test_a_class_that_only_the_test_split_has_is_a_class_all_the_same(tmp_path: Path) -> None:
    path = write(tmp_path / "own.csv", "text,label,split\na,x,train\nb,y,train\na,x,validation\nc,z,test\n")
    assert read(path, ("train",)).output_size == 3


# The generated set.


def test_the_label_of_an_opinion_is_what_is_said_of_the_thing_that_matters() -> None:
    for row in draw_opinions(5):
        matter = re.match(r"(?:we came for the|what matters is the|all we want is a good|tell me about the) (\w+) ", row.text)
        assert matter is not None
        said = re.search(
            rf"the {matter[1]} (?:was|seemed|felt|wasn't)(?! [.:])( not| never| hardly)?(?: very| really| quite| so)? (\w+)",
            row.text[matter.end() :],
        )
        assert said is not None, row.text
        negated = said[1] is not None or "wasn't" in said[0]
        assert (said[2] in WORDS["positive"]) != negated if row.label == "positive" else (said[2] in WORDS["positive"]) == negated


def test_opinions_are_all_different_and_counting_words_does_not_tell_them_apart() -> None:
    rows = draw_opinions(1)
    assert len({row.key() for row in rows}) == len(rows) == 4000
    part = {name: [row for row in rows if row.split == name] for name in SPLITS}
    counter = CountVectorizer()
    model = MultinomialNB().fit(counter.fit_transform([row.text for row in part["train"]]), [row.label for row in part["train"]])
    # Chance is 0.5; three standard errors of 1000 rows are 0.047.
    tested = [*part["validation"], *part["test"]]
    assert model.score(counter.transform([row.text for row in tested]), [row.label for row in tested]) < 0.56


# What is worth knowing before training.


def findings(path: Path, **changes: Value) -> list[str]:
    parameters = DEFAULTS | {"data.min_count": 1} | {f"data.{name}": value for name, value in changes.items()}
    return check_data(own(path), f"path:{path.name}", parameters)


def test_good_data_have_nothing_but_their_classes_to_tell(tmp_path: Path) -> None:
    rows = [f"some words that are said {'well' if n % 3 else 'badly'} {'abcdefgh'[n % 8] * (n // 8 + 1)},{n % 3 > 0}" for n in range(90)]
    path = write(tmp_path / "own.csv", "text,label\n" + "\n".join(rows))
    assert findings(path, tokens="char") == ["2 classes: True 60, False 30"]


def test_everything_odd_is_found_and_counted(tmp_path: Path) -> None:
    rows = [("plain text", "a", "train")] * 2 + [(f"text {n}", "a", "train") for n in range(30)]
    rows += [
        ("text 1", "a", "test"),
        ("TEXT  2", "b", "test"),
        ("", "b", "train"),
        ("bro\ufffdken", "b", "train"),
        ("caf\u00c3\u00a9", "b", "train"),
    ]
    rows += [
        ("a<br />b", "b", "train"),
        ("x\u0085y", "b", "train"),
        ("x\u2028w", "b", "train"),
        ("\u200bz", "c", "test"),
        ("unheard", "a", "validation"),
    ]
    path = write(
        tmp_path / "own.jsonl", "\n".join(json.dumps({"text": text, "label": label, "split": split}) for text, label, split in rows)
    )
    found = findings(path, max_tokens=1)
    expected = [
        "3 classes: a 34, b 7, c 1",
        "class 'b' has 7 rows: too few to learn or to test it",
        "class 'c' has 1 row: too few to learn or to test it",
        "the train split has no row of c",
        "the validation split holds one class only, 'a'",
        "1 row of the train split: a text that it has already, but for case and white space",
        "2 texts in both the train and the test split: what is tested was seen",
        f"1 text with several labels, e.g. 'text 2' ({path}, row 5)",
        f"1 text without anything in it (the first: {path}, row 35)",
        f"1 text with U+FFFD, which stands for what an earlier program could not read (the first: {path}, row 36)",
        f"1 text that looks like UTF-8 read as Latin-1 (the first: {path}, row 37)",
        f"1 text with markup such as <br /> (the first: {path}, row 38)",
        f"1 text with a zero-width sign or byte order mark (the first: {path}, row 41)",
        f"1 text with U+0085, which some programs take for the end of a line (the first: {path}, row 39)",
        f"1 text with U+2028, which some programs take for the end of a line (the first: {path}, row 40)",
        "100.0% of the tokens of the validation split are unknown: try data.tokens subword, or a larger data.vocabulary_size",
    ]
    assert [line for line in expected if line not in found] == []
    assert any(line.endswith("of the train split are cut: longer than data.max_tokens = 1") for line in found)


def test_classes_that_differ_in_spelling_alone_and_many_rare_ones_are_told(tmp_path: Path) -> None:
    labels = ["Good", "good", "1", "1.0", "2", *(f"rare {number}" for number in range(11))]
    rows = [(f"text {row} of {label}", label) for label in labels for row in range(3 if label.startswith("rare") else 10)]
    found = findings(write(tmp_path / "own.csv", "text,label\n" + "".join(f"{text},{label}\n" for text, label in rows)))
    assert "classes 'Good', 'good' differ in spelling alone: are they one?" in found
    assert "classes '1', '1.0' differ in spelling alone: are they one?" in found
    assert "11 classes have fewer than 10 rows: too few to learn or to test them" in found
    assert len([line for line in found if "spelling" in line or "too few" in line]) == 3


def test_files_of_a_folder_that_are_passed_over_are_told(tmp_path: Path) -> None:
    for row in range(20):
        write(tmp_path / "folder" / ("yes", "no")[row % 2] / f"{row}.txt", f"text {row}")
    assert not [line for line in findings(tmp_path / "folder") if "not read" in line]
    for name in ("README.md", "yes/more.text", "yes/z.doc", "yes/z.pdf"):
        write(tmp_path / "folder" / name, "x")
    assert "4 files of the folder not read: README.md, yes/more.text, yes/z.doc and 1 more" in findings(tmp_path / "folder")
    for name in ("train.csv", "test.csv", "train_more.csv"):
        write(tmp_path / "tables" / name, "text,label\n" + "".join(f"{name} {row},{row % 2}\n" for row in range(20)))
    assert "1 file of the folder not read: train_more.csv" in findings(tmp_path / "tables")


def test_rows_that_are_sorted_by_label_and_one_sided_labels_are_told(tmp_path: Path) -> None:
    path = write(tmp_path / "own.csv", "text,label\n" + "".join(f"text {n},{'rare' if n >= 95 else 'common'}\n" for n in range(100)))
    found = findings(path)
    assert any(line.startswith("the rows are sorted by label") for line in found)
    assert "95.0% of the rows are 'common': look at macro F1 beside accuracy" in found
    mixed = write(tmp_path / "mixed.csv", table(100))
    assert not any("sorted" in line for line in findings(mixed))


# Real data, where they are at hand.


@pytest.mark.parametrize(
    ("data", "sizes", "classes"),
    [("sst2", (6920, 872, 1821), 2), ("sst5", (8544, 1101, 2210), 5), ("ag_news_test", (6000, 800, 800), 4)],
)
def test_real_sets_have_the_published_sizes(data: str, sizes: tuple[int, ...], classes: int, data_home: Path) -> None:
    corpus = read_rows(locate(CARD, data, data_home), data, DEFAULTS)
    assert tuple(len(corpus.splits[name]) for name in SPLITS) == sizes
    assert len({row.label for row in corpus.rows}) == classes


def test_messages_and_names_come_whole_and_equal_texts_stay_together(data_home: Path) -> None:
    for data, counts in (("sms_spam", {"ham": 4827, "spam": 747}), ("surnames", {"Russian": 9384, "Vietnamese": 73})):
        corpus = read_rows(locate(CARD, data, data_home), data, DEFAULTS)
        found = Counter(row.label for row in corpus.rows)
        assert {label: found[label] for label in counts} == counts
        keys = {name: {corpus.rows[number].key() for number in corpus.splits[name]} for name in SPLITS}
        assert not keys["test"] & (keys["train"] | keys["validation"])
        assert not keys["validation"] & keys["train"]


@pytest.mark.slow
def test_reviews_come_whole_with_their_line_ends(data_home: Path) -> None:
    corpus = read_rows(locate(CARD, "imdb", data_home), "imdb", DEFAULTS)
    assert Counter((row.split, row.label) for row in corpus.rows) == {
        (split, label): 12500 for split in ("train", "test") for label in ("negative", "positive")
    }
    assert any("\u0085" in row.text for row in corpus.rows)
    assert not any("<br" in row.text for row in corpus.rows)


@pytest.mark.slow
@pytest.mark.parametrize("data", ["opinions", "imdb", "sst2", "sst5", "sms_spam", "ag_news_test", "surnames"])
def test_the_floors_of_the_card_are_what_naive_bayes_reaches_on_the_test_split(data: str, data_home: Path) -> None:
    floor = CARD.data[data].floor
    assert floor is not None
    files = {} if CARD.data[data].embedded else locate(CARD, data, data_home)
    corpus = read_rows(files, data, DEFAULTS)
    (texts, labels), (tested, truth) = (
        ([corpus.rows[number].text for number in corpus.splits[name]], [corpus.rows[number].label for number in corpus.splits[name]])
        for name in ("train", "test")
    )
    counter = CountVectorizer(analyzer="char_wb", ngram_range=(1, 3)) if "characters" in floor.baseline else CountVectorizer()
    model = MultinomialNB().fit(counter.fit_transform(texts), labels)
    assert model.score(counter.transform(tested), truth) == pytest.approx(floor.value, abs=0.0005)
