"""What is known of a set's sounds before one is read: label or transcript, speaker, split; from a manifest or from folders of classes."""

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rnnbench.base.errors import DataError
from rnnbench.base.names import printable
from rnnbench.base.parameters import Value
from rnnbench.task.audio import SUFFIXES
from rnnbench.task.files import TABLES, get_column, kind_of, read_table
from rnnbench.task.sound_files import SoundFiles, is_archive
from rnnbench.task.sources import OWN

# What people call the splits.
_SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True)
class Clip:
    """A row whose sound has not been read.

    Attributes:
        name: Of its sound among the SoundFiles.
        text: Label or transcript.
        where: The row and its sound, for messages.
        speaker: Empty where it is not known.
        split: train, validation or test; empty where the set does not say.
    """

    name: str
    text: str
    where: str
    speaker: str = ""
    split: str = ""


def own_sounds(files: Mapping[str, Path]) -> SoundFiles:
    """A person's own folder of sounds.

    Raises:
        DataError: it is one file that is no sound.
    """
    path = next(iter(files.values()))
    if len(files) == 1 and not path.name.lower().endswith(SUFFIXES):
        if is_archive(path):
            raise DataError(f"{path}: an archive; unpack it and name the folder")
        if kind_of(path.name).endswith(TABLES):
            raise DataError(f"{path}: no other file lies in its folder, and the sounds of a manifest must lie in it or below")
        raise DataError(f"{path}: neither a folder of sounds nor its manifest ({', '.join(TABLES)})")
    return SoundFiles(files)


def read_manifest(sounds: SoundFiles, data: str, parameters: Mapping[str, Value], text: str) -> list[Clip] | None:
    """The rows of the folder's manifest, a table with columns for path, text or label, and perhaps speaker and split.

    A path is relative to the manifest's folder, or absolute within the data's folder.

    Args:
        data: The data set; of a manifest that a person named itself, `path:NAME`.
        text: Parameter that names the column of the text or label.
    Returns:
        None: there is no manifest.
    Raises:
        DataError: several tables of which none is called manifest, no such column, an empty field, or a sound that is not there.
    """
    name = _find_manifest(sounds, data.removeprefix(OWN), parameters["data.manifest"])
    if name is None:
        return None
    path = sounds.path(name)
    rows = read_table(path)
    columns = {key: str(parameters[key]) for key in ("data.path_column", text)}
    found = {key: get_column(rows, column, path, key) for key, column in columns.items()}
    speakers, splits = (_optional(rows, str(parameters[key])) for key in ("data.speaker_column", "data.split_column"))
    clips = []
    known = {name: name for name in sounds.names} | {str(sounds.path(name)): name for name in sounds.names}
    for place in range(len(rows)):
        where = f"{path}, row {place + 1}"
        for key, values in found.items():
            if not values[place].strip():
                raise DataError(f"{where}: column '{columns[key]}' is empty; fill it or leave the row out")
        sound = _sound_name(known, posixpath.dirname(name), found["data.path_column"][place].strip(), where)
        split = _split_name(splits[place], where)
        clips.append(Clip(sound, found[text][place].strip(), f"{where} ({printable(sound)})", speakers[place].strip(), split))
    for key, values in (("speaker", speakers), ("split", splits)):
        empty = [place + 1 for place, value in enumerate(values) if not value.strip()]
        if empty and len(empty) < len(rows):
            raise DataError(f"{path}, row {empty[0]}: no {key}, but other rows have one; fill the column or leave it out")
    return clips


def read_class_folders(sounds: SoundFiles) -> list[Clip]:
    """A row for each sound, whose label is its folder's name; folders train, validation and test on top are the splits.

    Files that are no sound are passed over, and folders whose name starts with `_`.

    Raises:
        DataError: no sounds, or one that lies in no folder.
    """
    names = [name for name in sounds.names if name.lower().endswith(SUFFIXES) and not any(part.startswith("_") for part in name.split("/"))]
    if not names:
        raise DataError(f"{sounds.where}: no sound in it ({', '.join(SUFFIXES)}), and no manifest that names any")
    tops = {name.split("/")[0] for name in names}
    has_splits = all(top.lower() in _SPLIT_NAMES for top in tops) and all(name.count("/") > 1 for name in names)
    clips = []
    for name in names:
        parts = name.split("/")
        if len(parts) < 2:
            raise DataError(f"{sounds.place(name)}: lies in no folder named as its class; or write a manifest.csv with path and label")
        clips.append(Clip(name, parts[-2], sounds.place(name), split=_SPLIT_NAMES[parts[0].lower()] if has_splits else ""))
    return clips


def _find_manifest(sounds: SoundFiles, given: str, chosen: Value) -> str | None:
    tables = [name for name in sounds.names if kind_of(name).endswith(TABLES)]
    if given in tables:
        if chosen not in (None, given):
            words = f"data.manifest names '{printable(str(chosen))}', but this is the manifest that data: {{path: ...}} names"
            raise DataError(f"{sounds.path(given)}: {words}; leave one of them out")
        return given
    if chosen is not None:
        if chosen not in sounds.names:
            raise DataError(f"{sounds.where}: holds no '{printable(str(chosen))}', which data.manifest names")
        return str(chosen)
    named = [name for name in tables if posixpath.basename(name).split(".")[0] == "manifest"]
    found = named or tables
    if len(found) > 1:
        raise DataError(f"{sounds.where}: several tables ({', '.join(map(printable, found[:4]))}); say which in data.manifest")
    return found[0] if found else None


def _optional(rows: Sequence[Mapping[str, str]], column: str) -> list[str]:
    return [row.get(column, "") for row in rows]


def _sound_name(known: Mapping[str, str], folder: str, path: str, where: str) -> str:
    absolute = path.startswith("/")
    place = path if absolute else posixpath.normpath(posixpath.join(folder, path.replace("\\", "/")))
    if place not in known:
        raise DataError(f"{where}: no sound {printable(path)} in the data's folder; a path counts from the manifest's folder")
    return known[place]


def _split_name(text: str, where: str) -> str:
    name = text.strip().lower()
    if name and name not in _SPLIT_NAMES:
        raise DataError(f"{where}: split '{printable(text.strip(), 40)}', must be train, validation or test")
    return _SPLIT_NAMES.get(name, "")
