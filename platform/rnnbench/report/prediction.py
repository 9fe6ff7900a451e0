"""An answer of a trained model as files: its rows as CSV or JSON lines, its text, its plots in the report's style."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from rnnbench.base.canonical import Plain
from rnnbench.base.errors import InputError
from rnnbench.base.files import is_disk_full, write_atomic
from rnnbench.report.style import COLOURS, RC, Picture, draw
from rnnbench.task.answers import Answer, Curve, Plot

ROWS = {".csv": "CSV", ".jsonl": "JSON lines", ".txt": "text"}
STEM = "answer"


def check_out(out: Path) -> None:
    """Refuses a place that `write_answer` could not write to, before anything is computed.

    Raises:
        InputError: a file of an unknown kind, or below something that is no folder.
    """
    if not out.is_dir() and out.suffix not in ("", *ROWS):
        raise InputError(f"--out {out} must end in {', '.join(ROWS)}, or name a folder")
    if out.is_file() and not out.suffix:
        raise InputError(f"--out {out} is a file; name one that ends in {', '.join(ROWS)}, or a folder")


def write_answer(answer: Answer, out: Path) -> list[Path]:
    """Writes an answer to a file by its suffix, or to a folder under the name `answer`; plots as PNG beside it.

    Returns:
        What was written.
    Raises:
        InputError: it cannot be written.
    """
    check_out(out)
    into_folder = out.is_dir() or not out.suffix
    stem = out / STEM if into_folder else out.with_suffix("")
    files: dict[Path, str | bytes] = {}
    if not into_folder:
        files[out] = format_rows(answer, out.suffix)
    else:
        files[stem.with_name(f"{stem.name}.csv")] = format_rows(answer, ".csv")
        if answer.text:
            files[stem.with_name(f"{stem.name}.txt")] = format_rows(answer, ".txt")
    for number, picture in enumerate(draw_plots(answer.plots), 1):
        suffix = f"-{number}" if len(answer.plots) > 1 else ""
        files[stem.with_name(f"{stem.name}{suffix}.png")] = picture.png
    for path, content in files.items():
        try:
            write_atomic(path, content)
        except OSError as error:
            if is_disk_full(error):
                raise
            raise InputError(f"{path} cannot be written ({error.strerror})") from error
    return list(files)


def format_rows(answer: Answer, suffix: str) -> str:
    """An answer in one of the forms of `ROWS`; as text where it has one, else its rows with tabs between the values."""
    if suffix == ".jsonl":
        return "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in answer.rows)
    if suffix == ".txt" and answer.text:
        return answer.text.removesuffix("\n") + "\n"
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter="," if suffix == ".csv" else "\t", lineterminator="\n")
    if answer.rows:
        writer.writerow(answer.rows[0])
    writer.writerows([_field(value) for value in row.values()] for row in answer.rows)
    return stream.getvalue()


def draw_plots(plots: Sequence[Plot]) -> list[Picture]:
    """Each plot as a figure."""
    with mpl.rc_context(RC):
        return [_draw(plot, f"{STEM}-{number}") for number, plot in enumerate(plots, 1)]


def _draw(plot: Plot, name: str) -> Picture:
    figure = Figure(figsize=(7.2, 3.6))
    axes = figure.add_subplot()
    for number, curve in enumerate(plot.curves):
        _draw_curve(axes, curve, COLOURS[number % len(COLOURS)])
    axes.set_title(plot.title)
    axes.set_xlabel(plot.x_label)
    axes.set_ylabel(plot.y_label)
    if len(plot.curves) > 1 or any(curve.low is not None for curve in plot.curves):
        axes.legend()
    if any(_dates(curve.x) for curve in plot.curves):
        locator = AutoDateLocator()  # type: ignore[no-untyped-call]  # of matplotlib
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]  # of matplotlib
    alt = "; ".join(f"{curve.label}: {len(curve.y)} points, last {curve.y[-1]:.4g}" for curve in plot.curves if len(curve.y))
    return draw(figure, name, plot.title, alt)


def _draw_curve(axes: Axes, curve: Curve, colour: str) -> None:
    # Any: matplotlib takes times, and its types do not say so.
    x: Any = _dates(curve.x) or list(curve.x)
    # A single point is no line.
    axes.plot(x, curve.y, color=colour, linewidth=1.6, marker="o" if len(curve.y) == 1 else "", markersize=4, label=curve.label)
    if curve.low is not None and curve.high is not None:
        axes.fill_between(x, curve.low, curve.high, color=colour, alpha=0.18, linewidth=0)


def _dates(x: Sequence[Plain]) -> list[datetime] | None:
    """Times, where all are in ISO form; None: numbers, or words that stand for themselves."""
    try:
        return [datetime.fromisoformat(item) for item in x] if x and all(isinstance(item, str) for item in x) else None
    except ValueError:
        return None


def _field(value: Plain) -> Plain:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, Mapping | list | tuple) else value
