"""Sound files: one channel of 16 bit samples at one rate, or one line that names the file."""

import io
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from rnnbench.base.errors import DataError
from rnnbench.task.audio import read_rate, read_sound, read_sound_file
from rnnbench.task.sound_files import SoundFiles

Array = NDArray[np.float64]


def tone(hz: float = 440.0, rate: int = 8000, seconds: float = 0.5) -> Array:
    found: Array = 0.5 * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)
    return found


def encoded(sound: Array, rate: int = 8000, form: str = "WAV", subtype: str = "PCM_16") -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, sound, rate, format=form, subtype=subtype)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("form", "subtype", "steps"),
    [("WAV", "PCM_16", 1), ("FLAC", "PCM_16", 1), ("NIST", "PCM_16", 1), ("WAV", "PCM_24", 1), ("WAV", "FLOAT", 1)],
)
def test_every_lossless_format_gives_the_same_16_bit_samples(form: str, subtype: str, steps: int) -> None:
    sound = read_sound(encoded(tone(), form=form, subtype=subtype), "a")
    # To one step of 16 bit: writers round differently.
    assert np.abs(sound.samples - tone() * 32768).max() <= steps
    assert (sound.rate, list(sound.done)) == (8000, [])


def test_16_bit_samples_come_through_unchanged() -> None:
    samples = np.random.default_rng(0).integers(-32768, 32768, 500).astype(np.int16)
    stream = io.BytesIO()
    soundfile.write(stream, samples, 8000, format="FLAC")
    assert (read_sound(stream.getvalue(), "a").samples == samples).all()


def test_channels_are_mixed_down_by_their_mean_and_that_is_said() -> None:
    left, right = tone(300), tone(700)
    sound = read_sound(encoded(np.stack([left, right], axis=1)), "a")
    # Each channel is rounded when it is written, to one step, and their mean once more.
    assert np.abs(sound.samples - (left + right) / 2 * 32768).max() <= 1.5
    assert list(sound.done) == ["mixed down from 2 channels"]


@pytest.mark.parametrize("rate", [16000, 44100, 11025])
def test_another_rate_is_resampled_to_the_same_tone_and_that_is_said(rate: int) -> None:
    sound = read_sound(encoded(tone(440, rate), rate), "a", 8000)
    assert (sound.rate, list(sound.done)) == (8000, [f"resampled from {rate} Hz"])
    assert len(sound.samples) == pytest.approx(4000, abs=1)
    # Away from the ends, where the filter sees what is not there; its ripple is below a percent.
    inner = slice(200, 3800)
    assert np.abs(sound.samples[inner] / 32768 - tone()[inner]).max() < 0.01


def test_what_a_lower_rate_cannot_hold_is_filtered_out_not_folded_back() -> None:
    sound = read_sound(encoded(tone(7000, 16000), 16000), "a", 8000)
    assert np.abs(sound.samples[200:-200] / 32768).max() < 0.01


def test_the_rate_stands_in_the_header() -> None:
    assert read_rate(encoded(tone(), 11025), "a") == 11025


def test_louder_than_16_bit_is_cut_off_and_clipping_and_silence_are_seen() -> None:
    loud = read_sound(encoded(4 * tone(), subtype="FLOAT"), "a")
    assert (loud.samples.max(), loud.samples.min()) == (32767, -32768)
    assert loud.is_cut
    assert not loud.is_silent
    silent = read_sound(encoded(np.zeros(100)), "a")
    assert silent.is_silent
    assert not silent.is_cut
    assert not read_sound(encoded(tone()), "a").is_cut


def streamed(content: bytes) -> bytes:
    """A wav file as a program writes it that does not know how long it will be."""
    place = content.index(b"data") + 4
    return content[:4] + b"\xff" * 4 + content[8:place] + b"\xff" * 4 + content[place + 4 :]


def test_a_wav_file_of_unknown_length_is_read_to_its_end() -> None:
    assert len(read_sound(streamed(encoded(tone())), "a").samples) == 4000


def with_nan(content: bytes) -> bytes:
    place = content.index(b"data") + 8 + 4 * 7
    return content[:place] + struct.pack("<f", float("nan")) + content[place + 4 :]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"hello, this is no sound at all", "not sound that can be read"),
        (encoded(tone())[:30], "not sound that can be read"),
        (encoded(tone())[:-1], "ends after 7999 of 8000 bytes of sound"),
        (encoded(tone())[:2000], "of 8000 bytes of sound"),
        (encoded(tone(), form="FLAC")[:-300], "a:.* (not sound that can be read|ends after)"),
        (encoded(tone(), form="NIST")[:5000], "ends after 1988 of 4000 samples"),
        (encoded(np.zeros(0)), "holds no sound"),
        (with_nan(encoded(tone(), subtype="FLOAT")), "sample 7 is not a finite number"),
    ],
)
def test_a_damaged_file_is_one_line_that_names_it(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_sound(content, "a", 8000)
    assert str(caught.value).startswith("a:")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no\.wav: No such file"):
        read_sound_file(tmp_path / "no.wav", 8000)


CONTENT = {"one/a.wav": b"first", "two/b.wav": b"second", "list.txt": b"words"}


def folder(tmp_path: Path) -> dict[str, Path]:
    for name, content in CONTENT.items():
        path = tmp_path / "own" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return {name: tmp_path / "own" / name for name in CONTENT}


def archive(tmp_path: Path, end: str) -> dict[str, Path]:
    path = tmp_path / f"sounds{end}"
    if end == ".zip":
        with zipfile.ZipFile(path, "w") as file:
            for name, content in CONTENT.items():
                file.writestr(name, content)
    else:
        with tarfile.open(path, "w:gz" if end == ".tar.gz" else "w") as tar:
            for name, content in CONTENT.items():
                member = tarfile.TarInfo(f"./{name}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return {path.name: path}


@pytest.mark.parametrize("kind", ["folder", ".tar.gz", ".tar", ".zip"])
def test_a_folder_and_every_archive_give_the_same_files(kind: str, tmp_path: Path) -> None:
    sounds = SoundFiles(folder(tmp_path) if kind == "folder" else archive(tmp_path, kind))
    assert sorted(sounds.names) == sorted(CONTENT)
    assert dict(sounds.read(["two/b.wav", "one/a.wav"])) == {name: CONTENT[name] for name in ("one/a.wav", "two/b.wav")}
    assert sounds.read_one("list.txt") == b"words"
    assert sounds.find("b.wav") == "two/b.wav"
    assert sounds.find("o/b.wav") is None
    assert "two/b.wav" in sounds.place("two/b.wav")


@pytest.mark.parametrize("end", [".tar.gz", ".zip"])
def test_a_damaged_archive_is_one_line_that_names_it(end: str, tmp_path: Path) -> None:
    files = archive(tmp_path, end)
    path = next(iter(files.values()))
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match=f"sounds{end}: .*fetch or copy it again"):
        SoundFiles(files).read_one("list.txt")
