"""Options that several commands share, and the two consoles: data on standard output, words for people on standard error."""

import json
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnnbench.base.home import Home

if TYPE_CHECKING:
    from rich.console import Console

    from rnnbench.ledger.store import Ledger

HomeOption = Annotated[
    str | None, typer.Option("--home", metavar="DIR", help="Results folder (default: $RNNBENCH_HOME, else ./runs).", show_default=False)
]
DbOption = Annotated[
    str | None, typer.Option("--db", metavar="URL", help="Ledger database (default: rnnbench.db in the home).", show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else on standard output.")]
TrackingOption = Annotated[
    str | None, typer.Option("--tracking-uri", metavar="URI", help="MLflow address (default: mlflow.db in the home).", show_default=False)
]


def home_at(option: str | None) -> Home:
    """The results folder the person means."""
    return Home.at(option, os.environ)


def open_ledger(home: Home, db: str | None, *, must_exist: bool = True) -> "Ledger":
    """Opens the ledger; creates it unless `must_exist`.

    Raises:
        UnknownNameError: there is none yet.
    """
    from rnnbench.base.errors import UnknownNameError
    from rnnbench.ledger.store import Ledger

    if db is None and must_exist and not (home.path / "rnnbench.db").exists():
        raise UnknownNameError(f"no results in {home.path} yet; run a sweep first: {command()} sweep lstm")
    if db is None:
        home.path.mkdir(parents=True, exist_ok=True)
    return Ledger.open(db or home.ledger_url)


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
    return "" if home == home_at(None) else f" --home {shlex.quote(str(home.path))}"


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
