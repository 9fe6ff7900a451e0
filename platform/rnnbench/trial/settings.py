"""What torch is set to while a trial trains or a trained model answers: the same, so that a model says what it said in its trial."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def torch_settings(threads: int) -> Iterator[None]:
    """What every trial trains under: its share of threads, flushed denormals, deterministic kernels; all put back after."""
    before = torch.get_num_threads(), _flushes_denormals(), torch.are_deterministic_algorithms_enabled(), _fills_memory()
    # Tensors made without values are not filled first: nothing reads them, and an eighth of a short trial went there.
    _set_torch(threads, flush=True, deterministic=True, fill=False)
    try:
        yield
    finally:
        _set_torch(*before)


def _set_torch(threads: int, flush: bool, deterministic: bool, fill: bool) -> None:
    torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]  # a property of the module
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
    # Vanishing gradients become denormal numbers, which slow a CPU down four to eight times.
    torch.set_flush_denormal(flush)
    torch.use_deterministic_algorithms(deterministic, warn_only=True)


def _fills_memory() -> bool:
    return bool(torch.utils.deterministic.fill_uninitialized_memory)  # type: ignore[attr-defined]  # a property of the module


def _flushes_denormals() -> bool:
    # torch sets the mode and does not tell it; the processor does.
    return sys.float_info.min / 2 == 0.0
