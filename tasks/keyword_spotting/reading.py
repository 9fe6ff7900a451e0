"""From a set, or a person's own sounds, to samples and classes by split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import torch

from rnnbench.base.canonical import Plain
from rnnbench.base.errors import DataError
from rnnbench.base.names import printable
from rnnbench.base.parameters import Value
from rnnbench.base.seeds import child
from rnnbench.task.clip_splits import Divided, divide_clips
from rnnbench.task.clips import Clip
from rnnbench.task.feature_settings import FeatureSettings, choose_features
from rnnbench.task.module import Batch, TaskData
from rnnbench.task.sound_files import SoundFiles
from rnnbench.task.sound_module import prepare_features
from rnnbench.task.sound_rows import SoundRows, choose_rate, read_rows
from rnnbench.task.splits import nested_rows
from rnnbench_tasks.keyword_spotting.corpora import SAMPLE_RATES, list_clips, strata
from rnnbench_tasks.keyword_spotting.tones import SAMPLE_RATE, WORDS, draw_words


@dataclass(frozen=True)
class Words:
    """Sounds with their words, by split."""

    rows: Mapping[str, SoundRows]
    words: Mapping[str, Sequence[str]]
    classes: Sequence[str]
    settings: FeatureSettings
    facts: Mapping[str, Plain] = field(default_factory=dict)


def read_words(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value], splits: Sequence[str]) -> Words:
    """The asked splits of a set.

    Raises:
        DataError: a sound, archive or manifest cannot be used, or there are too few classes.
    """
    if data == "tones":
        return _read_tones(parameters, splits)
    sounds, divided = divide_set(files, data, parameters)
    classes = _classes(divided)
    rate = choose_rate(sounds, divided.clips["train"], parameters, SAMPLE_RATES.get(data))
    settings = choose_features(parameters, rate)
    asked = {name: divided.clips[name] for name in splits}
    rows = read_rows(sounds, asked, settings, cast(float, parameters["data.max_seconds"]))
    words = {name: [clip.text for clip in clips] for name, clips in asked.items()}
    return Words(rows, words, classes, settings, divided.facts)


def divide_set(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value]) -> tuple[SoundFiles, Divided]:
    """The sounds of a set and its rows by split, none of them read."""
    sounds, clips = list_clips(files, data, parameters)
    # The official test sounds of fsdd are of the speakers that it trains on, and so are those that are to stand for them.
    hold_out = False if data == "fsdd" else None
    return sounds, divide_clips(clips, parameters, "keyword_spotting", labels=strata(data, clips), hold_out=hold_out)


def to_tensors(words: Words) -> TaskData:
    """Padded samples and class numbers; the preparation has scales where the training split is among the rows."""
    number = {name: place for place, name in enumerate(words.classes)}
    batches, facts = {}, dict(words.facts)
    for name, rows in words.rows.items():
        samples_NS, lengths_N = rows.padded()
        batches[name] = Batch(samples_NS, torch.tensor([number[word] for word in words.words[name]]), lengths_N)
        facts |= rows.facts(name, words.settings.sample_rate)
    preparation = {**prepare_features(words.settings, batches.get("train")), "classes": list(words.classes)}
    facts |= {"classes": len(words.classes), "sample rate in Hz": words.settings.sample_rate, "inputs": words.settings.input_size}
    return TaskData(batches, words.settings.input_size, len(words.classes), facts, preparation)


def _classes(divided: Divided) -> list[str]:
    """The words of all training rows, so that a part of them has the same classes."""
    classes = sorted({clip.text for clip in divided.whole_train})
    if len(classes) < 2:
        raise DataError(f"{divided.whole_train[0].where}: all training rows are '{printable(classes[0], 40)}'; two classes are needed")
    for name in ("validation", "test"):
        for clip in divided.clips[name]:
            _require_known(clip, classes, name)
    return classes


def _require_known(clip: Clip, classes: Sequence[str], split: str) -> None:
    if clip.text not in classes:
        raise DataError(f"{clip.where}: '{printable(clip.text, 40)}' is in the {split} split, but no training row is; add rows of it")


def _read_tones(parameters: Mapping[str, Value], splits: Sequence[str]) -> Words:
    seed, fraction, rate = (parameters[f"data.{name}"] for name in ("seed", "train_fraction", "sample_rate"))
    assert isinstance(seed, int) and isinstance(fraction, float), "checked when the sweep file was read"  # noqa: PT018
    if rate not in (None, SAMPLE_RATE):
        raise DataError(f"data.sample_rate: the generated tones are at {SAMPLE_RATE} Hz")
    rows, words = {}, {}
    for name in splits:
        sounds, said = draw_words(name, seed)
        part = range(len(sounds))
        if name == "train":
            part = nested_rows(len(sounds), fraction, child(seed, "keyword_spotting", "part"), said).tolist()
        rows[name], words[name] = SoundRows([sounds[row] for row in part]), [said[row] for row in part]
    return Words(rows, words, WORDS, choose_features(parameters, SAMPLE_RATE))
