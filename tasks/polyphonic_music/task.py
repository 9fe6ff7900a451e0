"""Polyphonic music: piano rolls, one probability for each key and next frame, negative log-likelihood.

Source: Boulanger-Lewandowski et al. 2012; metric as in Bai et al. 2018, arXiv:1803.01271: the sum over 88 keys of the binary
cross-entropy, averaged over the predicted frames (2 to T of each piece) of the whole split.
"""

# Shapes: N pieces, T frames, F frames of all pieces, K = 88 keys.

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.nn.utils.rnn import pad_sequence

from rnnbench.base.canonical import Plain
from rnnbench.base.errors import ParameterError
from rnnbench.base.parameters import Value
from rnnbench.base.seeds import child
from rnnbench.cells.network import RecurrentNetwork
from rnnbench.task.module import Batch, TaskData, TaskModule
from rnnbench.task.sources import OWN
from rnnbench.task.splits import nested_rows
from rnnbench_tasks.polyphonic_music.checks import find_oddities
from rnnbench_tasks.polyphonic_music.continuation import answer
from rnnbench_tasks.polyphonic_music.pieces import Piece, read_own
from rnnbench_tasks.polyphonic_music.rolls import NUM_KEYS, draw_arpeggios, read_rolls

__all__ = ["Module", "answer", "baselines", "check_data", "read_data"]

_PIECES = {"train": 160, "validation": 40, "test": 40}
_SPLITS = ("train", "validation", "test")


def read_data(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value], splits: Sequence[str]) -> TaskData:
    """Padded pieces: frames 1 to T-1 in, frames 2 to T out.

    Raises:
        DataError: a file is damaged or holds something else.
    """
    pieces = _read_pieces(files, data, parameters, splits)
    if "train" in pieces:
        seed, fraction = parameters["data.seed"], parameters.get("data.train_fraction", 1.0)
        assert isinstance(seed, int), "checked when the sweep file was read"
        assert isinstance(fraction, float), "checked when the sweep file was read"
        used = nested_rows(len(pieces["train"]), fraction, child(seed, "polyphonic_music", "part"))
        pieces["train"] = [pieces["train"][number] for number in used.tolist()]
    batches = {name: _pad(of_split) for name, of_split in pieces.items()}
    facts = {f"{name} pieces": len(of_split) for name, of_split in pieces.items()}
    facts |= {f"{name} frames": sum(len(piece.roll) for piece in of_split) for name, of_split in pieces.items()}
    return TaskData(batches, input_size=NUM_KEYS, output_size=NUM_KEYS, facts=facts)


class Module(TaskModule):
    """One logit for each key and frame; padding counts nowhere."""

    def __init__(self, network: RecurrentNetwork, data: TaskData, parameters: Mapping[str, Value]) -> None:
        if network.bidirectional:
            raise ParameterError(
                "network.bidirectional: a network that reads backwards has heard the frame it is to predict; set it to false"
            )
        super().__init__(network, data, parameters)

    def forward(self, batch: Batch) -> Tensor:
        """Logits, (N, T, K)."""
        outputs_NTO, _ = self.network(batch.inputs.to(self.head.weight.dtype), batch.lengths)
        logits_NTK: Tensor = self.head(outputs_NTO)
        return logits_NTK

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Nats per frame, over the batch's valid frames."""
        mask_NT = batch.mask()
        logits_FK = outputs[mask_NT]
        return binary_cross_entropy_with_logits(logits_FK, batch.targets[mask_NT].to(logits_FK.dtype), reduction="sum") / mask_NT.sum()

    def loss_size(self, batch: Batch) -> Tensor:
        """Valid frames."""
        return batch.mask().sum()

    def totals(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Summed nats and frames."""
        mask_NT = batch.mask()
        nats = binary_cross_entropy_with_logits(outputs[mask_NT].double(), batch.targets[mask_NT].double(), reduction="sum")
        return {"nats": nats, "frames": mask_NT.sum().double()}

    def metrics(self, totals: Mapping[str, float]) -> dict[str, float]:
        """Nats per frame; the loss is the same number."""
        nll = totals["nats"] / totals["frames"]
        return {"nll": nll, "loss": nll}

    def examine(self, split: Batch) -> dict[str, Plain]:
        """How well the keys with a chance above one half are those that sound, over all frames; and the mean over pieces of their nll.

        Source of the accuracy: Bay et al. 2009, as in Boulanger-Lewandowski et al. 2012: hits / (hits + false alarms + misses).
        """
        hits = said = sounding = 0
        nats: list[float] = []
        for row in range(len(split)):
            piece = split.rows(torch.tensor([row]))
            logits = self(piece)
            is_said, is_sounding = logits > 0, piece.targets > 0
            hits += int((is_said & is_sounding).sum())
            said, sounding = said + int(is_said.sum()), sounding + int(is_sounding.sum())
            nats.append(self.metrics({name: float(total) for name, total in self.totals(logits, piece).items()})["nll"])
        return {
            "frame accuracy": hits / max(said + sounding - hits, 1),
            "precision": hits / max(said, 1),
            "recall": hits / max(sounding, 1),
            "nll, mean over pieces": sum(nats) / len(nats),
        }


def baselines(data: TaskData, split: str) -> dict[str, float]:
    """Nats per frame, on a split, of each key's frequency, and of each key given its own last value; both with one added count."""
    train, judged = data.splits["train"], data.splits[split]
    before_FK, after_FK = train.inputs[train.mask()].float(), train.targets[train.mask()].float()
    share_K = (after_FK.sum(0) + 1) / (len(after_FK) + 2)
    on_K = ((before_FK * after_FK).sum(0) + 1) / (before_FK.sum(0) + 2)
    off_K = (((1 - before_FK) * after_FK).sum(0) + 1) / ((1 - before_FK).sum(0) + 2)
    last_FK, next_FK = judged.inputs[judged.mask()], judged.targets[judged.mask()]
    return {
        "key frequency": _nats(share_K.expand(next_FK.shape), next_FK),
        "each key given its own last value": _nats(torch.where(last_FK > 0, on_K, off_K), next_FK),
    }


def check_data(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value]) -> list[str]:
    """Pieces that are in it twice, pieces without a note, keys that are never trained, and much padding."""
    return find_oddities(_read_pieces(files, data, parameters, _SPLITS))


def _read_pieces(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value], splits: Sequence[str]) -> dict[str, list[Piece]]:
    seed = parameters["data.seed"]
    assert isinstance(seed, int), "checked when the sweep file was read"
    if data.startswith(OWN):
        return read_own(files, child(seed, "polyphonic_music", "split"), splits)
    if data == "arpeggios":
        rolls = {name: draw_arpeggios(_PIECES[name], child(seed, "arpeggios", name)) for name in splits}
    else:
        rolls = read_rolls(next(iter(files.values())), splits)
    return {name: [Piece(f"piece {number}", roll) for number, roll in enumerate(of_split, 1)] for name, of_split in rolls.items()}


def _nats(probability_FK: Tensor, truth_FK: Tensor) -> float:
    likelihood = torch.where(truth_FK > 0, probability_FK, 1 - probability_FK)
    return float(-likelihood.double().log().sum() / len(truth_FK))


def _pad(pieces: Sequence[Piece]) -> Batch:
    """Whole pieces once, as bytes: inputs and targets are two views of them, since a set of long pieces is large."""
    frames_NTK = pad_sequence([torch.from_numpy(piece.roll) for piece in pieces], batch_first=True)
    return Batch(frames_NTK[:, :-1], frames_NTK[:, 1:], torch.tensor([len(piece.roll) - 1 for piece in pieces]))
