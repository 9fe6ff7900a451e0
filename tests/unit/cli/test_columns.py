"""Tables on terminals of any width, and where there is none."""

import io

import pytest
from rich.console import Console

from rnnbench.cli.columns import Column, Columns, show

TABLE = Columns(
    [
        Column("cell", ["elman", "layer_norm_lstm"], left=True),
        Column("done", ["3/10", "10/10"], rank=1),
        Column("waiting", ["7", "0"], rank=3),
        Column("best", ["accuracy 0.9", "-"], rank=2),
    ]
)
WHOLE = [
    "cell              done  waiting          best",
    "elman             3/10        7  accuracy 0.9",
    "layer_norm_lstm  10/10        0             -",
]


def shown(width: int, *, terminal: bool, encoding: str = "utf-8") -> list[str]:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding=encoding, newline="\n")
    show(Console(file=out, width=width, force_terminal=terminal, no_color=True, color_system=None), TABLE)
    out.flush()
    return raw.getvalue().decode(encoding).splitlines()


def test_where_there_is_room_all_is_there() -> None:
    assert shown(80, terminal=True) == shown(45, terminal=True) == WHOLE


@pytest.mark.parametrize(
    ("width", "titles"),
    [(44, "cell done best"), (36, "cell done best"), (35, "cell done"), (22, "cell done"), (21, "cell"), (15, "cell")],
)
def test_a_narrow_terminal_has_fewer_columns_and_whole_words(width: int, titles: str) -> None:
    lines = shown(width, terminal=True)
    assert lines[0].split() == titles.split()
    assert lines[2].startswith("layer_norm_lstm")
    assert max(map(len, lines)) <= width


def test_where_even_the_last_column_has_no_room_it_is_cut_to_the_terminal() -> None:
    assert shown(6, terminal=True) == ["cell", "elman", "layer_"]


def test_a_pipe_gets_everything_in_one_line_a_row() -> None:
    assert shown(20, terminal=False) == WHOLE
    assert shown(20, terminal=False, encoding="ascii") == WHOLE
