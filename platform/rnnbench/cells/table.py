"""The table of cells, and those that other packages add. No torch."""

from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

from rnnbench.base.errors import InputError, UnknownNameError
from rnnbench.base.names import printable, suggest
from rnnbench.cells.entries.controls import CONTROLS
from rnnbench.cells.entries.lstms import LSTMS
from rnnbench.cells.entries.parallel import PARALLEL
from rnnbench.cells.entries.simple import SIMPLE
from rnnbench.cells.entry import CellEntry
from rnnbench.cells.own import find_own, is_reference, read_own

ENTRY_POINTS = "rnnbench.cells"


CELLS = (*SIMPLE, *LSTMS, *PARALLEL, *CONTROLS)


@cache
def list_cells() -> tuple[CellEntry, ...]:
    """Every cell: ours in the table's order, then those of the entry-point group `rnnbench.cells` by name.

    Raises:
        InputError: two cells have one name.
    """
    others = [point.load() for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name)]
    entries = (*CELLS, *others)
    names = [entry.name for entry in entries]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two cells are called '{name}': uninstall one of the packages that add it (entry points {ENTRY_POINTS})")
    return entries


def get_cell(name: str) -> CellEntry:
    """The cell of that name.

    Raises:
        UnknownNameError: there is none; the text has the nearest name.
    """
    if own := find_own(name):
        return own
    known = {entry.name: entry for entry in list_cells()}
    if name not in known:
        raise UnknownNameError(f"no cell '{printable(name)}'{suggest(name, known)}")
    return known[name]


def resolve_cell(name: str, folder: Path) -> CellEntry:
    """The cell that a person means: a name of the table, or `file.py:Class` with the file relative to `folder`.

    Raises:
        UnknownNameError: there is none.
    """
    return get_cell(read_own(name, folder).name if is_reference(name) else name)
