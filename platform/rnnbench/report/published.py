"""Published numbers beside ours: better, reproduced or not reached, where the same was asked."""

import statistics as plain
from dataclasses import dataclass
from typing import Literal

from rnnbench.report.tables import Comparison, sign_of
from rnnbench.task.cards import PublishedNumber

Verdict = Literal["better", "reproduced", "not reached"]


@dataclass(frozen=True)
class Against:
    """A published number and what stands against it here.

    Attributes:
        ours: Mean test value of the same cell's winner; None where it was not confirmed.
        verdict: `reproduced` where the number lies within our 95 % interval over seeds, else which side of it; None where there is none.
        why_not: Why there is no verdict.
    """

    number: PublishedNumber
    ours: float | None
    verdict: Verdict | None
    why_not: str | None = None


def find_published(comparison: Comparison) -> list[Against]:
    """Every published number on the data set; those that say more first."""
    numbers = [number for number in comparison.task.published if number.data == comparison.data]
    return sorted((_against(comparison, number) for number in numbers), key=lambda one: one.verdict is None)


def _against(comparison: Comparison, number: PublishedNumber) -> Against:
    others = [name.partition(".")[2] for name, value in number.asked.items() if comparison.asked[name] != value]
    unnamed = [name.partition(".")[2] for name in comparison.question if name not in number.asked]
    if others:
        return Against(number, None, None, f"asked with other {', '.join(others)}")
    row = next((row for row in comparison.rows if row.cell == number.cell), None)
    if row is None:
        return Against(number, None, None, "not among the cells")
    if len(row.test_values) < 2:
        return Against(number, None, None, "not confirmed with two seeds or more")
    ours = plain.fmean(row.test_values)
    if row.test is None:
        return Against(number, ours, None, "all seeds have the same value, which gives no interval")
    if row.test.low <= number.value <= row.test.high:
        verdict: Verdict = "reproduced"
    else:
        verdict = "better" if sign_of(comparison.task) * (ours - number.value) > 0 else "not reached"
    return Against(number, ours, verdict, f"here with {', '.join(unnamed)} of its own" if unnamed else None)
