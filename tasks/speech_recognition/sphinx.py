"""Sphinx feature files (.mfc): how many numbers follow, as an int32, then so many float32; big-endian, as CMU publishes them."""

import struct

import numpy as np
from numpy.typing import NDArray

from rnnbench.base.errors import DataError

NUM_CEPSTRA = 13
FRAMES_PER_S = 100
SUFFIX = ".mfc"


def read_mfc(content: bytes, where: str, num_cepstra: int = NUM_CEPSTRA) -> NDArray[np.float32]:
    """Cepstra of every frame, (T, I).

    Raises:
        DataError: not such a file, cut off, empty, or with a number that is not finite.
    """
    if not content:
        raise DataError(f"{where}: the file is empty")
    held, rest = divmod(len(content) - 4, 4)
    declared = struct.unpack_from(">i", content)[0] if len(content) >= 4 else -1
    if declared != held or rest:
        raise DataError(f"{where}: {held} numbers where its header says {declared}; copy it again, or it is no big-endian Sphinx file")
    if held == 0 or held % num_cepstra:
        raise DataError(f"{where}: {held} numbers are no frames of {num_cepstra} cepstra")
    frames_TI = np.frombuffer(content, dtype=">f4", offset=4).reshape(-1, num_cepstra).astype(np.float32)
    if not np.isfinite(frames_TI).all():
        raise DataError(f"{where}: frame {int(np.argmin(np.isfinite(frames_TI).all(axis=1)))} holds a number that is not finite")
    return frames_TI
