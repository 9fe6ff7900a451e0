"""Generated speech: letters are tones, words of letters a to h come one after the other, with a pause between them."""

# Shapes: S samples.

import numpy as np
from numpy.typing import NDArray

from rnnbench.base.seeds import child
from rnnbench.task.audio import Samples, to_16_bit

SAMPLE_RATE = 8000
# Egg and feed have equal neighbours, which only a blank parts.
WORDS = ("bad", "bed", "cab", "cage", "dad", "each", "egg", "face", "feed", "head")
MOST_WORDS = 4
_LOWEST_HZ, _STEP = 420.0, 1.3
_ROWS = {"train": 320, "validation": 100, "test": 100}


def draw_sentences(split: str, seed: int) -> tuple[list[Samples], list[str]]:
    """Sounds of a split and their transcripts, of one to four words."""
    random = np.random.default_rng(child(seed, "speech_recognition", "tones", split))
    texts = [" ".join(random.choice(WORDS, size=int(random.integers(1, MOST_WORDS + 1)))) for _ in range(_ROWS[split])]
    return [to_16_bit(_draw_sentence(text, random)) for text in texts], texts


def _draw_sentence(text: str, random: np.random.Generator) -> NDArray[np.float64]:
    """A sentence of one speaker: a pitch, a speed and a voice (its overtones) of his own, and noise."""
    pitch, speed, overtone = 2 ** random.uniform(-0.08, 0.08), random.uniform(0.8, 1.25), random.uniform(0.0, 0.4)
    parts = [_silence(random.uniform(0.02, 0.08))]
    for letter in text:
        if letter == " ":
            parts.append(_silence(random.uniform(0.07, 0.11) * speed))
            continue
        hz = _LOWEST_HZ * _STEP ** (ord(letter) - ord("a")) * pitch * 2 ** random.normal(0, 0.02)
        parts += [_tone(hz, random.uniform(0.05, 0.08) * speed, overtone), _silence(random.uniform(0.012, 0.02) * speed)]
    parts.append(_silence(random.uniform(0.02, 0.08)))
    sound_S = np.concatenate(parts) * 10 ** random.uniform(-0.8, -0.2)
    noise = 10 ** (-random.uniform(10, 30) / 20) * np.sqrt(np.mean(sound_S**2))
    noisy_S: NDArray[np.float64] = sound_S + noise * random.standard_normal(len(sound_S))
    return noisy_S


def _tone(hz: float, seconds: float, overtone: float) -> NDArray[np.float64]:
    """A sine with its first overtone, which fades in and out within 8 ms."""
    time_S = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    fade_S = np.minimum(1.0, np.minimum(time_S, time_S[-1] - time_S) / 0.008)
    tone_S: NDArray[np.float64] = fade_S * (np.sin(2 * np.pi * hz * time_S) + overtone * np.sin(4 * np.pi * hz * time_S)) / (1 + overtone)
    return tone_S


def _silence(seconds: float) -> NDArray[np.float64]:
    return np.zeros(int(seconds * SAMPLE_RATE))
