"""The sets of transcribed speech: which sound says what, by whom, in which split."""

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from rnnbench.base.errors import DataError
from rnnbench.base.names import printable
from rnnbench.base.parameters import Value
from rnnbench.task.clips import Clip, own_sounds, read_manifest
from rnnbench.task.files import decode
from rnnbench.task.sound_files import SoundFiles
from rnnbench_tasks.speech_recognition.sphinx import SUFFIX

# Of the public sets; a person's own files are at whatever rate they are.
SAMPLE_RATES = {"yesno": 8000, "an4": 16000}

_YESNO = re.compile(r"[01](_[01])*\.wav")
_SAID = {"0": "no", "1": "yes"}
# What is marked in transcripts and not said: <s>, </s>, <sil>, ++noise++.
_NOT_SAID = re.compile(r"<[^>]*>|\+\+[^+]*\+\+")


def list_clips(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value]) -> tuple[SoundFiles, list[Clip]]:
    """The sounds of a set and its rows.

    Raises:
        DataError: an archive or manifest is damaged, or holds something else.
    """
    if data == "yesno":
        sounds = SoundFiles(files)
        return sounds, _yesno(sounds)
    if data in ("an4", "an4_mfcc"):
        sounds = SoundFiles(files)
        return sounds, _an4(sounds, ".sph" if data == "an4" else SUFFIX)
    sounds = own_sounds(files)
    clips = read_manifest(sounds, data, parameters, "data.text_column")
    if clips is None:
        raise DataError(f"{sounds.where}: no manifest.csv or .jsonl in it, with the columns path and text")
    return sounds, clips


def _yesno(sounds: SoundFiles) -> list[Clip]:
    """The transcript is the file's name, 1 for yes."""
    clips = []
    for name in sorted(sounds.names):
        said = PurePosixPath(name).name
        if _YESNO.fullmatch(said):
            text = " ".join(_SAID[word] for word in said.removesuffix(".wav").split("_"))
            clips.append(Clip(name, text, sounds.place(name)))
    if not clips:
        raise DataError(f"{sounds.where}: no sound such as 0_1_1_0_1_0_0_1.wav in it; fetch it again")
    return clips


def _an4(sounds: SoundFiles, suffix: str) -> list[Clip]:
    """Rows of the lists in etc/; the folder of a recording is its speaker."""
    named = {PurePosixPath(name).stem: name for name in sounds.names if name.endswith(suffix)}
    clips = []
    for split in ("train", "test"):
        found = sounds.find(f"etc/an4_{split}.transcription")
        if found is None and split == "train":
            raise DataError(f"{sounds.where}: no etc/an4_train.transcription in it; fetch it again")
        for number, line in enumerate(decode(sounds.read_one(found), sounds.place(found)).split("\n") if found else [], 1):
            if line.strip():
                clips.append(_an4_row(line, f"{sounds.where}: {found}:{number}", named, split))
    return clips


def _an4_row(line: str, where: str, named: Mapping[str, str], split: str) -> Clip:
    text, bracket, end = line.strip().rpartition("(")
    name = named.get(end.removesuffix(")").strip())
    text = " ".join(_NOT_SAID.sub(" ", text).split())
    if not bracket or name is None or not text:
        raise DataError(f"{where}: '{printable(line.strip())}' is no transcript and the name of a recording; fetch it again")
    return Clip(name, text, f"{where} ({printable(name)})", PurePosixPath(name).parts[-2], split)
