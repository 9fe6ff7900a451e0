"""Speech recognition: what the platform asks of a task, from the files beside this one."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rnnbench.base.parameters import Value
from rnnbench.task.answers import Answer, Question
from rnnbench.task.module import TaskData, TaskModule
from rnnbench.task.sound_check import check_sounds
from rnnbench_tasks.speech_recognition.answering import answer_files
from rnnbench_tasks.speech_recognition.baselines import find_baselines
from rnnbench_tasks.speech_recognition.module import Module
from rnnbench_tasks.speech_recognition.reading import divide_set, read_speech

__all__ = ["Module", "answer", "baselines", "check_data", "read_data"]


def read_data(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value], splits: Sequence[str]) -> TaskData:
    """Samples, or given features, and transcripts of a set.

    Raises:
        DataError: a sound, archive or manifest cannot be used, or a sound is too short for its transcript.
    """
    return read_speech(files, data, parameters, splits)


def answer(module: TaskModule, data: TaskData, question: Question) -> Answer:
    """What is said in each file."""
    return answer_files(module, question)


def baselines(data: TaskData, split: str) -> dict[str, float]:
    """Word error, on a split, of writing nothing, the commonest transcript, or the commonest word."""
    return find_baselines(data, split)


def check_data(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value]) -> list[str]:
    """What is worth knowing before training: equal, silent, clipped and unused sounds, sample rates, channels."""
    if not files or data == "an4_mfcc":
        return []
    sounds, divided = divide_set(files, data, parameters)
    return check_sounds(sounds, {**divided.clips, "train": divided.whole_train})
