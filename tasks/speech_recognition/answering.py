"""What is said in new sounds."""

from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from rnnbench.base.canonical import Plain
from rnnbench.base.errors import DataError
from rnnbench.task.answers import Answer, Question
from rnnbench.task.audio import read_sound_file
from rnnbench.task.files import read_bytes
from rnnbench.task.module import Batch, TaskModule
from rnnbench.task.sound_rows import require_length
from rnnbench_tasks.speech_recognition.module import Module
from rnnbench_tasks.speech_recognition.sphinx import SUFFIX, read_mfc


def answer_files(module: TaskModule, question: Question) -> Answer:
    """The transcript of each file; a sound is resampled to the rate that was trained on.

    Raises:
        DataError: a file is not what the model was trained on (sound, or Sphinx features), or too short or too long.
    """
    assert isinstance(module, Module), "the task's own"
    options: Any = question.options
    search = None
    if options["decoding"] == "beam":
        search = module.choose_search(options["beam_width"], options["lm_weight"], options["unit_bonus"])
    settings, longest = module.features.settings, cast(float, module.task_parameters["data.max_seconds"])
    rows: list[dict[str, Plain]] = []
    for path in question.files:
        inputs, done = _read(module, path)
        require_length(len(inputs), settings, longest, str(path))
        batch = Batch(inputs.unsqueeze(0), torch.zeros(1, 0, dtype=torch.int64), torch.tensor([len(inputs)]))
        text = module.transcribe(module(batch), batch, search)[0]
        rows.append({"file": str(path), "seconds": round(len(inputs) / settings.sample_rate, 2), "text": text, "changed": done})
    return Answer(rows, text="\n".join(f"{row['file']}: {row['text']}" for row in rows))


def _read(module: Module, path: Path) -> tuple[Tensor, str]:
    """Samples or frames of a file, and what was done to them."""
    settings = module.features.settings
    if settings.kind != "given":
        sound = read_sound_file(path, settings.sample_rate)
        return torch.from_numpy(sound.samples), "; ".join(sound.done)
    if path.suffix != SUFFIX:
        raise DataError(f"{path}: this model was trained on Sphinx features, not on sound; give it {SUFFIX} files")
    return torch.from_numpy(read_mfc(read_bytes(path), str(path), settings.cepstra)), ""
