"""What `sweep --dry-run` prints: every planned trial with the values that differ between trials."""

from collections.abc import Sequence

from rnnbench.cli.options import output, print_json
from rnnbench.sweep.planned import Planned
from rnnbench.trial.spec import TrialSpec


def print_plan(planned: Planned, as_json: bool) -> None:
    """The plan as a table, or as one JSON document."""
    if as_json:
        print_json({"sweep": planned.sweep.name, "trials": [{"key": spec.key(), **spec.to_dict()} for spec in planned.specs]})
        return
    from rich.table import Table

    names = sorted({name for spec in planned.specs for name in spec.parameters})
    searched = [name for name in names if _differs(name, planned.specs)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("#", "trial", "task", "cell", *(name.split(".", 1)[1] for name in searched)):
        table.add_column(title, no_wrap=True)
    for number, spec in enumerate(planned.specs):
        values = ["-" if spec.parameters.get(name) is None else _show(spec.parameters[name]) for name in searched]
        table.add_row(str(number), spec.key()[:8], spec.task, spec.cell, *values)
    console = output()
    console.print(table)
    confirm = planned.sweep.confirm
    winners = f", then the best {confirm.top_k} of each task and cell with {confirm.seeds} fresh seeds" if confirm else ""
    console.print(f"{len(planned.specs)} trials of at most {planned.sweep.budget.max_epochs} epochs{winners}; nothing was started")


def _differs(name: str, specs: Sequence[TrialSpec]) -> bool:
    return len({repr(spec.parameters.get(name)) for spec in specs}) > 1


def _show(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
