"""Arrays from a person's .npy and .npz files; what cannot be read is one line. No torch."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnbench.base.errors import DataError
from rnnbench.base.names import printable

Array = NDArray[Any]


def load_array(path: Path) -> Array:
    """The array of a .npy file.

    Raises:
        DataError: it is none, or holds objects.
    """
    found = _load(path, "save it as numbers", "not a whole .npy file of numbers", "write it with numpy.save")
    if not isinstance(found, np.ndarray):
        raise DataError(f"{path}: holds several arrays; name it .npz")
    return found


def load_arrays(path: Path, way_out: str = "save numbers") -> dict[str, Array]:
    """The arrays of a .npz file by name.

    Args:
        way_out: What to do where one of them holds objects.
    Raises:
        DataError: it is none, or one of them holds objects.
    """
    found = _load(path, way_out, "not a whole .npz file of numbers", "write it with numpy.savez")
    if isinstance(found, np.ndarray):
        raise DataError(f"{path}: holds a single array without a name; write it with numpy.savez")
    return found


def _load(path: Path, way_out: str, what: str, todo: str) -> Array | dict[str, Array]:
    try:
        with path.open("rb") as file:
            content = np.load(file, allow_pickle=False)
            return content if isinstance(content, np.ndarray) else {name: content[name] for name in content.files}
    except Exception as error:
        # Of a damaged file numpy raises whatever its parts do: zipfile, zlib, tokenize, an array larger than memory.
        reason = getattr(error, "strerror", None) or str(error)
        if reason.startswith("Object arrays"):
            raise DataError(f"{path}: holds an array of objects, which would run code when read; {way_out}") from error
        if "pickled" in reason:  # what numpy takes anything for that it does not know
            reason = "it begins like no file of numpy"
        raise DataError(f"{path}: {what} ({printable(' '.join(reason.split()), 100)}); {todo}") from error
