"""Records of submissions."""

import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rnnbench.base.home import Home
from rnnbench.cluster.submission import Submission, list_submissions, new_name

NOW = datetime(2026, 11, 25, 12, 30, 5, tzinfo=UTC)


def submission(folder: Path, number: int) -> Submission:
    return Submission("slurm", str(number), f"2026-11-25T12:30:{number:02d}+00:00", str(folder / f"slurm-{number}.sh"), {"a": "b"})


def test_what_was_recorded_is_read_back_oldest_first(tmp_path: Path) -> None:
    home = Home(tmp_path)
    made = [submission(home.submissions("small"), number) for number in (11, 9, 10)]
    assert [one.record().suffix for one in made] == [".json"] * 3
    assert list_submissions(home, "small") == [made[1], made[2], made[0]]


def test_a_sweep_that_was_never_submitted_has_none(tmp_path: Path) -> None:
    assert list_submissions(Home(tmp_path), "small") == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"kind": "slurm"}', "3"])
def test_a_damaged_record_is_left_out_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str) -> None:
    home = Home(tmp_path)
    good = submission(home.submissions("small"), 1)
    good.record()
    (home.submissions("small") / "slurm-2.json").write_text(text)
    with caplog.at_level(logging.WARNING):
        assert list_submissions(home, "small") == [good]
    assert "slurm-2.json" in caplog.text


def test_two_submissions_of_one_second_have_two_names(tmp_path: Path) -> None:
    home, names = Home(tmp_path), []
    for _ in range(3):
        names.append(new_name(home, "small", "slurm", NOW))
        home.submissions("small").mkdir(parents=True, exist_ok=True)
        (home.submissions("small") / f"{names[-1]}.sh").touch()
    assert names == ["slurm-20261125-123005", "slurm-20261125-123005-2", "slurm-20261125-123005-3"]
