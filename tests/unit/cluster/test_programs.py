"""Programs of a cluster: found, run, and what they say when they refuse."""

import subprocess
import sys
from pathlib import Path

import pytest

from rnnbench.base.errors import InputError
from rnnbench.cluster.programs import ProgramMissing, complaint, find_program, run_program
from tests.unit.cluster.jobs import write_program


def done(stdout: str = "", stderr: str = "", code: int = 1) -> subprocess.CompletedProcess[str]:
    return subprocess.CompletedProcess([], code, stdout, stderr)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            done(stderr="sbatch: error: no money\nsbatch: error: Batch job submission failed: no money\n"),
            "no money; Batch job submission failed: no money",
        ),
        (done(stderr="sbatch: error: a\nsbatch: error: a\n"), "a"),
        (done(stdout="only here\n"), "only here"),
        (done(code=4), "it ended with 4 and said nothing"),
        (done(stderr="x\x1b[0m"), "x\\x1b[0m"),
        (done(stderr="postgresql://me:secret@host/db"), "postgresql://me:***@host/db"),
    ],
)
def test_a_refusal_is_one_line_without_secrets_or_control_characters(given: subprocess.CompletedProcess[str], said: str) -> None:
    assert complaint(given) == said


def test_a_long_refusal_is_cut() -> None:
    assert len(complaint(done(stderr="word " * 500))) <= 400


def test_a_program_that_is_missing_is_named() -> None:
    with pytest.raises(ProgramMissing, match="no-such-program is not on the path"):
        run_program(["no-such-program"])


def test_a_program_beside_this_python_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert find_program("only-here") is None
    path = write_program(tmp_path, "only-here", "exit 0")
    assert find_program("only-here") == str(path)


def test_a_program_that_hangs_or_cannot_run_is_an_error_of_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    write_program(tmp_path, "hangs", "exec sleep 30")
    with pytest.raises(InputError, match=r"hangs did not answer within 0\.1 s"):
        run_program(["hangs"], timeout_s=0.1)
    write_program(tmp_path, "broken", "").write_bytes(b"\x7fELF")
    with pytest.raises(InputError, match="cannot be run"):
        run_program(["broken"])


def test_what_is_given_is_read_and_no_shell_reads_the_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    write_program(tmp_path, "echoes", 'cat; printf "%s" "$1"')
    assert run_program(["echoes", "$(id)"], given="in\n").stdout == "in\n$(id)"
