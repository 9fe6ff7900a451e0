"""Options that several commands share, and the two consoles: data on standard output, words for people on standard error."""

import json
import os
import shlex
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnnbench.base.files import is_disk_full
from rnnbench.base.home import Home
from rnnbench.base.secrets import redact

if TYPE_CHECKING:
    from rich.console import Console

    from rnnbench.ledger.glance import Glance
    from rnnbench.ledger.store import Ledger
    from rnnbench.search.sweepfile import SweepFile

FileArgument = Annotated[
    str, typer.Argument(metavar="FILE", help="A sweep file, or the name of one that ships with rnnbench (lstm, compare, ...).")
]
NameOption = Annotated[str | None, typer.Option("--name", help="Name of the sweep (default: the file's).", show_default=False)]
SetOption = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the file.")]
SamplesOption = Annotated[int | None, typer.Option("--num-samples", help="Draws per task and cell.", show_default=False)]
HomeOption = Annotated[
    str | None, typer.Option("--home", metavar="DIR", help="Results folder (default: $RNNBENCH_HOME, else ./runs).", show_default=False)
]
DbOption = Annotated[
    str | None, typer.Option("--db", metavar="URL", help="Ledger database (default: rnnbench.db in the home).", show_default=False)
]
CheckpointsOption = Annotated[
    str | None,
    typer.Option(
        "--checkpoints",
        metavar="s3://BUCKET/PREFIX",
        help="Where checkpoints and models are kept, for machines without a common folder "
        "(default: $RNNBENCH_CHECKPOINTS, else the results folder).",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else on standard output.")]
TrackingOption = Annotated[
    str | None,
    typer.Option(
        "--tracking-uri",
        metavar="URI",
        help="MLflow address (default: mlflow.db in the home); none: tell it later, by sync.",
        show_default=False,
    ),
]


def read_given(
    path: Path, home: Home, db: str | None, *, name: str | None, changes: list[str] | None, num_samples: int | None
) -> "SweepFile":
    """The sweep of a file with the changes of the command line, and with the trained models that its trials start from.

    Raises:
        InputError: something is wrong with the file, a change, or a model.
    """
    from rnnbench.search.sweepfile import read_sweep

    return with_sources(read_sweep(path, name=name, overrides=changes or [], num_samples=num_samples), home, db)


def with_sources(sweep: "SweepFile", home: Home, db: str | None, *, is_new: bool = False) -> "SweepFile":
    """The sweep with the trained models that its trials start from; see `find_sources`.

    Raises:
        InputError: there is no such model.
    """
    from rnnbench.sweep.init_from import find_sources, needs_sources, nothing_ran

    if not needs_sources(sweep):
        return sweep
    if not db and not home.has_results:
        raise nothing_ran(sweep, str(home.path))
    with open_ledger(home, db) as ledger:
        return find_sources(sweep, ledger, home, is_new=is_new)


def home_at(option: str | None, checkpoints: str | None = None) -> Home:
    """The results folder the person means, with the store of its checkpoints.

    Raises:
        InputError: the store's address is none.
    """
    return Home.at(option, os.environ, checkpoints)


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Within, a folder that cannot be written is what the person gave, not a mistake of ours.

    Raises:
        InputError: it cannot be written.
    """
    from rnnbench.base.errors import InputError

    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise
        raise InputError(f"{place} cannot be written ({error.strerror or error}); name another folder") from error


@contextmanager
def open_ledger(home: Home, db: str | None, *, must_exist: bool = True) -> "Iterator[Ledger]":
    """Opens the ledger; creates it unless `must_exist`.

    Raises:
        UnknownNameError: there is none yet, or it has no sweep of the name that was asked for; the text says where we looked.
        InputError: the results folder cannot be written.
    """
    from rnnbench.base.errors import InputError
    from rnnbench.ledger.store import Ledger

    if db is None and must_exist:
        require_results(home)
    if db is None or not must_exist:
        try:
            home.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=home.path):
                pass
        except OSError as error:
            raise InputError(f"the results folder {home.path} cannot be written ({error.strerror}); choose another with --home") from error
    with Ledger.open(db or home.ledger_url) as ledger, _say_where(home, db):
        yield ledger


@contextmanager
def open_glance(home: Home, db: str | None) -> "Iterator[Glance]":
    """Looks at how sweeps stand: straight at a ledger that is a file, since opening it as `open_ledger` does takes half a command's time.

    Raises:
        UnknownNameError: as `open_ledger`.
    """
    from rnnbench.ledger.glance import glance_at_file

    if db is None:
        require_results(home)
        with glance_at_file(home.ledger_file) as glance:
            if glance is not None:
                with _say_where(home, db):
                    yield glance
                return
    with open_ledger(home, db) as ledger, ledger.glance() as glance:
        yield glance


@contextmanager
def _say_where(home: Home, db: str | None) -> Iterator[None]:
    """Adds to the words about an unknown sweep where we looked."""
    from rnnbench.base.errors import UnknownSweepError

    try:
        yield
    except UnknownSweepError as error:
        raise UnknownSweepError(f"{error} (searched {redact(db, {}) if db else home.path}){_other_homes(home)}") from error


def require_results(home: Home) -> None:
    """Refuses a home without a ledger.

    Raises:
        UnknownNameError: nothing ran there yet; the text names other homes in the folders above.
    """
    from rnnbench.base.errors import UnknownNameError

    if not home.has_results:
        raise UnknownNameError(f"no results in {home.path} yet; run a sweep first: {command()} sweep lstm{_other_homes(home)}")


def _other_homes(home: Home) -> str:
    """Words for results folders in the folders above: a person often stands in the wrong one."""
    places = [parent / "runs" for parent in Path.cwd().parents]
    found = [place for place in places if place != home.path and (place / "rnnbench.db").exists()]
    return f"; there are others: {', '.join(f'--home {shlex.quote(str(place))}' for place in found)}" if found else ""


def command() -> str:
    """How the person called this program, ready to paste."""
    called = sys.argv[0]
    if Path(called).name != "rnnbench":
        return "rnnbench"
    path = Path(called).absolute()
    if any(Path(folder).absolute() / "rnnbench" == path for folder in os.environ.get("PATH", "").split(os.pathsep) if folder):
        return "rnnbench"
    relative = os.path.relpath(path)
    return shlex.quote(str(path) if relative.startswith("..") else relative)


def home_flag(home: Home) -> str:
    """The `--home` a pasted command needs; empty where the default does."""
    return "" if home.path == home_at(None).path else f" --home {shlex.quote(str(home.path))}"


def ledger_flags(home: Home, db: str | None) -> str:
    """The `--home` and `--db` that a pasted command needs which reads the ledger; a password is left out."""
    return home_flag(home) + ("" if db is None else f" --db {shlex.quote(redact(db, {}))}")


def place_flags(home: Home, db: str | None) -> str:
    """The same, and the `--checkpoints`, of one that reads or writes trained models."""
    address = home.store_address
    stored = "" if address is None or address == home_at(None).store_address else f" --checkpoints {shlex.quote(address)}"
    return ledger_flags(home, db) + stored


def print_json(document: Any) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(document, indent=2, sort_keys=False, default=str))


def people() -> "Console":
    """The console for people: standard error."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def output() -> "Console":
    """The console for results: standard output, wide enough for a table when it is a pipe."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else 140)
