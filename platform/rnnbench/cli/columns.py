"""A table of one line a row that fits: on a terminal it leaves columns out before it cuts a word; elsewhere all of it is there."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

GAP = 2


@dataclass(frozen=True)
class Column:
    """One of a table's columns.

    Attributes:
        rank: Which go first where there is no room for all: those of the highest rank, among equals the rightmost; 0: none of them.
    """

    title: str
    lines: Sequence[str]
    rank: int = 0
    left: bool = False

    @property
    def width(self) -> int:
        """Of its longest line, in cells of the terminal."""
        return max(map(cell_len, (self.title, *self.lines)))


class Columns:
    """Columns side by side, for a console to print."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = list(columns)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The lines; see `rich.console`."""
        room = options.max_width if console.is_terminal else None
        columns = self.columns if room is None else fit(self.columns, room)
        for place in range(-1, len(columns[0].lines)):
            line = (" " * GAP).join(_padded(column, place) for column in columns).rstrip()
            if room is not None:
                line = set_cell_size(line, room).rstrip()
            yield Text(line, style="bold" if place < 0 else "", no_wrap=True, overflow="ignore")


def show(console: Console, columns: Columns) -> None:
    """Prints a table; what is not a terminal gets whole lines, however long."""
    console.print(columns, crop=False, no_wrap=True)


def fit(columns: Sequence[Column], room: int) -> list[Column]:
    """The columns for which there is room."""
    kept = list(columns)
    while sum(column.width + GAP for column in kept) - GAP > room:
        optional = [column for column in kept if column.rank]
        if not optional:
            break
        highest = max(column.rank for column in optional)
        kept.remove([column for column in optional if column.rank == highest][-1])
    return kept


def _padded(column: Column, place: int) -> str:
    word = column.title if place < 0 else column.lines[place]
    space = " " * (column.width - cell_len(word))
    return word + space if column.left else space + word
