"""Reading sound: one channel of 16 bit samples at a wanted rate, and what had to be done to get it.

Whatever libsndfile reads: wav, flac, ogg, mp3, aiff, au, NIST sphere. Channels are mixed down by their mean; other sample rates go through
a polyphase filter (scipy.signal.resample_poly); finer samples are rounded to 16 bit, which is what sound is kept in.
"""

import io
import math
import re
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import resample_poly

from rnnbench.base.errors import DataError
from rnnbench.base.names import printable
from rnnbench.task.features import FULL_SCALE

Samples = NDArray[np.int16]
# What libsndfile knows of a sound of unknown length, as programs write that pipe it.
_OPEN_END = (0, 0xFFFFFFFF)
SUFFIXES = (".wav", ".flac", ".ogg", ".sph", ".mp3", ".opus", ".aif", ".aiff", ".au")
# Sound that people have and libsndfile does not read.
UNREAD = (".m4a", ".mp4", ".aac", ".wma", ".webm", ".amr", ".3gp", ".mov")


@dataclass(frozen=True)
class Sound:
    """One channel of sound.

    Attributes:
        rate: In Hz.
        done: What was done to the file's samples, in words; empty: nothing.
    """

    samples: Samples
    rate: int
    done: Sequence[str] = ()

    @property
    def is_silent(self) -> bool:
        """Whether every sample is zero."""
        return not self.samples.any()

    @property
    def is_cut(self) -> bool:
        """Whether several samples in a row are as loud as 16 bit can say, as a clipped recording has them."""
        loudest = (self.samples == np.iinfo(np.int16).max) | (self.samples == np.iinfo(np.int16).min)
        return bool((loudest[1:] & loudest[:-1]).any())


def read_sound(content: bytes, where: str, rate: int | None = None) -> Sound:
    """The sound of a file's bytes.

    Args:
        where: The file, for messages.
        rate: Wanted sample rate in Hz; None: its own.
    Raises:
        DataError: not sound, no samples, fewer than its header says, or a sample that is no number.
    """
    _require_whole_wav(content, where)
    with _opened(content, where) as file:
        own_rate, declared = int(file.samplerate), _declared(content) or int(file.frames)
        samples_SC = file.read(dtype="float32", always_2d=True)
    if not len(samples_SC):
        raise DataError(f"{where}: holds no sound (0 samples); leave it out or record it again")
    if len(samples_SC) < declared:
        raise DataError(f"{where}: ends after {len(samples_SC)} of {declared} samples; copy it again")
    if not np.isfinite(samples_SC).all():
        raise DataError(f"{where}: sample {int(np.argmin(np.isfinite(samples_SC).all(axis=1)))} is not a finite number")
    done = []
    samples_S = samples_SC[:, 0]
    if samples_SC.shape[1] > 1:
        samples_S = samples_SC.mean(axis=1)
        done.append(f"mixed down from {samples_SC.shape[1]} channels")
    if rate is not None and rate != own_rate:
        samples_S = resample(samples_S, own_rate, rate)
        done.append(f"resampled from {own_rate} Hz")
    return Sound(to_16_bit(samples_S), rate or own_rate, done)


def read_rate(content: bytes, where: str) -> int:
    """A sound's sample rate in Hz, from its header.

    Raises:
        DataError: not sound.
    """
    with _opened(content, where) as file:
        return int(file.samplerate)


def read_sound_file(path: Path, rate: int) -> Sound:
    """The sound of a file; see `read_sound`.

    Raises:
        DataError: also where it cannot be opened.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    return read_sound(content, str(path), rate)


def resample(samples: NDArray[np.float32], rate: int, wanted: int) -> NDArray[np.float32]:
    """Samples at another rate, by a polyphase filter that cuts off what the lower of both cannot hold."""
    common = math.gcd(rate, wanted)
    found: NDArray[np.float32] = resample_poly(samples, wanted // common, rate // common).astype(np.float32)
    return found


def to_16_bit(samples: NDArray[np.floating]) -> Samples:
    """Samples in -1..1 as 16 bit, rounded; louder ones are cut off."""
    found: Samples = np.clip(np.rint(samples * FULL_SCALE), np.iinfo(np.int16).min, np.iinfo(np.int16).max).astype(np.int16)
    return found


@contextmanager
def _opened(content: bytes, where: str) -> Iterator[soundfile.SoundFile]:
    if not content:
        raise DataError(f"{where}: the file is empty")
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            yield file
    except soundfile.SoundFileError as error:
        reason = printable(" ".join(str(error).removeprefix("Error opening ").split()).rpartition(": ")[2].rstrip("."))
        raise DataError(f"{where}: not sound that can be read ({reason}); wav, flac, ogg, mp3, aiff, au and sph files can") from error


def _require_whole_wav(content: bytes, where: str) -> None:
    """Refuses a wav file that ends before its data do: libsndfile reads what is left without a word."""
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        return
    place = 12
    while place + 8 <= len(content):
        name, size = content[place : place + 4], struct.unpack_from("<I", content, place + 4)[0]
        held = len(content) - place - 8
        if name == b"data":
            if size not in _OPEN_END and size > held:
                raise DataError(f"{where}: ends after {held} of {size} bytes of sound; copy it again")
            return
        place += 8 + size + size % 2


def _declared(content: bytes) -> int | None:
    """Samples that a sphere file's header speaks of, where libsndfile goes by the file's size."""
    if not content.startswith(b"NIST_1A"):
        return None
    found = re.search(rb"^sample_count -i (\d+)", content[:1024], re.MULTILINE)
    return None if found is None else int(found[1])
