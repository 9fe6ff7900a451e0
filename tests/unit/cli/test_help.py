"""Every command has a help with an example, and `--help` is light."""

import typer
from typer.main import get_command

from rnnbench.cli.app import app

PLANNED = {
    "sweep",
    "predict",
    "export",
    "export-benchmark",
    "compare",
    "best",
    "bench",
    "new",
    "check",
    "resume",
    "cancel",
    "gc",
    "db",
    "status",
    "list",
    "show",
    "report",
    "train",
    "cells",
    "tasks",
    "data",
    "ui",
    "sync",
    "doctor",
    "submit",
}


def commands() -> dict[str, str]:
    group = get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    found: dict[str, str] = {}
    for name, command in group.commands.items():
        inner = getattr(command, "commands", None)
        found |= {f"{name} {part}": item.help or "" for part, item in inner.items()} if inner else {name: command.help or ""}
    return found


def test_every_command_of_the_design_that_exists_is_registered() -> None:
    assert {name.split()[0] for name in commands()} == PLANNED


def test_every_command_has_an_example_that_starts_with_its_name() -> None:
    for name, text in commands().items():
        assert f"Example: rnnbench {name}" in text, name
