"""What mattered, as pictures: each parameter's share of the variance, and the mean metric against each parameter."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rnnbench.base.parameters import Value
from rnnbench.report.importance import Importance, Marginal
from rnnbench.report.style import Picture, colour_of, draw, facets, mark_levels, mark_log, marker_of, name_cells
from rnnbench.report.tables import to_number
from rnnbench.report.words import axis_title
from rnnbench.task.cards import MetricCard


def draw_importance(found: Sequence[Importance], metric: MetricCard, prefix: str) -> list[Picture]:
    """Both figures; nothing where no cell's trials told anything."""
    return [_shares(found, metric, prefix), _marginals(found, metric, prefix)] if found else []


def _shares(found: Sequence[Importance], metric: MetricCard, prefix: str) -> Picture:
    largest: dict[str, float] = {}
    for one in found:
        for effect in one.main:
            name = effect.names[0]
            largest[name] = max(effect.share, largest.get(name, 0.0))
    names = sorted(largest, key=largest.__getitem__)
    figure = Figure(layout="constrained", figsize=(7.2, 1.1 + len(names) * (0.2 + 0.16 * len(found))))
    axes = figure.add_subplot()
    for offset, one in enumerate(found):
        shift = ((len(found) - 1) / 2 - offset) * 0.7 / len(found)
        for effect in one.main:
            height, colour = names.index(effect.names[0]) + shift, colour_of(one.cell)
            axes.plot([100 * effect.low, 100 * effect.high], [height, height], color=colour, linewidth=2, alpha=0.5, solid_capstyle="butt")
            axes.plot(100 * effect.share, height, marker=marker_of(one.cell), color=colour, markersize=6)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.set_xlim(left=-1)
    axes.set_xlabel(f"share of the variance of validation {metric.title}, %")
    name_cells(figure, [one.cell for one in found])
    caption = (
        "Functional ANOVA: how much of the variance of the search trials' values each parameter accounts for by itself, "
        "mean and 95 % interval over forests that grew on resampled trials."
    )
    alt = "; ".join(f"{one.cell}: " + ", ".join(f"{effect.names[0]} {100 * effect.share:.0f} %" for effect in one.main) for one in found)
    return draw(figure, f"{prefix}-importance", caption, alt)


def _marginals(found: Sequence[Importance], metric: MetricCard, prefix: str) -> Picture:
    names = list(dict.fromkeys(marginal.name for one in found for marginal in one.marginals))
    figure, panels = facets(names, axis_title(metric))
    for axes, name in zip(panels, names, strict=True):
        _facet(axes, [(one.cell, marginal) for one in found for marginal in one.marginals if marginal.name == name])
    name_cells(figure, [one.cell for one in found])
    caption = f"Mean validation {metric.title} over all values of the other parameters (functional ANOVA), with a 95 % band."
    return draw(figure, f"{prefix}-marginals", caption, f"mean {metric.title} against {', '.join(names)}")


def _facet(axes: Axes, lines: Sequence[tuple[str, Marginal]]) -> None:
    levels: list[Value] = list(dict.fromkeys(level for _, marginal in lines if marginal.levels for level in marginal.at))
    for cell, marginal in lines:
        colour = colour_of(cell)
        x = [float(levels.index(at)) for at in marginal.at] if levels and marginal.levels else [to_number(at) for at in marginal.at]
        if levels:
            middle = list(zip(x, marginal.mean, marginal.low, marginal.high, strict=True))
            axes.vlines([at for at, *_ in middle], [low for *_, low, _ in middle], [high for *_, high in middle], color=colour, alpha=0.5)
            line = 1 if all(isinstance(level, int | float) and not isinstance(level, bool) for level in levels) else 0
            axes.plot(x, marginal.mean, color=colour, marker=marker_of(cell), markersize=5, linewidth=line, alpha=0.9)
        else:
            axes.fill_between(x, marginal.low, marginal.high, color=colour, alpha=0.15, linewidth=0)
            axes.plot(x, marginal.mean, color=colour, linewidth=2, marker=marker_of(cell), markevery=6, markersize=4)
    if levels:
        mark_levels(axes, levels)
    elif lines[0][1].scale == "log":
        mark_log(axes, narrow=True)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4))
