"""What can be written without hearing anything."""

from collections import Counter
from statistics import median_low
from typing import Any

from rnnbench.task.module import Batch, TaskData
from rnnbench_tasks.speech_recognition.module import count_edits, error_rates
from rnnbench_tasks.speech_recognition.units import Units


def find_baselines(data: TaskData, split: str) -> dict[str, float]:
    """Word error, on a split, of silence, of the commonest transcript, and of the commonest word as often as transcripts have words."""
    kept: Any = data.preparation["units"]
    units = Units(kept["kind"], tuple(kept["units"]))
    train, truths = (_texts(data.splits[name], units) for name in ("train", split))
    words = Counter(word for text in train for word in text.split())
    usual = median_low(len(text.split()) for text in train)
    guesses = {
        "nothing": "",
        "the commonest transcript": _commonest(Counter(train)),
        "the commonest word, as many as usual": " ".join([_commonest(words)] * usual),
    }
    return {name: error_rates(count_edits(truths, [guess] * len(truths)))["wer"] for name, guess in guesses.items()}


def _texts(split: Batch, units: Units) -> list[str]:
    assert split.target_lengths is not None, "transcripts have lengths"
    pairs = zip(split.targets.tolist(), split.target_lengths.tolist(), strict=True)
    return [units.decode_truth(numbers[:length]) for numbers, length in pairs]


def _commonest(counts: Counter[str]) -> str:
    return min(counts, key=lambda text: (-counts[text], text))
