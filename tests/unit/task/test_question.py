"""From what a person types to a question: files, texts and standard input, each as what it is, and never one for the other."""

from pathlib import Path

import pytest

from rnnbench.base.errors import DataError, InputError
from rnnbench.task.cards import TaskCard
from rnnbench.task.catalogue import get_task
from rnnbench.task.question import build_question, read_inputs

pytestmark = pytest.mark.usefixtures("asked_tasks")


@pytest.fixture
def lines() -> TaskCard:
    return get_task("asked_letters")


@pytest.fixture
def files() -> TaskCard:
    return get_task("asked_series")


def nothing() -> bytes:
    raise AssertionError("standard input is read where it is asked for")


def test_inputs_keep_their_order_whatever_they_are(lines: TaskCard, tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    # A byte order mark, a Windows line end, an empty line, and a character that ends a line only for some.
    path.write_bytes(b"\xef\xbb\xbfone\r\n\r\ntwo\xc2\x85three\n")
    given = ["before", str(path), "-", "two words\nof a text"]
    found = read_inputs(lines, given, "in \u00e4\nb\n".encode, {})
    assert found == (["before", "one", "", "two\u0085three", "in \u00e4", "b", "two words\nof a text"], [])


@pytest.mark.parametrize("text", ["reviews.txt", "no_such/../words.csv", "a/b.jsonl", "x.wav"])
def test_a_misspelt_file_is_not_taken_for_a_text(lines: TaskCard, text: str) -> None:
    with pytest.raises(InputError, match="there is no file"):
        read_inputs(lines, [text], nothing, {})


def test_a_word_below_a_folder_that_is_there_is_a_misspelt_file(lines: TaskCard, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        read_inputs(lines, [f"{tmp_path}/reviews"], nothing, {})


def test_a_word_that_almost_is_a_file_that_is_there_is_a_misspelt_file(
    lines: TaskCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "said.text").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"there is no file said\.tex, but there is said\.text"):
        read_inputs(lines, ["said.tex"], nothing, {})
    assert read_inputs(lines, ["said so"], nothing, {}) == (["said so"], [])
    assert read_inputs(lines, ["other.word"], nothing, {}) == (["other.word"], [])


@pytest.mark.parametrize("text", ["Great.", "and/or", "a file called reviews.txt", "", "x" * 5000, "a\0b", "ends in 3.5"])
def test_a_text_is_a_text(lines: TaskCard, text: str) -> None:
    assert read_inputs(lines, [text], nothing, {}) == ([text], [])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"fine\nnot \xff fine\n", r"standard input:2: not UTF-8 \(byte 0xff\)"),
        (b"a\0b", "standard input:1: a zero byte: not a text file"),
        (b"", "standard input is empty"),
        (b" \n\n", "standard input is empty"),
    ],
)
def test_standard_input_that_is_no_text_is_a_line(lines: TaskCard, content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_inputs(lines, ["-"], lambda: content, {})


def test_a_file_that_is_no_text_is_a_line_with_its_place(lines: TaskCard, tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(b"one\n\xfftwo\n")
    with pytest.raises(DataError, match=rf"{path}:2: not UTF-8"):
        read_inputs(lines, [str(path)], nothing, {})
    path.write_bytes(b"")
    with pytest.raises(DataError, match="the file is empty"):
        read_inputs(lines, [str(path)], nothing, {})


def test_of_a_table_the_column_of_training_is_asked(tmp_path: Path) -> None:
    card, trained = get_task("text_classification"), {"data.text_column": "review"}
    path = tmp_path / "new.CSV"
    path.write_text('stars,review\n5,"fine, really"\n,\n', encoding="utf-8")
    assert read_inputs(card, [str(path), "a text"], nothing, trained) == (["fine, really", "", "a text"], [])
    assert build_question(card, [], [path], {}, trained).lines == ["fine, really", ""]
    words = r"new\.CSV, row 1: no column 'text', which the model reads \(data\.text_column\); known: review, stars; call it so"
    with pytest.raises(DataError, match=words):
        read_inputs(card, [str(path)], nothing, {"data.text_column": "text"})


def test_a_folder_is_no_text(lines: TaskCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "soup").mkdir()
    with pytest.raises(InputError, match="soup is a folder; name its files"):
        read_inputs(lines, [f"{tmp_path}/soup"], nothing, {})
    monkeypatch.chdir(tmp_path)
    assert read_inputs(lines, ["soup"], nothing, {}) == (["soup"], [])


def test_a_task_of_files_gets_them_as_they_are(files: TaskCard, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xff\0 not looked at")
    found = read_inputs(files, [str(path)], nothing, {})
    assert found == ([], [path])
    question = build_question(files, *found, {}, {})
    assert (question.lines, question.files, question.options) == ([], [path], {"steps": 2})


def test_a_task_of_files_takes_no_words_and_no_standard_input(files: TaskCard, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not with standard input"):
        read_inputs(files, ["-"], nothing, {})
    with pytest.raises(InputError, match="some words is not there"):
        build_question(files, *read_inputs(files, ["some words"], nothing, {}), {}, {})
    with pytest.raises(InputError, match="is a folder; name its files"):
        build_question(files, [], [tmp_path], {}, {})
    with pytest.raises(InputError, match=r"asked with files \(a .csv file with a column value\)"):
        build_question(files, ["words"], [], {}, {})


def test_no_input_at_all_is_said_before_anything_is_loaded(lines: TaskCard, files: TaskCard) -> None:
    with pytest.raises(InputError, match="no input: give --input TEXT, FILE or -"):
        build_question(lines, [], [], {}, {})
    with pytest.raises(InputError, match="no input: give --input FILE"):
        build_question(files, [], [], {}, {})


def test_options_are_all_there_with_their_defaults(lines: TaskCard) -> None:
    assert build_question(lines, ["a"], [], {"predict.top": 2}, {}).options == {"top": 2, "style": "words", "digits": 3}
