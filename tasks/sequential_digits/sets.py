"""The sets of labelled images: scikit-learn's digits, MNIST's four files, and a person's own arrays."""

# Shapes: N images, H rows, W columns of an image.

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from rnnbench.base.errors import DataError
from rnnbench.base.seeds import child
from rnnbench.task.arrays import load_arrays
from rnnbench.task.splits import SHARES, split_rows
from rnnbench_tasks.sequential_digits.idx import read_idx
from rnnbench_tasks.sequential_digits.images import Pixels, guess_full, scale

NUM_DIGITS = 10

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Labelled:
    """Images of a split with their classes' numbers."""

    pixels: Pixels
    labels: Labels

    def rows(self, index: NDArray[np.int64]) -> "Labelled":
        """Some of them."""
        return Labelled(self.pixels[index], self.labels[index])


@dataclass(frozen=True)
class ImageSet:
    """A set's asked splits.

    Attributes:
        classes: Names of the classes, by number.
        full: The value of a full pixel in the set's files.
    """

    splits: Mapping[str, Labelled]
    classes: Sequence[str]
    full: float


def read_digits(seed: int, splits: Sequence[str]) -> ImageSet:
    """Scikit-learn's 1797 digits of 8 x 8."""
    bunch = load_digits()
    whole = Labelled((bunch.images / 16).astype(np.float32), bunch.target.astype(np.int64))
    state = child(seed, "sequential_digits", "digits") % 2**32
    rest, test = train_test_split(np.arange(len(whole.labels)), test_size=270, stratify=whole.labels, random_state=state)
    train, validation = train_test_split(rest, test_size=270, stratify=whole.labels[rest], random_state=state)
    index = {"train": train, "validation": validation, "test": test}
    return ImageSet({name: whole.rows(index[name]) for name in splits}, [str(digit) for digit in range(NUM_DIGITS)], 16)


def read_mnist(files: Mapping[str, Path], seed: int, splits: Sequence[str]) -> ImageSet:
    """The four idx files, as MNIST and its like have them: the test images are a split of their own.

    Raises:
        DataError: a file is missing or damaged.
    """
    found = {}
    if "test" in splits:
        found["test"] = _read_part(files, "t10k")
    if "train" in splits or "validation" in splits:
        found |= _hold_out(_read_part(files, "train"), seed, splits, _find_idx(files, "train-images-idx3-ubyte"))
    return ImageSet(found, [str(digit) for digit in range(NUM_DIGITS)], 255)


def read_own(files: Mapping[str, Path], seed: int, splits: Sequence[str]) -> ImageSet:
    """A person's own images: a folder of four idx files, or one .npz file with `images` and `labels`.

    An .npz file may have `x_train`, `y_train`, `x_test` and `y_test` instead, as Keras writes them; without those the splits are
    seeded, each class with its share. Classes are the labels of the training images.

    Raises:
        DataError: another file, other sizes or values, or labels that are never trained.
    """
    if any(name.removesuffix(".gz").endswith("-ubyte") for name in files):
        return read_mnist({Path(name).name: path for name, path in files.items()}, seed, splits)
    path = next(iter(files.values()))
    if len(files) != 1 or path.suffix.lower() != ".npz":
        raise DataError(f"{path.parent if len(files) > 1 else path}: give one .npz file, or a folder with the four idx files of MNIST")
    arrays = load_arrays(path)
    keras = {"train": ("x_train", "y_train"), "test": ("x_test", "y_test")}
    parts = keras if "x_train" in arrays else {"all": ("images", "labels")}
    # One scale for all splits.
    full = max([1.0, *(guess_full(arrays[images], 255) for images, _ in parts.values() if images in arrays)])
    read = {part: _read_arrays(path, arrays, names, full) for part, names in parts.items()}
    if "all" in read:
        whole = read["all"]
        index = split_rows(len(whole.labels), SHARES, child(seed, "sequential_digits", "own"), whole.labels.tolist(), where=str(path))
        found = {name: whole.rows(index[name]) for name in SHARES}
    else:
        found = {"test": read["test"], **_hold_out(read["train"], seed, ("train", "validation"), path)}
    numbers = np.unique(found["train"].labels)
    if len(numbers) < 2:
        raise DataError(f"{path}: all images to train on have the label {numbers[0]}; there must be two classes or more")
    named = {name: _number_labels(found[name], numbers, path, name) for name in splits}
    return ImageSet(named, [str(number) for number in numbers], full)


def _hold_out(whole: Labelled, seed: int, splits: Sequence[str], where: Path) -> dict[str, Labelled]:
    """A tenth of the training images, stratified, validates."""
    state = child(seed, "sequential_digits", "mnist") % 2**32
    num_rows, labels = len(whole.labels), whole.labels
    try:
        train, validation = train_test_split(np.arange(num_rows), test_size=num_rows // 10, stratify=labels, random_state=state)
    except ValueError as error:
        raise DataError(f"{where}: {num_rows} images to train on cannot be split by class into train and validation ({error})") from error
    index = {"train": train, "validation": validation}
    return {name: whole.rows(index[name]) for name in splits if name in index}


def _read_part(files: Mapping[str, Path], part: str) -> Labelled:
    images, labelled = (_find_idx(files, f"{part}-{name}") for name in ("images-idx3-ubyte", "labels-idx1-ubyte"))
    pixels = read_idx(images, 3)
    labels = read_idx(labelled, 1, num_rows=len(pixels), below=NUM_DIGITS)
    return Labelled((pixels / np.float32(255)).astype(np.float32), labels.astype(np.int64))


def _find_idx(files: Mapping[str, Path], name: str) -> Path:
    """A file as it is published, or unpacked."""
    found = files.get(f"{name}.gz") or files.get(name)
    if found is None:
        raise DataError(f"there is no {name}.gz among the files")
    return found


def _read_arrays(path: Path, arrays: Mapping[str, NDArray[np.generic]], names: tuple[str, str], full: float) -> Labelled:
    for name in names:
        if name not in arrays:
            raise DataError(f"{path}: holds no array '{name}', but {', '.join(arrays) or 'none'}; it needs images and labels")
    images, labels = (arrays[name] for name in names)
    if images.ndim != 3:
        raise DataError(f"{path}: '{names[0]}' is {'x'.join(map(str, images.shape))}, must be N x H x W")
    if labels.shape != images.shape[:1]:
        raise DataError(f"{path}: '{names[1]}' is {'x'.join(map(str, labels.shape))}, must be {len(images)}, one for each image")
    if labels.dtype.kind not in "bui":
        raise DataError(f"{path}: '{names[1]}' holds {labels.dtype}, must hold whole numbers")
    return Labelled(scale(images, full, f"{path}: '{names[0]}'"), labels.astype(np.int64))


def _number_labels(split: Labelled, numbers: NDArray[np.int64], path: Path, name: str) -> Labelled:
    unknown = ~np.isin(split.labels, numbers)
    if unknown.any():
        row = int(unknown.argmax())
        raise DataError(f"{path}: image {row + 1} of the {name} split has the label {split.labels[row]}, which no image to train on has")
    return Labelled(split.pixels, np.searchsorted(numbers, split.labels))
