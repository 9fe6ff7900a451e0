"""Where in the space trials were lost, as a picture: the learning rate against what mattered most beside it."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from rnnbench.report.axes import Scale
from rnnbench.report.divergence import Spot, Spots
from rnnbench.report.importance import RATE
from rnnbench.report.style import (
    COLOURS,
    FACETS_IN_A_ROW,
    GREY,
    Look,
    Picture,
    draw,
    ink_of,
    limit_to_most,
    look_of,
    mark_levels,
    mark_log,
    name_marks,
    scatter,
    write_out,
)
from rnnbench.report.tables import find_levels, place_of

MOST_CELLS = 12
# More signs are smaller.
FEW = 60
# Of a lost trial; black and vermilion are told apart in every kind of sight, and by their shapes.
DIVERGED, FAILED = ("x", "black"), ("+", COLOURS[1])


def draw_divergence(found: Sequence[Spots], scales: Mapping[str, Scale], prefix: str) -> Picture | None:
    """A panel for each cell that lost a trial; None without any."""
    if not found:
        return None
    shown, left_out = limit_to_most(found, MOST_CELLS, "cells that lost trials")
    columns = min(FACETS_IN_A_ROW, len(shown))
    lines = -(-len(shown) // columns)
    figure = Figure(figsize=(2.6 * columns + 0.8, 2.4 * lines + 0.3), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False)
    for axes, one in zip(grid.flat, shown, strict=False):
        _panel(axes, one, scales)
    for axes in grid.flat[len(shown) :]:
        axes.remove()
    figure.supxlabel(RATE, fontsize=10)
    kinds = {"diverged": (DIVERGED, any(one.diverged for one in shown)), "failed": (FAILED, any(one.failed for one in shown))}
    handles = {
        name: Line2D([], [], linestyle="none", marker=marker, color=colour, markersize=5)
        for name, ((marker, colour), is_any) in kinds.items()
        if is_any
    }
    name_marks(figure, {"completed": Line2D([], [], linestyle="none", marker="o", color=GREY, alpha=0.65, markersize=4)} | handles)
    caption = (
        "Where search trials were lost: the learning rate against the parameter that mattered most beside it "
        f"(by functional ANOVA where it is known, else the one that tells the lost trials from the others best).{left_out}"
    )
    alt = "; ".join(f"{one.cell}: {len(one.diverged)} diverged and {len(one.failed)} failed, by {one.second}" for one in shown)
    return draw(figure, f"{prefix}-divergence", caption, alt)


def _panel(axes: Axes, one: Spots, scales: Mapping[str, Scale]) -> None:
    spots = [*one.well, *one.diverged, *one.failed]
    x_levels, y_levels = find_levels([first for first, _, _ in spots]), find_levels([second for _, second, _ in spots])

    def mark(of_kind: Sequence[Spot], look: Look) -> None:
        places = [(place_of(first, x_levels), place_of(second, y_levels)) for first, second, _ in of_kind]
        scatter(axes, places, [key for _, _, key in of_kind], look)

    mark(one.well, look_of(one.cell))
    for of_kind, (marker, colour) in ((one.diverged, DIVERGED), (one.failed, FAILED)):
        mark(of_kind, Look(marker, colour, size=25.0 if len(of_kind) <= FEW else 9.0, alpha=1.0, line=1.0))
    if x_levels:
        mark_levels(axes, x_levels)
    elif scales.get(RATE) == "log":
        mark_log(axes, narrow=True)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4))
    if y_levels:
        mark_levels(axes, y_levels, vertical=True)
    elif scales.get(one.second) == "log":
        axes.set_yscale("log")
        write_out(axes.yaxis, (1, 2, 5))
    axes.set_ylabel(one.second)
    axes.set_title(one.cell, color=ink_of(one.cell), fontweight="bold")
