"""How a cell's value grows with the training rows, where a sweep varied their number."""

import statistics as plain
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.figure import Figure

from rnnbench.report.style import RC, Picture, colour_of, draw, label_ends, mark_log, marker_of
from rnnbench.report.tables import Comparison, Summary, to_number, value
from rnnbench.report.words import axis_title

# Parameters that say how many rows are trained on.
AMOUNTS = {"data.train_fraction": "share of the training rows", "task.num_train": "training rows"}


@dataclass(frozen=True)
class Point:
    """A cell's value with so many rows: the mean test value of its winner with its interval, else the best validation value."""

    amount: float
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Amounts:
    """The same question to one data set with several numbers of training rows.

    Attributes:
        tested: Whether values are test values; else best validation values.
        points: Of each cell, by amount.
    """

    task: str
    about: str
    name: str
    axis: str
    metric: str
    tested: bool
    points: dict[str, tuple[Point, ...]]


def find_amounts(comparisons: Sequence[Comparison]) -> list[Amounts]:
    """Every set of comparisons that differ in the number of training rows and in nothing else that was asked."""
    found = []
    for name in AMOUNTS:
        groups: dict[tuple[str, str, tuple[tuple[str, object], ...]], list[Comparison]] = {}
        for one in comparisons:
            if name in one.asked:
                rest = tuple(sorted((other, asked) for other, asked in one.asked.items() if other != name and asked is not None))
                groups.setdefault((one.task.name, one.data, rest), []).append(one)
        found += [_amounts(name, group) for group in groups.values() if len(group) > 1]
    return [one for one in found if one.points]


def draw_amounts(found: Amounts, name: str) -> Picture:
    """A line for each cell; data sets may be asked several things, so the picture's name is the caller's."""
    with mpl.rc_context(RC):
        figure = Figure(figsize=(7.2, 3.2))
        axes = figure.add_subplot()
        ends = []
        for cell, points in found.points.items():
            x, y, colour = [point.amount for point in points], [point.value for point in points], colour_of(cell)
            axes.plot(x, y, color=colour, linewidth=2, marker=marker_of(cell), markersize=5)
            for point in points:
                if point.low is not None and point.high is not None:
                    axes.plot([point.amount] * 2, [point.low, point.high], color=colour, linewidth=1, alpha=0.6)
            ends.append((cell, x[-1], y[-1]))
        mark_log(axes)
        label_ends(axes, ends)
        axes.set_xlabel(found.axis)
        split = "test" if found.tested else "validation"
        axes.set_ylabel(f"{split} {found.metric}")
        what = "Mean test value of each winner, with its 95 % interval," if found.tested else "Best validation value of each cell"
        alt = "; ".join(
            f"{cell}: " + ", ".join(f"{point.value:.4g} at {point.amount:g}" for point in points) for cell, points in found.points.items()
        )
        return draw(figure, name, f"{what} against the {found.axis}; each was searched for itself.", alt)


def _amounts(name: str, group: Sequence[Comparison]) -> Amounts:
    ordered = sorted(group, key=lambda one: to_number(one.asked[name]))
    tested = all(one.tested for one in ordered)
    points: dict[str, list[Point]] = {}
    for one in ordered:
        for row in one.rows:
            point = _point(row, to_number(one.asked[name]), tested=tested)
            if point:
                points.setdefault(row.cell, []).append(point)
    first = ordered[0]
    kept = {cell: tuple(of_cell) for cell, of_cell in points.items() if len(of_cell) > 1}
    return Amounts(first.task.name, first.data, name, AMOUNTS[name], axis_title(first.task.metric), tested, kept)


def _point(row: Summary, amount: float, *, tested: bool) -> Point | None:
    if tested:
        return Point(amount, plain.fmean(row.test_values), row.test.low if row.test else None, row.test.high if row.test else None)
    return Point(amount, value(row.best), None, None) if row.best else None
