"""`rnnbench predict`: what a trained model says to new input."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnnbench.cli.options import CheckpointsOption, DbOption, HomeOption, JsonOption, home_at, open_ledger, output, people, print_json

if TYPE_CHECKING:
    from rnnbench.base.home import Home
    from rnnbench.base.parameters import Value
    from rnnbench.task.answers import Answer
    from rnnbench.trial.spec import TrialSpec
    from rnnbench.trial.trained import Trained

RunOwnCellOption = Annotated[
    bool, typer.Option("--run-own-cell", help="Run the Python code of an exported model's own cell: only of an author you trust.")
]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("predict")(predict)


def predict(
    model: Annotated[str, typer.Argument(metavar="SWEEP[/TRIAL]|DIR", help="A sweep (its best confirmed model), a trial, or an export.")],
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="FILE|TEXT|-", help="A file, a text, or - for standard input; may be given several times."),
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="OPTION=VALUE", help="An option of the task's; see rnnbench tasks NAME.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE|DIR", help="Write .csv, .jsonl or .txt, or a folder; with plots.", show_default=False),
    ] = None,
    run_own_cell: RunOwnCellOption = False,
    home: HomeOption = None,
    db: DbOption = None,
    checkpoints: CheckpointsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a trained model: classify lines, continue a prompt, translate, transcribe, forecast.

    Needs the model alone, none of the data that it was trained on.

    Example: rnnbench predict sms_spam --input "You have won a prize, call now"
    """
    from rnnbench.report.prediction import check_out, write_answer
    from rnnbench.task.catalogue import get_task
    from rnnbench.task.question import build_question, check_options, read_inputs

    spec, load, words = _find(model, home_at(home, checkpoints), db, run_own_cell=run_own_cell)
    card = get_task(spec.task)
    options = _options(changes or [])
    check_options(card, options)
    if out is not None:
        check_out(out)
    lines, files = read_inputs(card, inputs or [], sys.stdin.buffer.read, spec.parameters)
    question = build_question(card, lines, files, options, spec.parameters)
    people().print(f"model: {words}", markup=False, soft_wrap=True)
    if empty := sum(not line.strip() for line in question.lines):
        people().print(f"{empty} of {len(question.lines)} lines are empty; they are answered like any other", markup=False)
    with refused():
        trained = load()
    answer = trained.answer(question)
    written = [str(path) for path in write_answer(answer, out)] if out is not None else []
    if as_json:
        about = {"model": words, "task": spec.task, "cell": spec.cell, "trial": spec.key(), "options": dict(question.options)}
        print_json({**about, "rows": list(answer.rows), "text": answer.text, "files": written})
    elif out is not None:
        for path in written:
            output().print(path, markup=False, soft_wrap=True)
    else:
        _print(answer)
    if answer.plots and out is None:
        people().print("a plot goes with it: --out FILE.csv or --out DIR draws it", markup=False)


@contextmanager
def refused() -> Iterator[None]:
    """A model that cannot be used is what the person gave, not a mistake of ours."""
    from rnnbench.base.errors import CheckpointError, InputError

    try:
        yield
    except CheckpointError as error:
        raise InputError(str(error)) from error


def _find(target: str, place: "Home", db: str | None, *, run_own_cell: bool) -> "tuple[TrialSpec, Callable[[], Trained], str]":
    """The spec of a model, how to load it, and which it is in words."""
    from rnnbench.sweep.models import exported_folder, find_model

    folder = exported_folder(target)
    if folder is not None:
        from rnnbench.trial.exported import load_exported

        with refused():
            trained = load_exported(folder, run_own_cell=run_own_cell)
        spec = trained.spec
        return spec, lambda: trained, f"{spec.task}, {spec.cell} {spec.key()[:8]}, exported to {folder}"
    with open_ledger(place, db) as ledger:
        found = find_model(ledger, place, target)
    return found.trial.spec, found.load, found.words()


def _options(changes: Sequence[str]) -> "dict[str, Value]":
    from rnnbench.base.errors import InputError
    from rnnbench.base.names import printable
    from rnnbench.search.document import parse_value

    found: dict[str, Any] = {}
    for change in changes:
        name, equals, text = change.partition("=")
        if not equals or not name:
            raise InputError(f"--set {printable(change)}: must be OPTION=VALUE, e.g. --set temperature=0.8")
        found[name.removeprefix("predict.")] = parse_value(text)
    return found


def _print(answer: "Answer") -> None:
    from rich.table import Table

    if answer.text:
        text = answer.text.removesuffix("\n")
        typer.echo(harmless(text) if sys.stdout.isatty() else text)
        return
    if not answer.rows:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in answer.rows[0]:
        table.add_column(name, overflow="fold")
    for row in answer.rows:
        table.add_row(*(_shown(value) for value in row.values()))
    output().print(table, markup=False)


def _shown(value: Any) -> "Any":
    from rich.text import Text

    return Text(f"{value:.6g}" if isinstance(value, float) else "" if value is None else harmless(str(value)))


def harmless(text: str) -> str:
    """The text with everything escaped that could steer a terminal: a model may say anything."""
    return "".join(ch if ch.isprintable() or ch in "\n\t" else repr(ch)[1:-1] for ch in text)
