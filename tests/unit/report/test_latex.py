"""The tables of a report in LaTeX: every one that the pages have, in booktabs, whatever names and numbers stand in them."""

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rnnbench.ledger.records import Status, TrialRecord
from rnnbench.report.latex import between, escape, landmarks, percent, quantity, quarters
from rnnbench.report.pages import write_report
from tests.unit.report.test_profiles import on_adding
from tests.unit.report.test_report import GRU, LSTM, confirmed, searched, study, trial
from tests.unit.report.test_steadiness import with_curves

HOSTILE = 'a_b 50% & more #1 {x} $y ~ ^ \\ <z> | "q"'
HEAD = "\\documentclass{article}\n\\usepackage[T1]{fontenc}\n\\usepackage{booktabs}\n\\usepackage[margin=1cm,landscape]{geometry}\n"
# What the tables may use.
COMMANDS = {
    "begin", "end", "centering", "caption", "toprule", "midrule", "bottomrule", "times", "tau", "textbackslash", "textasciitilde",
    "textasciicircum", "textless", "textgreater", "textbar", "textquotedbl",
}  # fmt: skip


def varied(cell: str, number: int) -> list[TrialRecord]:
    """Search trials in two parameters, of which two diverged and one clips."""
    found = []
    for place in range(number):
        best = 0.5 + 0.004 * ((place * 7) % number)
        one = trial(cell, place, best, status=Status.DIVERGED if place in (3, 8) else Status.COMPLETED)
        parameters = {"optimizer.lr": 10 ** (-3.5 + 0.05 * place), "network.recurrent_dropout": 0.01 * ((place * 7) % number)}
        spec = replace(one.spec, parameters={**one.spec.parameters, "training.clip_norm": 1.0, **parameters})
        found.append(replace(one, spec=spec, key=spec.key(), best=None if one.status == Status.DIVERGED else best))
    return found


def examined(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    return [replace(one, outcome={**one.outcome, "examined": {HOSTILE: 0.1 + 1e-7 * place}}) for place, one in enumerate(trials)]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The LaTeX of a report that has every table."""
    trials = [*varied("gru", 40), *varied("elman", 12), *varied("lstm", 12)]
    curves = np.random.default_rng(0).uniform(size=(len(trials), 6)).tolist()
    one = with_curves(trials, curves, clipped=[0.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    tested = [
        *examined(confirmed("gru", [0.9, 0.91, 0.92])),
        *confirmed("lstm", [0.885, 0.915, 0.92]),
        *confirmed("elman", [0.6, 0.61, 0.59]),
    ]
    digits = replace(one, trials=[*trials, *tested])
    adding = study(on_adding([*GRU, *LSTM, *searched("elman", [0.5]), *confirmed("elman", [0.6, 0.61, 0.59])], 0.2), "other")
    return write_report([digits, adding], tmp_path_factory.mktemp("report")).latex.read_text()


def test_every_table_of_the_pages_is_there(tables: str) -> None:
    captions = re.findall(r"\\caption\{(.*)\}", tables)
    first, second = "Sequential digits, digits: ", "Adding problem, generated: "
    told = [
        f"{first}test accuracy", f"{first}what else", f"{first}what mattered", f"{first}search trials that diverged",
        f"{first}how steady", f"{first}how early", f"{second}test mean squared error", "Mean ranks over 2", "Pairs over 2",
        "Performance profiles", "The scale of",
    ]  # fmt: skip
    missing = [words for words in told if not any(caption.startswith(words) for caption in captions)]
    assert not missing, captions


def test_the_numbers_are_those_of_the_report(tables: str) -> None:
    assert "gru & 0.91 & 0.8852 to 0.9348 & -- & 40 & 1234 \\\\" in tables
    assert "gru & $10^{-4}$ to $10^{-3}$ & 2 & 10 & 20.0\\,\\% & 5.7\\,\\% to 51.0\\,\\% \\\\" in tables
    assert "network.recurrent\\_dropout" in tables
    assert "adding & generated & 0.1667 & 0.016 & test data \\\\" in tables
    assert re.search(r"gru & 0\.5 & 100\\,\\% & \d+\\,\\% to 100\\,\\% \\\\", tables)


def check(text: str) -> None:
    """That tables hold to what LaTeX needs: balanced, so many cells in a row as columns, no sign that means something, known commands."""
    bare = re.sub(r"\\[&%$#_{}]", "", "".join(line for line in text.splitlines(keepends=True) if not line.startswith("%")))
    for columns, body in re.findall(r"\\begin\{tabular\}\{(\w+)\}(.*?)\\end\{tabular\}", bare, re.DOTALL):
        assert [rule for rule in re.findall(r"\\(\w+rule)", body) if rule != "midrule"] == ["toprule", "bottomrule"]
        rows = [row for row in re.sub(r"\\\w+rule\b", "", body).split("\\\\") if row.strip()]
        assert {row.count("&") for row in rows} == {len(columns) - 1}, body
    assert Counter(re.findall(r"\\begin\{(\w+)\}", bare)) == Counter(re.findall(r"\\end\{(\w+)\}", bare))
    assert "&" not in re.sub(r"\\begin\{tabular\}.*?\\end\{tabular\}", "", bare, flags=re.DOTALL)
    assert set(re.findall(r"\\([a-zA-Z]+)", bare)) <= COMMANDS
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    outside = re.sub(r"\$[^$]*\$", "", bare)
    assert not re.search(r"[_^~#%<>|\"]|(?<![\w-])-\d", outside), re.findall(r".*[_^~#%<>|\"].*", outside)


def test_the_tables_hold_to_latex(tables: str) -> None:
    check(tables)
    assert escape(HOSTILE) in tables


@pytest.mark.parametrize("trials", [searched("gru", [0.8, 0.9]), [trial("gru", 0, None, status=Status.FAILED)], []])
def test_what_has_no_test_values_or_no_result_at_all_has_tables_too(trials: Sequence[TrialRecord], tmp_path: Path) -> None:
    text = write_report([study(trials)], tmp_path).latex.read_text()
    check(text)
    assert ("which flatters: no fresh seeds" in text) == bool(trials)


@pytest.mark.parametrize("wrong", ["a_b & ", "50% & ", "& & ", "\\oops & ", "{ & ", "-3 & "])
def test_the_check_finds_what_it_is_for(tables: str, wrong: str) -> None:
    with pytest.raises(AssertionError):
        check(tables.replace("gru & ", wrong, 1))


@pytest.mark.slow
def test_latex_typesets_the_tables(tables: str, tmp_path: Path) -> None:
    if shutil.which("pdflatex") is None:
        pytest.skip("needs pdflatex with booktabs")
    (tmp_path / "all.tex").write_text(f"{HEAD}\\begin{{document}}\n{tables}\n\\end{{document}}\n")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "all.pdf").stat().st_size > 0


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "--"), (0.0, "0"), (-0.25, "$-0.25$"), (1234.5, "1234"), (1.5e-7, "$1.50 \\times 10^{-7}$"), (-2e6, "$-2.00 \\times 10^{6}$")],
)
def test_numbers_have_a_minus_and_powers_of_ten(value: float | None, text: str) -> None:
    assert quantity(value) == text


def test_intervals_shares_and_places() -> None:
    assert (between((-1.0, 0.5)), between((None, None))) == ("$-1$ to 0.5", "--")
    assert (percent(0.256), percent(0.256, 1), percent(None)) == ("26\\,\\%", "25.6\\,\\%", "--")
    assert [landmarks(range(number)) for number in (1, 2, 25)] == [[0], [0, 1], [0, 8, 16]]
    assert quarters(np.linspace(0, 1, 101).tolist()) == [0, 25, 50, 75]
