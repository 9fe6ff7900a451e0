"""How downloads look in a pipe; on a terminal see tests/integration/test_data_commands.py."""

import io

import pytest
from rich.console import Console

import rnnbench.cli.transfers as transfers


def lines_of(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_a_pipe_gets_a_line_for_each_beginning_and_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(file=io.StringIO(), width=40)
    with transfers.watch(console) as watcher:
        watcher.start("set/[red]a.csv", 0, 2_500_000)
        watcher.advance(1_000_000)
        watcher.start("set/[red]a.csv", 1_000_000, None)
        watcher.say("a long line is not broken at the width of a console that nobody looks at")
    assert lines_of(console) == [
        "fetching set/[red]a.csv (2.5 MB)",
        "fetching set/[red]a.csv, from 1 MB on",
        "a long line is not broken at the width of a console that nobody looks at",
    ]


def test_a_long_download_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "LINE_S", 0.0)
    console = Console(file=io.StringIO())
    with transfers.watch(console) as watcher:
        watcher.start("a.csv", 500_000, 2_500_000)
        watcher.advance(1_000_000)
        watcher.start("b.csv", 0, None)
        watcher.advance(1_000)
    assert lines_of(console)[1::2] == ["a.csv: 1.5 MB of 2.5 MB", "b.csv: 1 kB"]
