"""`rnnbench data list | fetch | check`: which data sets are here, how to get the others, and what is in them."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnnbench.cli.options import JsonOption, command, output, people, print_json

if TYPE_CHECKING:
    from rnnbench.task.cards import TaskCard
    from rnnbench.task.fetch import Fetched


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    data = typer.Typer(help="The data sets on this machine.", no_args_is_help=True, rich_markup_mode=None)
    data.command("list")(data_list)
    data.command("fetch")(data_fetch)
    data.command("check")(data_check)
    app.add_typer(data, name="data")


def data_list(as_json: JsonOption = False) -> None:
    """Every data set: embedded, here, or what is missing and how to get it; and what of one's own each task takes.

    Example: rnnbench data list
    """
    from rich.table import Table

    from rnnbench.cli.plan_table import size
    from rnnbench.task.catalogue import list_tasks

    rows, takes = data_rows(), [card for card in list_tasks() if card.own_data is not None]
    if as_json:
        own = [{"task": card.name, "data": "path:", "state": "own", "accepts": card.own_data and card.own_data.accepts} for card in takes]
        print_json([*rows, *own])
        return
    console, table = output(), Table(box=None, pad_edge=False, header_style="bold")
    for title in ("task", "data", "size", "state"):
        table.add_column(title, justify="right" if title == "size" else "left")
    for row in rows:
        table.add_row(row["task"], row["data"], size(row["size_bytes"]) if row["size_bytes"] else "", row["state"])
    console.print(table)
    for row in rows:
        if "problem" in row:
            console.print(f"\n{row['problem']}", markup=False, soft_wrap=True)
    for card in takes:
        assert card.own_data is not None
        console.print(f"\n{card.name} takes your own: {' '.join(card.own_data.accepts.split())}", markup=False, soft_wrap=True)


def data_fetch(
    task: Annotated[str | None, typer.Argument(metavar="TASK", show_default=False)] = None,
    data: Annotated[str | None, typer.Argument(metavar="DATA", show_default=False)] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every data set of the task, or of all tasks.")] = False,
) -> None:
    """Fetch a data set from its public address into $RNNBENCH_DATA (default ~/.cache/rnnbench).

    A download that was cut goes on where it was; what is here already is not fetched again.

    Example: rnnbench data fetch sequential_digits mnist
    """
    from rnnbench.base.errors import DataError
    from rnnbench.cli.transfers import watch
    from rnnbench.task.fetch import fetch
    from rnnbench.task.sources import data_home

    home, failed = data_home(os.environ), list[str]()
    chosen = _chosen(task, data, everything=everything)
    for card, name in chosen:
        try:
            with watch(people()) as watcher:
                files = fetch(card, name, home, watcher)
        except DataError as error:
            if len(chosen) == 1:
                raise
            failed.append(name)  # the others may still be had
            people().print(f"rnnbench: {error}", markup=False, soft_wrap=True)
        except KeyboardInterrupt:
            people().print("\nstopped; what has come is kept: the same command goes on from there", markup=False)
            raise
        else:
            _print_fetched(card, name, files)
    if failed:
        raise DataError(f"{len(failed)} of {len(chosen)} data sets could not be fetched: {', '.join(failed)}")


def data_check(
    task: Annotated[str, typer.Argument(metavar="TASK")],
    data: Annotated[str | None, typer.Argument(metavar="DATA", show_default=False)] = None,
    path: Annotated[Path | None, typer.Option("--path", help="Your own file or folder instead of a data set.", show_default=False)] = None,
    changes: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Set a data.* or task.* parameter.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Read a data set, or your own file, as a trial would; print what it holds and what is odd about it.

    Example: rnnbench data check polyphonic_music jsb
    """
    from rnnbench.base.canonical import canonical_json
    from rnnbench.search.plan import plan
    from rnnbench.sweep.single import single_sweep
    from rnnbench.task.catalogue import get_task
    from rnnbench.task.sources import data_home, differs_from_published, fingerprint, locate

    card, home = get_task(task), data_home(os.environ)
    sweep = single_sweep(task, "lstm", data, path, changes or [], os.environ)
    name, own = sweep.tasks[0].data, sweep.tasks[0].own
    found = fingerprint(card, name, home, own)
    spec = plan(sweep, {(task, name): found})[0]
    parameters = {key: value for key, value in spec.parameters.items() if key.startswith(("data.", "task."))}
    with people().status("reading all splits"):
        # Only now: it imports torch, seconds that a mistake above should not take.
        from rnnbench.task.check import read_contents

        contents = read_contents(task, name, locate(card, name, home, own), parameters, thorough=True)
    others = [] if own else differs_from_published(card, name, home)
    if as_json:
        known = {"task": task, "data": name, "fingerprint": found, "parameters": parameters, "not_published": others}
        print_json({**known, "facts": dict(contents.facts), "findings": list(contents.findings)})
        return
    console = output()
    for fact, value in contents.facts.items():
        words = value if isinstance(value, str | int | float) else canonical_json(value)
        console.print(f"{fact}: {words}", markup=False, soft_wrap=True)
    for file in others:
        console.print(f"warning: {file} is not the published file (its checksum differs)", markup=False, soft_wrap=True)
    for finding in contents.findings:
        console.print(f"note: {finding}", markup=False, soft_wrap=True)
    console.print(f"fingerprint: {found}", markup=False)
    console.print(f"{task} {name}: usable", markup=False, soft_wrap=True)


def data_rows() -> list[dict[str, Any]]:
    """Task, data set, size and state of every data set; `problem` says how to get a missing one."""
    from rnnbench.base.errors import DataError
    from rnnbench.task.catalogue import list_tasks
    from rnnbench.task.fetch import total_bytes
    from rnnbench.task.sources import data_home, find_files, locate

    home, rows = data_home(os.environ), list[dict[str, Any]]()
    for card in list_tasks():
        for name, item in card.data.items():
            forms = [[file.path for file in form] for form in (item.files, *item.or_files) if form]
            row: dict[str, Any] = {"task": card.name, "data": name, "size_bytes": total_bytes(item.files), "forms": forms}
            found = find_files(item, home)
            if item.embedded:
                row["state"] = "embedded"
            elif found:
                other = "" if [file.path for file, _ in found] == forms[0] else ", in another form"
                row |= {"state": f"here{other}: {found[0][1].parent}", "size_bytes": sum(place.stat().st_size for _, place in found)}
            else:
                try:
                    locate(card, name, home)
                except DataError as error:
                    row |= {"state": "missing", "problem": str(error)}
            rows.append(row)
    return rows


def _chosen(task: str | None, data: str | None, *, everything: bool) -> "list[tuple[TaskCard, str]]":
    """The data sets to be fetched."""
    from rnnbench.base.errors import DataError, InputError
    from rnnbench.cli.plan_table import size
    from rnnbench.task.catalogue import get_task, list_tasks
    from rnnbench.task.fetch import list_fetchable, total_bytes

    if task is None and not everything:
        raise InputError(f"give a task ({command()} data fetch sequential_digits mnist), or --all for every data set of every task")
    if data is not None and everything:
        raise InputError(f"--all is every data set, '{data}' is one; leave one of them out")
    cards = list(list_tasks()) if task is None else [get_task(task)]
    if data is not None:
        return [(cards[0], data)]
    chosen = [(card, name) for card in cards for name in list_fetchable(card)]
    if not chosen:
        raise DataError(f"the data sets of task '{task}' are embedded: they need no fetch")
    if len(chosen) > 1 and not everything:
        sizes = {name: total_bytes(card.data[name].files) for card, name in chosen}
        listed = ", ".join(f"{name} ({size(known)})" if known else name for name, known in sizes.items())
        raise InputError(f"task '{task}' has {len(chosen)} sets to fetch: {listed}; name one of them, or say --all")
    return chosen


def _print_fetched(card: "TaskCard", data: str, files: "Sequence[Fetched]") -> None:
    console = output()
    for one in files:
        words = "fetched" if one.is_new else "here already"
        checked = {"checked": "checksum as published", "unchecked": f"no published checksum, sha256 {one.sha256}"}.get(one.verdict)
        console.print(f"{one.path}: {words}{f', {checked}' if checked else ''}", markup=False, soft_wrap=True)
    if others := [str(one.path) for one in files if one.verdict == "other"]:
        people().print(
            f"warning: here before, and not as published (their checksums differ): {', '.join(others)}. They stay; for the published ones "
            f"remove them, then: {command()} data fetch {card.name} {data}",
            markup=False,
            soft_wrap=True,
        )
    console.print(f"{card.name} {data}: ready; what is in it: {command()} data check {card.name} {data}", markup=False, soft_wrap=True)
