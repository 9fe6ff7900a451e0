"""The figures of a comparison: every trial, learning curves, budgets, and those that have files of their own."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rnnbench.ledger.records import Status
from rnnbench.report.across import Across
from rnnbench.report.curves import Epochs, best_so_far, read_curve, stack_best
from rnnbench.report.divergence_map import draw_divergence
from rnnbench.report.examined import draw_confusion
from rnnbench.report.findings import Findings
from rnnbench.report.flow import draw_flow
from rnnbench.report.importance import Scale
from rnnbench.report.importance_figures import draw_importance
from rnnbench.report.parallel import draw_parallel
from rnnbench.report.slices import draw_slices
from rnnbench.report.steadiness_figure import draw_orders
from rnnbench.report.style import GREY, RC, Picture, colour_of, draw, ink_of, label_ends, look_of, mark_log, marker_of, scatter
from rnnbench.report.tables import Comparison, sign_of, value
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
            pictures.append(_curves(comparison, epochs, prefix))
        if any(row.budget for row in comparison.rows):
            pictures.append(_budgets(comparison, prefix))
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
            axes.annotate(
                f"{lost} diverged", (1.0, place), xycoords=("axes fraction", "data"), ha="right", va="bottom", color=GREY, fontsize=8
            )
    axes.set_yticks(range(len(comparison.rows)), [row.cell for row in reversed(comparison.rows)])
    axes.set_ylim(-0.5, len(comparison.rows) - 0.3)
    axes.grid(axis="y", visible=False)
    _mark_baseline(axes, comparison, vertical=True)
    axes.set_xlabel(f"{axis_title(metric)}, {'higher' if metric.direction == 'max' else 'lower'} is better")
    confirmed = "; hollow: test mean of the confirmed winner with its 95 % interval" if comparison.tested else ""
    caption = f"Every completed search trial, its best validation {metric.title}{confirmed}."
    alt = "; ".join(f"{row.cell}: {len(row.completed)} trials, best {value(row.best):.4g}" for row in comparison.rows if row.best)
    return draw(figure, f"{prefix}-trials", caption, alt)


def _curves(comparison: Comparison, epochs: Epochs, prefix: str) -> Picture:
    metric = comparison.task.metric
    figure = Figure(figsize=(7.2, 3.6))
    axes = figure.add_subplot()
    ends = []
    for row in comparison.rows:
        told = [trial for trial in row.completed if epochs.get(trial.key)]
        if not told:
            continue
        # Behind the first stop of a scheduler only the better trials are left: their median would flatter.
        stops = [trial.stopped_at for trial in row.completed if trial.stopped_at is not None]
        longest = min(stops) if stops else max(len(epochs[trial.key]) for trial in told)
        # A trial that ended by its patience keeps its best value: that is what it would report.
        filled = stack_best(told, epochs, metric.name, sign_of(comparison.task), longest)
        x, colour = np.arange(1, longest + 1), colour_of(row.cell)
        low, middle, high = np.quantile(filled, [0.25, 0.5, 0.75], axis=0)
        axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(x, middle, color=colour, linewidth=2, marker=marker_of(row.cell), markevery=max(1, longest // 8), markersize=4)
        if row.best and epochs.get(row.best.key):
            best = best_so_far(read_curve(epochs[row.best.key], metric.name), sign_of(comparison.task))
            axes.plot(range(1, len(best) + 1), best, color=colour, linewidth=1, linestyle=(0, (4, 2)))
        ends.append((row.cell, float(longest), float(middle[-1])))
    label_ends(axes, ends)
    _mark_baseline(axes, comparison, vertical=False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    axes.set_ylabel(axis_title(metric))
    caption = f"Best validation {metric.title} so far by epoch: median over trials with the middle half of them; dashed, the best trial."
    if any(trial.stopped_at is not None for row in comparison.rows for trial in row.searched):
        caption += " A median ends where the scheduler first stopped a trial."
    alt = "; ".join(f"{cell}: median {y:.4g} after {x:.0f} epochs" for cell, x, y in ends)
    return draw(figure, f"{prefix}-curves", caption, alt)


def _budgets(comparison: Comparison, prefix: str) -> Picture:
    metric = comparison.task.metric
    figure = Figure(figsize=(7.2, 3.4))
    axes = figure.add_subplot()
    ends = []
    for row in comparison.rows:
        if row.budget is None:
            continue
        curve, colour = row.budget, colour_of(row.cell)
        axes.fill_between(curve.num_draws, curve.low, curve.high, color=colour, alpha=0.15, linewidth=0)
        every = max(1, len(curve.num_draws) // 8)
        axes.plot(curve.num_draws, curve.expected, color=colour, linewidth=2, marker=marker_of(row.cell), markevery=every, markersize=4)
        ends.append((row.cell, float(curve.num_draws[-1]), float(curve.expected[-1])))
    mark_log(axes)
    label_ends(axes, ends)
    axes.set_xlabel("search trials")
    axes.set_ylabel(f"best {axis_title(metric)}")
    caption = (
        f"Expected best validation {metric.title} of a search of so many trials (Dodge et al. 2019), "
        "with a 95 % band by the bootstrap over trials: where two curves cross, the better cell depends on the budget."
    )
    alt = "; ".join(f"{cell}: {y:.4g} expected of {x:.0f} trials" for cell, x, y in ends)
    return draw(figure, f"{prefix}-budgets", caption, alt)


def _mark_baseline(axes: Axes, comparison: Comparison, *, vertical: bool) -> None:
    if not comparison.baselines:
        return
    pick = max if comparison.task.metric.direction == "max" else min
    name, level = pick(comparison.baselines.items(), key=lambda item: item[1])
    # The interesting part is where the trials are: a baseline far from them is left to the table.
    low, high = axes.get_xlim() if vertical else axes.get_ylim()
    if not low - 0.5 * (high - low) <= level <= high + 0.5 * (high - low):
        return
    (axes.axvline if vertical else axes.axhline)(level, color=GREY, linewidth=1, linestyle=":")
    place = (level, 1.0) if vertical else (0.0, level)
    coordinates = ("data", "axes fraction") if vertical else ("axes fraction", "data")
    axes.annotate(name, place, xycoords=coordinates, xytext=(3, 3), textcoords="offset points", color=GREY, fontsize=8, va="bottom")
