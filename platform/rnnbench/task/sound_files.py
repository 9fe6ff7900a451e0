"""Where sounds come from: the files of a folder, or the members of an archive, read once from front to back."""

import tarfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rnnbench.base.errors import DataError
from rnnbench.base.names import printable
from rnnbench.task.files import MAX_BYTES, open_archive, read_bytes

_ARCHIVES = (".tar.gz", ".tgz", ".tar", ".zip")


class SoundFiles:
    """Files by name, whatever holds them; a name is a place in the folder or archive, with `/`.

    Args:
        files: By name; a single archive stands for its members.
    Raises:
        DataError: the archive is damaged.
    """

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = dict(files)
        first = next(iter(files.values()))
        self._archive = first if len(files) == 1 and is_archive(first) else None
        self.where = str(self._archive) if self._archive else str(_folder(self._files))
        self.names = self._list()

    def place(self, name: str) -> str:
        """A file for a message."""
        return f"{self.where}: {printable(name)}" if self._archive else str(self._files[name])

    def read(self, names: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """The content of some files, in any order: an archive may be larger than memory, and cannot be read in another order.

        Raises:
            DataError: one of them cannot be read, or the archive is damaged.
        """
        if self._archive is None:
            for name in names:
                yield name, read_bytes(self._files[name])
        elif self._archive.name.endswith(".zip"):
            with open_archive(self._archive) as members:
                for name in names:
                    yield name, members[name]
        else:
            yield from _tar_members(self._archive, set(names))

    def read_one(self, name: str) -> bytes:
        """The content of one file."""
        return next(content for _, content in self.read([name]))

    def find(self, end: str) -> str | None:
        """The name that is so, or ends in so many of its parts; None: none does."""
        return next((name for name in self.names if name == end or name.endswith("/" + end)), None)

    def path(self, name: str) -> Path:
        """Where a file of a folder is."""
        return self._files[name]

    def _list(self) -> list[str]:
        if self._archive is None:
            return list(self._files)
        if self._archive.name.endswith(".zip"):
            with open_archive(self._archive) as members:
                return list(members)
        with _opened(self._archive) as tar:
            return [_name(member) for member in tar if member.isfile()]


def is_archive(path: Path) -> bool:
    """Whether a file's name says that it holds other files."""
    return path.name.endswith(_ARCHIVES)


def _folder(files: Mapping[str, Path]) -> Path:
    """The folder that the names start from."""
    name, path = next(iter(files.items()))
    return path.parents[name.count("/")]


def _tar_members(archive: Path, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
    with _opened(archive) as tar:
        for member in tar:
            if not member.isfile() or _name(member) not in wanted:
                continue
            if member.size > MAX_BYTES:
                raise DataError(f"{archive}: {printable(member.name)} is larger than {MAX_BYTES >> 30} GiB")
            file = tar.extractfile(member)
            assert file is not None, "a regular file"
            content = file.read()
            if len(content) < member.size:
                raise DataError(f"{archive}: not a whole archive ({printable(member.name)} is cut off); fetch or copy it again")
            yield _name(member), content


@contextmanager
def _opened(archive: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(archive, "r|*") as tar:
            yield tar
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DataError(f"{archive}: not a whole archive ({error}); fetch or copy it again") from error
    except OSError as error:
        raise DataError(f"{archive}: {error.strerror or error}") from error


def _name(member: tarfile.TarInfo) -> str:
    return member.name.removeprefix("./")
