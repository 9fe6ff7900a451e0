"""Sweep files by path, or by the name of one that ships with rnnbench."""

from importlib.resources import files
from pathlib import Path

from rnnbench.base.errors import InputError
from rnnbench.base.names import printable, suggest

PACKAGE = "rnnbench_search_spaces"


def find_sweep_file(name: str) -> Path:
    """The path of a sweep file.

    Args:
        name: A path to a file, or a shipped file's name without `.yaml`, with its folder: lstm, results/sst2.
    Raises:
        InputError: neither; the text has the nearest name.
    """
    if Path(name).is_file():
        return Path(name)
    folder = Path(str(files(PACKAGE)))
    shipped = {path.relative_to(folder).with_suffix("").as_posix(): path for path in sorted(folder.rglob("*.yaml"))}
    if name in shipped:
        return shipped[name]
    if "/" in name or name.endswith((".yaml", ".yml")):
        raise InputError(f"no file {printable(name)}; the sweeps that ship with rnnbench: {', '.join(sorted(shipped))}")
    raise InputError(f"no sweep file '{printable(name)}'{suggest(name, shipped)}")
