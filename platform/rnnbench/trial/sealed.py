"""Files behind a checksum of what they hold: one that is damaged, or of another kind, is refused before it is read. No torch."""

import hashlib
from pathlib import Path

from rnnbench.base.errors import CheckpointError
from rnnbench.base.files import write_atomic


def write_sealed(path: Path, kind: bytes, body: bytes) -> int:
    """Writes a file of a kind, a word and its version, whole or not at all; returns the size of the body in bytes."""
    write_atomic(path, kind + b" " + hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
    return len(body)


def is_sealed(path: Path, kind: bytes) -> bool:
    """Whether a file is there that says it is of this kind."""
    try:
        with path.open("rb") as stream:
            return stream.read(len(kind) + 1) == kind + b" "
    except OSError:
        return False


def read_sealed(path: Path, kind: bytes) -> bytes:
    """The body of a file.

    Raises:
        CheckpointError: missing, truncated, damaged or of another kind.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror}") from error
    header, _, body = content.partition(b"\n")
    if not header.startswith(kind + b" "):
        raise CheckpointError(f"{path}: not a checkpoint of rnnbench")
    if hashlib.sha256(body).hexdigest().encode() != header.removeprefix(kind + b" "):
        raise CheckpointError(f"{path}: damaged (its checksum does not fit)")
    return body
