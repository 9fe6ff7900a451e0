"""Which word a new sound is."""

from typing import cast

import torch

from rnnbench.base.canonical import Plain
from rnnbench.task.answers import Answer, Question
from rnnbench.task.audio import read_sound_file
from rnnbench.task.module import Batch, TaskModule
from rnnbench.task.sound_rows import require_length
from rnnbench_tasks.keyword_spotting.module import Module


def answer_files(module: TaskModule, question: Question) -> Answer:
    """The likeliest words of each file, with their probabilities; a file is resampled to the rate that was trained on.

    Raises:
        DataError: a file is not sound, or too short or too long.
    """
    assert isinstance(module, Module), "the task's own"
    settings, longest = module.features.settings, cast(float, module.task_parameters["data.max_seconds"])
    num_words = min(cast(int, question.options["top"]), len(module.classes))
    rows: list[dict[str, Plain]] = []
    for path in question.files:
        sound = read_sound_file(path, settings.sample_rate)
        require_length(len(sound.samples), settings, longest, str(path))
        samples_1S = torch.from_numpy(sound.samples).unsqueeze(0)
        scores_C = module(Batch(samples_1S, torch.zeros(1, dtype=torch.int64), torch.tensor([samples_1S.shape[1]])))[0]
        chances, best = scores_C.double().softmax(0).topk(num_words)
        row: dict[str, Plain] = {"file": str(path), "seconds": round(len(sound.samples) / settings.sample_rate, 3)}
        for place, (chance, number) in enumerate(zip(chances.tolist(), best.tolist(), strict=True), 1):
            rank = "" if place == 1 else f" {place}"
            row |= {f"word{rank}": module.classes[number], f"probability{rank}": chance}
        rows.append(row | {"changed": "; ".join(sound.done)})
    return Answer(rows)
