"""The sets of spoken words: which sound is of which word, speaker and split."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from rnnbench.base.errors import DataError
from rnnbench.base.parameters import Value
from rnnbench.task.clips import Clip, own_sounds, read_class_folders, read_manifest
from rnnbench.task.files import decode
from rnnbench.task.sound_files import SoundFiles

# Of the public sets; a person's own files are at whatever rate they are.
SAMPLE_RATES = {"fsdd": 8000, "speech_commands": 16000}

_DIGIT = re.compile(r"(\d)_([^_/]+)_(\d+)\.wav")
# "Files numbered 0-4 are the test set": https://github.com/Jakobovski/free-spoken-digit-dataset
_NUM_TEST = 5
_COMMAND_LISTS = {"validation": "validation_list.txt", "test": "testing_list.txt"}


def list_clips(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value]) -> tuple[SoundFiles, list[Clip]]:
    """The sounds of a set and its rows.

    Raises:
        DataError: an archive or manifest is damaged, or holds something else.
    """
    if data == "fsdd":
        sounds = SoundFiles(files)
        return sounds, _digits(sounds)
    if data == "speech_commands":
        sounds = SoundFiles(files)
        return sounds, _commands(sounds)
    sounds = own_sounds(files)
    clips = read_manifest(sounds, data, parameters, "data.label_column")
    return sounds, read_class_folders(sounds) if clips is None else clips


def strata(data: str, clips: Sequence[Clip]) -> list[tuple[str, ...]]:
    """What is spread evenly where rows are drawn: words, in fsdd each speaker's."""
    return [(clip.text, clip.speaker) if data == "fsdd" else (clip.text,) for clip in clips]


def _digits(sounds: SoundFiles) -> list[Clip]:
    clips = []
    for name in sorted(sounds.names):
        found = _DIGIT.fullmatch(PurePosixPath(name).name)
        if found is not None:
            digit, speaker, number = found.groups()
            clips.append(Clip(name, digit, sounds.place(name), speaker, "test" if int(number) < _NUM_TEST else "train"))
    if not clips:
        raise DataError(f"{sounds.where}: no sound such as 3_jackson_12.wav in it; fetch it again")
    return clips


def _commands(sounds: SoundFiles) -> list[Clip]:
    split_of = {}
    for split, end in _COMMAND_LISTS.items():
        name = sounds.find(end)
        if name is None:
            raise DataError(f"{sounds.where}: no {end} in it; fetch it again")
        for line in decode(sounds.read_one(name), sounds.place(name)).split():
            split_of[line] = split
    clips = []
    for name in sorted(sounds.names):
        parts = PurePosixPath(name).parts[-2:]
        if len(parts) == 2 and parts[1].endswith(".wav") and not parts[0].startswith("_"):
            speaker = parts[1].split("_nohash_")[0]
            clips.append(Clip(name, parts[0], sounds.place(name), speaker, split_of.get("/".join(parts), "train")))
    if not clips:
        raise DataError(f"{sounds.where}: no sound such as yes/0a7c2a8d_nohash_0.wav in it; fetch it again")
    return clips
