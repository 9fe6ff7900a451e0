"""Bad sweep files, each refused with one located line that says what to do."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rnnbench.base.errors import SweepFileError
from rnnbench.search.sweepfile import read_sweep

FOLDER = Path(__file__).parents[2] / "bad_sweeps"
EXPECTED: dict[str, str] = json.loads((FOLDER / "expected.json").read_text())


@pytest.mark.parametrize("name", EXPECTED)
def test_a_bad_file_is_refused_with_one_line(name: str) -> None:
    path = FOLDER / f"{name}.yaml"
    started = time.monotonic()
    with pytest.raises(SweepFileError) as error:
        read_sweep(path)
    message = str(error.value).replace(f"{FOLDER}/", "")
    assert message == EXPECTED[name]
    assert "\n" not in message
    assert len(message) < 300
    assert time.monotonic() - started < 1


def test_every_bad_file_has_an_expected_message() -> None:
    assert sorted(EXPECTED) == sorted(path.stem for path in FOLDER.glob("*.yaml"))


def test_a_file_of_fifty_megabytes_is_refused_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    with path.open("wb") as stream:
        stream.truncate(50_000_000)
    with pytest.raises(SweepFileError, match="more than 1000000 bytes"):
        read_sweep(path)


@pytest.mark.parametrize("name", ["unknown_parameter", "python_object", "scheduler_misspelt"])
def test_the_command_line_exits_with_2_and_starts_nothing(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from rnnbench.cli.app import main; main()", "sweep", str(FOLDER / f"{name}.yaml")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, list(tmp_path.iterdir())) == (2, "", [])
    assert done.stderr == f"rnnbench: {FOLDER}/{EXPECTED[name]}\n"
