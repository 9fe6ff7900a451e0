"""What `sweep --dry-run` prints: every planned trial with the values that differ between trials."""

from collections.abc import Sequence

from rnnbench.cli.options import output, print_json
from rnnbench.sweep.planned import Planned
from rnnbench.trial.spec import TrialSpec


def print_plan(planned: Planned, as_json: bool) -> None:
    """The plan as a table, or as one JSON document."""
    if as_json:
        trials = [{"key": spec.key(), **spec.to_dict()} for spec in planned.specs]
        print_json({"sweep": planned.sweep.name, "trials": trials, "slots": [vars(slot) for slot in planned.slots]})
        return
    if planned.slots:
        _print_slots(planned)
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
    console.print(f"{len(planned.specs)} trials of at most {planned.sweep.budget.max_epochs} epochs{_after(planned)}; nothing was started")


def _print_slots(planned: Planned) -> None:
    sweep = planned.sweep
    lanes = len({(slot.task, slot.cell) for slot in planned.slots})
    output().print(
        f"{len(planned.slots) * sweep.replicates} trials of at most {sweep.budget.max_epochs} epochs, {sweep.search.num_samples} slots for "
        f"each of {lanes} pairs of task and cell, drawn by {sweep.search.method} as results come in{_after(planned)}; nothing was started",
        soft_wrap=True,
    )


def _after(planned: Planned) -> str:
    sweep = planned.sweep
    words = f", compared by {sweep.scheduler.name} on the way" if sweep.scheduler else ""
    if sweep.confirm:
        words += f", then the best {sweep.confirm.top_k} of each task and cell with {sweep.confirm.seeds} fresh seeds"
    return words


def _differs(name: str, specs: Sequence[TrialSpec]) -> bool:
    return len({repr(spec.parameters.get(name)) for spec in specs}) > 1


def _show(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
