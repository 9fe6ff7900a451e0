"""A sweep of one trial, from the words of a command instead of a file."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from rnnbench.base.canonical import canonical_json
from rnnbench.base.errors import InputError
from rnnbench.cells.table import resolve_cell
from rnnbench.search.sweepfile import SweepFile, read_sweep
from rnnbench.task.catalogue import get_task
from rnnbench.task.sources import data_home, locate


def single_sweep(task: str, cell: str, data: str | None, own: Path | None, changes: Sequence[str], environ: Mapping[str, str]) -> SweepFile:
    """The sweep, its names valid and its files found.

    Args:
        data: A data set of the task; None: its default.
        own: Instead, a person's own file or folder.
        changes: `KEY=VALUE` texts, as of `--set`.
    Raises:
        InputError: a name, a value or a file cannot be used.
    """
    card = get_task(task)
    # All names are checked here: the file below is ours, and its place would tell the person nothing.
    cell = resolve_cell(cell, Path.cwd()).name
    if own is not None:
        if data is not None:
            raise InputError(f"'{data}' is a data set, --path {own} is your own file; leave one of them out")
        if card.own_data is None:
            raise InputError(f"task '{task}' takes no files of one's own; its sets: {', '.join(card.data)}")
        own = own.expanduser().absolute()
    locate(card, data or card.default_data, data_home(environ), own)
    named = {"name": task, "data": {"path": str(own)} if own else data or card.default_data}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "train.yaml"
        file.write_text(canonical_json({"task": named, "cells": [cell], "search": {"num_samples": 1}}), encoding="utf-8")
        return read_sweep(file, overrides=changes)
