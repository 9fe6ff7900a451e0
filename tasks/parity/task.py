"""Parity: generated bits of many lengths, odd or even after the last or every bit, accuracy and cross-entropy.

Source: lengths as in Beck et al. 2024, arXiv:2405.04517 (trained on 3 to 40 bits, tested on 40 to 256).
"""

# Shapes: N rows, T steps, two symbols (the bits), two classes (even, odd).

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from rnnbench.base.canonical import Plain
from rnnbench.base.errors import DataError
from rnnbench.base.parameters import Value
from rnnbench.task.memory import NOTHING, PADDING, SymbolModule, draw_splits, examine_lengths, get_int
from rnnbench.task.module import Batch, TaskData

NUM_CLASSES = 2
_TRAINING, _TEST = ("task.min_length", "task.max_length"), ("task.test_min_length", "task.test_max_length")


def read_data(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value], splits: Sequence[str]) -> TaskData:
    """Generated bits; the test split has lengths of its own.

    Raises:
        DataError: a shortest length is above its longest, or there are too few different sequences.
    """
    trained, tested = _range(parameters, _TRAINING), _range(parameters, _TEST)
    is_every = parameters["task.asked"] == "every"

    def draw(name: str, num_rows: int, generator: torch.Generator) -> Batch:
        return draw_sequences(num_rows, tested if name == "test" else trained, generator, is_every=is_every)

    batches = draw_splits("parity", parameters, splits, draw)
    facts = {f"{name} rows": len(batch) for name, batch in batches.items()}
    facts |= {f"longest {name}": int(batch.inputs.shape[1]) for name, batch in batches.items()}
    levels = {"memoryless": memoryless(trained, is_every=is_every), "memoryless at the test length": memoryless(tested, is_every=is_every)}
    return TaskData(batches, input_size=2, output_size=NUM_CLASSES, facts={**facts, **levels})


def draw_sequences(num_rows: int, lengths: tuple[int, int], generator: torch.Generator, *, is_every: bool) -> Batch:
    """Rows of fair bits, of lengths drawn evenly from the first to the second, and their parity where it is asked."""
    shortest, longest = lengths
    length_N = torch.randint(shortest, longest + 1, (num_rows,), generator=generator)
    step_1T = torch.arange(longest).unsqueeze(0)
    is_valid_NT = step_1T < length_N.unsqueeze(1)
    bits_NT = torch.randint(0, 2, (num_rows, longest), generator=generator)
    is_asked_NT = is_valid_NT if is_every else step_1T == length_N.unsqueeze(1) - 1
    return Batch(bits_NT.masked_fill(~is_valid_NT, PADDING), (bits_NT.cumsum(1) % 2).masked_fill(~is_asked_NT, NOTHING), length_N)


def memoryless(lengths: tuple[int, int], *, is_every: bool) -> float:
    """Best expected accuracy of what sees only the bit of the step: 1/2 after the last of two or more bits.

    After every bit: 1 at the first step and 1/2 at the others, so that the mean over all steps is 1/2 + 1 / (shortest + longest).
    """
    return 0.5 + (1 / sum(lengths) if is_every else 0.0)


class Module(SymbolModule):
    """Predicts even or odd at every step."""

    def examine(self, split: Batch) -> dict[str, Plain]:
        """Metrics at the training lengths, and by length up to the longest of the test."""
        as_trained = {test: self.task_parameters[train] for test, train in zip(_TEST, _TRAINING, strict=True)}
        return examine_lengths(
            self, "accuracy", read_data({}, "generated", {**self.task_parameters, **as_trained}, ("test",)).splits["test"], split
        )


def baselines(data: TaskData, split: str) -> dict[str, float]:
    """The closed form, and what is answered more often in training."""
    level = data.facts["memoryless at the test length" if split == "test" else "memoryless"]
    assert isinstance(level, float), "read_data wrote it"
    train, wanted = data.splits["train"].targets, data.splits[split].targets
    commonest = train[train != NOTHING].bincount(minlength=NUM_CLASSES).argmax()
    return {"memoryless": level, "commonest answer": float((wanted[wanted != NOTHING] == commonest).double().mean())}


def _range(parameters: Mapping[str, Value], names: tuple[str, str]) -> tuple[int, int]:
    shortest, longest = (get_int(parameters, name) for name in names)
    if shortest > longest:
        raise DataError(f"parity: {names[0]} is {shortest} and {names[1]} {longest}; the shortest must not be above the longest")
    return shortest, longest
