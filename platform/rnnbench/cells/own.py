"""A cell from a person's own file, `./my_cell.py:MyCell`: read without importing it, named by its checksum. No torch."""

import ast
import hashlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from rnnbench.base.errors import UnknownNameError
from rnnbench.base.names import printable, suggest
from rnnbench.base.parameters import Kind, Parameter
from rnnbench.cells.entry import CellEntry

SCHEME = "own:"
MAX_BYTES = 1_000_000
_DIGITS = 12


@dataclass(frozen=True)
class OwnCell:
    """A class in a Python file.

    Attributes:
        source: The file's text; a trial runs what was read when its sweep began, whatever happens to the file.
    """

    file: str
    class_name: str
    source: str

    @property
    def name(self) -> str:
        """The cell's name: another text is another cell, and its trials have other keys."""
        return f"{self.class_name}@{hashlib.sha256(self.source.encode()).hexdigest()[:_DIGITS]}"


# What this process has read; its content follows from the key.
_READ: dict[str, tuple[OwnCell, CellEntry]] = {}


def is_reference(name: str) -> bool:
    """Whether a cell's name is a file and a class."""
    return ".py:" in name


def read_own(reference: str, folder: Path) -> OwnCell:
    """Reads `file.py:Class`, the file relative to `folder`, and makes the cell known.

    Raises:
        UnknownNameError: no such file or class, or a class whose constructor a sweep could not call; the text says which.
    """
    file, _, class_name = reference.rpartition(":")
    path = folder / file
    try:
        content = path.read_bytes()
        if len(content) > MAX_BYTES:
            raise UnknownNameError(f"{printable(str(path))} has {len(content)} bytes; a cell's file has at most {MAX_BYTES}")
        source = content.decode()
    except OSError as error:
        raise UnknownNameError(f"no cell '{printable(reference)}': {printable(str(path))} cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UnknownNameError(f"no cell '{printable(reference)}': {printable(str(path))} is not UTF-8 text") from error
    own = OwnCell(path.name, class_name, source)
    make_known(own)
    return own


def make_known(own: OwnCell) -> CellEntry:
    """The entry of a cell whose source is here; `find_own` finds it from now on.

    Raises:
        UnknownNameError: see `read_own`.
    """
    if own.name not in _READ:
        _READ[own.name] = own, _read_entry(own)
    return _READ[own.name][1]


def find_own(name: str) -> CellEntry | None:
    """The entry of a name that `make_known` has made."""
    return _READ[name][1] if name in _READ else None


def get_source(name: str) -> OwnCell | None:
    """The source of a name that `make_known` has made."""
    return _READ[name][0] if name in _READ else None


def load_own(name: str) -> type:
    """Runs the cell's file and returns its class."""
    own, _ = _READ[name]
    module = ModuleType(f"rnnbench_own_{hashlib.sha256(own.source.encode()).hexdigest()[:_DIGITS]}")
    module.__file__ = own.file
    exec(compile(own.source, own.file, "exec"), module.__dict__)  # noqa: S102  # what the person asked for
    found = getattr(module, own.class_name)
    assert isinstance(found, type), "the file was seen to define a class of that name"
    return found


def _read_entry(own: OwnCell) -> CellEntry:
    where = printable(own.file)
    try:
        tree = ast.parse(own.source)
    except SyntaxError as error:
        raise UnknownNameError(f"{where}:{error.lineno}: not Python: {error.msg}") from error
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    if own.class_name not in classes:
        raise UnknownNameError(f"no class '{printable(own.class_name)}' in {where}{suggest(own.class_name, classes)}")
    node = classes[own.class_name]
    text = (ast.get_docstring(node) or "a cell of one's own").splitlines()[0]

    def count(inputs: int, units: int, _: object) -> int:
        return _count(own.name, inputs, units)

    return CellEntry(
        name=own.name,
        version=1,
        summary=printable(text),
        citation=where,
        equations=(),
        target=f"{SCHEME}{own.name}",
        state_names=(),
        parameter_count=count,
        flop_count=lambda inputs, units, _: _count_flops(own.name, inputs, units),
        fast_form="as written, or by the derived backward pass",
        parameters=_parameters(node, where),
        takes_silent_units=False,
    )


def _parameters(node: ast.ClassDef, where: str) -> tuple[Parameter, ...]:
    """The numbers and switches among the constructor's arguments after inputs and units, from their defaults."""
    constructor = next((item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"), None)
    if constructor is None:
        return ()
    arguments = constructor.args
    plain = [*arguments.posonlyargs, *arguments.args][3:]
    missing = len(plain) - len(arguments.defaults)
    pairs = [*zip(plain, [None] * max(0, missing) + list(arguments.defaults), strict=False)]
    pairs += [*zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    found = []
    for argument, default in pairs:
        if default is None:
            raise UnknownNameError(
                f"{where}:{constructor.lineno}: {node.name} needs '{argument.arg}' beside input_size and hidden_size; give it a default"
            )
        value = ast.literal_eval(default) if isinstance(default, ast.Constant | ast.UnaryOp) else None
        kind: Kind = "bool" if isinstance(value, bool) else "int" if isinstance(value, int) else "float"
        if isinstance(value, bool | int | float):
            found.append(Parameter(f"cell.{argument.arg}", kind, value, f"{argument.arg} of {node.name}"))
    return tuple(found)


def _count(name: str, inputs: int, units: int) -> int:
    return sum(weight.numel() for weight in load_own(name)(inputs, units).parameters())


def _count_flops(name: str, inputs: int, units: int) -> int:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    cell, x_111 = load_own(name)(inputs, units), torch.zeros(1, 1, inputs)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        cell.unroll(x_111, cell.initial_state(x_111))
    return int(counter.get_total_flops())
