"""An answer as files: every value as it was, plots of numbers and of dates, and nothing where it cannot be written."""

import csv
import io
import json
from pathlib import Path

import pytest

from rnnbench.base.errors import InputError
from rnnbench.report.prediction import check_out, draw_plots, format_rows, write_answer
from rnnbench.task.answers import Answer, Curve, Plot

ROWS = [
    {"line": 'say "no", or\nnot', "share": 1 / 3, "label": None, "notes": [60, 64]},
    {"line": "\u00e4\u4e2d", "share": 1e-300, "label": "x", "notes": []},
]
BAND = Plot("next", "day", "degrees", [Curve("p50", ["2024-01-31", "2024-02-01"], [1.0, 2.0], low=[0.5, 1.0], high=[1.5, 3.0])])
LINES = Plot("two", "step", "value", [Curve("past", [0, 1, 2], [1.0, 0.0, 1.0]), Curve("next", [3], [0.5])])


def test_json_lines_hold_the_rows_as_they_are() -> None:
    text = format_rows(Answer(ROWS), ".jsonl")
    assert [json.loads(line) for line in text.splitlines()] == ROWS
    with pytest.raises(ValueError, match="not JSON compliant"):
        format_rows(Answer([{"share": float("nan")}]), ".jsonl")


def test_a_table_holds_every_number_to_its_last_digit() -> None:
    found = list(csv.DictReader(io.StringIO(format_rows(Answer(ROWS), ".csv"), newline="")))
    assert [row["line"] for row in found] == [row["line"] for row in ROWS]
    assert [float(row["share"]) for row in found] == [row["share"] for row in ROWS]
    assert [row["label"] for row in found] == ["", "x"]
    assert [json.loads(row["notes"]) for row in found] == [[60, 64], []]


def test_text_is_the_answers_own_where_it_has_one() -> None:
    assert format_rows(Answer(ROWS, text="said\n"), ".txt") == "said\n"
    assert format_rows(Answer([{"a": 1, "b": 2}]), ".txt") == "a\tb\n1\t2\n"
    assert format_rows(Answer([]), ".csv") == ""


def test_a_folder_gets_all_of_it_under_one_name(tmp_path: Path) -> None:
    written = write_answer(Answer(ROWS, text="said", plots=[BAND, LINES]), tmp_path / "out")
    assert [path.name for path in written] == ["answer.csv", "answer.txt", "answer-1.png", "answer-2.png"]
    assert sorted(written) == sorted((tmp_path / "out").iterdir())
    (again,) = write_answer(Answer(ROWS), tmp_path / "out" / "answer.csv")
    assert again.read_text() == format_rows(Answer(ROWS), ".csv")


@pytest.mark.parametrize("name", ["x.xlsx", "file", "file/x.csv"])
def test_a_place_that_cannot_be_written_is_a_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match=r"must end in \.csv, \.jsonl, \.txt|is a file|cannot be written"):
        write_answer(Answer(ROWS), tmp_path / name)
    assert (tmp_path / "file").read_text() == "mine"
    check_out(tmp_path)


def test_plots_are_drawn_over_numbers_and_over_dates_with_their_band() -> None:
    dated, numbered = draw_plots([BAND, LINES])
    assert "2024" in dated.svg
    assert "FillBetweenPolyCollection" in dated.svg
    assert "FillBetweenPolyCollection" not in numbered.svg
    for words in ("past", "next", "step", "value", "two"):
        assert words in numbered.svg, words
    assert numbered.png.startswith(b"\x89PNG")
    assert numbered.alt == "past: 3 points, last 1; next: 1 points, last 0.5"
    assert [picture.png for picture in draw_plots([BAND, LINES])] == [dated.png, numbered.png]
