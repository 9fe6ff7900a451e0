"""Learning curves of a comparison: the metric's best so far, and the loss as it was, by epoch and by second."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rnnbench.ledger.records import TrialRecord
from rnnbench.report.baseline_line import mark_baseline
from rnnbench.report.curves import Epochs, Floats, best_so_far, read_curve, read_walls, stack_at
from rnnbench.report.style import Picture, colour_of, draw, label_ends, mark_log, marker_of, name_cells, write_out
from rnnbench.report.tables import Comparison, Summary, sign_of
from rnnbench.report.words import axis_title, number

LOSS = "loss"
QUARTERS = [0.25, 0.5, 0.75]
# Times at which curves by second are drawn.
TIMES = 60
# They begin where so many of a cell's trials have a value; the others count as its worst until they have one.
BEGUN = 0.8
# A loss whose middle half spans more is drawn on a logarithmic axis.
WIDE = 20.0


@dataclass(frozen=True)
class _Band:
    """The quarters of a cell's trials against epochs or seconds."""

    cell: str
    x: Floats
    low: Floats
    middle: Floats
    high: Floats


def draw_curves(comparison: Comparison, epochs: Epochs, prefix: str) -> Picture:
    """Panels for the metric, and for the loss where that is another number; by second too, where all trials ran on one machine."""
    metric = comparison.task.metric
    rows = [row for row in comparison.rows if _told(row, epochs)]
    names = [metric.name, *([LOSS] if _has_loss(rows, epochs, metric.name) else [])]
    by_second = comparison.timed and all(len(epochs[trial.key]) > 1 for row in rows for trial in _told(row, epochs)[:1])
    figure = Figure(figsize=(7.2, 2.9 * len(names) + 0.4), layout="constrained")
    panels = figure.subplots(len(names), 1 + by_second, sharey="row", sharex="col", squeeze=False)
    ends: list[tuple[str, float, float]] = []
    for line, name in zip(panels, names, strict=True):
        sign = sign_of(comparison.task) if name == metric.name else None
        bands = [_by_epoch(row, epochs, name, sign) for row in rows]
        _panel(line[0], bands)
        line[0].set_ylabel(f"best {axis_title(metric)}" if sign is not None else "validation loss")
        if by_second:
            _panel(line[1], [band for row in rows if (band := _by_second(row, epochs, name, sign))])
        if sign is None:
            _scale_loss(line[0], bands)
        else:
            ends = [(band.cell, float(band.x[-1]), float(band.middle[-1])) for band in bands]
            _draw_best(line, rows, epochs, comparison)
            mark_baseline(line[0], comparison, vertical=False)
    panels[-1][0].xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[-1][0].set_xlabel("epoch")
    if by_second:
        mark_log(panels[-1][1], narrow=True)
        panels[-1][1].set_xlabel("seconds since the trial began")
    if panels.size == 1:
        label_ends(panels[0][0], ends)
    else:
        name_cells(figure, [row.cell for row in rows])
    caption = f"Best validation {metric.title} so far{' and validation loss' if len(names) > 1 else ''} by epoch"
    caption += " and by second" if by_second else ""
    caption += ": median over trials with the middle half of them; dashed, the best trial."
    caption += " By second a trial without a value yet counts as the worst." if by_second else ""
    if any(trial.stopped_at is not None for row in comparison.rows for trial in row.searched):
        caption += " A median ends where the scheduler first stopped a trial."
    alt = "; ".join(f"{cell}: median {number(y)} after {x:.0f} epochs" for cell, x, y in ends)
    return draw(figure, f"{prefix}-curves", caption, alt)


def _told(row: Summary, epochs: Epochs) -> list[TrialRecord]:
    return [trial for trial in row.completed if epochs.get(trial.key)]


def _has_loss(rows: Sequence[Summary], epochs: Epochs, metric: str) -> bool:
    """Whether every trial has a loss, and it is not the metric by another name."""
    firsts = [epochs[trial.key] for row in rows for trial in _told(row, epochs)]
    losses = [read_curve(history, LOSS) for history in firsts]
    return all(np.isfinite(loss).all() for loss in losses) and any(
        not np.array_equal(loss, read_curve(history, metric)) for history, loss in zip(firsts, losses, strict=True)
    )


def _curves(row: Summary, epochs: Epochs, name: str, sign: float | None) -> list[Floats]:
    found = [read_curve(epochs[trial.key], name) for trial in _told(row, epochs)]
    return found if sign is None else [best_so_far(curve, sign) for curve in found]


def _by_epoch(row: Summary, epochs: Epochs, name: str, sign: float | None) -> _Band:
    curves = _curves(row, epochs, name, sign)
    # Behind the first stop of a scheduler only the better trials are left: their median would flatter.
    stops = [trial.stopped_at for trial in row.completed if trial.stopped_at is not None]
    x = np.arange(1, (min(stops) if stops else max(map(len, curves))) + 1, dtype=np.float64)
    # A trial that ended by its patience keeps its last value: the best is what it would report.
    filled = stack_at(curves, [np.arange(1, len(curve) + 1, dtype=np.float64) for curve in curves], x)
    return _Band(row.cell, x, *np.quantile(filled, QUARTERS, axis=0))


def _by_second(row: Summary, epochs: Epochs, name: str, sign: float | None) -> _Band | None:
    curves = _curves(row, epochs, name, sign)
    told = _told(row, epochs)
    walls = [read_walls(epochs[trial.key]) for trial in told]
    stops = [float(wall[-1]) for trial, wall in zip(told, walls, strict=True) if trial.stopped_at is not None]
    first = float(np.quantile([wall[0] for wall in walls], BEGUN, method="higher"))
    last = min(stops) if stops else max(float(wall[-1]) for wall in walls)
    if not 0 < first < last:
        return None
    x = np.geomspace(first, last, TIMES)
    x[0], x[-1] = first, last
    filled = stack_at(curves, walls, x)
    if np.isnan(filled).all():
        return None
    worst = np.nanmin(filled) if sign == 1.0 else np.nanmax(filled)
    return _Band(row.cell, x, *np.quantile(np.where(np.isnan(filled), worst, filled), QUARTERS, axis=0))


def _panel(axes: Axes, bands: Sequence[_Band]) -> None:
    for band in bands:
        colour, every = colour_of(band.cell), max(1, len(band.x) // 8)
        axes.fill_between(band.x, band.low, band.high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(band.x, band.middle, color=colour, linewidth=2, marker=marker_of(band.cell), markevery=every, markersize=4)


def _draw_best(panels: Iterable[Axes], rows: Sequence[Summary], epochs: Epochs, comparison: Comparison) -> None:
    for row in rows:
        if row.best and epochs.get(row.best.key):
            best = best_so_far(read_curve(epochs[row.best.key], comparison.task.metric.name), sign_of(comparison.task))
            for axes, x in zip(panels, (np.arange(1, len(best) + 1), read_walls(epochs[row.best.key])), strict=False):
                axes.plot(x, best, color=colour_of(row.cell), linewidth=1, linestyle=(0, (4, 2)))


def _scale_loss(axes: Axes, bands: Sequence[_Band]) -> None:
    low, high = min(band.low.min() for band in bands), max(band.high.max() for band in bands)
    if low > 0 and high > WIDE * low:
        axes.set_yscale("log")
        write_out(axes.yaxis, (1, 3) if high < 1000 * low else (1,))
