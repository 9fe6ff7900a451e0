"""Polyphonic music: piano rolls, one probability for each key and next frame, negative log-likelihood.

Source: Boulanger-Lewandowski et al. 2012; metric as in Bai et al. 2018, arXiv:1803.01271: the sum over 88 keys of the binary
cross-entropy, averaged over the predicted frames (2 to T of each piece) of the whole split.
"""

# Shapes: N pieces, T frames, K = 88 keys.

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.nn.utils.rnn import pad_sequence

from rnnbench.base.parameters import Value
from rnnbench.base.seeds import child
from rnnbench.task.module import Batch, TaskData, TaskModule
from rnnbench_tasks.polyphonic_music.rolls import NUM_KEYS, draw_arpeggios, read_rolls

_PIECES = {"train": 160, "validation": 40, "test": 40}


def read_data(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value], splits: Sequence[str]) -> TaskData:
    """Padded pieces: frames 1 to T-1 in, frames 2 to T out.

    Raises:
        DataError: a .mat file is damaged or holds something else.
    """
    if data == "arpeggios":
        seed = parameters["data.seed"]
        assert isinstance(seed, int), "checked when the sweep file was read"
        rolls = {name: draw_arpeggios(_PIECES[name], child(seed, "arpeggios", name)) for name in splits}
    else:
        rolls = read_rolls(next(iter(files.values())), splits)
    batches = {name: _pad(pieces) for name, pieces in rolls.items()}
    facts = {f"{name} pieces": len(pieces) for name, pieces in rolls.items()}
    facts |= {f"{name} frames": sum(map(len, pieces)) for name, pieces in rolls.items()}
    return TaskData(batches, input_size=NUM_KEYS, output_size=NUM_KEYS, facts=facts)


class Module(TaskModule):
    """One logit for each key and frame; padding counts nowhere."""

    def forward(self, batch: Batch) -> Tensor:
        """Logits, (N, T, K)."""
        outputs_NTO, _ = self.network(batch.inputs, batch.lengths)
        logits_NTK: Tensor = self.head(outputs_NTO)
        return logits_NTK

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Nats per frame, over the batch's valid frames."""
        mask_NT = batch.mask()
        return binary_cross_entropy_with_logits(outputs[mask_NT], batch.targets[mask_NT], reduction="sum") / mask_NT.sum()

    def totals(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Summed nats and frames."""
        mask_NT = batch.mask()
        nats = binary_cross_entropy_with_logits(outputs[mask_NT].double(), batch.targets[mask_NT].double(), reduction="sum")
        return {"nats": nats, "frames": mask_NT.sum().double()}

    def metrics(self, totals: Mapping[str, float]) -> dict[str, float]:
        """Nats per frame; the loss is the same number."""
        nll = totals["nats"] / totals["frames"]
        return {"nll": nll, "loss": nll}


def baselines(data: TaskData) -> dict[str, float]:
    """Validation nats per frame of each key's frequency, and of each key given its own last value; both with one added count."""
    train, validation = data.splits["train"], data.splits["validation"]
    before_FK, after_FK = train.inputs[train.mask()], train.targets[train.mask()]
    share_K = (after_FK.sum(0) + 1) / (len(after_FK) + 2)
    on_K = ((before_FK * after_FK).sum(0) + 1) / (before_FK.sum(0) + 2)
    off_K = (((1 - before_FK) * after_FK).sum(0) + 1) / ((1 - before_FK).sum(0) + 2)
    last_FK, next_FK = validation.inputs[validation.mask()], validation.targets[validation.mask()]
    return {
        "key frequency": _nats(share_K.expand_as(next_FK), next_FK),
        "each key given its own last value": _nats(torch.where(last_FK > 0, on_K, off_K), next_FK),
    }


def _nats(probability_FK: Tensor, truth_FK: Tensor) -> float:
    likelihood = torch.where(truth_FK > 0, probability_FK, 1 - probability_FK)
    return float(-likelihood.double().log().sum() / len(truth_FK))


def _pad(pieces: Sequence[NDArray[np.float32]]) -> Batch:
    rolls = [torch.from_numpy(piece) for piece in pieces]
    inputs_NTK = pad_sequence([roll[:-1] for roll in rolls], batch_first=True)
    targets_NTK = pad_sequence([roll[1:] for roll in rolls], batch_first=True)
    return Batch(inputs_NTK, targets_NTK, torch.tensor([len(roll) - 1 for roll in rolls]))
