"""Machine translation: sentence pairs, an encoder and a decoder with or without attention, nats per target token, BLEU.

Source: Sutskever et al. 2014, arXiv:1409.3215; Cho et al. 2014, arXiv:1406.1078; Bahdanau et al. 2015, arXiv:1409.0473.
"""

from typing import cast

from rnnbench.base.canonical import Plain
from rnnbench.task.answers import Answer, Question
from rnnbench.task.module import TaskData, TaskModule
from rnnbench_tasks.machine_translation.checking import check_data
from rnnbench_tasks.machine_translation.counting import baselines
from rnnbench_tasks.machine_translation.module import Module
from rnnbench_tasks.machine_translation.pairs import read_data

__all__ = ["Module", "answer", "baselines", "check_data", "read_data"]


def answer(module: TaskModule, data: TaskData, question: Question) -> Answer:
    """Each line's translation and its nats per token; an empty line stays empty."""
    assert isinstance(module, Module), "a model of this task"
    lines = [line.strip() for line in question.lines]
    size, power, longest = (question.options[name] for name in ("beam_size", "length_power", "max_length"))
    full = [line for line in lines if line]
    translated = iter(module.translate(full, cast(int, size), cast(float, power), cast(int | None, longest)))
    rows: list[dict[str, Plain]] = []
    for line in lines:
        if line:
            found = next(translated)
            said, nats = module.codecs.target.decode(found.tokens), -found.log_probability / (len(found.tokens) + 1)
            rows.append({"source": line, "translation": said, "nats_per_token": nats})
        else:
            rows.append({"source": "", "translation": "", "nats_per_token": 0.0})
    return Answer(rows, text="\n".join(str(row["translation"]) for row in rows))
