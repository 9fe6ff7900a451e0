"""Rows of sound: read once, at one sample rate, padded into a tensor of 16 bit samples."""

# Shapes: N rows, S samples.

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from rnnbench.base.canonical import Plain
from rnnbench.base.errors import DataError
from rnnbench.base.parameters import Value
from rnnbench.task.audio import Samples, read_rate, read_sound
from rnnbench.task.clips import Clip
from rnnbench.task.feature_settings import FeatureSettings
from rnnbench.task.sound_files import SoundFiles


@dataclass
class SoundRows:
    """Sounds of a split as they were read.

    Attributes:
        done: How many sounds something was done to, by what it was.
    """

    samples: list[Samples]
    done: Counter[str] = field(default_factory=Counter)

    def padded(self) -> tuple[Tensor, Tensor]:
        """Samples (N, S), zeros behind each row's, and lengths (N,)."""
        lengths = torch.tensor([len(row) for row in self.samples])
        rows_NS = torch.zeros(len(self.samples), int(lengths.max()), dtype=torch.int16)
        for place, row in enumerate(self.samples):
            rows_NS[place, : len(row)] = torch.from_numpy(row)
        return rows_NS, lengths

    def facts(self, split: str, rate: int) -> dict[str, Plain]:
        """Rows, seconds and what was done, for the report."""
        seconds = sum(map(len, self.samples)) / rate
        done = {f"{split} rows {what}": count for what, count in sorted(self.done.items())}
        return {f"{split} rows": len(self.samples), f"{split} seconds": round(seconds, 1), **done}


def read_rows(
    sounds: SoundFiles, splits: Mapping[str, Sequence[Clip]], settings: FeatureSettings, max_seconds: float
) -> dict[str, SoundRows]:
    """The sounds of each split's rows, at the settings' sample rate.

    Raises:
        DataError: a sound cannot be read, is longer than `max_seconds`, or shorter than one step.
    """
    places: dict[str, list[tuple[str, int]]] = {}
    for split, clips in splits.items():
        for place, clip in enumerate(clips):
            places.setdefault(clip.name, []).append((split, place))
    unread = np.zeros(0, dtype=np.int16)
    found = {split: SoundRows([unread] * len(clips)) for split, clips in splits.items()}
    for name, content in sounds.read(list(places)):
        split, place = places[name][0]
        where = splits[split][place].where
        sound = read_sound(content, where, settings.sample_rate)
        require_length(len(sound.samples), settings, max_seconds, where)
        for split, place in places[name]:
            found[split].samples[place] = sound.samples
            found[split].done.update(sound.done)
    return found


def require_length(num_samples: int, settings: FeatureSettings, max_seconds: float, where: str) -> None:
    """Refuses a sound that has no step, or that every row would be padded to.

    Raises:
        DataError: so it is.
    """
    seconds = num_samples / settings.sample_rate
    if seconds > max_seconds:
        raise DataError(f"{where}: {seconds:.1f} s long, and data.max_seconds is {max_seconds:g}; cut it, leave it out or raise that")
    if settings.num_steps(num_samples) < 1:
        raise DataError(
            f"{where}: {1000 * seconds:.1f} ms long, shorter than one step of {1000 * settings.seconds(1):.1f} ms "
            "(data.window_ms, data.hop_ms, data.stack); leave it out"
        )


def choose_rate(sounds: SoundFiles, train: Sequence[Clip], parameters: Mapping[str, Value], known: int | None) -> int:
    """The sample rate in Hz of all rows: `data.sample_rate`, else the set's known one, else that of most training sounds, the lower of two.

    Raises:
        DataError: one of them is not sound.
    """
    chosen = parameters["data.sample_rate"]
    if chosen is not None or known is not None:
        rate = known if chosen is None else chosen
        assert isinstance(rate, int), "checked when the sweep file was read"
        return rate
    where = {clip.name: clip.where for clip in train}
    rates = Counter(read_rate(content, where[name]) for name, content in sounds.read(list(where)))
    return min(rates, key=lambda rate: (-rates[rate], rate))
