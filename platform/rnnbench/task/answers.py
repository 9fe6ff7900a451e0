"""What a person asks of a trained model, and what it answers: plain data, and a plot where one says more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rnnbench.base.canonical import Plain
from rnnbench.base.parameters import Value


@dataclass(frozen=True)
class Question:
    """New input for a trained model.

    Attributes:
        lines: Lines of text, from the command line or a text file; empty where files are given.
        files: Files that are no text (sound, tables), each answered for itself.
        options: The card's `predict` parameters by their short names, every one of them.
    """

    lines: Sequence[str] = ()
    files: Sequence[Path] = ()
    options: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class Curve:
    """A line of a plot: its label and points; x are numbers or dates in ISO form, `low` and `high` a band around it."""

    label: str
    x: Sequence[Plain]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None


@dataclass(frozen=True)
class Plot:
    """Curves over one axis."""

    title: str
    x_label: str
    y_label: str
    curves: Sequence[Curve]


@dataclass(frozen=True)
class Answer:
    """What a model says.

    Attributes:
        rows: One for each input, or for each predicted step; the same keys in all.
        text: For a person to read instead of the rows; empty: the rows are shown as a table.
    """

    rows: Sequence[Mapping[str, Plain]]
    text: str = ""
    plots: Sequence[Plot] = ()
