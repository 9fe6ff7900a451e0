"""What `sweep --dry-run` prints: every planned trial with the values that differ between trials of its task and cell."""

from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from rnnbench.cli.columns import Column, Columns, fit, show
from rnnbench.cli.live import seconds
from rnnbench.cli.options import output, print_json
from rnnbench.sweep.forecast import Forecast
from rnnbench.sweep.planned import Planned
from rnnbench.task.catalogue import tell_apart
from rnnbench.trial.spec import Lane, TrialSpec


def print_plan(planned: Planned, as_json: bool, forecast: Forecast | None = None) -> None:
    """The plan as a table, or as one JSON document; and what it will take, where that was asked for."""
    if as_json:
        trials = [{"key": spec.key(), **spec.to_dict()} for spec in planned.specs]
        known = {"forecast": asdict(forecast)} if forecast else {}
        print_json({"sweep": planned.sweep.name, "trials": trials, "slots": [vars(slot) for slot in planned.slots], **known})
        return
    _print_slots(planned) if planned.slots else _print_trials(planned)
    if forecast:
        print_forecast(output(), forecast)


def print_forecast(console: Console, forecast: Forecast) -> None:
    """Time, memory and disk of each cell's trials, and of the sweep."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("task", "cell"):
        table.add_column(title)
    for title in ("trials", "an epoch", "a trial", "memory", "disk"):
        table.add_column(title, justify="right")
    titles = tell_apart((cell.task, cell.data) for cell in forecast.cells)
    for cell in forecast.cells:
        together = f" ({cell.together} in one process)" if cell.together > 1 else ""
        memory = f"{size(cell.memory_bytes)}{together}"
        times = (duration(cell.epoch_s), duration(cell.trial_s))
        table.add_row(titles[cell.task, cell.data], cell.cell, str(cell.trials), *times, memory, size(cell.disk_bytes))
    console.print(table)
    of_gpu = ""
    if forecast.gpu_bytes:
        of_gpu = f"{size(forecast.gpu_bytes)} of a GPU's {size(forecast.gpu_size_bytes)}, "
    console.print(
        f"forecast: at most {seconds(forecast.seconds)} with {forecast.concurrent} at once, {size(forecast.memory_bytes)} of memory, "
        f"{of_gpu}{size(forecast.disk_bytes)} of disk; the report will say how far off that was",
        soft_wrap=True,
    )
    if forecast.gpu_bytes > forecast.gpu_size_bytes:
        console.print("warning: that is more than the GPU has; raise resources.gpus, so that fewer trials share one", soft_wrap=True)
    for words in forecast.unknown:
        console.print(f"not known: {words}", markup=False, soft_wrap=True)


def duration(value: float) -> str:
    """Seconds in words, short ones too: 42 ms, 1.3 s, 8 min 20 s."""
    if value < 1:
        return f"{1e3 * value:.3g} ms"
    return f"{value:.1f} s" if value < 60 else seconds(value)


def size(value: float) -> str:
    """Bytes in words: 3.1 MB."""
    for unit in ("bytes", "kB", "MB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def _print_trials(planned: Planned) -> None:
    names = sorted({name for spec in planned.specs for name in spec.parameters})
    searched = [name for name in names if _is_searched(name, planned.specs)]
    specs, titles = planned.specs, tell_apart((spec.task, spec.data) for spec in planned.specs)
    columns = [
        Column("#", [str(number) for number in range(len(specs))], rank=8, left=True),
        Column("trial", [spec.key()[:8] for spec in specs], left=True),
        Column("task", [titles[spec.task, spec.data] for spec in specs], rank=9 if len(titles) == 1 else 0, left=True),
        Column("cell", [spec.cell for spec in specs], left=True),
    ]
    for name in searched:
        values = ["-" if spec.parameters.get(name) is None else _show(spec.parameters[name]) for spec in specs]
        columns.append(Column(name.split(".", 1)[1], values, rank=1, left=True))
    console = output()
    show(console, Columns(columns))
    if hidden := [column.title for column in columns[4:] if console.is_terminal and column not in fit(columns, console.width)]:
        console.print(f"no room here for {', '.join(hidden)}: a wider terminal or a pipe shows them", markup=False)
    console.print(f"{len(planned.specs)} trials of at most {planned.sweep.budget.max_epochs} epochs{_after(planned)}; nothing was started")


def _print_slots(planned: Planned) -> None:
    sweep = planned.sweep
    lanes = len({(slot.task, slot.data, slot.cell) for slot in planned.slots})
    output().print(
        f"{len(planned.slots) * sweep.replicates} trials of at most {sweep.budget.max_epochs} epochs, {sweep.search.num_samples} slots for "
        f"each of {lanes} pairs of task and cell, drawn by {sweep.search.method} as results come in{_after(planned)}; nothing was started",
        soft_wrap=True,
    )


def _after(planned: Planned) -> str:
    sweep = planned.sweep
    words = f", compared by {sweep.scheduler.name} on the way" if sweep.scheduler else ""
    if sweep.resources.workers > 1:
        words += f", each by {sweep.resources.workers} workers that share its batches (none trains fused with others)"
    if sweep.confirm:
        words += f", then the best {sweep.confirm.top_k} of each task and cell with {sweep.confirm.seeds} fresh seeds"
    return words


def _is_searched(name: str, specs: Sequence[TrialSpec]) -> bool:
    found: dict[Lane, set[str]] = {}
    for spec in specs:
        if name in spec.parameters:
            found.setdefault(spec.lane, set()).add(repr(spec.parameters[name]))
    return any(len(values) > 1 for values in found.values())


def _show(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
