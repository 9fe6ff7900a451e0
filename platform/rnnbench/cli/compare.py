"""`rnnbench compare | best`: the answer in a terminal, and the winner as a file."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnnbench.cli.options import DbOption, HomeOption, JsonOption, command, home_at, open_ledger, output, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rnnbench.cli.columns import Columns
    from rnnbench.ledger.records import TrialRecord
    from rnnbench.ledger.store import Ledger
    from rnnbench.report.tables import Comparison, Summary


class As(StrEnum):
    """What `best` prints."""

    TEXT = "text"
    YAML = "yaml"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("compare")(compare)
    app.command("best")(best)


def compare(
    targets: Annotated[list[str], typer.Argument(metavar="SWEEP[/TRIAL]", help="Sweeps, or trials by the start of their keys.")],
    home: HomeOption = None,
    db: DbOption = None,
    as_json: JsonOption = False,
) -> None:
    """Who leads and how sure, over one or more sweeps; of trials, in what they differ.

    Example: rnnbench compare lstm gru
    """
    from rnnbench.base.errors import InputError

    are_trials = ["/" in target for target in targets]
    if any(are_trials) and not (all(are_trials) and len(targets) > 1):
        raise InputError("compare sweeps with sweeps, or two or more trials: SWEEP/KEY SWEEP/KEY")
    with open_ledger(home_at(home), db) as ledger:
        if all(are_trials):
            _compare_trials(targets, [ledger.get_trial(*target.split("/", 1)) for target in targets], as_json=as_json)
        else:
            _compare_sweeps(ledger, targets, as_json=as_json)


def best(
    target: Annotated[str, typer.Argument(metavar="SWEEP[/TRIAL]", help="A sweep (its best configuration), or a trial.")],
    form: Annotated[As, typer.Option("--as", help="text; yaml: a sweep file that trains it again; json.")] = As.TEXT,
    replicates: Annotated[int, typer.Option(min=1, max=1000, help="yaml: how many seeds the file trains.")] = 5,
    home: HomeOption = None,
    db: DbOption = None,
) -> None:
    """The best configuration of a sweep, and as a file that trains it again.

    Example: rnnbench best lstm --as yaml > best.yaml
    """
    from rnnbench.search.fixed import fixed_sweep
    from rnnbench.sweep.winner import find_trial
    from rnnbench.task.catalogue import get_task

    with open_ledger(home_at(home), db) as ledger:
        trial, name = find_trial(ledger, target), target.partition("/")[0]
        sweep = ledger.get_sweep(name)
    metric = get_task(trial.task).metric
    words = f"{trial.task}, {trial.spec.data}: {trial.cell} {name}/{trial.key[:8]}, validation {metric.title} {trial.best:.4g}"
    if form is As.YAML:
        comment = f"The best configuration of sweep {name}: {words}.\nRun it: rnnbench sweep FILE"
        typer.echo(fixed_sweep(trial.spec, sweep.settings, f"{name}-best"[:100], replicates, comment), nl=False)
    elif form is As.JSON:
        facts = {"sweep": name, "trial": trial.key, "metric": metric.name, "value": trial.best, "stage": trial.stage}
        print_json({**facts, "spec": trial.spec.to_dict(), "test": trial.outcome.get("test")})
    else:
        console = output()
        console.print(words, markup=False, soft_wrap=True)
        console.print(_parameter_table([f"{name}/{trial.key[:8]}"], [trial], only_different=False))
        console.print(f"as a file: {command()} best {target} --as yaml > best.yaml", markup=False, soft_wrap=True)


def _compare_sweeps(ledger: "Ledger", names: "Sequence[str]", *, as_json: bool) -> None:
    from rnnbench.cli.columns import show
    from rnnbench.report.study import Study
    from rnnbench.report.tables import build_comparisons
    from rnnbench.report.words import answer

    comparisons = build_comparisons([Study.read(ledger, name, with_epochs=False) for name in names])
    if as_json:
        print_json([_document(comparison) | {"answer": answer(comparison)} for comparison in comparisons])
        return
    console = output()
    for place, comparison in enumerate(comparisons):
        if place:
            console.print()
        console.print(f"{comparison.task.title}, {comparison.about}", markup=False, style="bold")
        show(console, _cell_table(comparison))
        console.print(" ".join(answer(comparison)), markup=False)


def _document(comparison: "Comparison") -> dict[str, Any]:
    return {"task": comparison.task.name, "about": comparison.about, "cells": [_facts(comparison, row) for row in comparison.rows]}


def _facts(comparison: "Comparison", row: "Summary") -> dict[str, Any]:
    """A cell's line."""
    import statistics

    difference = comparison.differences.get(row.cell)
    return {
        "cell": row.cell,
        "sweeps": list(row.sweeps),
        "trials": len(row.searched),
        "best": row.best.best if row.best else None,
        "test": statistics.fmean(row.test_values) if row.test_values else None,
        "low": row.test.low if row.test else None,
        "high": row.test.high if row.test else None,
        "seeds": len(row.test_values),
        "behind": abs(difference.value) if difference else None,
        "p_holm": difference.p_holm if difference else None,
        "parameters": row.parameters(),
        "seconds": row.seconds() if comparison.timed else None,
        "flops": row.flops(),
    }


def _cell_table(comparison: "Comparison") -> "Columns":
    from rnnbench.cli.columns import Column, Columns
    from rnnbench.report.words import number

    facts = [_facts(comparison, row) for row in comparison.rows]

    def numbers(name: str) -> list[str]:
        return [number(one[name]) for one in facts]

    intervals = ["-" if one["low"] is None else f"{number(one['low'])} to {number(one['high'])}" for one in facts]
    weights = ["-" if one["parameters"] is None else str(one["parameters"]) for one in facts]
    return Columns(
        [
            Column("cell", [one["cell"] for one in facts], left=True),
            Column("trials", [str(one["trials"]) for one in facts], rank=3),
            Column(f"best {comparison.task.metric.name}", numbers("best"), rank=4 if comparison.tested else 0),
            Column("test", numbers("test")),
            Column("95 %", intervals, rank=1),
            Column("seeds", [str(one["seeds"]) for one in facts], rank=6),
            Column("behind", numbers("behind"), rank=2),
            Column("p", numbers("p_holm"), rank=2),
            Column("weights", weights, rank=5),
            Column("s a trial", numbers("seconds"), rank=7),
        ]
    )


def _compare_trials(targets: "Sequence[str]", trials: "Sequence[TrialRecord]", *, as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {"target": target, "trial": one.key, "best": one.best, "spec": one.spec.to_dict()}
                for target, one in zip(targets, trials, strict=True)
            ]
        )
        return
    output().print(_parameter_table(targets, trials, only_different=True))


def _parameter_table(names: "Sequence[str]", trials: "Sequence[TrialRecord]", *, only_different: bool) -> Any:
    """What trials are and reached, side by side."""
    from rich.table import Table

    from rnnbench.report.words import number
    from rnnbench.search.space import full_parameters

    columns = []
    for trial in trials:
        spec, outcome = trial.spec, trial.outcome
        facts: dict[str, Any] = {"task": spec.task, "data": spec.data, "cell": spec.cell, "seed": spec.seed}
        reached = {"status": trial.status.value, "best": trial.best, "best_epoch": trial.best_epoch, "seconds": trial.wall_s}
        tested = {f"test.{name}": value for name, value in (outcome.get("test") or {}).items()}
        weights = {"weights": outcome.get("num_parameters")}
        columns.append(facts | dict(sorted(full_parameters(spec.task, spec.cell, spec.parameters).items())) | reached | tested | weights)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("", *names):
        table.add_column(title, overflow="fold")
    always = ("status", "best", "best_epoch", "seconds", "weights")
    for name in dict.fromkeys(name for column in columns for name in column):
        values = [column.get(name, "-") for column in columns]
        if not only_different or name in always or name.startswith("test.") or len(set(map(repr, values))) > 1:
            table.add_row(
                name, *(number(value) if isinstance(value, float) else "null" if value is None else str(value) for value in values)
            )
    return table
