"""Piano rolls: T x 88 arrays of 0 and 1, from a .mat file or generated."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from rnnbench.base.errors import DataError

NUM_KEYS = 88
# The MIDI number of the first key, A0.
LOWEST = 21
_NAMES = {"train": "traindata", "validation": "validdata", "test": "testdata"}

Roll = NDArray[np.uint8]


def read_rolls(path: Path, splits: Sequence[str]) -> dict[str, list[Roll]]:
    """The asked splits of a MATLAB file with traindata, validdata and testdata.

    Raises:
        DataError: not a whole MATLAB file, a split is missing or empty, or a piece is not T x 88 of 0 and 1 with T at least 2.
    """
    try:
        content = loadmat(path, variable_names=[_NAMES[name] for name in splits])
    except Exception as error:
        raise DataError(f"{path}: not a whole MATLAB file ({error}); fetch it again") from error
    found = {}
    for name in splits:
        if _NAMES[name] not in content:
            raise DataError(f"{path}: holds no '{_NAMES[name]}'; is it a piano-roll file such as JSB_Chorales.mat?")
        pieces = [np.asarray(piece) for piece in np.asarray(content[_NAMES[name]]).reshape(-1)]
        if not pieces:
            raise DataError(f"{path}: '{_NAMES[name]}' is empty")
        found[name] = [check_roll(piece, f"{path}: piece {number} of '{_NAMES[name]}'") for number, piece in enumerate(pieces, 1)]
    return found


def draw_arpeggios(num_pieces: int, seed: int) -> list[Roll]:
    """Generated pieces: four-chord progressions of major and minor triads, struck, or broken note by note over a held bass.

    What comes next follows from the chord's notes some frames ago, so a network with memory beats one without.
    """
    rng = np.random.default_rng(seed)
    pieces = []
    for _ in range(num_pieces):
        roll = np.zeros((int(rng.integers(32, 65)), NUM_KEYS), dtype=np.uint8)
        chords = [_chord(rng) for _ in range(4)]
        broken, frames_per_chord = bool(rng.integers(2)), 4 * int(rng.integers(1, 3))
        for frame in range(len(roll)):
            bass, notes = chords[frame // frames_per_chord % 4]
            roll[frame, bass] = 1
            roll[frame, [notes[frame % 3]] if broken else notes] = 1
        pieces.append(roll)
    return pieces


def _chord(rng: np.random.Generator) -> tuple[int, list[int]]:
    root = int(rng.integers(36, 60))
    third = 4 if rng.integers(2) else 3
    return root - 24, [root, root + third, root + 7]


def check_roll(piece: NDArray[np.generic], where: str) -> Roll:
    """A piano roll of two frames or more.

    Raises:
        DataError: another shape, or values other than 0 and 1.
    """
    if piece.ndim != 2 or piece.shape[1] != NUM_KEYS or piece.shape[0] < 2:
        shape = "x".join(map(str, piece.shape))
        raise DataError(f"{where} is {shape or 'one number'}, must be T x {NUM_KEYS} with at least 2 frames")
    if piece.dtype.kind not in "buif" or not np.isin(piece, (0, 1)).all():
        raise DataError(f"{where} holds values other than 0 and 1")
    return piece.astype(np.uint8)
