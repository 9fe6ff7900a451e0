"""Sentence pairs: generated dates, Multi30k, a person's own files, and what is wrong with them."""

import gzip
import re
from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from rnnbench.base.errors import DataError
from rnnbench.base.parameters import Value
from rnnbench.task.sources import locate
from rnnbench.task.text import UNKNOWN
from rnnbench_tasks.machine_translation.corpora import read_own
from rnnbench_tasks.machine_translation.dates import (
    FIRST,
    LAST,
    MONTHS,
    ROWS,
    WEEKDAYS,
    draw_dates,
    ordinal,
    ordinal_in_words,
    write_date,
    year_in_words,
)
from rnnbench_tasks.machine_translation.pairs import Codecs, Pairs, read_corpus, read_data
from rnnbench_tasks.machine_translation.task import baselines, check_data
from tests.unit.tasks.toy_translation import CARD, PAIRS, SPLITS, parameters, read_toy

# A reader of dates that knows nothing of the writer: the standard library's for digits, and plain tables of words.
UNITS = [
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen",
    "sixteen", "seventeen", "eighteen", "nineteen",
]  # fmt: skip
TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
NUMBERS = {**{word: number for number, word in enumerate(UNITS, 1)}, **TENS}
NUMBERS |= {f"{ten}-{unit}": TENS[ten] + NUMBERS[unit] for ten in TENS for unit in UNITS[:9]}
NTHS = [
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth", "thirteenth",
    "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth", "twentieth", "twenty-first", "twenty-second",
    "twenty-third", "twenty-fourth", "twenty-fifth", "twenty-sixth", "twenty-seventh", "twenty-eighth", "twenty-ninth", "thirtieth",
    "thirty-first",
]  # fmt: skip


def read_date(text: str) -> tuple[date, str]:
    """The day, and the weekday that the text names, `` where it names none."""
    words = re.sub(r",|\bthe\b|\bof\b", " ", text.lower()).split()
    named = words.pop(0) if words[0][:3] in ("mon", "tue", "wed", "thu", "fri", "sat", "sun") else ""
    month = next(word for word in words if re.match("jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec", word))
    place = words.index(month)
    # The year is what has four digits, or comes last.
    year = next((word for word in words if re.fullmatch(r"\d{4}", word)), " ".join(words[place + 1 + (place == 0) :]))
    day = next(word for word in words if word not in (year, month) and (word[0].isdigit() or word in NTHS))
    digits = str(NTHS.index(day) + 1) if day in NTHS else re.sub(r"st|nd|rd|th", "", day)
    number = year if year.isdigit() else str(read_year(year))
    return datetime.strptime(f"{digits} {month[:3]} {number}", "%d %b %Y").date(), named  # noqa: DTZ007 - a day has no zone


def read_year(words: str) -> int:
    if " thousand" in words:
        thousands, _, rest = words.partition(" thousand")
        return 1000 * NUMBERS[thousands] + NUMBERS.get(rest.removeprefix(" and "), 0)
    head, rest = words.split(" ", 1)
    return 100 * NUMBERS[head] + (0 if rest == "hundred" else NUMBERS[rest.removeprefix("oh ")])


def test_dates_are_read_back_by_the_standard_library() -> None:
    seen: Counter[int] = Counter()
    for split in SPLITS:
        for text, iso in draw_dates(3, split):
            day, weekday = read_date(text)
            assert day.isoformat() == iso, text
            assert not weekday or day.strftime("%A").lower().startswith(weekday), text
            seen[day.month] += 1
    # Every month as often as its days, to five standard errors.
    total = sum(seen.values())
    for month in range(1, 13):
        share = sum((FIRST + timedelta(n)).month == month for n in range((LAST - FIRST).days + 1)) / ((LAST - FIRST).days + 1)
        assert abs(seen[month] - share * total) < 5 * np.sqrt(share * (1 - share) * total)


def test_no_day_is_in_two_splits_or_twice_in_one() -> None:
    days = [iso for split in SPLITS for _, iso in draw_dates(0, split)]
    assert len(days) == len(set(days)) == sum(ROWS.values())
    assert draw_dates(0, "test") != draw_dates(1, "test")


def test_numbers_and_years_are_said_as_people_say_them() -> None:
    assert [ordinal(n) for n in range(1, 32)] == [
        f"{n}{'th' if 10 < n < 14 else {1: 'st', 2: 'nd', 3: 'rd'}.get(n % 10, 'th')}" for n in range(1, 32)
    ]
    assert [ordinal_in_words(n) for n in range(1, 32)] == NTHS
    said = [year_in_words(year) for year in range(FIRST.year, LAST.year + 1)]
    assert [read_year(words) for words in said] == list(range(FIRST.year, LAST.year + 1))
    assert said[0] == "nineteen hundred"
    assert said[105:111:5] == ["two thousand and five", "twenty ten"]


def test_every_way_to_write_a_date_occurs() -> None:
    random = np.random.default_rng(0)
    texts = [write_date(date(1998, 5, 3), random) for _ in range(10_000)]
    wanted = ["3 May 1998", "the third of May 1998", "May 3rd, 1998", "Sunday, May 3, 1998", "sun, 3 may 1998", "MAY THE 3RD, 1998"]
    wanted += ["1998, May 3", "03 May 1998", "the third of May nineteen ninety-eight"]
    assert set(wanted) <= set(texts)
    assert len({*MONTHS}) == 12
    assert len({*WEEKDAYS}) == 7


def own(folder: Path, files: Mapping[str, str], **changes: Value) -> dict[str, list[tuple[str, str]]]:
    paths = {}
    for name, text in files.items():
        paths[name] = folder / name
        paths[name].parent.mkdir(parents=True, exist_ok=True)
        paths[name].write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    corpus = read_corpus(paths, "path:own", parameters(**changes))
    return {name: list(pairs) for name, pairs in corpus.splits.items()}


LINES = ["\n".join(f"{word} {n}" for n in range(30)) + "\n" for word in ("one", "eins")]
EXPECTED = {(f"one {n}", f"eins {n}") for n in range(30)}


@pytest.mark.parametrize(
    "files",
    [
        {"source.txt": LINES[0], "target.txt": LINES[1]},
        {"corpus.source": LINES[0], "corpus.target": LINES[1], "README.md": "words"},
        {"data/corpus.source.gz": LINES[0], "data/corpus.target.gz": LINES[1]},
        {"pairs.csv": "source,target\n" + "\n".join(f"one {n},eins {n}" for n in range(30))},
        {"pairs.tsv": "target\tsource\n" + "\n".join(f"eins {n}\tone {n}" for n in range(30))},
        {"pairs.jsonl": "\n".join(f'{{"source": "one {n}", "target": "eins {n}"}}' for n in range(30))},
    ],
)
def test_pairs_of_ones_own_are_read_and_split(tmp_path: Path, files: dict[str, str]) -> None:
    splits = own(tmp_path, files)
    assert {pair for pairs in splits.values() for pair in pairs} == EXPECTED
    assert {name: len(pairs) for name, pairs in splits.items()} == {"train": 24, "validation": 3, "test": 3}


def test_splits_that_the_files_name_are_kept_and_a_missing_one_comes_from_training(tmp_path: Path) -> None:
    files = {f"train.{side}": LINES[n] for n, side in enumerate(("en", "de"))}
    files |= {f"newstest.{side}": f"{word}\n" for side, word in (("en", "last"), ("de", "letzter"))}
    columns: dict[str, Value] = {"data.source_column": "en", "data.target_column": "de"}
    with pytest.raises(DataError, match="part 'newstest' of train, newstest: its name must begin with train, val, dev or test"):
        own(tmp_path / "a", files, **columns)
    files = {name.replace("newstest", "test_2016"): text for name, text in files.items()}
    splits = own(tmp_path / "b", files, **columns)
    assert splits["test"] == [("last", "letzter")]
    assert len(splits["validation"]) == 3
    assert set(splits["train"] + splits["validation"]) == EXPECTED
    tables = {"train.csv": "en,de\n" + "\n".join(f"one {n},eins {n}" for n in range(30)), "test.tsv": "de\ten\nletzter\tlast\n"}
    assert own(tmp_path / "d", tables, **columns) == splits
    files |= {"dev.en": "a\nb\n", "dev.de": "c\nd\n"}
    assert own(tmp_path / "c", files, **columns) == {
        "train": [(f"one {n}", f"eins {n}") for n in range(30)],
        "validation": [("a", "c"), ("b", "d")],
        "test": [("last", "letzter")],
    }


def test_pairs_with_one_source_stay_together(tmp_path: Path) -> None:
    rows = "\n".join(f"word {n % 12},translation {n}" for n in range(120))
    splits = own(tmp_path, {"pairs.csv": f"source,target\n{rows}"})
    sources = [{source for source, _ in splits[name]} for name in SPLITS]
    assert sum(map(len, sources)) == 12
    assert not sources[0] & sources[1]
    assert not sources[0] & sources[2]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"source.txt": "a\nb\nc\n", "target.txt": "x\ny\n"}, r"source\.txt has 3 lines, but .*target\.txt has 2; line n of one"),
        ({"source.txt": "a\nb\nc\n", "target.txt": "x\n \nz\n"}, r"target\.txt:2: the target of 'b' is empty"),
        ({"source.txt": "a\n\nc\n", "target.txt": "x\ny\nz\n"}, r"target\.txt:2: the source of 'y' is empty"),
        ({"source.txt": "", "target.txt": "x\n"}, r"source\.txt: the file is empty"),
        ({"source.txt": "a\n"}, r"source\.txt has no file beside it that ends in \.target"),
        ({"train.en": "a\n", "train.de": "x\n"}, r"no two files of one name that end in \.source and \.target .* Found: train\.en"),
        ({"a.source": "a\n", "a.source.txt": "a\n", "a.target": "x\n"}, "are the same part; keep one of them"),
        ({"val.source": "a\n", "val.target": "x\n", "test.source": "a\n", "test.target": "x\n"}, "has no part for training"),
        ({"train.source": "a\n", "train.target": "x\n", "val.source": "a\n", "val.target": "x\n", "dev.source": "a\n", "dev.target": "x\n"},
         "two parts for validation: train, val, dev; keep one"),
        ({"p.csv": "source,goal\na,b\n"}, r"p\.csv, row 1: no column 'target'; .*set data\.target_column to one of source, goal"),
        ({"p.csv": "source,target\na,b\nc,\nd,e\n"}, r"p\.csv, row 2: the target of 'c' is empty"),
        ({"p.csv": "source,target\na,b,c\n"}, r"p\.csv:2: 3 fields, but 2 columns"),
        ({"p.csv": "source,target\na,b\nc,d\n"}, r"p\.csv: 2 different sources, too few for train, validation, test"),
        ({"p.csv": "source,target\n,\n"}, r"p\.csv: 0 different sources"),
        ({"p.jsonl": '{"source": "a", "target": "b"}\n{"source": \n'}, r"p\.jsonl:2: not JSON"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_used_are_one_line(tmp_path: Path, files: dict[str, str], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        own(tmp_path, files)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_utf_8_is_named_with_its_line(tmp_path: Path) -> None:
    source, target = tmp_path / "source.txt", tmp_path / "target.txt"
    source.write_bytes(b"one\ntwo\n")
    target.write_bytes(b"eins\nzw\xf6lf\n")
    with pytest.raises(DataError, match=r"target\.txt:2: not UTF-8 \(byte 0xf6\)"):
        read_own({path.name: path for path in (source, target)}, "source", "target", 0)


def test_vocabularies_know_the_training_pairs_alone(tmp_path: Path) -> None:
    files = {"train.source": "aa ab\nba\n", "train.target": "x\ny\n", "val.source": "az\n", "val.target": "z\n"}
    files |= {"test.source": "aq\n", "test.target": "xq\n"}
    paths = {name: tmp_path / name for name in files}
    for name, text in files.items():
        paths[name].write_text(text)
    data = read_data(paths, "path:own", parameters(), SPLITS)
    codecs = Codecs.of(data.preparation)
    assert set(codecs.source.tokens[4:]) == {"a", "b", " "}
    assert set(codecs.target.tokens[4:]) == {"x", "y"}
    assert data.facts["validation target tokens unknown"] == 0.5
    assert UNKNOWN in data.splits["test"].inputs
    shared = Codecs.of(read_data(paths, "path:own", parameters(data__shared_vocabulary=True), ("test",)).preparation)
    assert shared.source is shared.target
    assert set(shared.source.tokens[4:]) == {"a", "b", " ", "x", "y"}


def test_parts_of_the_training_pairs_are_nested_and_the_rest_stays(tmp_path: Path) -> None:
    parts = [read_toy(tmp_path, data__train_fraction=share) for share in (0.1, 0.5, 1.0)]
    sets = [set(part.splits["train"].sources) for part in parts if isinstance(part.splits["train"], Pairs)]
    assert sets[0] < sets[1] < sets[2]
    assert [len(found) for found in sets] == [7, 33, 66]
    for part in parts:
        assert isinstance(part.splits["test"], Pairs)
        assert isinstance(parts[0].splits["test"], Pairs)
        assert part.splits["test"].references == parts[0].splits["test"].references
    assert {source for source, _ in PAIRS} > sets[2]


def test_long_pairs_are_left_out_of_training_alone(tmp_path: Path) -> None:
    data = read_toy(tmp_path, data__max_length=2)
    whole = read_toy(tmp_path)
    assert data.facts["training pairs left out, too long"] == sum(len(source) > 2 for source in _sources(whole.splits["train"]))
    assert max(map(len, _sources(data.splits["train"]))) == 2
    assert _sources(data.splits["test"]) == _sources(whole.splits["test"])
    files = {
        "train.source": "aaa\n",
        "train.target": "b\n",
        "val.source": "a\n",
        "val.target": "b\n",
        "test.source": "a\n",
        "test.target": "b\n",
    }
    paths = {name: tmp_path / name for name in files}
    for name, text in files.items():
        paths[name].write_text(text)
    with pytest.raises(DataError, match=r"every training pair has more than 2 tokens on a side; raise data\.max_length"):
        read_data(paths, "path:own", parameters(data__max_length=2), ("train",))


def _sources(split: object) -> tuple[str, ...]:
    assert isinstance(split, Pairs)
    return split.sources


def test_what_a_careful_person_would_want_to_know_is_said(tmp_path: Path) -> None:
    rows = ["a\tb", "a\tb", "same\tsame", f"short\t{'long ' * 20}", "odd\ufffd\tx", "decomposed e\u0301\ty"]
    rows += [f"word {n}\tWort {n}" for n in range(30)]
    files = {}
    for name, found in (("train", rows), ("val", ["a\tc", "word 1\tWort 1"]), ("test", ["new\tneu"])):
        for side, place in (("source", 0), ("target", 1)):
            files[f"{name}.{side}"] = tmp_path / f"{name}.{side}"
            files[f"{name}.{side}"].write_text("\n".join(row.split("\t")[place] for row in found), encoding="utf-8")
    found = check_data(files, "path:own", parameters())
    for words in (
        "train: 1 of 36 pairs are repetitions, most often (2) 'a'",
        "train: 1 translations equal their source, e.g. 'same'",
        "train: 1 pairs have one side more than 4 times as long as the other",
        "train: 1 sources hold control characters or signs of a wrong encoding",
        "train: 1 sources are not in Unicode's composed form (NFC)",
        "validation: 2 of 2 sources are training sources too, 1 with the same translation",
    ):
        assert any(line.startswith(words) for line in found), (words, found)
    assert not any(line.startswith("test:") for line in found)


def read_multi30k(home: Path, splits: tuple[str, ...] = SPLITS, **changes: Value) -> Pairs:
    data = read_data(
        locate(CARD, "multi30k", home), "multi30k", parameters(**{"data.tokens": "word", "data.min_count": 2, **changes}), splits
    )
    split = data.splits[splits[-1]]
    assert isinstance(split, Pairs)
    return split


@pytest.mark.slow
def test_multi30k_is_read_whole_in_both_directions(data_home: Path) -> None:
    files = locate(CARD, "multi30k", data_home)
    data = read_data(files, "multi30k", parameters(data__tokens="subword"), SPLITS)
    assert [data.facts[f"{name} pairs"] for name in SPLITS] == [29000, 1014, 1000]
    assert data.input_size == data.output_size == 4000
    test = data.splits["test"]
    assert isinstance(test, Pairs)
    assert test.sources[0] == "A man in an orange hat starring at something."
    codecs = Codecs.of(data.preparation)
    assert test.target_lengths is not None
    said = [codecs.target.decode(row[:length].tolist()) for row, length in zip(test.targets, test.target_lengths, strict=True)]
    assert said == list(test.references)
    chosen = parameters(data__tokens="word", data__min_count=2, data__direction="de-en", data__test=2017)
    other = read_data(files, "multi30k", chosen, ("test",)).splits["test"]
    assert isinstance(other, Pairs)
    assert len(other) == 1000
    assert other.references[0] == gzip.decompress(files["test_2017_flickr.en.gz"].read_bytes()).decode().split("\n")[0]
    without = {name: path for name, path in files.items() if "2017" not in name}
    with pytest.raises(DataError, match=r"data\.test is 2017, but there is no test_2017_flickr\.en\.gz"):
        read_data(without, "multi30k", parameters(data__test=2017), ("test",))


@pytest.mark.slow
def test_the_floor_of_multi30k_is_that_of_the_card(data_home: Path) -> None:
    data = read_data(locate(CARD, "multi30k", data_home), "multi30k", parameters(data__tokens="subword"), ("train", "test"))
    floor = CARD.data["multi30k"].floor
    assert floor is not None
    found = baselines(data, "test")
    assert found["target bigram"] == pytest.approx(floor.value, abs=0.005)
