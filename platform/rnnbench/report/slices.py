"""The metric against each searched parameter, for each cell, with the trials that were stopped early and those that diverged."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from rnnbench.base.parameters import Value
from rnnbench.ledger.records import Status, TrialRecord
from rnnbench.report.axes import Scale
from rnnbench.report.style import (
    GREY,
    Picture,
    draw,
    ink_of,
    is_crowd,
    limit_to_most,
    look_of,
    mark_levels,
    mark_log,
    name_marks,
    scatter,
)
from rnnbench.report.tables import Comparison, Summary, find_levels, place_of, value
from rnnbench.report.words import axis_title

COLUMNS = 4
MOST_CELLS = 12
GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class _Points:
    """Of one cell and parameter: where each trial was; of the diverged only where."""

    whole: list[tuple[Value, TrialRecord]]
    stopped: list[tuple[Value, TrialRecord]]
    diverged: list[Value]

    def given(self) -> list[Value]:
        return [*(at for at, _ in self.whole), *(at for at, _ in self.stopped), *self.diverged]


@dataclass(frozen=True)
class _Panel:
    name: str
    row: Summary
    points: _Points
    # Of all cells together, so that panels of a parameter share an axis.
    levels: Sequence[Value] = ()


def draw_slices(comparison: Comparison, names: Sequence[str], scales: Mapping[str, Scale], prefix: str) -> Picture:
    """A column of panels for each parameter that several cells have, a row for each cell; then the parameters of one cell each."""
    rows, left_out = limit_to_most([row for row in comparison.rows if row.completed], MOST_CELLS, "cells")
    lines = _arrange({name: [(row, points) for row in rows if (points := _points(row, name)).given()] for name in names})
    columns = max(map(len, lines))
    figure = Figure(figsize=(max(3.6, 1.75 * columns + 0.6), 0.5 + 1.5 * len(lines)), layout="constrained")
    grid = figure.subplots(len(lines), columns, squeeze=False, sharey=True)
    for axes in grid.flat:
        axes.set_visible(False)
    columns_of: dict[str, list[Axes]] = {}
    for line, panels in zip(grid, lines, strict=True):
        for axes, panel in zip(line, panels, strict=False):
            axes.set_visible(True)
            _draw_points(axes, panel)
            columns_of.setdefault(panel.name, []).append(axes)
            if axes is line[0] or panel.row is not panels[0].row:
                axes.set_title(panel.row.cell, color=ink_of(panel.row.cell), fontweight="bold")
    for name, of_name in columns_of.items():
        _mark(of_name, [panel for line in lines for panel in line if panel.name == name], log_scaled=scales.get(name) == "log")
    figure.supylabel(axis_title(comparison.task.metric), fontsize=10)
    every = [panel.points for line in lines for panel in line]
    drawn = {"stopped early": any(one.stopped for one in every), "diverged": any(one.diverged for one in every)}
    handles = {
        "stopped early": Line2D([], [], linestyle="none", marker="o", markerfacecolor="none", markeredgecolor=GREY, markersize=5),
        "diverged": Line2D([], [], linestyle="none", marker="|", color=GREY, markersize=8),
    }
    name_marks(figure, {name: handle for name, handle in handles.items() if drawn[name]})
    title = comparison.task.metric.title
    marks = {"stopped early": "hollow: stopped early by a scheduler", "diverged": "strokes on the lower edge: diverged, without a value"}
    notes = "".join(f"; {words}" for name, words in marks.items() if drawn[name])
    caption = f"Best validation {title} of every completed trial against each searched parameter, by cell{notes}.{left_out}"
    return draw(figure, f"{prefix}-slices", caption, f"{title} against {', '.join(names)}")


def _arrange(found: Mapping[str, Sequence[tuple[Summary, _Points]]]) -> list[list[_Panel]]:
    """Lines of panels: parameters of the same cells share a line for each cell; those of one cell alone follow one another."""
    groups: dict[tuple[str, ...], list[str]] = {}
    alone: list[_Panel] = []
    levels = {name: find_levels([at for _, points in cells for at in points.given()]) for name, cells in found.items()}
    for name, cells in found.items():
        if len(cells) == 1:
            alone.append(_Panel(name, *cells[0], levels[name]))
        elif cells:
            groups.setdefault(tuple(row.cell for row, _ in cells), []).append(name)
    lines = []
    for names in groups.values():
        # Blocks of about the same width: five are three and two.
        width = math.ceil(len(names) / math.ceil(len(names) / COLUMNS))
        for start in range(0, len(names), width):
            of_names = [[_Panel(name, row, points, levels[name]) for row, points in found[name]] for name in names[start : start + width]]
            lines += [list(line) for line in zip(*of_names, strict=True)]
    return lines + [alone[start : start + COLUMNS] for start in range(0, len(alone), COLUMNS)]


def _points(row: Summary, name: str) -> _Points:
    found = _Points([], [], [])
    for trial, parameters in zip(row.completed, row.tried, strict=True):
        if name in parameters:
            (found.whole if trial.stopped_at is None else found.stopped).append((parameters[name], trial))
    for trial in row.searched:
        if trial.status == Status.DIVERGED and name in (parameters := row.given[trial.key]):
            found.diverged.append(parameters[name])
    return found


def _draw_points(axes: Axes, panel: _Panel) -> None:
    for of_kind, hollow in ((panel.points.whole, False), (panel.points.stopped, True)):
        if of_kind:
            # Trials of one level stand beside each other: steps of the golden ratio spread any number of them.
            aside = [0.36 * ((turn * GOLDEN) % 1 - 0.5) if panel.levels else 0.0 for turn in range(len(of_kind))]
            spots = [(place_of(at, panel.levels) + by, value(trial)) for (at, trial), by in zip(of_kind, aside, strict=True)]
            scatter(axes, spots, [trial.key for _, trial in of_kind], look_of(panel.row.cell, hollow=hollow))
    if panel.points.diverged:
        x = [place_of(at, panel.levels) for at in panel.points.diverged]
        axes.plot(x, [0.04] * len(x), "|", transform=axes.get_xaxis_transform(), color=GREY, markersize=8, rasterized=is_crowd(len(x)))


def _mark(column: Sequence[Axes], panels: Sequence[_Panel], *, log_scaled: bool) -> None:
    """The horizontal axis that all panels of a parameter share; its name stands below the lowest."""
    places = [place for panel in panels for at in panel.points.given() if math.isfinite(place := place_of(at, panel.levels))]
    for axes in column:
        if panels[0].levels:
            mark_levels(axes, panels[0].levels)
        elif log_scaled:
            axes.set_xlim(min(places) / 1.1, max(places) * 1.1)
            mark_log(axes, narrow=True)
        else:
            room = 0.04 * (max(places) - min(places) or 1.0)
            axes.set_xlim(min(places) - room, max(places) + room)
            axes.xaxis.set_major_locator(MaxNLocator(3))
        axes.tick_params(labelbottom=axes is column[-1])
    column[-1].set_xlabel(panels[0].name)
