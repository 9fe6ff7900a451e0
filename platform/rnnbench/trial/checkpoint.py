"""Checkpoints: a header with a checksum, then tensors and plain values; nothing else is ever loaded."""

import hashlib
import io
import pickle
from pathlib import Path
from typing import Any

import torch

from rnnbench.base.errors import CheckpointError
from rnnbench.base.files import write_atomic

_MAGIC = b"rnnbench-checkpoint 1 "


def save_checkpoint(path: Path, state: dict[str, Any]) -> int:
    """Writes tensors and plain values atomically behind their sha256; returns the size in bytes."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    body = buffer.getvalue()
    write_atomic(path, _MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
    return len(body)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Reads what `save_checkpoint` wrote, on the CPU, without executing anything in it.

    Raises:
        CheckpointError: missing, truncated, damaged, foreign, or holding more than tensors and plain values.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror}") from error
    header, _, body = content.partition(b"\n")
    if not header.startswith(_MAGIC):
        raise CheckpointError(f"{path}: not a checkpoint of rnnbench")
    if hashlib.sha256(body).hexdigest().encode() != header.removeprefix(_MAGIC):
        raise CheckpointError(f"{path}: damaged (its checksum does not fit)")
    try:
        state = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError) as error:
        raise CheckpointError(f"{path}: refused, it holds more than tensors and plain values") from error
    if not isinstance(state, dict):
        raise CheckpointError(f"{path}: not a checkpoint of rnnbench")
    return state


def find_checkpoint(path: Path) -> dict[str, Any] | None:
    """The checkpoint at `path`, or None where none is.

    Raises:
        CheckpointError: there is one, and it cannot be used.
    """
    return load_checkpoint(path) if path.exists() else None
