"""The programs of a cluster (sbatch, kubectl, ray): found, run within a time, and their refusals in one line."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rnnbench.base.errors import InputError
from rnnbench.base.names import printable
from rnnbench.base.secrets import redact

# A scheduler under load takes its time to accept a job.
SUBMIT_S = 120.0
MAX_WORDS = 400


class ProgramMissing(InputError):
    """A program that is needed is not on the path of this machine."""


def find_program(name: str) -> str | None:
    """The path of a program: on $PATH, or beside the Python that runs this (`ray` of the same environment)."""
    return shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))


def run_program(
    arguments: Sequence[str], timeout_s: float = SUBMIT_S, cwd: Path | None = None, given: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end without a shell.

    Args:
        given: What it reads on standard input; None: nothing.
    Raises:
        ProgramMissing: it is not on the path.
        InputError: it did not answer in time, or cannot be run.
    """
    path = find_program(arguments[0])
    if path is None:
        raise ProgramMissing(f"{arguments[0]} is not on the path of this machine")
    try:
        return subprocess.run(
            [path, *arguments[1:]],
            cwd=cwd,
            input=given or "",
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(f"{arguments[0]} did not answer within {timeout_s:.3g} s") from error
    except OSError as error:
        raise InputError(f"{path} cannot be run ({error.strerror})") from error


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """What a program that failed said, in one line, each thing once."""
    words: list[str] = []
    for line in (done.stderr or done.stdout).splitlines():
        clean = re.sub(r"^(?:(?:sbatch|error|allocation failure|Error): )+", "", line.strip())
        if clean and not any(clean in said for said in words):
            words.append(clean)
    text = redact("; ".join(words), os.environ)
    return printable(text, MAX_WORDS) if text else f"it ended with {done.returncode} and said nothing"
