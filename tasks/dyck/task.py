"""Dyck-(k, m): generated brackets, the next one at every step, whether it is known which one may close.

Source: Hewitt et al. 2020, arXiv:2010.07515: a closing bracket is known where it has more than 0.8 of the chance of all closing ones.
"""

# Shapes: N rows, T steps, K = k kinds, C = 2k + 1 classes (opening, closing, end).

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from rnnbench.base.canonical import Plain
from rnnbench.base.errors import DataError
from rnnbench.base.parameters import Value
from rnnbench.cells.network import RecurrentNetwork
from rnnbench.task.memory import NOTHING, SymbolModule, draw_splits, examine_lengths, get_int, refuse_both_directions
from rnnbench.task.module import Batch, TaskData
from rnnbench_tasks.dyck.brackets import draw_sentences

KNOWN = 0.8
# Distances with fewer open brackets than this say nothing about the worst one.
_FEW = 100
_TRAINING, _TEST = ("task.min_length", "task.max_length"), ("task.test_min_length", "task.test_max_length")


def read_data(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value], splits: Sequence[str]) -> TaskData:
    """Generated brackets; the test split has lengths of its own.

    Raises:
        DataError: a shortest length is above its longest, or there are too few different sentences.
    """
    num_kinds, max_depth = get_int(parameters, "task.num_kinds"), get_int(parameters, "task.max_depth")
    trained, tested = _range(parameters, _TRAINING), _range(parameters, _TEST)

    def draw(name: str, num_rows: int, generator: torch.Generator) -> Batch:
        return draw_sentences(num_rows, num_kinds, max_depth, tested if name == "test" else trained, generator)

    batches = draw_splits("dyck", parameters, splits, draw)
    facts = {f"{name} rows": len(batch) for name, batch in batches.items()}
    facts |= {f"{name} brackets": int(batch.mask().sum()) for name, batch in batches.items()}
    size = 2 * num_kinds
    return TaskData(batches, input_size=size, output_size=size + 1, facts={**facts, "memoryless": memoryless(num_kinds)})


def memoryless(num_kinds: int) -> float:
    """Share of closing brackets known, behind inner ones, to what sees only the last bracket: it can but be sure of one of k kinds."""
    return 1 / num_kinds


class Module(SymbolModule):
    """Predicts the next bracket, or the end, at every step."""

    def __init__(self, network: RecurrentNetwork, data: TaskData, parameters: Mapping[str, Value]) -> None:
        refuse_both_directions(network, "the next bracket")
        super().__init__(network, data, parameters)

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Mean cross-entropy of what comes next."""
        return cross_entropy(outputs.flatten(0, 1), batch.targets[..., 0].flatten(), ignore_index=NOTHING)

    def loss_size(self, batch: Batch) -> Tensor:
        """Steps that something comes next to."""
        return (batch.targets[..., 0] != NOTHING).sum()

    def totals(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Known and due closing brackets behind inner ones, nats and steps."""
        next_NT, due_NT, ago_NT = batch.targets.unbind(2)
        nats = cross_entropy(outputs.double().flatten(0, 1), next_NT.flatten(), ignore_index=NOTHING, reduction="sum")
        is_far_NT = (due_NT != NOTHING) & (ago_NT > 0)
        known = (_is_known(outputs, due_NT) & is_far_NT).sum()
        return {"known": known.double(), "due": is_far_NT.sum().double(), "nats": nats, "steps": (next_NT != NOTHING).sum().double()}

    def metrics(self, totals: Mapping[str, float]) -> dict[str, float]:
        """Share of known closing brackets, and cross-entropy in nats per step."""
        return {"closing_accuracy": totals["known"] / max(totals["due"], 1.0), "loss": totals["nats"] / totals["steps"]}

    def examine(self, split: Batch) -> dict[str, Plain]:
        """Metrics by length, and how many closing brackets are known at each distance from their opening ones."""
        as_trained = {test: self.task_parameters[train] for test, train in zip(_TEST, _TRAINING, strict=True)}
        trained = read_data({}, "generated", {**self.task_parameters, **as_trained}, ("test",)).splits["test"]
        known, every = self._by_distance(split)
        often = [distance for distance in range(1, len(every)) if every[distance] >= _FEW]
        shares = {f"{distance} steps": float(known[distance] / every[distance]) for distance in often}
        found = {"closing_accuracy at the worst distance": min(shares.values()), "closing_accuracy by distance": shares} if shares else {}
        return {**examine_lengths(self, "closing_accuracy", trained, split), **found}

    def _by_distance(self, split: Batch) -> tuple[Tensor, Tensor]:
        """At each distance how many closing brackets are known, and how many are due."""
        known, every = torch.zeros(split.inputs.shape[1]), torch.zeros(split.inputs.shape[1])
        for rows in self.plan_evaluation(split):
            batch = split.rows(rows)
            _, due_NT, ago_NT = batch.targets.unbind(2)
            is_known_NT = _is_known(self(batch), due_NT)
            every += ago_NT[due_NT != NOTHING].bincount(minlength=len(every))
            known += ago_NT[(due_NT != NOTHING) & is_known_NT].bincount(minlength=len(known))
        return known, every


def baselines(data: TaskData, split: str) -> dict[str, float]:
    """The closed form, and the counted successors of each bracket: of the closing ones it always has the commonest, if that is enough."""
    level = data.facts["memoryless"]
    assert isinstance(level, float), "read_data wrote it"
    train, judged = data.splits["train"], data.splits[split]
    counts_SC = torch.ones(data.input_size, data.output_size)
    is_step_NT = train.mask()
    places = train.inputs[is_step_NT], train.targets[..., 0][is_step_NT]
    counts_SC.index_put_(places, torch.ones(len(places[0])), accumulate=True)
    scores_NTC = counts_SC.log()[judged.inputs]
    _, due_NT, ago_NT = judged.targets.unbind(2)
    is_far_NT = (due_NT != NOTHING) & (ago_NT > 0)
    known = (_is_known(scores_NTC, due_NT) & is_far_NT).sum() / is_far_NT.sum()
    return {"memoryless": level, "counted successors of the last bracket": float(known)}


def _is_known(scores_NTC: Tensor, due_NT: Tensor) -> Tensor:
    """Where the closing bracket that is due has more than KNOWN of the chance of all closing ones, (N, T)."""
    num_kinds = scores_NTC.shape[2] // 2
    chance_NTK = scores_NTC[..., num_kinds : 2 * num_kinds].double().softmax(dim=2)
    place_NT1 = (due_NT - num_kinds).clamp_min(0).unsqueeze(2)
    is_known_NT: Tensor = chance_NTK.gather(2, place_NT1).squeeze(2) > KNOWN
    return is_known_NT


def _range(parameters: Mapping[str, Value], names: tuple[str, str]) -> tuple[int, int]:
    shortest, longest = (get_int(parameters, name) for name in names)
    if shortest > longest:
        raise DataError(f"dyck: {names[0]} is {shortest} and {names[1]} {longest}; the shortest must not be above the longest")
    return shortest, longest
