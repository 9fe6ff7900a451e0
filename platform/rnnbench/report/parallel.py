"""Parallel coordinates of the search: a line for each trial through its parameters to what it reached."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure

from rnnbench.base.parameters import Value
from rnnbench.report.axes import Scale
from rnnbench.report.importance import Importance, rank_parameters
from rnnbench.report.style import GREY, Picture, colour_of, draw, ink_of, is_crowd, limit_to_most, shorten
from rnnbench.report.tables import Comparison, Summary, find_levels, sign_of, to_number, value
from rnnbench.report.words import axis_title, number

MOST_CELLS, MOST_AXES, MOST_LINES = 6, 7, 500
# The best of the trials, which are drawn on top.
BEST_SHARE = 0.1
LEAST_TRIALS = 10
# Thick lines that can be told apart.
FEW_LINES = 12


@dataclass(frozen=True)
class _Scale:
    """An upright axis: where a value lies between 0 and 1, and which values are named."""

    name: str
    levels: tuple[Value, ...]
    low: float
    high: float
    log_scaled: bool

    def place(self, given: Value) -> float:
        if self.levels:
            return (self.levels.index(given) + 0.5) / len(self.levels)
        low, high, at = (math.log10(x) if self.log_scaled else x for x in (self.low, self.high, to_number(given)))
        return (at - low) / (high - low) if high > low else 0.5

    def ticks(self) -> list[tuple[float, str]]:
        if self.levels:
            return [(self.place(level), shorten(level)) for level in self.levels]
        if self.log_scaled:
            powers = [10.0**power for power in range(math.ceil(math.log10(self.low)), math.floor(math.log10(self.high)) + 1)]
            # Clear of the names at both ends.
            inner = [power for power in powers if 0.12 < self.place(power) < 0.88]
        else:
            inner = [(self.low + self.high) / 2]
        return [(self.place(at), f"{at:.2g}" if self.log_scaled else self._write(at)) for at in (self.low, *inner, self.high)]

    def _write(self, at: float) -> str:
        """Three digits, of the range's size: what is next to nothing in it is 0."""
        return "0" if abs(at) < (self.high - self.low) / 500 else f"{at:.3g}"


def draw_parallel(
    comparison: Comparison, importances: Sequence[Importance], scales: Mapping[str, Scale], prefix: str
) -> Picture | None:  # fmt: skip
    """A panel for each cell with LEAST_TRIALS completed trials and two searched parameters; None without any."""
    able = [row for row in comparison.rows if len(row.completed) >= LEAST_TRIALS and len(_names(row, importances)) > 1]
    if not able:
        return None
    rows, left_out = limit_to_most(able, MOST_CELLS, "cells")
    figure = Figure(figsize=(7.2, 2.55 * len(rows)), layout="constrained")
    metric = comparison.task.metric
    thinned, cut = [], []
    for axes, row in zip(figure.subplots(len(rows), 1, squeeze=False)[:, 0], rows, strict=True):
        names = _names(row, importances)
        cut += [f"{row.cell} {len(names) - MOST_AXES}"] if len(names) > MOST_AXES else []
        shown = _panel(axes, row, names[:MOST_AXES], scales, axis_title(metric))
        thinned += [f"{shown} of {row.cell}'s {len(row.completed)}"] if shown < len(row.completed) else []
    caption = (
        f"Every completed search trial as a line through its parameters to its best validation {metric.title}, the stronger the better; "
        f"thick: the best tenth.{left_out}"
    )
    caption += f" Of many trials evenly many of each quality are drawn: {', '.join(thinned)}." if thinned else ""
    caption += f" Parameters that explain least are left out: {', '.join(cut)}." if cut else ""
    alt = "; ".join(_alt(row, _names(row, importances)[:MOST_AXES]) for row in rows)
    return draw(figure, f"{prefix}-parallel", caption, alt)


def _names(row: Summary, importances: Sequence[Importance]) -> list[str]:
    """Searched parameters that every trial has, those that explain most last, beside the metric."""
    shared = [name for name in row.searched_parameters if all(name in parameters for parameters in row.tried)]
    order = [name for name in rank_parameters(importances, row.cell) if name in shared]
    return order + [name for name in shared if name not in order]


def _best(row: Summary) -> list[int]:
    """Places of the completed trials, best first."""
    sign = sign_of(row.task)
    return sorted(range(len(row.completed)), key=lambda place: (-sign * value(row.completed[place]), place))


def _panel(axes: Axes, row: Summary, by_weight: Sequence[str], scales: Mapping[str, Scale], metric: str) -> int:
    """Draws a cell's lines; returns how many."""
    uprights = [_upright(name, [parameters[name] for parameters in row.tried], log_scaled=scales.get(name) == "log") for name in by_weight]
    uprights.reverse()
    values = [value(trial) for trial in row.completed]
    uprights.append(_Scale(metric, (), min(values), max(values), log_scaled=False))
    ordered = _best(row)
    step = max(1, math.ceil(len(ordered) / MOST_LINES))
    shown = ordered[::step]
    num_best = max(1, round(BEST_SHARE * len(shown)))
    lines = [
        [
            (x, upright.place(values[place] if x == len(uprights) - 1 else row.tried[place][upright.name]))
            for x, upright in enumerate(uprights)
        ]
        for place in shown
    ]
    # Pale by letting the ground through, which may be dark.
    colours = LinearSegmentedColormap.from_list(row.cell, [(*to_rgb(GREY), 0.15), (*to_rgb(colour_of(row.cell)), 0.75)])
    goodness = np.linspace(1, 0, len(shown)) ** 2
    worse: dict[str, Any] = {"colors": colours(goodness[num_best:][::-1]), "linewidths": 0.8, "zorder": 2}
    # Worst first: the better lie on top.
    axes.add_collection(LineCollection(lines[num_best:][::-1], rasterized=is_crowd(len(shown)), **worse))
    axes.add_collection(
        LineCollection(lines[:num_best][::-1], colors=colour_of(row.cell), linewidths=1.8 if num_best <= FEW_LINES else 0.9, zorder=3)
    )
    for x, upright in enumerate(uprights):
        axes.axvline(x, color=GREY, linewidth=0.8, zorder=1)
        on_left = x < len(uprights) - 1
        for at, text in upright.ticks():
            side: dict[str, Any] = {"xytext": (-3 if on_left else 3, 0), "ha": "right" if on_left else "left"}
            frame = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.6}
            axes.annotate(text, (x, at), textcoords="offset points", va="center", fontsize=7.5, zorder=4, bbox=frame, **side)
    axes.set_xlim(-0.35, len(uprights) - 0.75)
    axes.set_ylim(-0.03, 1.03)
    axes.set_xticks(range(len(uprights)), [_break(upright.name) for upright in uprights], fontsize=8)
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.tick_params(axis="x", length=0)
    for side_name in ("left", "bottom"):
        axes.spines[side_name].set_visible(False)
    axes.set_title(row.cell, color=ink_of(row.cell), fontweight="bold")
    return len(shown)


def _upright(name: str, given: Sequence[Value], *, log_scaled: bool) -> _Scale:
    levels = find_levels(given)
    if levels:
        return _Scale(name, tuple(levels), 0.0, 1.0, log_scaled=False)
    places = [to_number(one) for one in given]
    return _Scale(name, (), min(places), max(places), log_scaled=log_scaled)


def _break(name: str) -> str:
    """A long name over two lines, at its dot."""
    head, dot, tail = name.partition(".")
    return f"{head}{dot}\n{tail}" if tail else "\n".join(name.rsplit(" ", 1))


def _alt(row: Summary, names: Sequence[str]) -> str:
    best = _best(row)[: max(1, round(BEST_SHARE * len(row.completed)))]
    parts = []
    for name in names:
        given = [row.tried[place][name] for place in best]
        levels = find_levels([parameters[name] for parameters in row.tried])
        if levels:
            parts.append(f"{name} {' or '.join(shorten(level) for level in levels if level in given)}")
        else:
            places = [to_number(one) for one in given]
            parts.append(f"{name} {number(min(places))} to {number(max(places))}")
    return f"the best tenth of {row.cell} has {', '.join(parts)}"
