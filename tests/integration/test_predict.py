"""Using trained models as a person does: ask a sweep, export its model, ask that elsewhere, start another training from it."""

import csv
import gc
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rnnbench.base.home import Home
from rnnbench.cli.app import main
from rnnbench.ledger.store import Ledger
from rnnbench.sweep.winner import find_winner
from rnnbench.trial.files import BEST
from tests.conftest import ASKING

pytestmark = pytest.mark.usefixtures("asked_tasks")

LETTERS = """\
task: asked_letters
cells: [elman, gru]
search: {method: random, num_samples: 2, seed: 0}
budget: {max_epochs: 3}
confirm: {top_k: 1, seeds: 2}
resources: {fuse: never}
space:
  network.hidden_size: {choice: [4, 8]}
  optimizer.lr: {loguniform: [3e-3, 3e-2]}
  training.batch_size: 32
"""
SERIES = """\
task: {name: asked_series, data: {path: own.csv}}
cells: [gru]
search: {method: random, num_samples: 1, seed: 0}
budget: {max_epochs: 3}
checkpoints: {keep_best: 1}
space:
  network.hidden_size: 4
  optimizer.lr: 0.02
"""
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


class Person:
    """Somebody at a command line, in this process."""

    def __init__(self, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.patch = patch
        self.capsys = capsys

    def type(self, *arguments: str, code: int = 0, typed: bytes = b"") -> Said:
        self.patch.setattr(sys, "argv", ["rnnbench", *arguments])
        self.patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed)))
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        found = self.capsys.readouterr()
        said = Said(int(ended.value.code or 0), found.out, found.err)
        assert said.code == code, said
        return said

    def rows(self, *arguments: str, typed: bytes = b"") -> list[dict[str, object]]:
        rows: list[dict[str, object]] = json.loads(self.type("predict", *arguments, "--json", typed=typed).out)["rows"]
        return rows


@pytest.fixture(scope="module")
def made(asked_tasks: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which both sweeps have run; the data of one are gone since."""
    place = tmp_path_factory.mktemp("person")
    (place / "letters.yaml").write_text(LETTERS)
    (place / "series.yaml").write_text(SERIES)
    (place / "own.csv").write_text("value\n" + "".join(f"{(number % 7) / 7}\n" for number in range(120)))
    (place / "words.txt").write_text("aeioubb\nbcdfgaa\n")
    (place / "new.csv").write_text("value\n" + "".join(f"{(number % 7) / 7}\n" for number in range(20)))
    threshold = gc.get_threshold()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for name in [name for name in os.environ if name.startswith("RNNBENCH")]:
            patch.delenv(name)
        for sweep in ("letters", "series"):
            patch.setattr(sys, "argv", ["rnnbench", "sweep", f"{sweep}.yaml", "--executor", "inline", "--tracking-uri", "none"])
            with pytest.raises(SystemExit) as ended:
                main()
            assert ended.value.code == 0
    gc.set_threshold(*threshold)
    (place / "own.csv").unlink()
    return place


@pytest.fixture
def person(made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Person]:
    """Stands in that folder; there is no training data on the machine."""
    threshold = gc.get_threshold()
    monkeypatch.chdir(made)
    for name in [name for name in os.environ if name.startswith("RNNBENCH")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("RNNBENCH_DATA", str(tmp_path / "no data"))
    yield Person(monkeypatch, capsys)
    gc.set_threshold(*threshold)


def test_files_texts_and_standard_input_are_answered_in_their_order(person: Person) -> None:
    said = person.type("predict", "letters", "--input", "words.txt", "--input", "aaaab", "--input", "-", typed=b"ggg\n")
    words = [line.split()[0] for line in said.out.splitlines()[1:]]
    assert words == ["aeioubb", "bcdfgaa", "aaaab", "ggg"]
    assert re.match(
        r"model: asked_letters, \w+ letters/[0-9a-f]{8}: validation accuracy [0-9.]+, the best of 2 confirmed seeds\n", said.err
    )


def test_the_model_is_that_of_the_winner(person: Person, made: Path) -> None:
    with Ledger.open(Home(made / "runs").ledger_url) as ledger:
        winner = find_winner(ledger, "letters")
    document = json.loads(person.type("predict", "letters", "--input", "aab", "--set", "top=2", "--json").out)
    assert document["trial"] == winner.key
    assert document["options"] == {"top": 2, "style": "words", "digits": 3}
    assert person.rows(f"letters/{winner.key[:10]}", "--input", "aab", "--set", "predict.top=2") == document["rows"]


def test_rows_go_to_a_file_by_its_suffix_and_a_plot_beside_it(person: Person, tmp_path: Path) -> None:
    rows = person.rows("letters", "--input", "words.txt")
    said = person.type("predict", "letters", "--input", "words.txt", "--out", str(tmp_path / "said.csv"))
    assert said.out.split() == [str(tmp_path / "said.csv"), str(tmp_path / "said.png")]
    with (tmp_path / "said.csv").open(newline="") as file:
        assert [{**row, "share": float(row["share"])} for row in csv.DictReader(file)] == rows
    assert (tmp_path / "said.png").read_bytes().startswith(PNG)
    person.type("predict", "letters", "--input", "words.txt", "--out", str(tmp_path / "said.jsonl"))
    assert [json.loads(line) for line in (tmp_path / "said.jsonl").read_text().splitlines()] == rows
    person.type("predict", "letters", "--input", "words.txt", "--out", str(tmp_path / "folder"))
    assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == ["answer.csv", "answer.png"]


def test_a_model_forecasts_a_table_though_its_training_data_are_gone(person: Person, made: Path, tmp_path: Path) -> None:
    assert not (made / "own.csv").exists()
    said = person.type("predict", "series", "--input", "new.csv", "--set", "steps=3", "--out", str(tmp_path / "next.csv"))
    assert [Path(line).name for line in said.out.splitlines()] == ["next.csv", "next.png"]
    with (tmp_path / "next.csv").open(newline="") as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["1", "2", "3"]
    shown = person.type("predict", "series", "--input", "new.csv")
    assert "a search trial" in shown.err
    assert "a plot goes with it" in shown.err


def test_an_export_says_the_same_and_its_card_is_true(person: Person, made: Path, tmp_path: Path) -> None:
    said = person.type("export", "letters", str(tmp_path / "model"))
    assert f"exported to {tmp_path / 'model'}" in said.out.replace("\n", "")
    assert person.rows(str(tmp_path / "model"), "--input", "words.txt") == person.rows("letters", "--input", "words.txt")
    card = (tmp_path / "model" / "README.md").read_text()
    with Ledger.open(Home(made / "runs").ledger_url) as ledger:
        winner = find_winner(ledger, "letters")
        seeds = [trial for trial in ledger.trials("letters") if trial.group_key == winner.group_key]
    mean = sum(trial.outcome["test"]["accuracy"] for trial in seeds) / len(seeds)
    tested = next(line for line in card.splitlines() if line.startswith("| test | accuracy |"))
    assert tested.startswith(f"| test | accuracy | {winner.outcome['test']['accuracy']:.4g} | {mean:.4g} | ")
    for fact in (winner.key, winner.spec.data_fingerprint, "none needed", "majority class", *(str(seed.spec.seed) for seed in seeds)):
        assert fact in card, fact
    for name in winner.spec.parameters:
        assert f"| {name} |" in card
    for heading in ("Use", "What it is", "Results", "How it was trained", "Settings", "Limits"):
        assert f"\n## {heading}\n" in card


def run_elsewhere(folder: Path, *command: str) -> str:
    """Runs a program in a folder where there is nothing of rnnbench's but what is in it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RNNBENCH")} | {"PYTHONPATH": str(ASKING)}
    done = subprocess.run([sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_three_lines_of_the_card_work_on_another_machine(person: Person, tmp_path: Path) -> None:
    person.type("export", "letters", str(tmp_path / "here" / "model"))
    (tmp_path / "there").mkdir()
    shutil.copytree(tmp_path / "here" / "model", tmp_path / "there" / "model")
    card = (tmp_path / "there" / "model" / "README.md").read_text()
    (program,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert program.count("\n") == 3
    expected = person.rows("letters", "--input", "bcdfgaa")
    assert run_elsewhere(tmp_path / "there", "-c", program.replace("some text", "bcdfgaa")).strip() == repr(expected)
    sweep = "import rnnbench, sys; print(rnnbench.load('letters', home=sys.argv[1]).ask('bcdfgaa').rows)"
    assert run_elsewhere(tmp_path / "there", "-c", sweep, str(Path.cwd() / "runs")).strip() == repr(expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("predict", "letter", "--input", "a"), "no sweep 'letter' has run here; did you mean 'letters'?"),
        (("predict", "letters/zz", "--input", "a"), "no trial of sweep 'letters' starts with 'zz'"),
        (("predict", "letters"), "no input: give --input TEXT, FILE or -"),
        (("predict", "letters", "--input", "-"), "standard input is empty"),
        (("predict", "letters", "--input", "word.txt"), "there is no file word.txt"),
        (("predict", "letters", "--input", "A"), "line 1: not a word of small letters"),
        (
            ("predict", "letters", "--input", "a", "--set", "topp=2"),
            "no option 'topp' of predict in task 'asked_letters'; did you mean 'top'?",
        ),
        (("predict", "letters", "--input", "a", "--set", "top"), "--set top: must be OPTION=VALUE"),
        (("predict", "letters", "--input", "a", "--set", "top=many"), "predict.top is 'many', must be a whole number from 1 to 2"),
        (("predict", "letters", "--input", "a", "--out", "a.xlsx"), "--out a.xlsx must end in .csv, .jsonl, .txt, or name a folder"),
        (("predict", "letters", "--input", "a", "--out", "letters.yaml"), "--out letters.yaml must end in"),
        (("predict", "letters", "--input", "a", "--out", "words.txt/x.csv"), "words.txt/x.csv cannot be written"),
        (("predict", "series"), "no input: give --input FILE"),
        (("predict", "series", "--input", "-"), "(a .csv file with a column value), not with standard input"),
        (("predict", "series", "--input", "old.csv"), "old.csv is not there"),
        (("predict", "series", "--input", "words.txt"), "no column 'value'"),
        (("predict", "./none", "--input", "a"), "not an exported model, it has no file spec.json"),
        (("export", "letters", "runs"), "is there and not an empty folder"),
        (("export", "letter", "new"), "no sweep 'letter' has run here"),
        (("train", "asked_letters", "--export", "runs"), "is there and not an empty folder"),
        (
            ("train", "asked_letters", "--set", "training.init_from=letter"),
            "--set training.init_from=letter: training.init_from: no sweep 'letter'",
        ),
    ],
)
def test_a_mistake_is_one_line_with_what_to_do(person: Person, made: Path, arguments: tuple[str, ...], message: str) -> None:
    before = sorted(made.rglob("*.*"))
    said = person.type(*arguments, code=2)
    lines = [line for line in said.err.splitlines() if not line.startswith("model: ")]
    assert len(lines) == 1
    assert lines[0].startswith("rnnbench: ")
    assert message in lines[0]
    assert said.out == ""
    assert sorted(made.rglob("*.*")) == before


def lost_trial(made: Path) -> str:
    with Ledger.open(Home(made / "runs").ledger_url) as ledger:
        return next(trial.key for trial in ledger.trials("letters") if trial.stage == "search")


def test_a_model_that_is_gone_or_damaged_is_one_line_and_can_be_trained_again(person: Person, made: Path, tmp_path: Path) -> None:
    key = lost_trial(made)
    path = Home(made / "runs").trial_folder(key) / BEST
    content = path.read_bytes()
    expected = person.rows(f"letters/{key[:8]}", "--input", "words.txt")
    try:
        path.write_bytes(content[:-9])
        said = person.type("predict", f"letters/{key[:8]}", "--input", "a", code=2)
        assert said.err.splitlines()[-1].endswith("damaged (its checksum does not fit)")
        path.unlink()
        said = person.type("predict", f"letters/{key[:8]}", "--input", "a", code=2)
        (command,) = re.findall(r"rnnbench (train --trial \S+ --export) DIR", said.err)
        trained = person.type(*command.split(), str(tmp_path / "again"))
    finally:
        path.write_bytes(content)
    assert "equal to the recorded one" in trained.out
    assert person.rows(str(tmp_path / "again"), "--input", "words.txt") == expected


STARTED = (
    LETTERS.replace("confirm: {top_k: 1, seeds: 2}\n", "")
    .replace("cells: [elman, gru]", "cells: [CELL]")
    .replace(
        "network.hidden_size: {choice: [4, 8]}",
        "network.hidden_size: SIZE\n  training.init_from: {choice: [null, letters], when: {cell: CELL}}",
    )
)


def test_a_training_that_starts_from_a_model_is_swept_resumed_shown_and_repeated(person: Person, made: Path) -> None:
    with Ledger.open(Home(made / "runs").ledger_url) as ledger:
        winner = find_winner(ledger, "letters")
    text = STARTED.replace("CELL", winner.cell).replace("SIZE", str(winner.spec.parameters["network.hidden_size"]))
    (made / "started.yaml").write_text(text.replace("method: random, num_samples: 2, seed: 0", "method: random, num_samples: 4, seed: 0"))
    options = ("--executor", "inline", "--tracking-uri", "none")
    dry = json.loads(person.type("sweep", "started.yaml", "--dry-run", "--json").out)
    sources = {str(trial["parameters"].get("training.init_from")) for trial in dry["trials"]}
    assert sources == {"None", winner.key}
    assert "ask it:       rnnbench predict started --input TEXT" in person.type("sweep", "started.yaml", *options).out
    (made / "started.yaml").unlink()
    assert "4 already done" in person.type("resume", "started", *options).err
    with Ledger.open(Home(made / "runs").ledger_url) as ledger:
        started = next(trial for trial in ledger.trials("started") if "training.init_from" in trial.spec.parameters)
    assert winner.key in person.type("show", f"started/{started.key[:8]}").out
    assert person.type("train", "--trial", f"started/{started.key[:8]}").out.endswith("equal to the recorded one\n")
    assert json.loads(person.type("gc", "--json").out)["files"] == []


def test_one_network_can_start_from_a_model_and_be_exported(person: Person, made: Path, tmp_path: Path) -> None:
    with Ledger.open(Home(made / "runs").ledger_url) as ledger:
        winner = find_winner(ledger, "letters")
    size = winner.spec.parameters["network.hidden_size"]
    command = ("train", "asked_letters", "--cell", winner.cell, "--set", f"network.hidden_size={size}", "--set", "budget.max_epochs=1")
    fresh = person.type(*command).out
    started = person.type(*command, "--set", "training.init_from=letters", "--export", str(tmp_path / "model")).out
    # After one epoch what starts from a model that has trained for three is ahead.
    assert float(re.findall(r"train loss ([0-9.]+)", started)[0]) < float(re.findall(r"train loss ([0-9.]+)", fresh)[0])
    assert winner.key in (tmp_path / "model" / "README.md").read_text()
    assert [row["line"] for row in person.rows(str(tmp_path / "model"), "--input", "words.txt")] == ["aeioubb", "bcdfgaa"]


def test_what_a_model_says_cannot_steer_a_terminal() -> None:
    from rnnbench.cli.predict import harmless

    assert harmless("a\x1b[2Jb\r\n\tc\x07\u202e\u00e4") == "a\\x1b[2Jb\\r\n\tc\\x07\\u202e\u00e4"


@pytest.mark.parametrize(
    "words", [("report", "letters", "--out"), ("export-benchmark", "letters", "--out"), ("db", "extract", "letters", "--to")]
)
def test_a_folder_that_cannot_be_made_is_one_line(person: Person, words: tuple[str, ...]) -> None:
    said = person.type(*words, "words.txt/below", code=2)
    assert said.err.startswith("rnnbench: ")
    assert said.err.endswith("words.txt/below cannot be written (Not a directory); name another folder\n")


def test_an_answer_that_cannot_be_written_is_one_line(person: Person) -> None:
    said = person.type("predict", "letters", "--input", "aei", "--out", "words.txt/a/b.csv", code=2)
    assert "words.txt/a/b.csv cannot be written (Not a directory)" in said.err
    assert "Traceback" not in said.err


def test_doctor_says_where_results_cannot_be_written(person: Person) -> None:
    said = json.loads(person.type("doctor", "--home", "words.txt/x", "--json", code=1).out)
    assert [check["ok"] for check in said if check["check"] == "results"] == [False]
