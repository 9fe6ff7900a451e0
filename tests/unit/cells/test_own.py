"""A cell from a person's own file: read, named, checked, trained and resumed."""

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rnnbench.base.canonical import canonical_json
from rnnbench.base.errors import SweepFileError, UnknownNameError
from rnnbench.cells.contract import CHECKS
from rnnbench.cells.own import OwnCell, make_known, read_own
from rnnbench.cells.table import get_cell
from rnnbench.cli.app import app
from rnnbench.cli.own import EXAMPLE
from rnnbench.search.sweepfile import read_settings, read_sweep
from rnnbench.sweep.planned import plan_sweep
from rnnbench.trial.door import run_job
from rnnbench.trial.job import Job

SWEEP = """
task: sequential_digits
cells: [gru, "./my_cell.py:MyCell"]
search: {num_samples: 1}
budget: {max_epochs: 1}
space: {network.hidden_size: 4, cell.slope: {choice: [0.5, 2.0], when: {cell: MyCell}}}
"""
WITH_OPTION = EXAMPLE.format(name="MyCell").replace(
    "    def step", "    def __init__(self, inputs: int, units: int, slope: float = 1.0) -> None:\n"
    "        super().__init__(inputs, units)\n        self.slope = slope\n\n    def step",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my_cell.py").write_text(WITH_OPTION)
    (tmp_path / "own.yaml").write_text(SWEEP)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_sweep_takes_a_class_from_a_file_with_its_options(folder: Path) -> None:
    planned = plan_sweep(read_sweep(folder / "own.yaml"), os.environ)
    gru, own = planned.specs
    assert (gru.cell, own.cell.partition("@")[0]) == ("gru", "MyCell")
    assert own.parameters["cell.slope"] in (0.5, 2.0)
    assert "cell.slope" not in gru.parameters
    event = run_job(Job(own.key(), 1, own, {}, str(folder / "trial")).to_dict(), lambda _: None)
    assert event["status"] == "completed", event


def test_another_text_is_another_cell_with_other_keys(folder: Path) -> None:
    before = [spec.key() for spec in plan_sweep(read_sweep(folder / "own.yaml"), os.environ).specs]
    (folder / "my_cell.py").write_text(WITH_OPTION + "# changed\n")
    after = [spec.key() for spec in plan_sweep(read_sweep(folder / "own.yaml"), os.environ).specs]
    assert (before[0] == after[0], before[1] == after[1]) == (True, False)


def test_a_sweep_goes_on_without_the_file(folder: Path) -> None:
    sweep = read_sweep(folder / "own.yaml")
    settings = sweep.settings()
    (folder / "my_cell.py").unlink()
    again = read_settings(settings, folder / "own.yaml", "")
    assert [spec.key() for spec in plan_sweep(again, os.environ).specs] == [spec.key() for spec in plan_sweep(sweep, os.environ).specs]
    assert canonical_json(again.settings()) == canonical_json(settings)


@pytest.mark.parametrize(
    ("reference", "text", "words"),
    [
        ("./none.py:MyCell", None, "none.py cannot be read (No such file or directory)"),
        ("./x.py:Cell", "class MyCell: pass", "no class 'Cell' in x.py; did you mean 'MyCell'?"),
        ("./x.py:MyCell", "class MyCell(:", "x.py:1: not Python"),
        ("./x.py:MyCell", "class MyCell:\n    def __init__(self, inputs, units, depth): pass", "x.py:2: MyCell needs 'depth' beside"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line_at_its_place(tmp_path: Path, reference: str, text: str | None, words: str) -> None:
    if text is not None:
        (tmp_path / "x.py").write_text(text)
    (tmp_path / "own.yaml").write_text(SWEEP.replace("./my_cell.py:MyCell", reference))
    with pytest.raises(SweepFileError) as error:
        read_sweep(tmp_path / "own.yaml")
    assert str(error.value).startswith(f"{tmp_path}/own.yaml:3:")
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_reading_a_cell_runs_nothing_of_it(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass MyCell: pass\n")
    read_own("x.py:MyCell", tmp_path)
    assert not (tmp_path / "ran").exists()


def test_a_class_that_is_no_cell_is_refused() -> None:
    own = OwnCell("x.py", "MyCell", "class MyCell: pass")
    make_known(own)
    assert get_cell(own.name).citation == "x.py"
    with pytest.raises(UnknownNameError, match="no cell 'MyCell@0'"):
        get_cell("MyCell@0")


def test_new_cell_writes_a_working_example_and_check_cell_finds_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    assert runner.invoke(app, ["new", "cell", "LeakyCell"]).exit_code == 0
    file = tmp_path / "leaky_cell.py"
    assert len(file.read_text().splitlines()) < 30
    checked = runner.invoke(app, ["check", "cell", "leaky_cell.py"])
    assert checked.exit_code == 0, checked.output
    assert f"{len(CHECKS)} of {len(CHECKS)} checks passed" in checked.output
    again = runner.invoke(app, ["new", "cell", "LeakyCell"])
    assert again.exit_code != 0, "an existing file was overwritten"
    # A unit that sees the others between operations breaks what the backward pass relies on.
    file.write_text(file.read_text().replace("candidate_BH.tanh()", "candidate_BH.tanh().flip(-1)"))
    broken = runner.invoke(app, ["check", "cell", "leaky_cell.py"])
    assert broken.exit_code == 2
    assert "a step must be elementwise between operations" in broken.output
