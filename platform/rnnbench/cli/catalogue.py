"""`rnnbench cells | tasks`: what there is to compare, and on what."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from rnnbench.cli.options import JsonOption, output, print_json


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("cells")(cells)
    app.command("tasks")(tasks)


def cells(
    name: Annotated[str | None, typer.Argument(metavar="CELL", show_default=False)] = None,
    inputs: Annotated[int, typer.Option(help="Inputs M for the parameter count.")] = 32,
    units: Annotated[int, typer.Option(help="Units N for the parameter count.")] = 64,
    as_json: JsonOption = False,
) -> None:
    """All cells, or one with its equations, citation and parameters.

    Example: rnnbench cells lstm --inputs 88 --units 100
    """
    from rich.table import Table

    from rnnbench.cells.table import list_cells, resolve_cell

    chosen = [resolve_cell(name, Path.cwd())] if name else list(list_cells())
    if as_json:
        print_json(
            [
                {
                    "name": cell.name,
                    "version": cell.version,
                    "summary": cell.summary,
                    "citation": cell.citation,
                    "equations": cell.equations,
                    "states": cell.state_names,
                    "parameters": [asdict(parameter) for parameter in cell.parameters],
                    "num_parameters": {"inputs": inputs, "units": units, "count": cell.num_parameters(inputs, units)},
                    "flops_per_step": cell.flops_per_step(inputs, units),
                    "fast_form": cell.fast_form,
                }
                for cell in chosen
            ]
        )
        return
    console = output()
    if not name:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for title in ("cell", "what it is", "source"):
            table.add_column(title)
        for cell in chosen:
            table.add_row(cell.name, cell.summary, cell.citation)
        console.print(table)
        return
    cell = chosen[0]
    console.print(f"{cell.name}: {cell.summary}\n{cell.citation}\n", markup=False)
    for line in cell.equations:
        console.print(f"    {line}", markup=False)
    count, flops = cell.num_parameters(inputs, units), cell.flops_per_step(inputs, units)
    console.print(f"\nstates: {', '.join(cell.state_names)}", markup=False)
    console.print(f"{count} parameters and {flops} FLOPs a step for {inputs} inputs and {units} units", markup=False)
    console.print(f"computed by: {cell.fast_form}", markup=False)
    for parameter in cell.parameters:
        console.print(f"{parameter.name}: {parameter.help}; {parameter.allowed()}, default {parameter.default}", markup=False)


def tasks(name: Annotated[str | None, typer.Argument(metavar="TASK", show_default=False)] = None, as_json: JsonOption = False) -> None:
    """All tasks, or one with its data sets, parameters and published numbers.

    Example: rnnbench tasks polyphonic_music
    """
    from rich.table import Table

    from rnnbench.task.catalogue import get_task, list_tasks

    chosen = [get_task(name)] if name else list(list_tasks())
    if as_json:
        print_json([asdict(card) for card in chosen])
        return
    console = output()
    if not name:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for title in ("task", "metric", "data sets", "what it is"):
            table.add_column(title)
        for card in chosen:
            sets = ", ".join(f"{data} (embedded)" if item.embedded else data for data, item in card.data.items())
            table.add_row(card.name, f"{card.metric.name} ({card.metric.direction})", sets, card.summary)
        console.print(table)
        return
    card = chosen[0]
    metric = card.metric
    console.print(f"{card.name}: {card.title}. {card.summary}", markup=False)
    console.print(f"metric: {metric.name} ({metric.title}), {metric.unit or 'no unit'}, {metric.direction} is better", markup=False)
    for data, item in card.data.items():
        console.print(f"data {data}{' (default)' if data == card.default_data else ''}: {item.title}; {item.licence}", markup=False)
    for parameter in card.parameters:
        console.print(f"{parameter.name}: {parameter.help}; {parameter.allowed()}, default {parameter.default}", markup=False)
    for option in card.predict or ():
        words = f"{option.name.removeprefix('predict.')}: {option.help}; {option.allowed()}, default {option.default}"
        console.print(f"option of rnnbench predict, {words}", markup=False)
    for number in card.published:
        console.print(f"published: {number.cell} on {number.data}: {number.value:g} ({number.source}; {number.setup})", markup=False)
