"""`rnnbench gc | db`: what the results take, and the ledger's database."""

from pathlib import Path
from typing import Annotated

import typer

from rnnbench.cli.options import (
    CheckpointsOption,
    DbOption,
    HomeOption,
    JsonOption,
    command,
    home_at,
    ledger_flags,
    open_ledger,
    output,
    place_flags,
    print_json,
    require_results,
    writing,
)


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("gc")(gc)
    group = typer.Typer(no_args_is_help=True, help="The ledger's database: its schema, whether it is whole, and sweeps that travel.")
    group.command("current")(current)
    group.command("upgrade")(upgrade)
    group.command("check")(check)
    group.command("extract")(extract)
    group.command("restore")(restore)
    app.add_typer(group, name="db")


def gc(
    home: HomeOption = None,
    db: DbOption = None,
    checkpoints: CheckpointsOption = None,
    delete: Annotated[bool, typer.Option("--delete", help="Delete what is listed; without it nothing is touched.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the checkpoints that nothing needs any more, and with --delete free their room.

    Example: rnnbench gc --delete
    """
    from rnnbench.sweep.garbage import find_garbage
    from rnnbench.task.catalogue import list_tasks

    place = home_at(home, checkpoints)
    with open_ledger(place, db) as ledger:
        found = list(find_garbage(ledger, place, {card.name: card.metric.direction == "max" for card in list_tasks()}))
    if delete:
        place.store.delete(*(garbage.path for garbage in found))
    total = sum(garbage.size for garbage in found)
    if as_json:
        files = [{"path": place.store.where(garbage.path), "bytes": garbage.size, "reason": garbage.reason} for garbage in found]
        print_json({"deleted": delete, "bytes": total, "files": files})
        return
    console, reasons = output(), sorted({garbage.reason for garbage in found})
    for reason in reasons:
        sizes = [garbage.size for garbage in found if garbage.reason == reason]
        console.print(f"{len(sizes):6d} files {sum(sizes) / 1e6:9.1f} MB  {reason}", markup=False)
    done = "freed" if delete else f"can be freed: {command()} gc --delete{place_flags(place, db)}" if found else "nothing to free"
    console.print(f"{len(found):6d} files {total / 1e6:9.1f} MB  {done}", markup=False, soft_wrap=True)


def current(home: HomeOption = None, db: DbOption = None, as_json: JsonOption = False) -> None:
    """Which schema the database has, and which this program wants.

    Example: rnnbench db current
    """
    from rnnbench.ledger.engine import open_engine, schema_versions

    engine = open_engine(_url(home, db), upgrade=False)
    found, wanted = schema_versions(engine)
    engine.dispose()
    if as_json:
        print_json({"schema": found, "wanted": wanted})
        return
    words = "the newest" if found == wanted else f"this rnnbench wants {wanted}: rnnbench db upgrade"
    output().print(f"schema {found or 'none yet'}; {words}", markup=False)


def upgrade(home: HomeOption = None, db: DbOption = None) -> None:
    """Bring the database to this program's schema; of an SQLite file a backup stays beside it.

    Example: rnnbench db upgrade
    """
    from rnnbench.ledger.engine import open_engine, schema_versions

    engine = open_engine(_url(home, db))
    output().print(f"schema {schema_versions(engine)[0]}", markup=False)
    engine.dispose()


def check(home: HomeOption = None, db: DbOption = None) -> None:
    """Look for damaged pages and rows that refer to nothing.

    Example: rnnbench db check
    """
    from rnnbench.ledger.engine import check_database, open_engine

    engine = open_engine(_url(home, db))
    problems = check_database(engine)
    engine.dispose()
    for problem in problems:
        output().print(problem, markup=False, soft_wrap=True)
    output().print("damaged: restore a backup" if problems else "whole", markup=False)
    if problems:
        raise typer.Exit(1)


def extract(
    names: Annotated[list[str], typer.Argument(metavar="SWEEP")],
    to: Annotated[Path, typer.Option("--to", help="The folder; it is made.")],
    home: HomeOption = None,
    db: DbOption = None,
) -> None:
    """Write sweeps as Parquet files: all that their reports are made of, for another machine or a repository. No models.

    Example: rnnbench db extract lstm --to lstm_extract
    """
    from rnnbench.ledger.engine import open_engine
    from rnnbench.ledger.extract import extract as write

    engine = open_engine(_url(home, db))
    with writing(to):
        count = write(engine, names, to)
    engine.dispose()
    output().print(f"{count} trials in {to}; read them back with: {command()} db restore {to} --home HOME", markup=False, soft_wrap=True)


def restore(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What `db extract` wrote.")],
    home: HomeOption = None,
    db: DbOption = None,
) -> None:
    """Add the sweeps of an extract to a ledger, so that every command that reads results works on them.

    Example: rnnbench db restore lstm_extract --home elsewhere
    """
    from rnnbench.ledger.engine import open_engine
    from rnnbench.ledger.extract import restore as read

    place = home_at(home)
    with writing(place.path):
        place.path.mkdir(parents=True, exist_ok=True)
    engine = open_engine(db or place.ledger_url)
    names = read(folder, engine)
    engine.dispose()
    words = f"{', '.join(names)}: {command()} report {' '.join(names)}{ledger_flags(place, db)}"
    output().print(words, markup=False, soft_wrap=True)


def _url(home: str | None, db: str | None) -> str:
    place = home_at(home)
    if db is None:
        require_results(place)
    return db or place.ledger_url
