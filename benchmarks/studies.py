"""The studies of docs/studies/: their extracts, and from these alone every figure and number of their pages.

Run: python benchmarks/studies.py [NAME ...] redraws; --from HOME first takes the study's sweeps from a ledger; --check changes nothing and
fails where a page says something else than its extract.
"""

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from claims import Against, Claim, greff

from rnnbench.base.home import Home
from rnnbench.ledger.engine import open_engine
from rnnbench.ledger.extract import extract, restore
from rnnbench.ledger.records import Status
from rnnbench.ledger.store import Ledger
from rnnbench.report.axes import find_scales
from rnnbench.report.importance import Importance, find_importance
from rnnbench.report.pages import write_report
from rnnbench.report.published import find_published
from rnnbench.report.study import Study
from rnnbench.report.tables import Comparison, build_comparisons
from rnnbench.report.words import answer, number

PAGES = Path(__file__).parents[1] / "docs" / "studies"
Judge = Callable[[Comparison, Sequence[Importance]], tuple[list[Against], list[Claim]]]


@dataclass(frozen=True)
class Subject:
    """A study.

    Attributes:
        sweeps: Names in the ledger.
        judge: Of each comparison: cells against a reference, and claims with their verdicts.
        figures: Endings of the names of the report's figures that the page shows.
    """

    sweeps: tuple[str, ...]
    judge: Judge | None = None
    figures: tuple[str, ...] = ("tenths", "trials", "importance", "budgets")


SUBJECTS = {
    "odyssey": Subject(("odyssey",), greff),
    "odyssey_modern": Subject(("odyssey_modern",), greff),
    "generic_sequence": Subject(
        ("generic_sequence", "generic_sequence_short", "generic_sequence_long"), figures=("trials", "budgets", "tradeoffs")
    ),
}


def redraw(name: str, folder: Path, out: Path) -> dict[str, str]:
    """Draws a study's figures from its extract into a folder, and returns the parts of its page by their names."""
    subject = SUBJECTS[name]
    with tempfile.TemporaryDirectory() as place:
        home = Home(Path(place))
        engine = open_engine(home.ledger_url)
        restore(folder / "extract", engine)
        engine.dispose()
        with Ledger.open(home.ledger_url) as ledger:
            studies = [Study.read(ledger, sweep) for sweep in subject.sweeps]
        files = write_report(studies, Path(place) / "report")
        shown = []
        for figure in files.figures:
            ending = figure.stem.rpartition("-")[2]
            if any(ending.startswith(one) for one in subject.figures):
                picture = figure.with_suffix(".png")
                out.mkdir(parents=True, exist_ok=True)
                (out / picture.name).write_bytes(picture.read_bytes())
                shown.append(f"![{ending}](figures/{picture.name})")
    comparisons, scales = build_comparisons(studies), find_scales(studies)
    parts = {"cost": cost(studies), "answer": "\n\n".join(" ".join(answer(one)) for one in comparisons)}
    parts |= {"results": "\n\n".join(map(results, comparisons)), "figures": "\n\n".join(shown)}
    if published := "\n".join(filter(None, map(published_rows, comparisons))):
        parts["published"] = f"| task | cell | published | ours | verdict | set-up |\n|---|---|---|---|---|---|\n{published}"
    if subject.judge:
        judged = [subject.judge(one, [found for row in one.rows if (found := find_importance(row, scales))]) for one in comparisons]
        parts["claims"] = "\n\n".join(claims_table(claims) for _, claims in judged)
        parts["against"] = "\n\n".join(against_table(found) for found, _ in judged)
        parts["verdicts"] = json.dumps([[asdict(claim) for claim in claims] for _, claims in judged], indent=1)
    return parts


def cost(studies: Sequence[Study]) -> str:
    """Trials, core-hours, machine and versions."""
    lines = []
    for study in studies:
        ended = [trial for trial in study.trials if trial.wall_s is not None]
        seconds = sum((trial.wall_s or 0.0) * int(trial.outcome.get("threads") or 1) for trial in ended)
        machines = sorted({str(trial.outcome["processor"]) for trial in ended if trial.outcome.get("processor")})
        versions = study.sweep.environment.get("versions", {})
        done = sum(trial.status == Status.COMPLETED for trial in study.trials)
        lines.append(
            f"Sweep `{study.sweep.name}`: {len(study.trials)} trials planned, {done} completed, {seconds / 3600:.1f} core-hours "
            f"({', '.join(machines)}; torch {versions.get('torch')}; revision {study.sweep.environment.get('revision')})."
        )
    return "\n".join(lines)


def results(comparison: Comparison) -> str:
    """Each cell's line."""
    lines = ["| cell | draws | diverged | best | median | test mean | 95 % interval | seeds | weights |", f"|{'---|' * 9}"]
    for row in comparison.rows:
        test = [number(row.test.value), f"{number(row.test.low)} to {number(row.test.high)}"] if row.test else ["-", "-"]
        found = [row.cell, len(row.searched), row.counts[Status.DIVERGED], number(row.best.best if row.best else None), number(row.median)]
        lines.append(f"| {' | '.join(map(str, [*found, *test, len(row.test_values), row.parameters() or '-']))} |")
    return "\n".join(lines)


def published_rows(comparison: Comparison) -> str:
    """Lines of published numbers with a verdict."""
    lines = []
    for one in find_published(comparison):
        if one.verdict:
            task, numbers = f"{comparison.task.title}, {comparison.about}", [number(one.number.value), number(one.ours)]
            lines.append(
                f"| {task} | {one.number.cell} | {' | '.join(numbers)} | {one.verdict} | {one.number.source}; {one.number.setup} |"
            )
    return "\n".join(lines)


def claims_table(claims: Sequence[Claim]) -> str:
    """Claims with their verdicts."""
    lines = ["| claim | verdict | why |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {claim.text} | **{claim.verdict}** | {claim.why} |" for claim in claims)])


def against_table(found: Sequence[Against]) -> str:
    """Every cell against the reference."""
    lines = ["| cell | by | values | worse by | interval | p (Bonferroni) | |", f"|{'---|' * 7}"]
    for one in found:
        numbers = f"{one.loss:+.3f} | {one.low:+.3f} to {one.high:+.3f} | {one.p:.2g}"
        lines.append(f"| {one.cell} | {one.sample} | {one.counts[0]} and {one.counts[1]} | {numbers} | {one.standing} |")
    return "\n".join(lines)


def fill(page: str, parts: dict[str, str]) -> str:
    """A page with its generated parts in their places, `<!-- begin NAME -->` to `<!-- end NAME -->`; every place must be known."""

    def put(found: re.Match[str]) -> str:
        name = found.group(1)
        if name not in parts:
            sys.exit(f"the page has a place for {name!r}, which this study has not")
        return f"<!-- begin {name} -->\n{parts[name]}\n<!-- end {name} -->"

    return re.sub(r"<!-- begin (\w+) -->\n.*?<!-- end \1 -->", put, page, flags=re.DOTALL)


def main() -> None:
    """Redraws, or checks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=[name for name in SUBJECTS if (PAGES / name / "extract").exists()])
    parser.add_argument("--from", dest="home", type=Path, help="the home whose ledger has the sweeps")
    parser.add_argument("--check", action="store_true")
    given: Any = parser.parse_args()
    for name in given.names:
        folder = PAGES / name
        if given.home:
            engine = open_engine(Home(given.home).ledger_url)
            extract(engine, SUBJECTS[name].sweeps, folder / "extract")
            engine.dispose()
        page = (folder / "README.md").read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as scratch:
            parts = redraw(name, folder, Path(scratch) if given.check else folder / "figures")
        filled = fill(page, parts)
        if given.check and filled != page:
            sys.exit(f"docs/studies/{name}/README.md is not what its extract says: python benchmarks/studies.py {name}")
        if not given.check:
            (folder / "README.md").write_text(filled, encoding="utf-8")
            if "verdicts" in parts:
                (folder / "verdicts.json").write_text(parts["verdicts"] + "\n", encoding="utf-8")
        print(f"{name}: {'in step' if given.check else 'redrawn'}")


if __name__ == "__main__":
    main()
