"""`rnnbench bench cells`: how fast things are on this machine."""

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
    app.add_typer(bench, name="bench")


def bench_cells(
    cells: Annotated[list[str] | None, typer.Argument(metavar="[CELL]...", help="Cells (default: all).", show_default=False)] = None,
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
