"""How far back the winners' gradients reach."""

import matplotlib as mpl
from matplotlib.figure import Figure

from rnnbench.report.style import RC, Picture, colour_of, draw, label_ends, mark_log, marker_of
from rnnbench.report.tables import Comparison, Summary

# What is less than this share of the first step's gradient has vanished.
FLOOR = 1e-8


def find_flow(row: Summary) -> tuple[list[float], list[float]] | None:
    """Lags, and the norm of the last output's gradient by the state so many steps before, as a share of that one step before."""
    for trial in row.winner:
        flow = trial.outcome.get("gradient_flow")
        if isinstance(flow, dict) and flow["norms"] and flow["norms"][0] > 0:
            return flow["lags"], [norm / flow["norms"][0] for norm in flow["norms"]]
    return None


def draw_flow(comparison: Comparison, prefix: str) -> Picture | None:
    """A line for each cell; None where no winner has one."""
    found = [(row.cell, flow) for row in comparison.rows if (flow := find_flow(row))]
    if not found:
        return None
    with mpl.rc_context(RC):
        figure = Figure(figsize=(7.2, 3.2))
        axes = figure.add_subplot()
        axes.set_yscale("log")
        ends = []
        for cell, (lags, shares) in found:
            shown = [max(share, FLOOR) for share in shares]
            axes.plot(lags, shown, color=colour_of(cell), linewidth=2, marker=marker_of(cell), markevery=6, markersize=4)
            ends.append((cell, lags[-1], shown[-1]))
        axes.set_ylim(bottom=FLOOR / 3)
        mark_log(axes)
        label_ends(axes, ends)
        axes.set_xlabel("steps back")
        axes.set_ylabel("gradient, share of one step back")
        caption = (
            "How far back the last output's gradient reaches in the winners: its norm by the state so many steps before (all that a step "
            f"hands to the next), on validation rows. What has fallen to {FLOOR:g} has vanished: nothing is learned from so far back."
        )
        alt = "; ".join(f"{cell}: {share:.2g} after {lag:.0f} steps" for cell, lag, share in ends)
        return draw(figure, f"{prefix}-gradients", caption, alt)
