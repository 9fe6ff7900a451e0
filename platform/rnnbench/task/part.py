"""What has come of a file so far: its bytes in NAME.part, written by one process at a time; NAME.part.json says what they are part of."""

import errno
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from rnnbench.base.files import write_atomic

POLL_S = 0.2


@dataclass(frozen=True)
class Part:
    """The beginning of a file, held by this process; see `hold_part`.

    Attributes:
        target: Where the whole file will be.
        stream: Open for appending.
    """

    target: Path
    stream: BinaryIO

    @property
    def path(self) -> Path:
        """Where the bytes are."""
        return part_path(self.target)

    @property
    def size_bytes(self) -> int:
        """How much of the file is here."""
        return self.stream.seek(0, os.SEEK_END)

    def forget(self) -> None:
        """Starts over: nothing is here, and it is part of nothing."""
        self.stream.truncate(0)
        _record_path(self.target).unlink(missing_ok=True)

    def describe(self, url: str, what: Mapping[str, Any]) -> None:
        """Writes down what the bytes are part of, as plain data."""
        write_atomic(_record_path(self.target), json.dumps({"url": url, **what}) + "\n")

    def description(self, url: str) -> dict[str, Any]:
        """What the bytes are part of; empty where that is not known, or is from another address."""
        try:
            record: dict[str, Any] = json.loads(_record_path(self.target).read_text(encoding="utf-8"))
            return record if record["url"] == url else {}
        except (OSError, ValueError, LookupError, TypeError):
            return {}

    def settle(self) -> None:
        """Puts what was written on the disk, so that a name given to it later outlives a loss of power."""
        self.stream.flush()
        os.fsync(self.stream.fileno())


def part_path(target: Path) -> Path:
    """Where the bytes are that have come of a file."""
    return target.with_name(f"{target.name}.part")


@contextmanager
def hold_part(target: Path, say_waiting: Callable[[], None]) -> Iterator[Part]:
    """The part of a file, locked against other processes for as long as the block lasts; waits for one that holds it.

    A part that is empty in the end, or whose file is there, is removed. A process that dies lets go.

    Args:
        say_waiting: Called once when another process holds it.
    Raises:
        OSError: the folder cannot be written, or its file system has no locks.
    """
    path = part_path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    waiting = False
    while True:
        with path.open("ab") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                    raise
                if not waiting:
                    say_waiting()
                waiting = True
                time.sleep(POLL_S)
                continue
            if not _is_still(path, stream):
                continue  # whoever held it has finished and removed it
            part = Part(target, stream)
            try:
                yield part
            finally:
                if target.is_file() or not part.size_bytes:
                    _record_path(target).unlink(missing_ok=True)
                    path.unlink(missing_ok=True)
            return


def _is_still(path: Path, stream: BinaryIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(stream.fileno()))
    except FileNotFoundError:
        return False


def _record_path(target: Path) -> Path:
    return target.with_name(f"{target.name}.part.json")
