"""The idx format of MNIST: magic number, sizes, then bytes.

Source: http://yann.lecun.com/exdb/mnist/ (two zero bytes, 8 for unsigned bytes, the number of axes, each axis as a big-endian int32).
"""

import math
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnbench.base.errors import DataError
from rnnbench.task.files import read_bytes


def read_idx(path: Path, num_axes: int, *, num_rows: int | None = None, below: int = 256) -> NDArray[np.uint8]:
    """An array of unsigned bytes; of a gzip file where its name ends in .gz.

    Args:
        num_rows: How many rows it must have; None: any number above 0.
        below: Every value must be under this.
    Raises:
        DataError: not gzip where it should be, truncated, another format, or another size than its header or `num_rows` says.
    """
    content = read_bytes(path)
    header = 4 + 4 * num_axes
    if len(content) < header or content[:4] != bytes([0, 0, 8, num_axes]):
        raise DataError(f"{path}: not an idx file of unsigned bytes with {num_axes} axes; fetch it again")
    shape = struct.unpack(f">{num_axes}i", content[4:header])
    if min(shape) < 1 or len(content) - header != math.prod(shape):
        raise DataError(f"{path}: {len(content) - header} bytes where its header says {'x'.join(map(str, shape))}; fetch it again")
    if num_rows is not None and shape[0] != num_rows:
        raise DataError(f"{path}: {shape[0]} rows, but its images are {num_rows}; the files do not belong together")
    values = np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)
    if int(values.max()) >= below:
        raise DataError(f"{path}: value {int(values.max())}, must be below {below}")
    return values
