"""What features are made of sound: plain settings, chosen by a task's `data.*` parameters and kept with a trained model. No torch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

from rnnbench.base.canonical import Plain
from rnnbench.base.errors import DataError
from rnnbench.base.parameters import Value
from rnnbench.task.mel import mel_filters

Kind = Literal["log_mel", "mfcc", "given"]
Normalise = Literal["training", "sound", "none"]


@dataclass(frozen=True)
class FeatureSettings:
    """How features are made.

    Attributes:
        kind: log_mel, mfcc, or given: the rows are features already, of so many `cepstra`, a frame where else a sample is.
        sample_rate: In Hz, of the samples.
        high_hz: End of the highest band, at most half the sample rate.
        deltas: How often slopes are taken: 0, 1 (slopes) or 2 (their slopes too).
        stack: Frames that are joined into one step.
        normalise: Mean 0 and deviation 1 of each feature over the training split, or over each sound.
    """

    kind: Kind
    sample_rate: int
    window_ms: float = 25.0
    hop_ms: float = 10.0
    mels: int = 40
    cepstra: int = 13
    low_hz: float = 20.0
    high_hz: float = 4000.0
    deltas: int = 0
    stack: int = 1
    normalise: Normalise = "training"

    @property
    def window(self) -> int:
        """Samples of a window."""
        return 1 if self.kind == "given" else round(self.sample_rate * self.window_ms / 1000)

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return 1 if self.kind == "given" else round(self.sample_rate * self.hop_ms / 1000)

    @property
    def num_fft(self) -> int:
        """The power of two from the window on: size of its Fourier transform."""
        return 1 << (self.window - 1).bit_length()

    @property
    def num_bands(self) -> int:
        """Features of a frame before slopes and stacking."""
        return self.mels if self.kind == "log_mel" else self.cepstra

    @property
    def num_features(self) -> int:
        """Features of a frame before stacking."""
        return self.num_bands * (1 + self.deltas)

    @property
    def input_size(self) -> int:
        """Numbers that a network reads at each step."""
        return self.num_features * self.stack

    def num_steps(self, num_samples: int) -> int:
        """Whole steps, of `stack` whole frames each, of so many samples."""
        frames = 0 if num_samples < self.window else 1 + (num_samples - self.window) // self.hop
        return frames // self.stack

    def seconds(self, num_steps: int) -> float:
        """How long the shortest sound of so many steps is; of given features, at 100 frames a second."""
        return (self.window + (num_steps * self.stack - 1) * self.hop) / self.sample_rate

    def to_plain(self) -> dict[str, Plain]:
        """Plain data from which `FeatureSettings(**...)` makes an equal one."""
        return asdict(self)


def choose_features(parameters: Mapping[str, Value], sample_rate: int, num_given: int | None = None) -> FeatureSettings:
    """Settings from a task's `data.*` parameters.

    Args:
        sample_rate: Of the samples; where features are given, of the frames.
        num_given: Features of a frame, where the data are features already: then `data.features` and what makes them is left aside.
    Raises:
        DataError: bands that the sample rate has no room for.
    """

    def chosen(*names: str) -> dict[str, Any]:
        return {name: parameters[f"data.{name}"] for name in names}

    around = chosen("deltas", "stack", "normalise")
    if num_given is not None:
        return FeatureSettings("given", sample_rate, cepstra=num_given, **around)
    kind = cast(Kind, parameters["data.features"])
    # A parameter that exists only beside others is not among those given.
    made = chosen("window_ms", "hop_ms", "mels", "low_hz", "high_hz", *(["cepstra"] if kind == "mfcc" else []))
    if made["high_hz"] is None:
        made["high_hz"] = sample_rate / 2
    settings = FeatureSettings(kind, sample_rate, **made, **around)
    _require_bands(settings)
    return settings


def _require_bands(settings: FeatureSettings) -> None:
    half = settings.sample_rate / 2
    if not settings.low_hz < settings.high_hz <= half:
        raise DataError(
            f"data.low_hz {settings.low_hz:g} and data.high_hz {settings.high_hz:g}: bands must lie within 0 to {half:g} Hz, "
            f"half the sample rate of {settings.sample_rate} Hz"
        )
    if settings.kind == "mfcc" and settings.cepstra > settings.mels:
        raise DataError(f"data.cepstra is {settings.cepstra}: there are no more cepstra than data.mels, {settings.mels}")
    if settings.hop < 1 or settings.window < 2:
        raise DataError(f"data.window_ms and data.hop_ms: less than a sample at {settings.sample_rate} Hz")
    filters = mel_filters(settings.num_fft, settings.sample_rate, settings.mels, settings.low_hz, settings.high_hz)
    empty = int((filters.sum(axis=0) == 0).sum())
    if empty:
        raise DataError(
            f"data.mels is {settings.mels}: {empty} of these bands are narrower than a step of the spectrum at {settings.sample_rate} Hz "
            f"and {settings.window_ms:g} ms; lower data.mels or raise data.window_ms"
        )
