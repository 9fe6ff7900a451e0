"""Damaged data files: one line that names the file, before training starts."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from rnnbench.base.errors import DataError
from rnnbench_tasks.polyphonic_music.rolls import read_rolls
from rnnbench_tasks.sequential_digits.idx import read_idx


def idx(path: Path, values: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], magic: bytes | None = None) -> Path:
    header = (magic or bytes([0, 0, 8, values.ndim])) + struct.pack(f">{values.ndim}i", *values.shape)
    path.write_bytes(gzip.compress(header + values.tobytes()))
    return path


IMAGES = np.arange(32, dtype=np.uint8).reshape(2, 4, 4)


def test_a_whole_idx_file_is_read(tmp_path: Path) -> None:
    assert (read_idx(idx(tmp_path / "images.gz", IMAGES), 3) == IMAGES).all()


def test_a_truncated_gzip_file_is_refused(tmp_path: Path) -> None:
    path = idx(tmp_path / "images.gz", IMAGES)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"images\.gz: not a whole gzip file"):
        read_idx(path, 3)


@pytest.mark.parametrize("magic", [b"\x00\x00\x0d\x03", b"\x00\x00\x08\x01", b"PK\x03\x04"])
def test_another_format_is_refused(tmp_path: Path, magic: bytes) -> None:
    with pytest.raises(DataError, match="not an idx file"):
        read_idx(idx(tmp_path / "images.gz", IMAGES, magic), 3)


def test_fewer_bytes_than_the_header_says_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(bytes([0, 0, 8, 3]) + struct.pack(">3i", 2, 4, 4) + bytes(31)))
    with pytest.raises(DataError, match="31 bytes where its header says 2x4x4"):
        read_idx(path, 3)


def test_labels_of_other_images_or_classes_are_refused(tmp_path: Path) -> None:
    path = idx(tmp_path / "labels.gz", np.array([1, 12, 3], dtype=np.uint8))
    with pytest.raises(DataError, match="3 rows, but its images are 2"):
        read_idx(path, 1, num_rows=2)
    with pytest.raises(DataError, match="value 12, must be below 10"):
        read_idx(path, 1, below=10)


def mat(path: Path, pieces: list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]], key: str = "traindata") -> Path:
    cells = np.empty((1, len(pieces)), dtype=object)
    for number, piece in enumerate(pieces):
        cells[0, number] = piece
    savemat(path, {key: cells})
    return path


def test_a_whole_mat_file_is_read(tmp_path: Path) -> None:
    rolls = read_rolls(mat(tmp_path / "a.mat", [np.eye(5, 88), np.zeros((2, 88))]), ("train",))["train"]
    assert [roll.shape for roll in rolls] == [(5, 88), (2, 88)]
    assert rolls[0].sum() == 5


@pytest.mark.parametrize(
    ("piece", "message"),
    [
        (np.full((4, 88), 2.0), "piece 2 of 'traindata' holds values other than 0 and 1"),
        (np.full((4, 88), np.nan), "holds values other than 0 and 1"),
        (np.zeros((4, 87)), "is 4x87, must be T x 88"),
        (np.zeros((1, 88)), "is 1x88, must be T x 88 with at least 2 frames"),
    ],
)
def test_a_bad_piece_is_refused(tmp_path: Path, piece: np.ndarray[tuple[int, ...], np.dtype[np.float64]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_rolls(mat(tmp_path / "a.mat", [np.eye(5, 88), piece]), ("train",))


def test_a_missing_split_and_a_truncated_file_are_refused(tmp_path: Path) -> None:
    path = mat(tmp_path / "a.mat", [np.eye(5, 88)])
    with pytest.raises(DataError, match="holds no 'testdata'"):
        read_rolls(path, ("test",))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=r"a\.mat: not a whole MATLAB file"):
        read_rolls(path, ("train",))
