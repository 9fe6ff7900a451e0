"""Files that appear whole or not at all, and their checksums."""

import errno
import gzip
import hashlib
import os
import tempfile
import zlib
from collections.abc import Iterable
from pathlib import Path


def write_atomic(path: Path, content: bytes | str | Iterable[str]) -> None:
    """Writes a file so that a reader, or a crash, sees the old content or the new, never a part.

    Creates the folder. Text is UTF-8; a long one may come in parts, which are never held together.

    Raises:
        OSError: the disk is full or the folder cannot be written; the old file is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = [content.encode()] if isinstance(content, str) else [content] if isinstance(content, bytes) else map(str.encode, content)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.writelines(parts)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def sha256_file(path: Path) -> str:
    """The sha256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_unpacked(path: Path) -> str | None:
    """The sha256 of what a gzip file holds, whatever packed it; None: it is no whole gzip file.

    Raises:
        OSError: it cannot be read.
    """
    try:
        with gzip.open(path) as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return None


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, or what it came from, says that there is no room left."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
