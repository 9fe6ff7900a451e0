"""What the test split showed beyond the task's metric: every other number, which class was taken for which, examples; over a cell's seeds.

The numbers are those of `outcome["test"]` and of what a task's `examine` found, kept as `outcome["examined"]`: numbers by name, mappings
of numbers, `confusion` = {classes, counts: rows are the truth}, `examples`, a list of rows of words, and `verdict`, a line of words whose
part in brackets at the end is of this seed alone.
"""

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure

from rnnbench.ledger.records import TrialRecord
from rnnbench.report.statistics import Interval, t_interval
from rnnbench.report.style import COLOURS, Picture, draw
from rnnbench.report.tables import Summary

EXAMPLES_SHOWN = 5
# More classes leave no room for a number in each square.
MOST_NUMBERED = 12
# How much of its colour the fullest square has: numbers are the page's ink, dark or light, and stand out from every square.
FULLEST = 0.75


@dataclass(frozen=True)
class Measure:
    """A number of the test split, mean over seeds; for `interval` see `t_interval`."""

    name: str
    mean: float
    interval: Interval | None


@dataclass(frozen=True)
class Confusion:
    """How often each class (row) was taken for each (column), summed over seeds."""

    labels: Sequence[str]
    counts: Sequence[Sequence[int]]


def find_measures(row: Summary) -> list[Measure]:
    """Every number of the winner's test beside the task's own metric, where each of its seeds has it."""
    of_seeds = [dict(_numbers(trial)) for trial in row.winner if trial.outcome.get("test")]
    if not of_seeds:
        return []
    names = [name for name in of_seeds[0] if name != row.task.metric.name and all(name in one for one in of_seeds)]
    values = {name: [one[name] for one in of_seeds] for name in names}
    return [Measure(name, statistics.fmean(found), t_interval(found, row.task.range_of(name))) for name, found in values.items()]


def find_confusion(row: Summary) -> Confusion | None:
    """The winner's confusion over all seeds; None where the task has none."""
    found = [one["confusion"] for trial in row.winner if isinstance(one := trial.outcome.get("examined"), Mapping) and "confusion" in one]
    if not found or any(one["classes"] != found[0]["classes"] for one in found):
        return None
    counts = np.sum([np.asarray(one["counts"], dtype=int) for one in found], axis=0)
    return Confusion([str(label) for label in found[0]["classes"]], counts.tolist())


def find_examples(row: Summary) -> list[dict[str, str]]:
    """Some rows of the test split with what the winner's first seed makes of them."""
    for trial in row.winner:
        examined: Mapping[str, Any] = trial.outcome.get("examined") or {}
        if examined.get("examples"):
            return [{str(name): str(value) for name, value in one.items()} for one in examined["examples"][:EXAMPLES_SHOWN]]
    return []


def find_verdict(row: Summary) -> str:
    """What the winner's seeds say of themselves in words, e.g. beside a simple method; empty: nothing."""
    said = [str(one["verdict"]) for trial in row.winner if isinstance(one := trial.outcome.get("examined"), Mapping) and "verdict" in one]
    heads = Counter(text.partition(" (")[0] for text in said)
    if len(heads) == 1:
        return said[0] + (f"; so in each of {len(said)} seeds" if len(said) > 1 else "")
    return "; ".join(f"{head} in {count} of {len(said)} seeds" for head, count in heads.most_common())


def draw_confusion(row: Summary, prefix: str) -> Picture | None:
    """The winner's confusion as shares of each true class; None where the task has none."""
    confusion = find_confusion(row)
    if confusion is None:
        return None
    counts = np.asarray(confusion.counts, dtype=float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = min(7.2, 2.2 + 0.38 * len(counts))
    figure = Figure(figsize=(size, size), layout="constrained")
    axes = figure.add_subplot()
    # The ground shows through, which may be dark.
    colours = LinearSegmentedColormap.from_list("shares", [(*to_rgb(COLOURS[0]), alpha) for alpha in (0.0, FULLEST)])
    edges = np.arange(len(counts) + 1) - 0.5
    axes.pcolormesh(edges, edges, shares, cmap=colours, vmin=0, vmax=1, rasterized=len(counts) > MOST_NUMBERED)
    axes.set_aspect("equal")
    axes.invert_yaxis()
    axes.grid(visible=False)
    is_long = max(map(len, confusion.labels)) > 3
    turned: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if is_long else {}
    axes.set_xticks(range(len(counts)), confusion.labels, **turned)
    axes.set_yticks(range(len(counts)), confusion.labels)
    axes.set_xlabel("said")
    axes.set_ylabel("true class")
    if len(counts) <= MOST_NUMBERED:
        for (truth, said), count in np.ndenumerate(counts):
            if count:
                axes.annotate(f"{count:g}", (said, truth), ha="center", va="center", fontsize=8)
    seeds = f"{len(row.winner)} seed{'s' if len(row.winner) > 1 else ''}"
    caption = f"What {row.cell}'s winner took each class of the test split for, over {seeds}; the shade is the share of the row."
    right = float(np.trace(counts) / max(1.0, counts.sum()))
    return draw(figure, f"{prefix}-confusion", caption, f"{row.cell}: {100 * right:.1f} % on the diagonal, {len(counts)} classes")


def _numbers(trial: TrialRecord) -> Iterator[tuple[str, float]]:
    for found in (trial.outcome.get("test"), trial.outcome.get("examined")):
        for name, value in (found or {}).items():
            if _is_number(value):
                yield name, float(value)
            elif isinstance(value, Mapping) and value and all(map(_is_number, value.values())):
                for inner, one in value.items():
                    yield f"{name} {inner}", float(one)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
