"""One visual language: a colour and a marker for each cell, the same in every figure, safe for colour-blind readers."""

import io
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.markers import MarkerStyle
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from matplotlib.transforms import BboxBase

from rnnbench.base.parameters import Value

# Okabe and Ito's colours without yellow and black, moved as little as it takes to stand out by 3 to 1 from a white page and from a dark
# one, and so that none are nearer to each other than theirs are, also to those who see no red or no green.
COLOURS = ("#0276e3", "#ab4a1a", "#0ca462", "#b87799", "#d27f01", "#3199d7")
# The same for words, which need more contrast: 4.5 to white and more.
INKS = ("#0272dc", "#a84818", "#0a844f", "#99637f", "#a66401", "#277aac")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
KNOWN = ("lstm", "elman", "gru")
# Not a cell's colour.
INK = "#1c1e21"
GREY = "#686e75"
GRID = "#e4e4e4"
# Where a mark leads to from a figure's own file: the report, at the row of its trial.
PAGE = "../report.html"
FACETS_IN_A_ROW = 3
# Of a parameter's value below an axis: the key of a trial would leave no room for the axis.
LONGEST_NAME = 12
# More marks than that are one image inside the drawing: every one is there, and a page of ten thousand trials opens. Where each stands is
# told beside the drawing.
CROWD = 1000
MARGIN_INCHES = 0.1

Item = TypeVar("Item")

# Any: matplotlib types each of its 300 settings by name.
RC: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "svg.fonttype": "none",
    "svg.hashsalt": "rnnbench",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
}


@dataclass(frozen=True)
class Spot:
    """Where the mark of a trial stands in a drawing, in points from its upper left corner; `anchor` is the id of the trial's row."""

    x: float
    y: float
    anchor: str


@dataclass(frozen=True)
class Picture:
    """A figure in both forms, with the text that stands for it where it cannot be seen.

    Attributes:
        spots: Of marks that are no links of their own.
    """

    name: str
    caption: str
    alt: str
    svg: str
    png: bytes
    spots: tuple[Spot, ...] = ()


@dataclass(frozen=True)
class Look:
    """How trials of one kind are marked; `size` is an area in square points, `line` the width of an outline or a stroke."""

    marker: str
    colour: str
    size: float = 18.0
    alpha: float = 0.65
    line: float = 0.6
    hollow: bool = False


def colour_of(cell: str) -> str:
    """A cell's colour: fixed for the common cells, else from its name."""
    return COLOURS[_place(cell) % len(COLOURS)]


def ink_of(cell: str) -> str:
    """A cell's colour for words."""
    return INKS[_place(cell) % len(INKS)]


def marker_of(cell: str) -> str:
    """A cell's marker."""
    return MARKERS[_place(cell) % len(MARKERS)]


def draw(figure: Figure, name: str, caption: str, alt: str) -> Picture:
    """Renders a figure; the same figure gives the same bytes."""
    FigureCanvasAgg(figure)
    svg, png = io.StringIO(), io.BytesIO()
    # Marks drawn as an image would lose their links in it; without any they are drawn all at once.
    crowds = {marks: marks.get_urls() for axes in figure.axes for marks in axes.collections if marks.get_rasterized() and marks.get_urls()}
    for marks in crowds:
        marks.set_urls([None])
    # Laid out once for both forms.
    figure.draw_without_rendering()
    figure.set_layout_engine(None)
    around = figure.get_tightbbox().padded(MARGIN_INCHES)
    figure.savefig(svg, format="svg", dpi=160, metadata={"Date": None, "Creator": None}, bbox_inches=around)
    figure.savefig(png, format="png", dpi=160, metadata={"Software": None}, bbox_inches=around)
    text = svg.getvalue()
    return Picture(name, caption, alt, text[text.index("<svg") :], png.getvalue(), _find_spots(figure, crowds, around))


def _find_spots(figure: Figure, crowds: Mapping[Collection, Sequence[str | None]], around: BboxBase) -> tuple[Spot, ...]:
    """Where each mark of a crowd is, and what it leads to."""
    found = []
    for marks, urls in crowds.items():
        places = marks.get_offset_transform().transform(marks.get_offsets()) / figure.dpi
        for (x, y), url in zip(places.tolist(), urls, strict=True):
            found.append(Spot(72 * (x - around.x0), 72 * (around.y1 - y), str(url).partition("#")[2]))
    return tuple(found)


def facets(names: Sequence[str], ylabel: str) -> tuple[Figure, list[Axes]]:
    """A panel for each name, with its name above; they share the vertical axis."""
    columns = min(FACETS_IN_A_ROW, len(names))
    lines = math.ceil(len(names) / columns)
    figure = Figure(figsize=(2.6 * columns + 0.6, 2.2 * lines), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False, sharey=True)
    for axes, name in zip(grid.flat, names, strict=False):
        axes.set_title(name)
    for axes in grid.flat[len(names) :]:
        axes.remove()
    # Once for all lines, and over two of its own where it has a unit: a panel is low.
    figure.supylabel(ylabel.replace(" (", "\n(", 1), fontsize=10)
    return figure, list(grid.flat[: len(names)])


def mark_levels(axes: Axes, levels: Sequence[Value], *, vertical: bool = False) -> None:
    """Ticks at 0, 1, ... that name the only values of a parameter."""
    set_ticks, set_limits = (axes.set_yticks, axes.set_ylim) if vertical else (axes.set_xticks, axes.set_xlim)
    set_ticks(range(len(levels)), [shorten(level) for level in levels])
    set_limits(-0.6, len(levels) - 0.4)


def shorten(level: Value) -> str:
    """A parameter's value as few letters as an axis has room for."""
    name = f"{level:g}" if isinstance(level, float) else str(level).lower()
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 4]} ..."


def is_crowd(number: int) -> bool:
    """Whether so many marks are drawn as an image."""
    return number > CROWD


def limit_to_most(items: Sequence[Item], most: int, what: str) -> tuple[Sequence[Item], str]:
    """The first of the items, and a sentence for the caption where that leaves some out."""
    return items[:most], f" Shown are the first {most} of {len(items)} {what}." if len(items) > most else ""


def look_of(cell: str, *, hollow: bool = False) -> Look:
    """How a cell's trials are marked."""
    return Look(marker_of(cell), colour_of(cell), line=0.9 if hollow else 0.6, hollow=hollow)


def scatter(axes: Axes, spots: Sequence[tuple[float, float]], keys: Sequence[str], look: Look) -> None:
    """A mark for each trial, which leads to the trial's row: paler inside than at its edge. Very many are dots."""
    if not spots:
        return
    many = is_crowd(len(spots))
    size, alpha = (5.0, 0.35) if many else (look.size, look.alpha)
    inside = (look.colour, alpha)
    if not MarkerStyle(look.marker).is_filled():
        edge: dict[str, Any] = {"color": look.colour}
    else:
        edge = {"facecolors": "none" if look.hollow else [inside], "edgecolors": [inside if many else look.colour]}
    edge |= {"linewidths": 0.0 if many and not look.hollow else look.line, "marker": look.marker}
    x, y = np.array(spots).T
    marks = axes.scatter(x, y, s=size, zorder=2, rasterized=many, **edge)
    marks.set_urls([f"{PAGE}#{anchor_of(key)}" for key in keys])


def anchor_of(key: str) -> str:
    """The id of a trial's row in the page."""
    return f"trial-{key[:12]}"


def name_marks(figure: Figure, handles: Mapping[str, Line2D]) -> None:
    """A legend of signs that are not a cell's, above the figure at its right; nothing where there are none."""
    if handles:
        figure.legend(
            handles=list(handles.values()), labels=list(handles), loc="outside upper right", ncols=len(handles), handletextpad=0.2
        )


def write_out(axis: Axis, digits: Sequence[int]) -> None:
    """Names these multiples of each power of ten on a logarithmic axis, and marks no others."""
    axis.set_major_locator(LogLocator(subs=digits))
    axis.set_major_formatter(FuncFormatter(lambda at, _: f"{at:g}"))
    axis.set_minor_locator(NullLocator())


def mark_log(axes: Axes, *, narrow: bool = False) -> None:
    """A logarithmic axis with few ticks, written out; fewer in a narrow panel."""
    axes.set_xscale("log")
    write_out(axes.xaxis, (1, 3) if narrow else (1, 2, 5))
    low, high = axes.get_xlim()
    if high < 10 * low:
        # Less than a power of ten has no place for its multiples.
        axes.xaxis.set_major_locator(MaxNLocator(3 if narrow else 6))
    if high > (30 if narrow else 300) * low:
        axes.xaxis.set_major_locator(LogLocator(subs=(1,), numticks=4 if narrow else None))


def name_cells(figure: Figure, cells: Sequence[str]) -> None:
    """A legend above the figure, where there are several cells."""
    if len(cells) > 1:
        handles = [Line2D([], [], linestyle="none", marker=marker_of(cell), color=colour_of(cell), markersize=5) for cell in cells]
        figure.legend(handles=handles, labels=list(cells), loc="outside upper left", ncols=min(len(cells), 6), handletextpad=0.2)


def label_ends(axes: Axes, ends: Sequence[tuple[str, float, float]]) -> None:
    """Writes each cell's name right of its line's end, moved apart where they would touch."""
    _label(axes, ends, on_right=True)


def label_starts(axes: Axes, starts: Sequence[tuple[str, float, float]]) -> None:
    """The same left of its line's start."""
    _label(axes, starts, on_right=False)


def _label(axes: Axes, places: Sequence[tuple[str, float, float]], *, on_right: bool) -> None:
    to_place, from_place = axes.transAxes.inverted(), axes.transAxes
    placed: list[float] = []
    side: dict[str, Any] = {"xytext": (5, 0), "ha": "left"} if on_right else {"xytext": (-5, 0), "ha": "right"}
    for cell, x, y in sorted(places, key=lambda end: end[2]):
        height = float(to_place.transform(axes.transData.transform((x, y)))[1])
        placed.append(max(height, placed[-1] + 0.06) if placed else height)
        at = float(axes.transData.inverted().transform(from_place.transform((0.0, placed[-1])))[1])
        # Unclipped: a name that was moved apart may stand above the panel.
        text: dict[str, Any] = {"va": "center", "color": ink_of(cell), "fontweight": "bold", "annotation_clip": False}
        axes.annotate(cell, (x, at), textcoords="offset points", **text, **side)


def _place(cell: str) -> int:
    return KNOWN.index(cell) if cell in KNOWN else len(KNOWN) + zlib.crc32(cell.encode()) % 97
