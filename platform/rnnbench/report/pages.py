"""The pages of a report: HTML that stands alone, Markdown, JSON, and the figures as files."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from rnnbench.base.files import write_atomic
from rnnbench.base.names import listed
from rnnbench.ledger.records import TrialRecord
from rnnbench.report import latex
from rnnbench.report.across import LEAST_PAIRS, compare_across
from rnnbench.report.amounts import draw_amounts, find_amounts
from rnnbench.report.axes import find_scales
from rnnbench.report.document import build_document
from rnnbench.report.figures import draw_figures, draw_ranks, searched_parameters
from rnnbench.report.findings import find_out
from rnnbench.report.importance import may_tell
from rnnbench.report.inline import declare_colours, embed
from rnnbench.report.kendall import LEAST_BANDED
from rnnbench.report.pairs import LEAST_OF_TENTH
from rnnbench.report.peers import MOST_FOR_FANOVA
from rnnbench.report.profile_figure import draw_profiles
from rnnbench.report.profiles import find_profiles
from rnnbench.report.rows import to_columns, to_csv, to_parquet, trial_rows
from rnnbench.report.steadiness import EXPLODES, LEAST_EPOCHS
from rnnbench.report.study import Study
from rnnbench.report.style import Picture, anchor_of, colour_of
from rnnbench.report.tables import build_comparisons
from rnnbench.report.words import number, say_value

# Pieces of a page that are written at once.
FRAGMENTS = 1000


@dataclass(frozen=True)
class ReportFiles:
    """Where a report's pages are.

    Attributes:
        tables: Every trial with all its parameters and metrics, as CSV and as Parquet.
        note: The answer and its table as short Markdown.
        answers: The answer of each comparison, in words.
    """

    html: Path
    markdown: Path
    json: Path
    latex: Path
    tables: tuple[Path, ...]
    figures: tuple[Path, ...]
    note: str
    answers: tuple[str, ...]


def load(trials: Iterable[TrialRecord], method: str, *, has_scheduler: bool) -> None:
    """Imports beforehand what the report of a sweep with these trials will need; it takes seconds. For arguments see `may_tell`."""
    for name in ("pyarrow.parquet", *(["sklearn.tree"] if may_tell(trials, method, has_scheduler=has_scheduler) else [])):
        import_module(name)


def write_report(studies: Sequence[Study], out: Path) -> ReportFiles:
    """Writes a report; the same records give the same bytes.

    Raises:
        OSError: the folder cannot be written.
    """
    # First, and each large text in parts: none of it is held while the next is made.
    tables = _write_tables(studies, out)
    comparisons = build_comparisons(studies)
    across = compare_across(comparisons)
    scales = find_scales(studies)
    epochs = {key: history for study in studies for key, history in study.epochs.items()}
    findings = [find_out(comparison, epochs, scales) for comparison in comparisons]
    amounts, profiles = find_amounts(comparisons), find_profiles(comparisons)
    document = build_document(studies, comparisons, findings, amounts, across, profiles)
    pictures: list[list[Picture]] = []
    for place, (comparison, found) in enumerate(zip(comparisons, findings, strict=True), 1):
        prefix = f"{comparison.task.name}-{comparison.data}" + (f"-{place}" if len(comparisons) > 1 else "")
        pictures.append(draw_figures(comparison, epochs, scales, found, prefix))
    ranks = draw_ranks(across) if across else None
    profile = None if isinstance(profiles, str) else draw_profiles(profiles)
    by_rows = [draw_amounts(amount, f"rows-{place}") for place, amount in enumerate(amounts, 1)]
    every = [picture for drawn in pictures for picture in drawn] + [one for one in (ranks, profile) if one] + by_rows
    figures = [_write_picture(picture, out / "figures") for picture in every]
    context: dict[str, Any] = {
        "document": document,
        "searched": [searched_parameters(comparison) for comparison in comparisons],
        "pictures": pictures,
        "ranks": ranks,
        "profile": profile,
        "steady_limits": {"explodes": EXPLODES, "epochs": LEAST_EPOCHS},
        "least_banded": LEAST_BANDED,
        "most_for_fanova": MOST_FOR_FANOVA,
        "amounts": by_rows,
        "least_pairs": LEAST_PAIRS,
        "least_of_tenth": LEAST_OF_TENTH,
        "colours": {scheme: declare_colours(dark=scheme == "dark") for scheme in ("light", "dark")},
        # A trial of several sweeps has its row in each; marks lead to the first.
        "home_of": {trial.key: place for place, study in reversed(list(enumerate(studies))) for trial in study.trials},
        "title": listed([study.sweep.name for study in studies]),
    }
    environment = _environment()
    rows = {anchor_of(key): place for place, key in enumerate(dict.fromkeys(trial.key for study in studies for trial in study.trials))}
    environment.filters["svg"] = partial(embed, rows=rows)
    markdown = environment.get_template("report.md").render(context | {"figures": True})
    note = environment.get_template("report.md").render(context | {"figures": False})
    answers = tuple(" ".join(comparison["answer"]) for comparison in document["comparisons"])
    html_at, markdown_at, json_at, latex_at = (out / f"report.{ending}" for ending in ("html", "md", "json", "tex"))
    files = ReportFiles(html_at, markdown_at, json_at, latex_at, tables, tuple(figures), note, answers)
    write_atomic(files.latex, environment.get_template("report.tex").render(context))
    write_atomic(files.markdown, markdown)
    write_atomic(files.json, chain(json.JSONEncoder(indent=1, sort_keys=True, allow_nan=False).iterencode(document), "\n"))
    pages = environment.get_template("report.html").stream(context)
    pages.enable_buffering(FRAGMENTS)
    write_atomic(files.html, pages)
    return files


def _write_picture(picture: Picture, folder: Path) -> Path:
    write_atomic(folder / f"{picture.name}.svg", picture.svg)
    write_atomic(folder / f"{picture.name}.png", picture.png)
    return folder / f"{picture.name}.svg"


def _write_tables(studies: Sequence[Study], out: Path) -> tuple[Path, ...]:
    columns = to_columns(row for study in studies for row in trial_rows(study.trials, study.sweep.name))
    write_atomic(out / "trials.csv", to_csv(columns))
    write_atomic(out / "trials.parquet", to_parquet(columns))
    return out / "trials.csv", out / "trials.parquet"


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("rnnbench.report"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": number,
        "fine_share": lambda share: f"{100 * share:.1f} %",
        "share": lambda share: f"{100 * share:.0f} %",
        "percent": lambda share: "-" if share is None else f"{100 * share:+.0f} %",
        "beating": lambda count: "-" if not count["of"] else f"{count['trials']} of {count['of']}" if count["trials"] else "unsolved",
        "anchor": anchor_of,
        "latex": latex.escape,
        "quantity": latex.quantity,
        "between": latex.between,
        "texpercent": latex.percent,
        "landmarks": latex.landmarks,
        "quarters": latex.quarters,
        "megabytes": lambda size_bytes: f"{size_bytes / 1e6:.0f}",
        "zip": zip,
        "colour": colour_of,
        "power": lambda rate: f"{rate:g}",
        "short": lambda key: key[:8],
        "show": say_value,
        "cellsafe": lambda item: str(item).replace("|", "\\|").replace("\n", " ").replace("<", "&lt;"),
    }
    return environment
