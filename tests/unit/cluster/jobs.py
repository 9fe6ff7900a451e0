"""A sweep job for tests, and programs that only note what they were asked."""

import stat
from pathlib import Path

from rnnbench.base.home import Home
from rnnbench.cluster.job import SweepJob

# Spaces, quotes, expansions, ends of lines and of commands: nothing of it may be read by a shell.
EVIL = [
    "a b",
    "it's",
    'say "x"',
    "$(touch hacked)",
    "`touch hacked`",
    "; touch hacked",
    "a\nb",
    "&& touch hacked",
    "\\",
    "*",
    "-x",
    "#",
    "{{ x }}",
]


def sweep_job(folder: Path, **changes: object) -> SweepJob:
    """A job whose results folder lies in a folder."""
    fixed: dict[str, object] = {"sweep": "small", "file": folder / "small.yaml", "text": "task: adding\n", "home": Home(folder / "runs")}
    return SweepJob(**fixed | changes)  # type: ignore[arg-type]  # checked where it is made


def write_program(folder: Path, name: str, text: str) -> Path:
    """An executable shell script."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path
