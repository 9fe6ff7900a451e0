"""Where a data set's files are on this machine, and a fingerprint of the bytes a trial will see. No torch."""

import platform
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path, PurePosixPath

from rnnbench.base.canonical import digest
from rnnbench.base.errors import DataError, UnknownNameError
from rnnbench.base.files import sha256_file, sha256_unpacked
from rnnbench.base.names import printable, suggest
from rnnbench.task.cards import DataCard, DataFile, TaskCard
from rnnbench.task.files import kind_of
from rnnbench.task.own_files import MAX_OWN_FILES, list_own_files

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
    """The data set's files by the last part of their declared path, or by the whole of it where two files of the set share that part.

    In a folder of one's own, or that of a manifest, by their place in it; see `find_files` for where they are looked for.

    Args:
        own: The file or folder behind `path:NAME`.
    Raises:
        DataError: a file is not there; the text has the command that fetches it.
    """
    if own is not None:
        return list_own_files(own.parent if _is_manifest(card, own) else own)
    item = get_data_card(card, data)
    if data.startswith(OWN):
        raise DataError(f"'{printable(data)}' is somebody's own data, and where it lies is not known here; name the file again")
    found = find_files(item, home)
    if found is None:
        raise DataError(_how_to_get(card, data, item, home))
    names = [PurePosixPath(file.path).name for file, _ in found]
    return {name if names.count(name) == 1 else file.path: place for name, (file, place) in zip(names, found, strict=True)}


def find_files(item: DataCard, home: Path) -> list[tuple[DataFile, Path]] | None:
    """The files of a data set as published, else in another form of which all are there; None: some are missing.

    Each is looked for at its declared place below `home`; then by its name alone directly in `home`, which may be the folder of this
    one set, if a checksum tells it from a stranger's file of that name.
    """
    if item.embedded:
        return []
    for files in (item.files, *item.or_files):
        found = [(file, place) for file in files if (place := find_file(file, files, home)) is not None]
        if files and len(found) == len(files):
            return found
    return None


def find_file(file: DataFile, among: Sequence[DataFile], home: Path) -> Path | None:
    """Where one file is; `among` are all files of its list."""
    declared, name = home / file.path, PurePosixPath(file.path).name
    is_alone = file.sha256 is not None and sum(PurePosixPath(other.path).name == name for other in among) == 1
    return next((path for path in (declared, *([home / name] if is_alone else [])) if _is_file(path)), None)


def fingerprint(card: TaskCard, data: str, home: Path, own: Path | None = None) -> str:
    """sha256 over the checksums of the files as they are here; of name and version for an embedded set, and Python's where it counts.

    Raises:
        DataError: a file is not there.
    """
    item = get_data_card(card, data)
    sums = {name: checksum(path) for name, path in locate(card, data, home, own).items()}
    python = {"python": platform.python_version()} if item.varies_with_python else {}
    return digest({"task": card.name, "data": data, "version": item.version, "files": sums, **python})


def differs_from_published(card: TaskCard, data: str, home: Path) -> list[str]:
    """Names of the files here whose checksum is not the card's, in none of its forms."""
    found = find_files(get_data_card(card, data), home) or ()
    return [PurePosixPath(file.path).name for file, place in found if not is_published(card, data, file, place)]


def is_published(card: TaskCard, data: str, file: DataFile, place: Path) -> bool:
    """Whether a file here has the checksum of the card's file of that name, in one of its forms, or holds what that one holds.

    Where the card has none, because the publisher gives none, every file passes.
    """
    item, name = card.data[data], PurePosixPath(file.path).name
    same = [one for files in (item.files, *item.or_files) for one in files if PurePosixPath(one.path).name == name]
    known, unpacked = {one.sha256 for one in same}, {one.unpacked_sha256 for one in same} - {None}
    return None in known or checksum(place) in known or (bool(unpacked) and _found_once(sha256_unpacked, place) in unpacked)


def checksum(path: Path) -> str:
    """sha256 of a file, found once for as long as it does not change.

    Raises:
        DataError: it cannot be read.
    """
    found = _found_once(sha256_file, path)
    assert found is not None, "every file has one"
    return found


def _found_once(of: Callable[[Path], str | None], path: Path) -> str | None:
    try:
        found = path.stat()
        return _remembered(of, path, found.st_size, found.st_mtime_ns)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


@lru_cache(maxsize=MAX_OWN_FILES)
def _remembered(of: Callable[[Path], str | None], path: Path, _size_bytes: int, _mtime_ns: int) -> str | None:
    return of(path)


def _is_file(path: Path) -> bool:
    with suppress(OSError):  # a folder on the way that may not be entered
        return path.is_file()
    return False


def _is_manifest(card: TaskCard, own: Path) -> bool:
    return card.own_data is not None and kind_of(own.name).endswith(card.own_data.manifests) and _is_file(own)


def _how_to_get(card: TaskCard, data: str, item: DataCard, home: Path) -> str:
    files = next((form for form in (item.files, *item.or_files) if form), ())
    if not files:
        return f"data set '{data}' of task '{card.name}' is not embedded, and its card names no files"
    missing = [file for file in files if find_file(file, files, home) is None]
    words = f"data set '{data}' of task '{card.name}' needs {home / missing[0].path}, which is not there"
    if len(missing) > 1:
        words += f" (and {len(missing) - 1} more)"
    if not all(file.url for file in missing):
        return f"{words}; nobody publishes it in this form: put it there, or set RNNBENCH_DATA to the folder that has it"
    return f"{words}; fetch it with: rnnbench data fetch {card.name} {data} (or set RNNBENCH_DATA to the folder that has it)"
