"""The table of a sweep: what has ended, and what was given up."""

from collections import Counter

from rich.console import Console

from rnnbench.cli.live import score_table
from rnnbench.ledger.records import LaneStanding, Status


def shown(**counts: int) -> dict[str, str]:
    """The table's one row, by its titles."""
    lane = LaneStanding("adding", "generated", "gru", Counter({Status(name): number for name, number in counts.items()}), None, None)
    console = Console(width=200)
    with console.capture() as captured:
        console.print(score_table([lane]))
    titles, row = captured.get().strip().splitlines()
    return dict(zip(titles.split(), row.split(), strict=True))


def test_cancelled_trials_are_not_done_and_are_counted_apart() -> None:
    row = shown(completed=2, diverged=1, failed=1, cancelled=3)
    assert (row["done"], row["diverged"], row["failed"], row["cancelled"]) == ("4/7", "1", "1", "3")


def test_a_sweep_that_nobody_cancelled_has_no_column_for_it() -> None:
    row = shown(completed=2, running=1, pending=4)
    assert "cancelled" not in row
    assert (row["done"], row["running"], row["waiting"]) == ("2/7", "1", "4")
