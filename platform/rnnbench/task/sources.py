"""Where a data set's files are on this machine, and a fingerprint of the bytes a trial will see. No torch."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from rnnbench.base.canonical import digest
from rnnbench.base.errors import DataError, UnknownNameError
from rnnbench.base.files import sha256_file
from rnnbench.base.names import printable, suggest
from rnnbench.task.cards import DataCard, TaskCard


def data_home(environ: Mapping[str, str]) -> Path:
    """The folder of downloaded data sets: $RNNBENCH_DATA, else ~/.cache/rnnbench."""
    named = environ.get("RNNBENCH_DATA")
    return Path(named).expanduser().absolute() if named else Path("~/.cache/rnnbench").expanduser()


def get_data_card(card: TaskCard, data: str) -> DataCard:
    """A task's data set by name.

    Raises:
        UnknownNameError: the task has none of that name.
    """
    if data not in card.data:
        raise UnknownNameError(f"task '{card.name}' has no data set '{printable(data)}'{suggest(data, card.data)}")
    return card.data[data]


def locate(card: TaskCard, data: str, home: Path) -> dict[str, Path]:
    """The data set's files by the last part of their path; empty for an embedded set.

    Each is looked for at its declared place below `home`, then by its name alone directly in `home`.

    Raises:
        DataError: a file is not there; the text has the command that fetches it.
    """
    found = {}
    for file in get_data_card(card, data).files:
        name = Path(file.path).name
        place = next((path for path in (home / file.path, home / name) if path.is_file()), None)
        if place is None:
            wanted = home / file.path
            raise DataError(
                f"data set '{data}' of task '{card.name}' needs {wanted}, which is not there; "
                f"set RNNBENCH_DATA to the folder that has it, or fetch it: curl -fL --create-dirs -o {wanted} {file.url}"
            )
        found[name] = place
    return found


def fingerprint(card: TaskCard, data: str, home: Path) -> str:
    """sha256 over the checksums of the files as they are here; of name and version for an embedded set.

    Raises:
        DataError: a file is not there.
    """
    item = get_data_card(card, data)
    sums = {name: _checksum(path) for name, path in locate(card, data, home).items()}
    return digest({"task": card.name, "data": data, "version": item.version, "files": sums})


def differs_from_published(card: TaskCard, data: str, home: Path) -> list[str]:
    """Names of the files here whose checksum is not the card's."""
    found = locate(card, data, home)
    expected = {Path(file.path).name: file.sha256 for file in get_data_card(card, data).files}
    return [name for name, path in found.items() if _checksum(path) != expected[name]]


def _checksum(path: Path) -> str:
    status = path.stat()
    return _checksum_once(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _checksum_once(path: Path, _size_bytes: int, _mtime_ns: int) -> str:
    return sha256_file(path)
