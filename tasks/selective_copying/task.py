"""Selective copying: generated sequences, a symbol at each of the last steps, accuracy and cross-entropy.

Source: Jing et al. 2019, arXiv:1706.02761 (there: denoising), in the form of Gu and Dao 2023, arXiv:2312.00752.
"""

# Shapes: N rows, M items, T + M steps, S symbols (0 blank, 1 the call to repeat, then those to be kept).

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from rnnbench.base.canonical import Plain
from rnnbench.base.errors import DataError
from rnnbench.base.parameters import Value
from rnnbench.task.memory import NOTHING, SymbolModule, draw_distinct, draw_splits, examine_lengths, get_int, get_test_length
from rnnbench.task.module import Batch, TaskData

BLANK, CALL, FIRST = 0, 1, 2


def read_data(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value], splits: Sequence[str]) -> TaskData:
    """Generated sequences; the test split has `task.test_length` steps before the call.

    Raises:
        DataError: the symbols have no room, or there are too few different sequences.
    """
    length, test_length = get_int(parameters, "task.length"), get_test_length(parameters)
    num_items, num_symbols = get_int(parameters, "task.num_items"), get_int(parameters, "task.num_symbols")
    if min(length, test_length) < num_items:
        raise DataError(f"selective_copying: {num_items} symbols have no room in {min(length, test_length)} steps; raise task.length")

    def draw(name: str, num_rows: int, generator: torch.Generator) -> Batch:
        return draw_sequences(num_rows, test_length if name == "test" else length, num_items, num_symbols, generator)

    batches = draw_splits("selective_copying", parameters, splits, draw)
    facts = {f"{name} rows": len(batch) for name, batch in batches.items()}
    facts |= {"steps": length + num_items, "steps of the test": test_length + num_items}
    return TaskData(
        batches, input_size=FIRST + num_symbols, output_size=num_symbols, facts={**facts, "memoryless": memoryless(num_symbols)}
    )


def draw_sequences(num_rows: int, length: int, num_items: int, num_symbols: int, generator: torch.Generator) -> Batch:
    """Rows of selective copying: M symbols at random places of T steps, then M calls, at each of which the next one is wanted."""
    items_NM = torch.randint(0, num_symbols, (num_rows, num_items), generator=generator)
    place_NM = draw_distinct(num_rows, num_items, length, generator).sort(dim=1).values
    inputs_NT = torch.full((num_rows, length + num_items), BLANK)
    inputs_NT[:, length:] = CALL
    inputs_NT.scatter_(1, place_NM, items_NM + FIRST)
    targets_NT = torch.full_like(inputs_NT, NOTHING)
    targets_NT[:, length:] = items_NM
    return Batch(inputs_NT, targets_NT)


def memoryless(num_symbols: int) -> float:
    """Accuracy of guessing, since every symbol is as likely at every place: 1 / S."""
    return 1 / num_symbols


class Module(SymbolModule):
    """Predicts a symbol at each call."""

    def examine(self, split: Batch) -> dict[str, Plain]:
        """Metrics at the training length and at the test length."""
        trained = {**self.task_parameters, "task.test_length": self.task_parameters["task.length"]}
        return examine_lengths(self, "accuracy", read_data({}, "generated", trained, ("test",)).splits["test"], split)


def baselines(data: TaskData, split: str) -> dict[str, float]:
    """The closed form, and always giving the symbol that is commonest in training."""
    level = data.facts["memoryless"]
    assert isinstance(level, float), "read_data wrote it"
    train, wanted = data.splits["train"].targets, data.splits[split].targets
    commonest = train[train != NOTHING].bincount().argmax()
    return {"memoryless": level, "commonest symbol": float((wanted[wanted != NOTHING] == commonest).double().mean())}
