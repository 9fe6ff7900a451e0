"""Generated memory problems: splits that share no sequence, symbols read one-hot, a class asked at some steps, metrics by length."""

# Shapes: N rows, T steps, S symbols, C classes.

import math
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from rnnbench.base.canonical import Plain
from rnnbench.base.errors import DataError, ParameterError
from rnnbench.base.parameters import Value
from rnnbench.base.seeds import child
from rnnbench.cells.network import RecurrentNetwork
from rnnbench.task.module import Batch, TaskData, TaskModule
from rnnbench.task.splits import nested_rows

# The target of a step that asks for nothing: what torch's cross-entropy passes over.
NOTHING = -100
# What stands behind a row's end, so that it is no symbol; indexing takes it for the last one, and nothing there counts.
PADDING = -1
# Rows of the validation and of the test split: a share of 1/2 found by chance has a standard error of 0.011.
EVALUATED_ROWS = 2000
BUCKETS = 6
_SPLITS = ("train", "validation", "test")
# Rows are drawn again where they were in a split before; a problem with too few sequences would be drawn for ever.
_MAX_ROUNDS = 100

Draw = Callable[[str, int, torch.Generator], Batch]


def get_int(parameters: Mapping[str, Value], name: str) -> int:
    """A whole number among resolved parameters."""
    value = parameters[name]
    assert isinstance(value, int), "checked when the sweep file was read"
    return value


def get_test_length(parameters: Mapping[str, Value]) -> int:
    """`task.test_length`; where it is null, twice `task.length`."""
    return 2 * get_int(parameters, "task.length") if parameters["task.test_length"] is None else get_int(parameters, "task.test_length")


def draw_splits(task: str, parameters: Mapping[str, Value], splits: Sequence[str], draw: Draw) -> dict[str, Batch]:
    """The asked splits, each from a random stream of its own; no sequence of one is in another.

    `task.num_train` rows to train on, of which `data.train_fraction` is kept, and EVALUATED_ROWS for each other split.

    Args:
        draw: So many rows of a split, of one width; those that an earlier split has are drawn again.
    Raises:
        DataError: there are too few different sequences.
    """
    num_train, seed = get_int(parameters, "task.num_train"), get_int(parameters, "data.seed")
    last = max(_SPLITS.index(name) for name in splits)
    seen: set[bytes] = set()
    found: dict[str, Batch] = {}
    for name in _SPLITS[: last + 1]:
        generator = torch.Generator().manual_seed(child(seed, task, name))
        batch = _draw_unseen(task, name, num_train if name == "train" else EVALUATED_ROWS, seen, draw, generator)
        seen.update(_digests(batch))
        if name in splits:
            found[name] = batch
    if "train" in found:
        fraction = parameters["data.train_fraction"]
        assert isinstance(fraction, float), "checked when the sweep file was read"
        found["train"] = found["train"].rows(torch.from_numpy(nested_rows(num_train, fraction, child(seed, task, "part"))))
    return found


def _draw_unseen(task: str, name: str, num_rows: int, seen: set[bytes], draw: Draw, generator: torch.Generator) -> Batch:
    parts: list[Batch] = []
    missing = num_rows
    for _ in range(_MAX_ROUNDS):
        batch = draw(name, missing, generator)
        fresh = [row for row, digest in enumerate(_digests(batch)) if digest not in seen] if seen else range(missing)
        parts.append(_take(batch, torch.tensor(fresh, dtype=torch.int64)))
        missing -= len(fresh)
        if missing == 0:
            return _join(parts)
    raise DataError(
        f"{task}: too few different sequences for {num_rows} rows of the {name} split beside the others; make them longer, "
        "or lower task.num_train"
    )


def _digests(batch: Batch) -> list[bytes]:
    """A fingerprint of each row's valid steps."""
    rows = batch.inputs.to(torch.int16).numpy()
    lengths = [rows.shape[1]] * len(rows) if batch.lengths is None else batch.lengths.tolist()
    return [blake2b(row[:length].tobytes(), digest_size=16).digest() for row, length in zip(rows, lengths, strict=True)]


def _take(batch: Batch, index: Tensor) -> Batch:
    """Some rows, not cut, so that parts can be joined."""
    return Batch(batch.inputs[index], batch.targets[index], None if batch.lengths is None else batch.lengths[index])


def _join(parts: Sequence[Batch]) -> Batch:
    lengths = [part.lengths for part in parts if part.lengths is not None]
    joined = torch.cat(lengths) if lengths else None
    return Batch(torch.cat([part.inputs for part in parts]), torch.cat([part.targets for part in parts]), joined)


def draw_distinct(num_rows: int, num_drawn: int, num_values: int, generator: torch.Generator, power: float = 1.0) -> Tensor:
    """Numbers from 0 to num_values - 1, in each row all different, in the order in which they were drawn: (N, num_drawn).

    Args:
        power: The chance of place x, from 1, is as x ** (power - 1): at 1 all are alike, towards 0 the first are likelier.
    """
    weight = torch.arange(1, num_values + 1, dtype=torch.float64).pow(power - 1)
    # The largest of weight ** u with Gumbel noise are draws without replacement, one after the other (Efraimidis and Spirakis 2006).
    noise = torch.rand(num_rows, num_values, generator=generator, dtype=torch.float64).clamp_min(1e-300).log().neg().log().neg()
    drawn: Tensor = (weight.log() + noise).topk(num_drawn, dim=1).indices
    return drawn


class SymbolModule(TaskModule):
    """Reads symbols one-hot and gives class scores at every step; only steps whose target is not NOTHING count."""

    one_hot_SS: Tensor

    def __init__(self, network: RecurrentNetwork, data: TaskData, parameters: Mapping[str, Value]) -> None:
        super().__init__(network, data, parameters)
        self.register_buffer("one_hot_SS", torch.eye(data.input_size), persistent=False)

    def forward(self, batch: Batch) -> Tensor:
        """Class scores, (N, T, C)."""
        outputs_NTO, _ = self.network(self.one_hot_SS[batch.inputs], batch.lengths)
        scores_NTC: Tensor = self.head(outputs_NTO)
        return scores_NTC

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Mean cross-entropy over the steps that ask for something."""
        return cross_entropy(outputs.flatten(0, 1), batch.targets.flatten(), ignore_index=NOTHING)

    def loss_size(self, batch: Batch) -> Tensor:
        """Steps that ask for something."""
        return (batch.targets != NOTHING).sum()

    def totals(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Right answers, rows without a wrong one, summed cross-entropy, answers, rows."""
        return answer_totals(outputs, batch.targets)

    def metrics(self, totals: Mapping[str, float]) -> dict[str, float]:
        """Share of right answers, share of sequences without a wrong one, and mean cross-entropy in nats."""
        return {
            "accuracy": totals["right"] / totals["asked"],
            "whole_sequences": totals["whole"] / totals["rows"],
            "loss": totals["nats"] / totals["asked"],
        }


def answer_totals(scores_NTC: Tensor, targets_NT: Tensor) -> dict[str, Tensor]:
    """Sums over the steps that ask for something, in float64."""
    asked_NT = targets_NT != NOTHING
    right_NT = (scores_NTC.argmax(dim=2) == targets_NT) & asked_NT
    nats = cross_entropy(scores_NTC.double().flatten(0, 1), targets_NT.flatten(), ignore_index=NOTHING, reduction="sum")
    whole = (right_NT.sum(1) == asked_NT.sum(1)).sum()
    sums = {"right": right_NT.sum(), "whole": whole, "nats": nats, "asked": asked_NT.sum(), "rows": nats.new_tensor(len(targets_NT))}
    return {name: total.double() for name, total in sums.items()}


def refuse_both_directions(network: RecurrentNetwork, asked: str) -> None:
    """For a task whose answers stand in its own later inputs.

    Args:
        asked: What is predicted, in words.
    Raises:
        ParameterError: the network reads backwards too.
    """
    if network.bidirectional:
        raise ParameterError(
            f"network.bidirectional: a network that reads backwards has seen {asked} that it is to predict; set it to false"
        )


def examine_lengths(module: TaskModule, metric: str, trained: Batch, tested: Batch) -> dict[str, Plain]:
    """All metrics at the training length, and one for each bucket of similar lengths of both.

    Args:
        trained: Rows of the training length that are not trained on.
        tested: Rows of the test length.
    """
    at_training = {f"{name} at the training length": value for name, value in _measure(module, trained, np.arange(len(trained))).items()}
    return {**at_training, f"{metric} by length": {**_by_length(module, metric, trained), **_by_length(module, metric, tested)}}


def _by_length(module: TaskModule, metric: str, split: Batch) -> dict[str, float]:
    lengths = np.full(len(split), split.inputs.shape[1]) if split.lengths is None else split.lengths.numpy()
    # Lowest length of each bucket; about as many rows in each, and all rows of one length in one.
    starts = np.unique(np.quantile(lengths, np.linspace(0, 1, BUCKETS + 1)[:-1], method="lower"))
    found = {}
    for start, end in zip(starts, [*starts[1:], math.inf], strict=True):
        rows = np.flatnonzero((lengths >= start) & (lengths < end))
        first, last = lengths[rows].min(), lengths[rows].max()
        found[f"{first} steps" if first == last else f"{first} to {last} steps"] = _measure(module, split, rows)[metric]
    return found


def _measure(module: TaskModule, split: Batch, rows: NDArray[np.int64]) -> dict[str, float]:
    part = split.rows(torch.from_numpy(rows))
    totals: dict[str, float] = {}
    for index in module.plan_evaluation(part):
        batch = part.rows(index)
        for name, total in module.totals(module(batch), batch).items():
            totals[name] = totals.get(name, 0.0) + float(total)
    return module.metrics(totals)
