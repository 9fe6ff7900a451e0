"""Performance profiles as a picture."""

import matplotlib as mpl
from matplotlib.figure import Figure

from rnnbench.report.profiles import Profiles
from rnnbench.report.style import RC, Picture, colour_of, draw, marker_of, name_cells


def draw_profiles(found: Profiles) -> Picture:
    """A line for each cell, higher is better."""
    with mpl.rc_context(RC):
        figure = Figure(figsize=(7.2, 3.6), layout="constrained")
        axes = figure.add_subplot()
        for one in found.profiles:
            colour = colour_of(one.cell)
            axes.fill_between(found.levels, one.low, one.high, color=colour, alpha=0.15, linewidth=0)
            axes.plot(found.levels, one.share, color=colour, linewidth=2, marker=marker_of(one.cell), markevery=10, markersize=4)
        axes.set_ylim(-0.02, 1.04)
        axes.set_xlabel("score: 0 is the floor of the task, 1 the best run here")
        axes.set_ylabel("share of runs with a higher score")
        name_cells(figure, [one.cell for one in found.profiles])
        fewest, most = found.runs
        runs = f"{fewest}" if fewest == most else f"{fewest} to {most}"
        caption = (
            f"Performance profiles (Agarwal et al. 2021) over {len(found.data_sets)} data sets with {runs} fresh seeds of each cell: the "
            "share of runs whose score is above a level, each data set with the same weight, and a 95 % band by the bootstrap of seeds "
            "within each data set. A score says how far a test value has come from the floor, a method without a recurrent network (0), "
            "to the best value of any run here (1). Where one line is above another everywhere, its cell is better. Floors: "
        )
        caption += "; ".join(
            f"{task} on {about} {scale.floor:.4g} by {scale.source}"
            for (task, about), scale in zip(found.data_sets, found.scales, strict=True)
        )
        caption += "."
        middle = next(place for place, level in enumerate(found.levels) if level >= 0.5)
        alt = "; ".join(f"{one.cell}: {100 * one.share[middle]:.0f} % of runs score above 0.5" for one in found.profiles)
        return draw(figure, "profiles", caption, alt)
