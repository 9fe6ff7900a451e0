"""Copy memory: generated sequences, a class at every step, cross-entropy over all of them.

Source: Hochreiter and Schmidhuber 1997 and Arjovsky et al. 2016, arXiv:1511.06464, in the form of Bai et al. 2018, arXiv:1803.01271.
"""

# Shapes: N rows, T + 20 steps, C = 10 classes (0 blank, 1 to 8 digits, 9 the call to repeat).

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from rnnbench.base.canonical import Plain
from rnnbench.base.parameters import Value
from rnnbench.task.memory import SymbolModule, answer_totals, draw_splits, examine_lengths, get_int, get_test_length
from rnnbench.task.module import Batch, TaskData

NUM_DIGITS, NUM_KINDS, BLANK, CALL = 10, 8, 0, 9
NUM_CLASSES = 10


def read_data(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value], splits: Sequence[str]) -> TaskData:
    """Generated sequences; the test split waits for `task.test_length` steps."""
    length, test_length = get_int(parameters, "task.length"), get_test_length(parameters)

    def draw(name: str, num_rows: int, generator: torch.Generator) -> Batch:
        return draw_sequences(num_rows, test_length if name == "test" else length, generator)

    batches = draw_splits("copy_memory", parameters, splits, draw)
    facts = {f"{name} rows": len(batch) for name, batch in batches.items()}
    levels = {"memoryless": memoryless(length), "memoryless at the test length": memoryless(test_length)}
    waits = {"steps to wait": length, "steps to wait at the test": test_length}
    return TaskData(batches, input_size=NUM_CLASSES, output_size=NUM_CLASSES, facts={**facts, **waits, **levels})


def draw_sequences(num_rows: int, length: int, generator: torch.Generator) -> Batch:
    """Rows of copy memory: ten digits, T - 1 blanks, eleven calls; wanted are T + 10 blanks, then the digits."""
    digits_ND = torch.randint(1, NUM_KINDS + 1, (num_rows, NUM_DIGITS), generator=generator)
    inputs_NT = torch.full((num_rows, length + 2 * NUM_DIGITS), BLANK)
    inputs_NT[:, :NUM_DIGITS] = digits_ND
    inputs_NT[:, -NUM_DIGITS - 1 :] = CALL
    targets_NT = torch.full_like(inputs_NT, BLANK)
    targets_NT[:, -NUM_DIGITS:] = digits_ND
    return Batch(inputs_NT, targets_NT)


def memoryless(length: int) -> float:
    """Least cross-entropy, in nats per step, of what knows the step but not the digits: 10 ln 8 / (T + 20)."""
    return NUM_DIGITS * math.log(NUM_KINDS) / (length + 2 * NUM_DIGITS)


class Module(SymbolModule):
    """Predicts a class at every step."""

    def totals(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Sums over all steps, and right answers where digits are asked for."""
        digits = answer_totals(outputs[:, -NUM_DIGITS:], batch.targets[:, -NUM_DIGITS:])
        every = answer_totals(outputs, batch.targets)
        return {"nats": every["nats"], "steps": every["asked"], **{name: digits[name] for name in ("right", "whole", "asked", "rows")}}

    def metrics(self, totals: Mapping[str, float]) -> dict[str, float]:
        """Cross-entropy over all steps (the loss is the same number), and the shares of right digits and of whole sequences of them."""
        nats = totals["nats"] / totals["steps"]
        shares = {"accuracy": totals["right"] / totals["asked"], "whole_sequences": totals["whole"] / totals["rows"]}
        return {"cross_entropy": nats, "loss": nats, **shares}

    def examine(self, split: Batch) -> dict[str, Plain]:
        """Metrics at the training length and at the test length."""
        trained = {**self.task_parameters, "task.test_length": self.task_parameters["task.length"]}
        return examine_lengths(self, "cross_entropy", read_data({}, "generated", trained, ("test",)).splits["test"], split)


def baselines(data: TaskData, split: str) -> dict[str, float]:
    """The closed form, at the length of the split."""
    level = data.facts["memoryless at the test length" if split == "test" else "memoryless"]
    assert isinstance(level, float), "read_data wrote it"
    return {"memoryless": level}
