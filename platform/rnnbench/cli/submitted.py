"""What every kind of `rnnbench submit` does: reads the sweep as the job will, writes the job file, records what became of it."""

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rnnbench.cli.options import command, home_at, ledger_flags, output, people, read_given

if TYPE_CHECKING:
    from rnnbench.base.errors import InputError
    from rnnbench.cluster.job import SweepJob
    from rnnbench.cluster.submission import Submission


@dataclass(frozen=True)
class Given:
    """The options that every kind of submission has."""

    file: str
    name: str | None
    changes: list[str]
    num_samples: int | None
    home: str | None
    db: str | None
    tracking_uri: str | None
    checkpoints: str | None


def read_job(given: Given, *, elsewhere: bool = False) -> "SweepJob":
    """Reads, checks and plans the sweep as the job will.

    Args:
        elsewhere: The job sees neither this machine's files nor its databases.
    """
    from rnnbench.base.errors import InputError
    from rnnbench.base.filesystem import network_filesystem
    from rnnbench.cluster.job import SweepJob
    from rnnbench.search.find import find_sweep_file
    from rnnbench.sweep.planned import plan_sweep

    place, path = home_at(given.home, given.checkpoints), find_sweep_file(given.file)
    sweep = read_given(path, place, given.db, name=given.name, changes=given.changes, num_samples=given.num_samples)
    plan_sweep(sweep, os.environ)
    own = [task.own for task in sweep.tasks if task.own is not None]
    if elsewhere and own:
        raise InputError(f"{own[0]}: the job does not see files of this machine; give the task a data set by name")
    if not elsewhere and given.db is None and (kind := network_filesystem(place.path)):
        raise InputError(
            f"the results folder {place.path} lies on a network file system ({kind}), where SQLite loses data; "
            "say --db postgresql://..., so that the ledger is in a database"
        )
    resources = sweep.resources
    job = SweepJob(
        sweep.name, path.absolute(), path.read_text(encoding="utf-8"), place, given.changes, given.num_samples, given.db,
        given.tracking_uri, resources.cpus_per_trial, resources.gpus * resources.workers, resources.max_concurrent,
    )  # fmt: skip
    job.check()
    return job


def read_setup(path: Path | None) -> str | None:
    """The shell lines of `--setup`; None where there is none."""
    from rnnbench.base.errors import InputError

    try:
        return None if path is None else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--setup {path} cannot be read ({getattr(error, 'strerror', 'not UTF-8')})") from error


def now() -> datetime:
    """Now, with its time zone."""
    return datetime.now(UTC)


def new_file(job: "SweepJob", kind: str, ending: str) -> Path:
    """A path for a job file in the sweep's folder, never one that was used before."""
    from rnnbench.cluster.submission import new_name

    return job.home.submissions(job.sweep) / (new_name(job.home, job.sweep, kind, now()) + ending)


def write_file(path: Path, text: str) -> None:
    """Writes a file whole, or says in one line why not."""
    from rnnbench.base.errors import InputError
    from rnnbench.base.files import write_atomic

    try:
        write_atomic(path, text)
    except PermissionError as error:
        raise InputError(f"{path.parent} cannot be written ({error.strerror}); choose another results folder with --home") from error


@contextmanager
def handing_over(job: "SweepJob", place: Path, text: str, words: list[str], *others: Path) -> Iterator[None]:
    """Writes the job's files and submits them within: where the cluster refuses the job they are taken away again.

    Args:
        words: The command that submits the file at `place`, with `text`; where its program is missing, that file is left for it.
        others: More files of the job.
    """
    from rnnbench.cluster.programs import ProgramMissing

    try:
        yield
    except ProgramMissing as error:
        raise _leave_file(place, text, shlex.join(words), error) from None
    except BaseException:
        _remove_files(job, place, *others)
        raise


def _remove_files(job: "SweepJob", *files: Path) -> None:
    """Takes the files of a job that was refused away again, and the folders that are empty then."""
    for file in files:
        file.unlink(missing_ok=True)
    for folder in files[0].parents:
        if folder == job.home.path.parent:
            return
        try:
            folder.rmdir()
        except OSError:  # other files are there, or it was never made
            if folder.exists():
                return


def show_job(text: str, words: list[str], folder: Path | None) -> None:
    """What `--dry-run` prints: the job file, and for people the command that would submit it."""
    typer.echo(text, nl=False)
    where = f"cd {shlex.quote(str(folder))} && " if folder else ""
    people().print(f"nothing was written; without --dry-run: {where}{shlex.join(words)}", markup=False, soft_wrap=True)


def _leave_file(place: Path, text: str, how: str, error: "InputError") -> "InputError":
    """Leaves the job file for a machine that has the program."""
    from rnnbench.base.errors import InputError

    if not place.exists():
        write_file(place, text)
    return InputError(f"{error}; the job file is {place}; where it is: {how}")


def record_job(job: "SweepJob", submission: "Submission") -> None:
    """Writes the record beside the job file and says how to look after the job."""
    submission.record()
    console = output()
    console.print(f"submitted {job.sweep} as {submission.kind} job {submission.job}", markup=False, soft_wrap=True)
    console.print(f"script and log: {submission.script}", markup=False, soft_wrap=True)
    console.print(f"how it stands:  {command()} status {job.sweep}{ledger_flags(job.home, job.db)}", markup=False, soft_wrap=True)
