"""`rnnbench bench cells | sweep`: how fast things are on this machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnnbench.cli.options import JsonOption, output, people, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rnnbench.cells.benchmark import Timing


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    bench = typer.Typer(help="How fast things are on this machine.", no_args_is_help=True, rich_markup_mode=None)
    bench.command("cells")(bench_cells)
    bench.command("sweep")(bench_sweep)
    app.add_typer(bench, name="bench")


def bench_cells(
    cells: Annotated[list[str] | None, typer.Argument(metavar="CELL", help="Cells (default: all).", show_default=False)] = None,
    batch: Annotated[int, typer.Option(min=1, help="Sequences in a batch.")] = 64,
    steps: Annotated[list[int] | None, typer.Option(min=1, help="Length of a sequence; repeat for more (default: 64 and 512).")] = None,
    units: Annotated[list[int] | None, typer.Option(min=1, help="Inputs and units; repeat for more (default: 32, 128, 256).")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Measurements of each; the median counts.")] = 7,
    threads: Annotated[int, typer.Option(min=1, help="Threads, as resources.cpus of a trial.")] = 1,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    peers: Annotated[bool, typer.Option("--peers", help="Also each cell's loop by plain autograd, and by torch.compile.")] = False,
    denormals: Annotated[bool, typer.Option("--denormals", help="Keep denormal numbers, which trials flush to zero.")] = False,
    last: Annotated[bool, typer.Option("--last", help="Gradients from the last output alone, as a classifier's.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Forward and backward of every cell, its memory, and its time over that of torch.nn.LSTM of the same size.

    Example: rnnbench bench cells lstm peephole_lstm --steps 64 --units 128
    """
    from rnnbench.cells.benchmark import Plan, as_documents, describe_machine, measure
    from rnnbench.cells.table import list_cells, resolve_cell

    names = tuple(resolve_cell(name, Path.cwd()).name for name in cells or [entry.name for entry in list_cells()])
    plan = Plan(
        names, batch, tuple(steps or (64, 512)), tuple(units or (32, 128, 256)), rounds, threads, device,
        ("cell", "eager", "compiled") if peers else ("cell",), not denormals, last,
    )  # fmt: skip
    timings = []
    with people().status("measuring") as status:
        for timing in measure(plan):
            timings.append(timing)
            status.update(f"measured {len(timings)}: {timing.cell}, {timing.steps} steps, {timing.units} units")
    machine = describe_machine(plan)
    if as_json:
        print_json({"machine": machine, "timings": as_documents(timings)})
        return
    _print(timings, machine)


def bench_sweep(
    trials: Annotated[list[int] | None, typer.Option(min=2, help="Trials of a sweep; repeat for more (default: 32, 128).")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Runs of each; the median counts.")] = 3,
    only: Annotated[list[str] | None, typer.Option(help="One of what is compared; repeat for more (default: all).")] = None,
    as_json: JsonOption = False,
) -> None:
    """Whole sweeps of short trials beside Ray Tune, Optuna and a bare loop, as one would write them: takes most of an hour.

    Needs a checkout of rnnbench, whose benchmarks/ holds the peers, and Optuna.

    Example: rnnbench bench sweep --trials 32 --rounds 1
    """
    import json
    import subprocess
    import sys

    from rnnbench.base.errors import InputError

    script = Path(__file__).parents[3] / "benchmarks" / "sweep.py"
    if not script.exists():
        raise InputError("rnnbench bench sweep needs a checkout of rnnbench: git clone it, then make install and run it there")
    counts = [str(number) for number in trials or (32, 128)]
    command = [sys.executable, str(script), "--rounds", str(rounds), "--trials", *counts, *(["--only", *only] if only else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(done.returncode)
    found = json.loads(done.stdout)
    if as_json:
        print_json(found)
    else:
        _print_sweeps(found)


def _print_sweeps(found: dict[str, Any]) -> None:
    from rich.table import Table

    for number, kinds in found["trials"].items():
        table = Table("", "seconds", "over rnnbench", "lowest", "highest", "mean accuracy", title=f"{number} trials", box=None)
        for kind, row in kinds.items():
            low, high = row["lowest_and_highest"]
            table.add_row(kind, f"{row['median']:.1f}", f"{row['over_ours']:.2f}", f"{low:.2f}", f"{high:.2f}", f"{row['accuracy']:.3f}")
        output().print(table)
    output().print(f"\n{', '.join(f'{name} {value}' for name, value in found['machine'].items())}", markup=False, highlight=False)


def _print(timings: "Sequence[Timing]", machine: dict[str, Any]) -> None:
    from rich.table import Table

    console = output()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("cell", "form", "steps", "units", "forward ms", "forward + backward ms", "memory MB", "over nn.LSTM", "quartiles"):
        table.add_column(title, justify="left" if title in ("cell", "form") else "right")
    for one in timings:
        row = (f"{one.forward_ms:.1f}", f"{one.total_ms:.1f}", f"{one.memory_mb:.1f}", f"{one.ratio:.2f}")
        table.add_row(one.cell, one.form, str(one.steps), str(one.units), *row, f"{one.ratio_low:.2f}-{one.ratio_high:.2f}")
    console.print(table)
    words = ", ".join(f"{name} {value}" for name, value in machine.items())
    console.print(f"\n{words}; batch {timings[0].batch if timings else 0}, medians", markup=False)
