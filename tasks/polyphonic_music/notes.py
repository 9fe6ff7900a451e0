"""A piece as text: a line for each frame, either the notes that sound, or 0 and 1 in columns named by MIDI numbers; notes by name."""

from collections.abc import Sequence

import numpy as np

from rnnbench.base.errors import DataError
from rnnbench.base.names import printable
from rnnbench_tasks.polyphonic_music.rolls import LOWEST, NUM_KEYS, Roll

_HIGHEST = LOWEST + NUM_KEYS - 1
_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def read_frames(lines: Sequence[str], where: str) -> Roll:
    """A piano roll, T x 88, from the lines of a text.

    With a comma in its first line it is a table: that line has the MIDI numbers of its columns, the others 0 or 1. Without, each line
    has the MIDI numbers of the notes that sound, with spaces between; an empty line is silence.

    Raises:
        DataError: a line is something else; the text names it.
    """
    if "," in lines[0]:
        return _read_table(lines, where)
    roll = np.zeros((len(lines), NUM_KEYS), dtype=np.uint8)
    for number, line in enumerate(lines, 1):
        for word in line.split():
            roll[number - 1, _key(word, f"{where}:{number}", "notes are separated by spaces")] = 1
    return roll


def name_note(midi: int) -> str:
    """A note's name with its octave: 60 is C4."""
    return f"{_NAMES[midi % 12]}{midi // 12 - 1}"


def _read_table(lines: Sequence[str], where: str) -> Roll:
    columns = [_key(word, f"{where}:1", "the first line of a table names its columns by MIDI numbers") for word in lines[0].split(",")]
    if len(set(columns)) < len(columns):
        raise DataError(f"{where}:1: two columns have one MIDI number")
    roll = np.zeros((len(lines) - 1, NUM_KEYS), dtype=np.uint8)
    for number, line in enumerate(lines[1:], 2):
        fields = [field.strip() for field in line.split(",")]
        if len(fields) != len(columns):
            raise DataError(f"{where}:{number}: {len(fields)} fields, but {len(columns)} columns")
        for column, field in zip(columns, fields, strict=True):
            if field not in ("0", "1"):
                raise DataError(f"{where}:{number}: '{printable(field, 40)}' must be 0 or 1 (a note sounds or not; no velocities)")
            roll[number - 2, column] = field == "1"
    return roll


def _key(word: str, where: str, hint: str) -> int:
    word = word.strip()
    if not (word.isascii() and word.isdecimal() and LOWEST <= int(word) <= _HIGHEST):
        raise DataError(f"{where}: '{printable(word, 40)}' is no MIDI number from {LOWEST} to {_HIGHEST}; {hint}")
    return int(word) - LOWEST
