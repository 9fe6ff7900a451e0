"""Images from a person's files: pictures, arrays, or rows of a table, as grey values from 0 to 1."""

# Shapes: N images, H rows, W columns of an image.

import math
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from rnnbench.base.errors import DataError
from rnnbench.base.names import printable
from rnnbench.task.arrays import load_array, load_arrays
from rnnbench.task.files import parse_number, read_lines

PICTURES = (".png", ".bmp", ".gif", ".jpg", ".jpeg", ".tif", ".tiff", ".pgm")
# A column that Kaggle's tables of MNIST have beside the pixels.
_LABEL = "label"
# Arrays beside the images in what this task is trained on.
_LABELS = ("labels", "y_train", "y_test")

Pixels = NDArray[np.float32]


@dataclass(frozen=True)
class NamedImage:
    """An image of H x W grey values from 0 (background) to 1, and where it is from."""

    name: str
    pixels: Pixels


def read_images(path: Path, height: int, width: int, full: float) -> list[NamedImage]:
    """The images of a file, each of the size that a model knows.

    A picture holds one; .npy and .npz files arrays H x W or N x H x W; a .csv file has an image in each row, of H * W values row by row,
    under a line of names or none.

    Args:
        full: The value of a full pixel where values go above 1.
    Raises:
        DataError: a file cannot be read, or its images have another size or values.
    """
    if path.suffix.lower() in PICTURES:
        found = [NamedImage(path.name, _read_picture(path))]
    elif path.suffix.lower() == ".npy":
        found = _from_arrays(path, {"": load_array(path)}, full)
    elif path.suffix.lower() == ".npz":
        found = _from_arrays(path, {name: array for name, array in load_arrays(path).items() if name not in _LABELS}, full)
    elif path.suffix.lower() == ".csv":
        found = _read_table(path, height, width, full)
    else:
        raise DataError(f"{path}: not an image; give {', '.join(PICTURES[:4])}, .npy, .npz or .csv")
    for image in found:
        if image.pixels.shape != (height, width):
            size = "x".join(map(str, image.pixels.shape))
            raise DataError(f"{path}: {printable(image.name)} is {size}, but this model reads {height}x{width}; scale it first")
    return found


def scale(values: NDArray[np.generic], full: float, where: str) -> Pixels:
    """Grey values as shares of a full pixel.

    Raises:
        DataError: no numbers, or some below 0, above `full` or not finite.
    """
    if values.dtype.kind not in "buif":
        raise DataError(f"{where} holds {values.dtype}, must hold numbers")
    if not values.size:
        raise DataError(f"{where} is empty")
    low, high = float(values.min()), float(values.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise DataError(f"{where} holds a value that is missing or not finite")
    if low < 0 or high > full:
        raise DataError(f"{where} holds values from {low:g} to {high:g}, must be 0 to {full:g}")
    shares: Pixels = (np.asarray(values, dtype=np.float64) / full).astype(np.float32)
    return shares


def guess_full(values: NDArray[np.generic], full: float) -> float:
    """`full` where some value is above 1; else 1, for values that are shares already."""
    return full if values.dtype.kind in "buif" and values.size and float(values.max()) > 1 else 1.0


def _read_picture(path: Path) -> Pixels:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                grey = np.asarray(picture.convert("L"))
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError, Image.DecompressionBombError, Warning) as error:
        raise DataError(f"{path}: not a whole picture ({error})") from error
    return (grey / np.float32(255)).astype(np.float32)


def _from_arrays(path: Path, arrays: dict[str, NDArray[np.generic]], full: float) -> list[NamedImage]:
    found = []
    for name, array in arrays.items():
        where = f"array '{printable(name)}'" if name else path.name
        if array.ndim not in (2, 3):
            size = "x".join(map(str, array.shape)) or "one number"
            raise DataError(f"{path}: {where} is {size}, must be H x W or N x H x W")
        images = scale(array, guess_full(array, full), f"{path}: {where}").reshape(-1, *array.shape[-2:])
        found += [NamedImage(f"{where} {number}" if array.ndim == 3 else where, image) for number, image in enumerate(images, 1)]
    return found


def _read_table(path: Path, height: int, width: int, full: float) -> list[NamedImage]:
    rows = [line.split(",") for line in read_lines(path)]
    names = [name.strip().strip('"') for name in rows[0]]
    is_named = _LABEL in names or not any(_is_number(name) for name in names)
    left_out = names.index(_LABEL) if is_named and _LABEL in names else None
    found = []
    for number, fields in enumerate(rows[1:] if is_named else rows, 2 if is_named else 1):
        wanted = height * width + (left_out is not None)
        if len(fields) != wanted:
            raise DataError(f"{path}:{number}: {len(fields)} values, must be {wanted}: an image of {height}x{width} row by row")
        values = np.array([parse_number(field, f"{path}:{number}") for place, field in enumerate(fields) if place != left_out])
        pixels = scale(values, guess_full(values, full), f"{path}:{number}")
        found.append(NamedImage(f"row {number - is_named}", pixels.reshape(height, width)))
    if not found:
        raise DataError(f"{path}: no rows below the line that names the columns")
    return found


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
