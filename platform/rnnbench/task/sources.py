"""Where a data set's files are on this machine, and a fingerprint of the bytes a trial will see. No torch."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from rnnbench.base.canonical import digest
from rnnbench.base.errors import DataError, UnknownNameError
from rnnbench.base.files import sha256_file
from rnnbench.base.names import printable, suggest
from rnnbench.task.cards import DataCard, DataFile, TaskCard

# A person's own file is a data set of this name, `path:reviews.csv`.
OWN = "path:"


def data_home(environ: Mapping[str, str]) -> Path:
    """The folder of downloaded data sets: $RNNBENCH_DATA, else ~/.cache/rnnbench."""
    named = environ.get("RNNBENCH_DATA")
    return Path(named).expanduser().absolute() if named else Path("~/.cache/rnnbench").expanduser()


def get_data_card(card: TaskCard, data: str) -> DataCard:
    """A task's data set by name; for `path:NAME` what is known of a person's own file.

    Raises:
        UnknownNameError: the task has none of that name, or takes no files of one's own.
    """
    if data.startswith(OWN) and card.own_data is not None:
        return DataCard(title=f"own file {data.removeprefix(OWN)}", licence="its owner's", rows="split by data.seed")
    if data not in card.data:
        raise UnknownNameError(f"task '{card.name}' has no data set '{printable(data)}'{suggest(data, card.data)}")
    return card.data[data]


def own_name(path: Path) -> str:
    """The name of a person's own file or folder as a data set."""
    return OWN + path.name


def locate(card: TaskCard, data: str, home: Path, own: Path | None = None) -> dict[str, Path]:
    """The data set's files by the last part of their path (in a folder of one's own by their whole place in it).

    Each is looked for at its declared place below `home`, then by its name alone directly in `home`. Files in another form serve where
    all of them are there.

    Args:
        own: The file or folder behind `path:NAME`.
    Raises:
        DataError: a file is not there; the text has the command that fetches it.
    """
    if own is not None:
        return _own_files(own)
    item = get_data_card(card, data)
    for files in (item.files, *item.or_files):
        found = {Path(file.path).name: place for file in files if (place := _place(file, home)) is not None}
        if len(found) == len(files):
            return found
    missing = next(file for file in item.files if _place(file, home) is None)
    raise DataError(
        f"data set '{data}' of task '{card.name}' needs {home / missing.path}, which is not there; "
        f"fetch it with: rnnbench data fetch {card.name} {data} (or set RNNBENCH_DATA to the folder that has it)"
    )


def fingerprint(card: TaskCard, data: str, home: Path, own: Path | None = None) -> str:
    """sha256 over the checksums of the files as they are here; of name and version for an embedded set.

    Raises:
        DataError: a file is not there.
    """
    item = get_data_card(card, data)
    sums = {name: checksum(path) for name, path in locate(card, data, home, own).items()}
    return digest({"task": card.name, "data": data, "version": item.version, "files": sums})


def differs_from_published(card: TaskCard, data: str, home: Path) -> list[str]:
    """Names of the files here whose checksum is not the card's."""
    item = get_data_card(card, data)
    known = {file.sha256 for files in (item.files, *item.or_files) for file in files}
    # A file whose publisher gives no checksum differs from none.
    free = {Path(file.path).name for files in (item.files, *item.or_files) for file in files if file.sha256 is None}
    return [name for name, path in locate(card, data, home).items() if name not in free and checksum(path) not in known]


def _place(file: DataFile, home: Path) -> Path | None:
    return next((path for path in (home / file.path, home / Path(file.path).name) if path.is_file()), None)


def _own_files(own: Path) -> dict[str, Path]:
    if own.is_file():
        return {own.name: own}
    if not own.is_dir():
        raise DataError(f"{own} is not there; data: {{path: ...}} names a file or a folder")
    found = {path.relative_to(own).as_posix(): path for path in sorted(own.rglob("*")) if path.is_file() and not path.name.startswith(".")}
    if not found:
        raise DataError(f"{own} is an empty folder")
    return found


def checksum(path: Path) -> str:
    """sha256 of a file, found once for as long as it does not change."""
    status = path.stat()
    return _checksum_once(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=100_000)
def _checksum_once(path: Path, _size_bytes: int, _mtime_ns: int) -> str:
    return sha256_file(path)
