"""Files of trials as objects of an S3 store. Imported only where one is used: pyarrow takes a fifth of a second."""

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pyarrow import fs

from rnnbench.base.errors import StoreError
from rnnbench.base.files import write_atomic
from rnnbench.base.names import printable
from rnnbench.base.secrets import redact
from rnnbench.base.store import COPY, Address, FolderStore

# For each of two tries: a store that is away is noticed soon, and whoever asks decides how long to go on.
TIMEOUT_S = 5
TRIES = 2
# With more files it is faster to list all.
MAX_ASKED = 10
# A trial's key and the name of one of its files. All lie side by side: with a folder for each trial, pyarrow would leave an empty
# object behind wherever it deletes the last file of one.
_OURS = re.compile(r"([0-9a-f]{64})\.([a-z.]+)")


def connect(address: Address) -> fs.FileSystem:
    """The store's files; its keys come from the environment or ~/.aws, as everywhere."""
    return fs.S3FileSystem(
        endpoint_override=address.endpoint,
        region=address.region,
        connect_timeout=TIMEOUT_S,
        request_timeout=TIMEOUT_S,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=TRIES),
        # A small object is one request. A large one is several, and only with these in the background does pyarrow 25 leave it as it was
        # when one of them fails; without, it makes an object of those before.
        allow_delayed_open=True,
        background_writes=True,
    )


class ObjectStore:
    """See Store. A file that has been put is no longer on this machine; one that was got is a copy beside it.

    Args:
        base: Bucket and prefix.
        address: For people.
    """

    def __init__(self, files: fs.FileSystem, base: str, address: str) -> None:
        self._files = files
        self._base = base
        self._address = address.rstrip("/")
        self._here = FolderStore()

    def put(self, file: Path, before: Path | None = None) -> None:
        """See Store."""
        name = self._name(file)
        content = file.read_bytes()
        with self._asked():
            if before is not None and self._files.get_file_info(name).is_file:
                self._files.copy_file(name, self._name(before))
            self._write(name, content)
        self._here.delete(file, *([before] if before else []))

    def get(self, file: Path) -> Path | None:
        """See Store.

        Raises:
            OSError: there is no room for a copy.
        """
        copy = file.with_name(COPY + file.name)
        with self._asked():
            try:
                with self._files.open_input_stream(self._name(file)) as source:
                    content = source.read()
            except FileNotFoundError:
                return None
        write_atomic(copy, content)
        return copy

    def sizes(self, files: list[Path]) -> dict[Path, int]:
        """See Store."""
        names = {self._name(file): file for file in files}
        asked = list(names) if len(names) <= MAX_ASKED else fs.FileSelector(self._base, allow_not_found=True)
        with self._asked():
            infos = self._files.get_file_info(asked)
        return self._here.sizes(files) | {names[info.path]: info.size for info in infos if info.is_file and info.path in names}

    def list_all(self, folder: Path) -> dict[Path, int]:
        """See Store; of other objects below the prefix nothing is said."""
        with self._asked():
            infos = self._files.get_file_info(fs.FileSelector(self._base, allow_not_found=True))
        found = self._here.list_all(folder)
        for info in infos:
            if info.is_file and (ours := _OURS.fullmatch(info.base_name)):
                key, name = ours.groups()
                found[folder / key[:2] / key / name] = info.size
        return found

    def delete(self, *files: Path) -> None:
        """See Store."""
        self._here.delete(*files, *(file.with_name(COPY + file.name) for file in files))
        for file in files:
            with self._asked(), suppress(FileNotFoundError):
                self._files.delete_file(self._name(file))

    def where(self, file: Path) -> str:
        """See Store."""
        return str(file) if file.exists() else f"{self._address}/{file.parent.name}.{file.name}"

    def check(self) -> None:
        """See Store: writes, lists, reads and deletes a small object."""
        name, content = f"{self._base}/check.{secrets.token_hex(8)}", secrets.token_bytes(32)
        with self._asked():
            self._write(name, content)
            listed = [info.path for info in self._files.get_file_info(fs.FileSelector(self._base))]
            with self._files.open_input_stream(name) as source:
                found = source.read()
            self._files.delete_file(name)
        if found != content or name not in listed:
            raise StoreError(f"{self._address} does not give back what is put there")

    def _name(self, file: Path) -> str:
        return f"{self._base}/{file.parent.name}.{file.name}"

    def _write(self, name: str, content: bytes) -> None:
        """All at once: what is closed after a part of it would be an object too."""
        with self._files.open_output_stream(name) as target:
            target.write(content)

    @contextmanager
    def _asked(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            words = printable(redact(" ".join(str(error).split()), os.environ), 300)
            raise StoreError(f"the store of checkpoints {self._address} does not answer or refuses: {words}") from error
