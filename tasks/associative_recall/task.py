"""Multi-query associative recall: generated pairs and keys, a value at each key that comes back, accuracy and cross-entropy.

Source: Arora et al. 2023, arXiv:2312.04927 (MQAR), places of the keys as in its code: gaps of two steps by a power law.
"""

# Shapes: N rows, P pairs, T steps, S symbols (0 blank, then keys, then values), V values.

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from rnnbench.base.canonical import Plain
from rnnbench.base.errors import DataError
from rnnbench.base.parameters import Value
from rnnbench.task.memory import NOTHING, SymbolModule, draw_distinct, draw_splits, examine_lengths, get_int, get_test_length
from rnnbench.task.module import Batch, TaskData

BLANK = 0


def read_data(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value], splits: Sequence[str]) -> TaskData:
    """Generated sequences; the test split has `task.test_length` steps and as many pairs.

    Raises:
        DataError: the pairs have no room or too few keys or values, or there are too few different sequences.
    """
    length, test_length = get_int(parameters, "task.length"), get_test_length(parameters)
    num_keys, num_values = get_int(parameters, "task.num_keys"), get_int(parameters, "task.num_values")
    _check(parameters, min(length, test_length))

    def draw(name: str, num_rows: int, generator: torch.Generator) -> Batch:
        return draw_sequences(num_rows, test_length if name == "test" else length, parameters, generator)

    batches = draw_splits("associative_recall", parameters, splits, draw)
    facts = {f"{name} rows": len(batch) for name, batch in batches.items()} | {"steps": length, "steps of the test": test_length}
    levels = {"memoryless": 1 / num_values, "a value of the sequence": 1 / get_int(parameters, "task.num_pairs")}
    return TaskData(batches, input_size=1 + num_keys + num_values, output_size=num_values, facts={**facts, **levels})


def draw_sequences(num_rows: int, length: int, parameters: Mapping[str, Value], generator: torch.Generator) -> Batch:
    """Rows of recall: P pairs, then each key once more, at every second step or further apart; its value is wanted there.

    Keys differ within a row, and so do values. The first pair's key tends to come back first, as in the paper's code.
    """
    num_pairs, num_keys = get_int(parameters, "task.num_pairs"), get_int(parameters, "task.num_keys")
    num_values, power = get_int(parameters, "task.num_values"), parameters["task.power"]
    assert isinstance(power, float), "checked when the sweep file was read"
    keys_NP = 1 + draw_distinct(num_rows, num_pairs, num_keys, generator)
    values_NP = draw_distinct(num_rows, num_pairs, num_values, generator)
    asked_at_NP = 2 * num_pairs + 2 * draw_distinct(num_rows, num_pairs, length // 2 - num_pairs, generator, power)
    if parameters["task.filler"] == "random":
        inputs_NT = torch.randint(1, 1 + num_keys + num_values, (num_rows, length), generator=generator)
    else:
        inputs_NT = torch.full((num_rows, length), BLANK)
    inputs_NT[:, : 2 * num_pairs : 2] = keys_NP
    inputs_NT[:, 1 : 2 * num_pairs : 2] = 1 + num_keys + values_NP
    inputs_NT.scatter_(1, asked_at_NP, keys_NP)
    return Batch(inputs_NT, torch.full_like(inputs_NT, NOTHING).scatter_(1, asked_at_NP, values_NP))


class Module(SymbolModule):
    """Predicts a value wherever a key comes back."""

    def examine(self, split: Batch) -> dict[str, Plain]:
        """Metrics at the training length and at the test length."""
        trained = {**self.task_parameters, "task.test_length": self.task_parameters["task.length"]}
        return examine_lengths(self, "accuracy", read_data({}, "generated", trained, ("test",)).splits["test"], split)


def baselines(data: TaskData, split: str) -> dict[str, float]:
    """Closed forms: one of all values, and one of the values that stand in the sequence, whatever their keys."""
    names = ("memoryless", "a value of the sequence")
    return {name: float(level) for name in names if isinstance(level := data.facts[name], float)}


def _check(parameters: Mapping[str, Value], shortest: int) -> None:
    num_pairs = get_int(parameters, "task.num_pairs")
    if get_int(parameters, "task.length") % 2 or get_test_length(parameters) % 2:
        raise DataError("associative_recall: task.length and task.test_length must be even, since a pair takes two steps")
    if 4 * num_pairs > shortest:
        raise DataError(
            f"associative_recall: {num_pairs} pairs and their keys need {4 * num_pairs} steps, not {shortest}; raise task.length"
        )
    for name in ("task.num_keys", "task.num_values"):
        if get_int(parameters, name) < num_pairs:
            raise DataError(f"associative_recall: {name} is {get_int(parameters, name)}, must be at least task.num_pairs, {num_pairs}")
