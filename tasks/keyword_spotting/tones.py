"""Generated words of three tones: the same tones in every order, so that only their order tells the words apart."""

# Shapes: S samples.

import itertools

import numpy as np
from numpy.typing import NDArray

from rnnbench.base.seeds import child
from rnnbench.task.audio import Samples, to_16_bit

SAMPLE_RATE = 8000
TONES_HZ = {"do": 520.0, "mi": 900.0, "so": 1550.0}
WORDS = tuple("-".join(order) for order in itertools.permutations(TONES_HZ))
_ROWS = {"train": 240, "validation": 180, "test": 180}


def draw_words(split: str, seed: int) -> tuple[list[Samples], list[str]]:
    """Sounds of a split and their words, each word as often as the others."""
    random = np.random.default_rng(child(seed, "keyword_spotting", "tones", split))
    words = [WORDS[place % len(WORDS)] for place in range(_ROWS[split])]
    return [to_16_bit(_draw_word(word, random)) for word in words], words


def _draw_word(word: str, random: np.random.Generator) -> NDArray[np.float64]:
    """Tones of one speaker: a pitch, a speed and a voice (its overtones) of his own, silence around, and noise."""
    pitch, speed, overtone = 2 ** random.uniform(-0.25, 0.25), random.uniform(0.7, 1.3), random.uniform(0.1, 0.6)
    parts = [np.zeros(int(random.uniform(0, 0.06) * SAMPLE_RATE))]
    for name in word.split("-"):
        hz = TONES_HZ[name] * pitch * 2 ** random.normal(0, 0.02)
        parts.append(tone(hz, 0.09 * speed * random.uniform(0.8, 1.2), SAMPLE_RATE, overtone))
        parts.append(np.zeros(int(random.uniform(0, 0.02) * speed * SAMPLE_RATE)))
    parts.append(np.zeros(int(random.uniform(0, 0.06) * SAMPLE_RATE)))
    sound_S = np.concatenate(parts) * 10 ** random.uniform(-0.8, -0.2)
    noise = 10 ** (-random.uniform(-5, 15) / 20) * np.sqrt(np.mean(sound_S**2))
    noisy_S: NDArray[np.float64] = sound_S + noise * random.standard_normal(len(sound_S))
    return noisy_S


def tone(hz: float, seconds: float, sample_rate: int, overtone: float) -> NDArray[np.float64]:
    """A sine with its first overtone, which fades in and out within 8 ms."""
    time_S = np.arange(int(seconds * sample_rate)) / sample_rate
    fade_S = np.minimum(1.0, np.minimum(time_S, time_S[-1] - time_S) / 0.008)
    tone_S: NDArray[np.float64] = fade_S * (np.sin(2 * np.pi * hz * time_S) + overtone * np.sin(4 * np.pi * hz * time_S)) / (1 + overtone)
    return tone_S
