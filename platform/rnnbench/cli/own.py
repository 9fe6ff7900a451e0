"""`rnnbench new cell` and `rnnbench check cell`: a cell of one's own, from a working example to a checked file."""

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from rnnbench.cli.options import command, output, people

EXAMPLE = '''"""{name}: one gate decides how much of the state is replaced."""
# Shapes: B rows, H units.

from torch import Tensor

from rnnbench.cells.cell import Cell
from rnnbench.cells.operations import Parts, Product, Weights


class {name}(Cell):
    """f = s(W_f x + R_f h- + b_f); h = (1 - f) * h- + f * tanh(W x + R h- + b)."""

    num_gates = 2  # f and the candidate, each W x + b from the input
    operations = (Product("hh", 2),)  # R h- for both of them
    state_names = ("h",)  # the output first

    def step(self, weights: Weights, gates: Parts, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Elementwise between its operations: the fast backward pass follows from this."""
        (h_BH,) = state
        f_BH, candidate_BH = weights.apply("hh", h_BH, gates)
        f_BH = f_BH.sigmoid()
        return ((1 - f_BH) * h_BH + f_BH * candidate_BH.tanh(),)
'''


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    new = typer.Typer(help="Start something of one's own from a working example.", no_args_is_help=True, rich_markup_mode=None)
    new.command("cell")(new_cell)
    app.add_typer(new, name="new")
    check = typer.Typer(help="Check something of one's own.", no_args_is_help=True, rich_markup_mode=None)
    check.command("cell")(check_cell)
    app.add_typer(check, name="check")


def new_cell(name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the class, e.g. MyCell.")]) -> None:
    """Write a working cell of under 30 lines, to be changed.

    Example: rnnbench new cell MyCell
    """
    from rnnbench.base.errors import InputError
    from rnnbench.base.names import printable

    if not re.fullmatch(r"[A-Z][A-Za-z0-9]{0,63}", name):
        raise InputError(f"'{printable(name)}' is no name for a class: a capital letter, then letters and digits, e.g. MyCell")
    path = Path(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower() + ".py")
    if path.exists():
        raise InputError(f"{path} is there already; nothing was written")
    path.write_text(EXAMPLE.format(name=name), encoding="utf-8")
    console = output()
    console.print(f"wrote {path}", markup=False)
    console.print(f"check it:  {command()} check cell {path}", markup=False)
    console.print(f"train it:  {command()} train sequential_digits --cell ./{path}:{name}", markup=False)
    console.print(f"sweep it:  cells: [lstm, ./{path}:{name}] in a sweep file", markup=False)


def check_cell(
    file: Annotated[str, typer.Argument(metavar="FILE", help="FILE.py, or FILE.py:CLASS where it has several classes.")],
) -> None:
    """Run the contract suite of cells on a file: gradients, carried state, causality, precision and more.

    Example: rnnbench check cell my_cell.py
    """
    import ast

    from rnnbench.base.errors import InputError
    from rnnbench.base.names import printable

    reference = file
    if file.endswith(".py"):
        try:
            tree = ast.parse(Path(file).read_bytes())
        except (OSError, SyntaxError, ValueError) as error:
            raise InputError(f"{printable(file)} cannot be read as Python: {printable(str(error))}") from error
        classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
        if len(classes) != 1:
            found = ", ".join(classes) or "none"
            raise InputError(f"{printable(file)} has {len(classes)} classes ({found}); say which: {printable(file)}:CLASS")
        reference = f"{file}:{classes[0]}"
    sys.exit(_check(reference))


def _check(reference: str) -> int:
    from rnnbench.cells.contract import CHECKS, builder, failures
    from rnnbench.cells.load import load_cell
    from rnnbench.cells.table import resolve_cell

    entry = resolve_cell(reference, Path.cwd())
    cell_class = load_cell(entry)
    with people().status("checking"):
        found = failures(builder(cell_class))
    console = output()
    for asked, problem in found:
        console.print(f"FAILED  {asked}\n        {problem}", markup=False, soft_wrap=True)
    words = f"{len(CHECKS) - len(found)} of {len(CHECKS)} checks passed"
    if not found:
        console.print(f"{entry.name}: {words}; {entry.num_parameters(32, 64)} parameters for 32 inputs and 64 units", markup=False)
        return 0
    console.print(f"{entry.name}: {words}", markup=False)
    return 2
