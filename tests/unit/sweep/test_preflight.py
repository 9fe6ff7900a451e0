"""Which data is tried before a sweep starts, in how many ways, and what was tried before."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from rnnbench.search.sweepfile import read_sweep
from rnnbench.sweep.planned import Planned, plan_sweep
from rnnbench.sweep.preflight import Reading, doubtful, list_readings, try_readings

SWEEP = """\
task: {task}
cells: [elman, lstm]
search: {search}
budget: {{max_epochs: 1}}
space:
  optimizer.lr: {{loguniform: [1e-3, 1e-1]}}
  {space}
"""
OWN = "{name: polyphonic_music, data: {path: music}}"


@pytest.fixture
def environ(tmp_path: Path) -> Mapping[str, str]:
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "one.txt").write_text("60\n62\n64\n")
    return {"RNNBENCH_DATA": str(tmp_path / "data")}


def planned_in(
    folder: Path, environ: Mapping[str, str], task: str = OWN, search: str = "{method: random, num_samples: 1}", space: str = ""
) -> Planned:
    file = folder / "sweep.yaml"
    file.write_text(SWEEP.format(task=task, search=search, space=space))
    return plan_sweep(read_sweep(file), environ)


def test_own_data_is_read_once_for_all_cells_and_draws(tmp_path: Path, environ: Mapping[str, str]) -> None:
    planned = planned_in(tmp_path, environ, search="{method: random, num_samples: 20}")
    (reading,) = list_readings(planned, environ)
    assert (reading.task, reading.data) == ("polyphonic_music", "path:music")
    assert dict(reading.files) == {"one.txt": str(tmp_path / "music" / "one.txt")}
    assert all(name.startswith(("data.", "task.")) for name in reading.parameters)
    assert "data.seed" in reading.parameters


def test_each_combination_of_options_is_one_more_reading(tmp_path: Path, environ: Mapping[str, str]) -> None:
    planned = planned_in(tmp_path, environ, space="data.seed: {grid: [3, 1, 2]}")
    assert [reading.parameters["data.seed"] for reading in list_readings(planned, environ)] == [3, 1, 2]


def test_what_an_earlier_call_has_recorded_is_not_read_again(tmp_path: Path, environ: Mapping[str, str]) -> None:
    before = planned_in(tmp_path, environ, space="data.seed: {grid: [3, 1]}")
    now = planned_in(tmp_path, environ, space="data.seed: {grid: [3, 1, 2]}")
    assert [reading.parameters["data.seed"] for reading in list_readings(now, environ, before.specs)] == [2]
    (tmp_path / "music" / "one.txt").write_text("60\n62\n64\n66\n")
    changed = planned_in(tmp_path, environ, space="data.seed: {grid: [3, 1]}")
    assert len(list_readings(changed, environ, before.specs)) == 2


def test_an_adaptive_search_is_tried_by_draws_at_random(tmp_path: Path, environ: Mapping[str, str]) -> None:
    pytest.importorskip("optuna", reason="needs optuna: pip install 'rnnbench[search]'")
    planned = planned_in(tmp_path, environ, search="{method: tpe, num_samples: 50}", space="data.seed: {choice: [0, 1]}")
    assert planned.specs == []
    assert {reading.parameters["data.seed"] for reading in list_readings(planned, environ)} <= {0, 1}
    assert 1 <= len(list_readings(planned, environ)) <= 2


@pytest.mark.parametrize("task", ["sequential_digits", "{name: polyphonic_music, data: jsb}"])
def test_embedded_and_published_data_is_not_read(tmp_path: Path, data_home: Path, task: str) -> None:
    environ = {"RNNBENCH_DATA": str(data_home)}
    planned = planned_in(tmp_path, environ, task=task)
    assert doubtful(planned, environ) == []
    assert list_readings(planned, environ) == []


def test_files_that_are_not_the_published_ones_are_read(tmp_path: Path) -> None:
    environ = {"RNNBENCH_DATA": str(tmp_path / "data")}
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "JSB_Chorales.mat").write_bytes(b"cut")
    planned = planned_in(tmp_path, environ, task="{name: polyphonic_music, data: jsb}")
    assert doubtful(planned, environ) == [("polyphonic_music", "jsb")]
    assert len(list_readings(planned, environ)) == 1


def test_a_link_goes_by_its_own_name(tmp_path: Path, environ: Mapping[str, str]) -> None:
    (tmp_path / "music" / "one.txt").rename(tmp_path / "blob")
    (tmp_path / "notes.txt").symlink_to(tmp_path / "blob")
    planned = planned_in(tmp_path, environ, task="{name: polyphonic_music, data: {path: ./x/../notes.txt}}")
    assert planned.files["polyphonic_music", "path:notes.txt"] == {"notes.txt": str(tmp_path / "notes.txt")}


@pytest.mark.slow
def test_a_reading_that_never_ends_is_given_up(tmp_path: Path) -> None:
    # The process needs longer to import torch than this patience lasts.
    reading = Reading("sequential_digits", "digits", "", {"task.order": "rows", "data.seed": 0}, {})
    told: list[str] = []
    with pytest.raises(Exception, match=r"digits: reading it takes more than 0\.000167 minutes"):
        try_readings([reading], told.append, patience_s=0.01)
    assert told == ["reading digits"]
