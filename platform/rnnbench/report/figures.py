"""The figures of a comparison: every trial, learning curves, budgets, and those that have files of their own."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from rnnbench.ledger.records import Status
from rnnbench.report.across import Across
from rnnbench.report.axes import Scale
from rnnbench.report.baseline_line import mark_baseline
from rnnbench.report.budget_figure import draw_budgets
from rnnbench.report.curve_figure import draw_curves
from rnnbench.report.curves import Epochs
from rnnbench.report.divergence_map import draw_divergence
from rnnbench.report.examined import draw_confusion
from rnnbench.report.findings import Findings
from rnnbench.report.flow import draw_flow
from rnnbench.report.importance_figures import draw_importance
from rnnbench.report.parallel import draw_parallel
from rnnbench.report.slices import draw_slices
from rnnbench.report.steadiness_figure import draw_orders
from rnnbench.report.style import GREY, RC, Picture, colour_of, draw, ink_of, look_of, marker_of, scatter
from rnnbench.report.tables import Comparison, value
from rnnbench.report.tenth_figure import draw_tenths
from rnnbench.report.tradeoffs import draw_tradeoffs
from rnnbench.report.words import axis_title


def draw_figures(comparison: Comparison, epochs: Epochs, scales: Mapping[str, Scale], found: Findings, prefix: str) -> list[Picture]:
    """All figures that the data allow, named after `prefix`.

    Args:
        scales: Of parameters that were drawn on another than a linear one.
    """
    if not any(row.completed for row in comparison.rows):
        return []
    with mpl.rc_context(RC):
        pictures = [_trials(comparison, prefix)]
        if any(epochs.get(trial.key) for row in comparison.rows for trial in row.completed):
            pictures.append(draw_curves(comparison, epochs, prefix))
        if any(row.budget for row in comparison.rows):
            pictures.append(draw_budgets(comparison, prefix))
        searched = searched_parameters(comparison)
        pictures += [draw_slices(comparison, searched, scales, prefix)] if searched else []
        maybe = [
            draw_tenths(comparison, prefix),
            draw_parallel(comparison, found.importances, scales, prefix),
            draw_divergence(found.spots, scales, prefix),
            draw_orders(found.trial_orders, found.cell_order, prefix),
            draw_tradeoffs(comparison, prefix),
            draw_flow(comparison, prefix),
            *draw_importance(found.importances, comparison.task.metric, prefix),
            draw_confusion(comparison.rows[0], prefix) if comparison.tested else None,
        ]
        return pictures + [picture for picture in maybe if picture]


def draw_ranks(across: Across) -> Picture:
    """Mean ranks on a line; a bar joins cells that the critical difference cannot tell apart."""
    places = list(across.ranks.items())
    bars = _groups(list(across.ranks.values()), across.critical_difference)
    with mpl.rc_context(RC):
        figure = Figure(figsize=(7.2, 0.9 + 0.28 * len(places) + 0.14 * len(bars)))
        axes = figure.add_subplot()
        for place, (cell, rank) in enumerate(places):
            # The first goes down furthest, so that no line runs through another's name.
            height, colour = place - len(places) - 0.5 * len(bars), colour_of(cell)
            axes.plot([rank, rank], [0, height], color=colour, linewidth=1)
            axes.plot(rank, 0, marker=marker_of(cell), color=colour, markersize=7, clip_on=False)
            text: dict[str, Any] = {"xytext": (4, 0), "textcoords": "offset points", "va": "center", "fontweight": "bold"}
            axes.annotate(f"{cell}  {rank:.2f}", (rank, height), color=ink_of(cell), **text)
        for row, (first, last) in enumerate(bars):
            axes.plot([first - 0.03, last + 0.03], [-0.45 - 0.5 * row] * 2, color="black", linewidth=3, solid_capstyle="butt")
        axes.set_xlim(0.9, len(places) + 0.6)
        axes.set_ylim(-1.6 - len(places) - 0.5 * len(bars), 0.5)
        axes.xaxis.tick_top()
        axes.set_xticks(range(1, len(places) + 1))
        axes.set_yticks([])
        axes.grid(visible=False)
        axes.spines["left"].set_visible(False)
        axes.spines["bottom"].set_visible(False)
        axes.spines["top"].set_visible(True)
        joined = "; a bar joins cells that Nemenyi's critical difference cannot tell apart" if bars else ""
        caption = f"Mean rank of each cell by test value over {len(across.data_sets)} data sets, 1 is best{joined}."
        return draw(figure, "ranks", caption, ", ".join(f"{cell}: {rank:.2f}" for cell, rank in places))


def _groups(ranks: Sequence[float], difference: float | None) -> list[tuple[float, float]]:
    """First and last rank of each largest run of cells that lie within the difference; ranks ascend."""
    if difference is None:
        return []
    found: list[tuple[float, float]] = []
    for start, first in enumerate(ranks):
        last = max(rank for rank in ranks[start:] if rank - first <= difference)
        if last > first and not any(low <= first and last <= high for low, high in found):
            found.append((first, last))
    return found


def searched_parameters(comparison: Comparison) -> list[str]:
    """Parameters that differ between the search trials of one cell."""
    return list(dict.fromkeys(name for row in comparison.rows for name in row.searched_parameters))


def _trials(comparison: Comparison, prefix: str) -> Picture:
    metric = comparison.task.metric
    figure = Figure(figsize=(7.2, 1.1 + 0.62 * len(comparison.rows)))
    axes = figure.add_subplot()
    for place, row in enumerate(reversed(comparison.rows)):
        values = [value(trial) for trial in row.completed]
        jitter = np.linspace(-0.14, 0.14, len(values)) if len(values) > 1 else [0.0]
        spots = [(at, place + float(by)) for at, by in zip(values, jitter, strict=True)]
        scatter(axes, spots, [trial.key for trial in row.completed], look_of(row.cell))
        if row.test:
            axes.errorbar(
                row.test.value, place + 0.3, xerr=[[row.test.value - row.test.low], [row.test.high - row.test.value]],
                fmt=marker_of(row.cell), color=colour_of(row.cell), markerfacecolor="white", capsize=3, markersize=6,
            )  # fmt: skip
        elif len(row.test_values) > 1:
            axes.plot(
                row.test_values[0], place + 0.3, marker_of(row.cell), color=colour_of(row.cell), markerfacecolor="white", markersize=6
            )
        lost = row.counts[Status.DIVERGED]
        if lost:
            # Right of the panel: within it thousands of marks may lie below.
            beside: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "ha": "left", "va": "center", "annotation_clip": False}
            axes.annotate(f"{lost} diverged", (1.01, place), color=GREY, fontsize=8, **beside)
    axes.set_yticks(range(len(comparison.rows)), [row.cell for row in reversed(comparison.rows)])
    axes.set_ylim(-0.5, len(comparison.rows) - 0.3)
    axes.grid(axis="y", visible=False)
    mark_baseline(axes, comparison, vertical=True)
    axes.set_xlabel(f"{axis_title(metric)}, {'higher' if metric.direction == 'max' else 'lower'} is better")
    confirmed = "; hollow: test mean of the confirmed winner with its 95 % interval" if comparison.tested else ""
    caption = f"Every completed search trial, its best validation {metric.title}{confirmed}."
    alt = "; ".join(f"{row.cell}: {len(row.completed)} trials, best {value(row.best):.4g}" for row in comparison.rows if row.best)
    return draw(figure, f"{prefix}-trials", caption, alt)
