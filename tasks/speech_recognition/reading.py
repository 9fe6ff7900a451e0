"""From a set, or a person's own sounds and texts, to samples (or given features) and transcripts by split."""

# Shapes: N rows, T frames, I features of a frame.

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

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
from rnnbench.task.sound_rows import SoundRows, choose_rate, read_rows, require_length
from rnnbench.task.splits import SHARES, nested_rows
from rnnbench_tasks.speech_recognition.corpora import SAMPLE_RATES, list_clips
from rnnbench_tasks.speech_recognition.language_model import learn_model
from rnnbench_tasks.speech_recognition.sphinx import FRAMES_PER_S, NUM_CEPSTRA, read_mfc
from rnnbench_tasks.speech_recognition.tones import SAMPLE_RATE, draw_sentences
from rnnbench_tasks.speech_recognition.units import Cleaning, UnitKind, clean, learn_units, least_steps

SHOWN = 12
YESNO_SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}


def read_speech(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value], splits: Sequence[str]) -> TaskData:
    """The asked splits of a set.

    Raises:
        DataError: a sound, archive or manifest cannot be used, or a sound is too short for its transcript.
    """
    if data == "tones":
        return _read_tones(parameters, splits)
    sounds, divided = divide_set(files, data, parameters)
    texts = {name: [_cleaned(clip, parameters) for clip in clips] for name, clips in divided.clips.items()}
    longest = cast(float, parameters["data.max_seconds"])
    asked = {name: divided.clips[name] for name in splits}
    inputs: dict[str, tuple[Tensor, Tensor]] = {}
    facts: dict[str, Plain] = dict(divided.facts)
    if data == "an4_mfcc":
        settings = choose_features(parameters, FRAMES_PER_S, NUM_CEPSTRA)
        for name, clips in asked.items():
            inputs[name] = _read_given(sounds, clips, settings, longest)
            facts |= {f"{name} rows": len(clips), f"{name} seconds": int(inputs[name][1].sum()) / FRAMES_PER_S}
    else:
        rate = choose_rate(sounds, divided.clips["train"], parameters, SAMPLE_RATES.get(data))
        settings = choose_features(parameters, rate)
        for name, rows in read_rows(sounds, asked, settings, longest).items():
            inputs[name] = rows.padded()
            facts |= rows.facts(name, rate)
    places = {name: [clip.where for clip in clips] for name, clips in asked.items()}
    return _to_data(inputs, texts, places, settings, parameters, facts)


def divide_set(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value]) -> tuple[SoundFiles, Divided]:
    """The sounds of a set and its rows by split, none of them read."""
    sounds, clips = list_clips(files, data, parameters)
    # Of yesno's sixty recordings a tenth would be too few to tell error rates apart.
    return sounds, divide_clips(clips, parameters, "speech_recognition", shares=YESNO_SHARES if data == "yesno" else SHARES)


def _cleaned(clip: Clip, parameters: Mapping[str, Value]) -> str:
    text = clean(clip.text, cast(Cleaning, parameters["data.transcripts"]))
    if not text:
        raise DataError(f"{clip.where}: nothing is left of the text '{printable(clip.text)}'; leave the row out or set data.transcripts")
    return text


def _read_given(sounds: SoundFiles, clips: Sequence[Clip], settings: FeatureSettings, longest: float) -> tuple[Tensor, Tensor]:
    place_of = {clip.name: place for place, clip in enumerate(clips)}
    rows: list[Tensor] = [torch.empty(0)] * len(clips)
    for name, content in sounds.read(list(place_of)):
        where = clips[place_of[name]].where
        rows[place_of[name]] = torch.from_numpy(read_mfc(content, where))
        require_length(len(rows[place_of[name]]), settings, longest, where)
    return pad_sequence(rows, batch_first=True), torch.tensor([len(row) for row in rows])


def _read_tones(parameters: Mapping[str, Value], splits: Sequence[str]) -> TaskData:
    seed, fraction, rate = (parameters[f"data.{name}"] for name in ("seed", "train_fraction", "sample_rate"))
    assert isinstance(seed, int) and isinstance(fraction, float), "checked when the sweep file was read"  # noqa: PT018
    if rate not in (None, SAMPLE_RATE):
        raise DataError(f"data.sample_rate: the generated tones are at {SAMPLE_RATE} Hz")
    settings = choose_features(parameters, SAMPLE_RATE)
    inputs: dict[str, tuple[Tensor, Tensor]] = {}
    texts: dict[str, list[str]] = {}
    facts: dict[str, Plain] = {}
    for name in dict.fromkeys(("train", *splits)):
        sounds, said = draw_sentences(name, seed)
        part = range(len(sounds))
        if name == "train":
            part = nested_rows(len(sounds), fraction, child(seed, "speech_recognition", "part")).tolist()
        texts[name] = [clean(said[row], cast(Cleaning, parameters["data.transcripts"])) for row in part]
        if name in splits:
            rows = SoundRows([sounds[row] for row in part])
            inputs[name] = rows.padded()
            facts |= rows.facts(name, SAMPLE_RATE)
    places = {name: [f"generated {name} sentence {row}" for row in range(len(texts[name]))] for name in splits}
    return _to_data(inputs, texts, places, settings, parameters, facts)


def _to_data(
    inputs: Mapping[str, tuple[Tensor, Tensor]],
    texts: Mapping[str, Sequence[str]],
    places: Mapping[str, Sequence[str]],
    settings: FeatureSettings,
    parameters: Mapping[str, Value],
    facts: dict[str, Plain],
) -> TaskData:
    units = learn_units(texts["train"], cast(UnitKind, parameters["task.units"]))
    batches = {}
    for name, (rows, lengths_N) in inputs.items():
        numbers = [units.encode(text) for text in texts[name]]
        for count, of_row, where in zip(lengths_N.tolist(), numbers, places[name], strict=True):
            _require_steps(settings.num_steps(count), of_row, where)
        targets_NL = pad_sequence([torch.tensor(row) for row in numbers], batch_first=True)
        batches[name] = Batch(rows, targets_NL, lengths_N, torch.tensor([len(row) for row in numbers]))
        facts[f"{name} words"] = sum(len(text.split()) for text in texts[name])
        if unknown := units.unknown(texts[name]):
            facts[f"{name}: {units.kind} that no training transcript has"] = " ".join(map(repr, unknown[:SHOWN]))
    order = cast(int, parameters["task.lm_order"])
    model = learn_model(map(units.encode, texts["train"]), order, len(units.units)).to_plain() if order else None
    facts |= {"units": len(units.units), "sample rate in Hz": settings.sample_rate, "inputs": settings.input_size}
    kept: dict[str, Plain] = {"units": {"kind": units.kind, "units": list(units.units)}, "language_model": model}
    preparation = {**prepare_features(settings, batches.get("train")), **kept}
    return TaskData(batches, settings.input_size, len(units), facts, preparation)


def _require_steps(steps: int, numbers: Sequence[int], where: str) -> None:
    least = least_steps(numbers)
    if steps < least:
        raise DataError(
            f"{where}: {steps} steps of the network, but CTC needs {least} to write its {len(numbers)} units; "
            "lower data.stack or data.hop_ms, or is the transcript another sound's?"
        )
