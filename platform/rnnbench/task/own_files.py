"""A person's own data: one file, or all files of a folder. No torch."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from rnnbench.base.errors import DataError
from rnnbench.base.names import printable

# A folder with more is a mistake (a whole home, say), and nobody wants to wait for its checksums.
MAX_OWN_FILES = 500_000
# What systems leave in folders; names with a dot in front are left out too.
_LEAVINGS = ("__MACOSX", "Thumbs.db", "desktop.ini")


def list_own_files(own: Path) -> dict[str, Path]:
    """One file by its name, or the files of a folder by their place in it, in order; hidden ones are left out.

    Raises:
        DataError: nothing is there, or something that cannot be read, has no proper name or leads in a circle.
    """
    try:
        if own.is_file():
            return {_as_text(own.name, own): own}
        if not own.exists():
            raise DataError(f"{own} is not there; name a file or a folder")
    except OSError as error:
        raise DataError(f"{own}: cannot be read ({error.strerror or error})") from error
    if not own.is_dir():
        raise DataError(f"{own} is neither a file nor a folder")
    found: dict[str, Path] = {}
    for path in _walk(own, frozenset()):
        if len(found) == MAX_OWN_FILES:
            raise DataError(f"{own} holds more than {MAX_OWN_FILES} files; name the folder that holds the data alone")
        found[_as_text(path.relative_to(own).as_posix(), own)] = path
    if not found:
        raise DataError(f"{own} holds no files (hidden ones do not count)")
    return {name: found[name] for name in sorted(found)}


def _walk(folder: Path, above: frozenset[Path]) -> Iterator[Path]:
    """Every file below a folder, links followed once: data sets are often folders of links."""
    real = folder.resolve()
    if real in above:
        raise DataError(f"{folder} is a link to a folder that it lies in; remove the link")
    try:
        items = sorted(os.scandir(folder), key=lambda item: item.name)
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror or error})") from error
    for item in items:
        if item.name.startswith(".") or item.name in _LEAVINGS:
            continue
        path = Path(item.path)
        try:
            mode = path.stat().st_mode
        except OSError as error:
            link = f"a link to {printable(str(path.readlink()))}; " if item.is_symlink() else ""
            raise DataError(f"{path}: cannot be read ({link}{error.strerror or error})") from error
        if stat.S_ISDIR(mode):
            yield from _walk(path, above | {real})
        elif stat.S_ISREG(mode):
            yield path


def _as_text(name: str, own: Path) -> str:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{own}: the file name '{printable(name)}' is not UTF-8; rename it") from error
    return name
