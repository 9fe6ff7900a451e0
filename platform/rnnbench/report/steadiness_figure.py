"""How early the final order is there, as a picture."""

from collections.abc import Mapping

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rnnbench.report.kendall import LEAST_BANDED
from rnnbench.report.steadiness import Order
from rnnbench.report.style import INK, Picture, colour_of, draw, label_starts, mark_log, marker_of

# More epochs are on a logarithmic axis.
MOST_LINEAR = 13


def draw_orders(trials: Mapping[str, Order], cells: Order | None, prefix: str) -> Picture | None:
    """A line for the trials of each cell, and one for the cells; None without any."""
    if not trials and cells is None:
        return None
    figure = Figure(figsize=(7.2, 3.2))
    axes = figure.add_subplot()
    starts = []
    for cell, order in trials.items():
        told = [(epoch, tau) for epoch, tau in zip(order.epochs, order.tau, strict=True) if tau is not None]
        x, y = [epoch for epoch, _ in told], [tau for _, tau in told]
        axes.plot(x, y, color=colour_of(cell), linewidth=2, marker=marker_of(cell), markersize=4)
        band = [
            (epoch, low, high)
            for epoch, low, high in zip(order.epochs, order.low, order.high, strict=True)
            if low is not None and high is not None
        ]
        if band:
            at, low_ends, high_ends = zip(*band, strict=True)
            axes.fill_between(at, low_ends, high_ends, color=colour_of(cell), alpha=0.15, linewidth=0)
        starts.append((cell, float(x[0]), y[0]))
    if cells is not None:
        told = [(epoch, tau) for epoch, tau in zip(cells.epochs, cells.tau, strict=True) if tau is not None]
        axes.step([epoch for epoch, _ in told], [tau for _, tau in told], where="post", color=INK, linewidth=1.2, linestyle=(0, (4, 2)))
    last = max(order.epochs[-1] for order in (*trials.values(), *([cells] if cells else [])))
    # Room for the names at the left.
    if last > MOST_LINEAR:
        axes.set_xlim(last**-0.14, last**1.02)
        mark_log(axes)
    else:
        axes.set_xlim(1 - 0.14 * (last - 1), 1 + 1.02 * (last - 1))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(max(-1.05, min(-0.05, axes.get_ylim()[0])), 1.05)
    label_starts(axes, starts)
    if cells is not None:
        axes.annotate("cells", (cells.epochs[0], cells.tau[0] or 0.0), xytext=(4, 4), textcoords="offset points", color=INK, fontsize=9)
    axes.set_xlabel("epoch")
    axes.set_ylabel("Kendall's tau to the final order")
    counts = ", ".join(f"{cell} {order.count}" for cell, order in trials.items())
    caption = (
        "How early the final order is there: Kendall's tau-b between the order of a cell's search trials by their best value so far and "
        f"their order at the end (1: the same, 0: no relation); trials that a scheduler stopped are left out ({counts} trials)."
        if trials
        else "How early the final order is there: Kendall's tau-b to the order at the end (1: the same, 0: no relation)."
    )
    if any(low is not None for order in trials.values() for low in order.low):
        caption += f" Band: 95 % by the jackknife over trials, for cells with {LEAST_BANDED} trials or more."
    if cells is not None:
        caption += f" Dashed: the order of the {cells.count} cells by the median of their trials; so few can only give a few values."
    alt = "; ".join(f"{cell}: tau {y:.2f} after epoch {x:.0f}" for cell, x, y in starts)
    return draw(figure, f"{prefix}-orders", caption, alt or "the order of the cells")
