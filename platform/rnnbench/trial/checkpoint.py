"""Checkpoints: a header with a checksum, then tensors and plain values; nothing else is ever loaded."""

import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from rnnbench.base.errors import CheckpointError
from rnnbench.trial.files import previous_of
from rnnbench.trial.sealed import read_sealed, write_sealed

log = logging.getLogger(__name__)

_KIND = b"rnnbench-checkpoint 1"


def save_checkpoint(path: Path, state: dict[str, Any]) -> int:
    """Writes tensors and plain values atomically behind their sha256; returns the size in bytes."""
    return write_sealed(path, _KIND, to_bytes(state))


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Reads what `save_checkpoint` wrote, on the CPU, without executing anything in it.

    Raises:
        CheckpointError: missing, truncated, damaged, foreign, or holding more than tensors and plain values.
    """
    body = read_sealed(path, _KIND)
    try:
        state = from_bytes(body)
    except Exception as error:  # a hostile file breaks the reader in whatever way it likes
        raise CheckpointError(f"{path}: refused, it holds more than tensors and plain values") from error
    if not isinstance(state, dict):
        raise CheckpointError(f"{path}: not a checkpoint of rnnbench")
    return state


def to_bytes(state: dict[str, Any]) -> bytes:
    """Tensors and plain values as bytes, without a checksum."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def from_bytes(body: bytes) -> dict[str, Any]:
    """What `to_bytes` made, on the CPU; nothing else is ever loaded.

    Raises:
        Exception: of many kinds, where it is something else.
    """
    state: dict[str, Any] = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
    return state


def save_rotating(path: Path, state: dict[str, Any]) -> None:
    """Saves, and keeps the one before under `previous_of`: should the newest turn out damaged, that one still serves."""
    if path.exists():
        path.replace(previous_of(path))
    save_checkpoint(path, state)


def candidates(*places: Path) -> Iterator[dict[str, Any]]:
    """The usable checkpoints of some places, in their order; one that is damaged or foreign is logged and passed over."""
    for place in places:
        if place.exists():
            try:
                yield load_checkpoint(place)
            except CheckpointError as error:
                log.warning("checkpoint not used: %s", error)
