"""A classifier of whole sounds: features, a network, a head on its summary; and how it fares in noise."""

# Shapes: N rows, T steps, I inputs, O outputs of the network, C classes.

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from rnnbench.base.canonical import Plain
from rnnbench.base.parameters import Value
from rnnbench.base.seeds import child
from rnnbench.cells.network import RecurrentNetwork
from rnnbench.task.augment import add_noise
from rnnbench.task.module import Batch, BuildNetwork, TaskData
from rnnbench.task.sound_module import Augmented, SoundModule, is_augmented

# Of white noise over the whole sound, in dB.
NOISE_DB = (20, 10, 0)


class Module(SoundModule):
    """Classifies a sound; cross-entropy in nats."""

    @classmethod
    def build(cls, build_network: BuildNetwork, data: TaskData, parameters: Mapping[str, Value]) -> "Module":
        """One that trains on disturbed sounds where the parameters say so."""
        return (AugmentedModule if is_augmented(parameters) else cls)(build_network(data.input_size), data, parameters)

    def __init__(self, network: RecurrentNetwork, data: TaskData, parameters: Mapping[str, Value]) -> None:
        super().__init__(network, data, parameters)
        self.classes = cast(Sequence[str], data.preparation["classes"])

    def read(self, inputs_NTI: Tensor, steps_N: Tensor) -> Tensor:
        """Class scores, (N, C)."""
        outputs_NTO, _ = self.network(inputs_NTI, steps_N)
        scores_NC: Tensor = self.head(self.network.summary(outputs_NTO, steps_N))
        return scores_NC

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Mean cross-entropy."""
        return cross_entropy(outputs, batch.targets)

    def totals(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Right answers, summed cross-entropy, rows."""
        loss = cross_entropy(outputs.double(), batch.targets, reduction="sum")
        return {"right": (outputs.argmax(1) == batch.targets).sum().double(), "loss": loss, "rows": loss.new_tensor(len(batch))}

    def metrics(self, totals: Mapping[str, float]) -> dict[str, float]:
        """Accuracy in 0..1 and mean cross-entropy in nats."""
        return {"accuracy": totals["right"] / totals["rows"], "loss": totals["loss"] / totals["rows"]}

    def examine(self, split: Batch) -> dict[str, Plain]:
        """Which word is taken for which, and the accuracy when white noise is added to the sounds, the same for every model."""
        num_classes = len(self.classes)
        pairs = split.targets * num_classes + self._said(split)
        counts = pairs.bincount(minlength=num_classes**2).view(num_classes, num_classes)
        in_noise: dict[str, Plain] = {}
        for snr_db in NOISE_DB:
            generator = torch.Generator().manual_seed(child(0, "keyword_spotting", "noise", snr_db))
            said = self._said(split, snr_db, generator)
            in_noise[f"at {snr_db} dB"] = float((said == split.targets).double().mean())
        return {"confusion": {"classes": list(self.classes), "counts": counts.tolist()}, "accuracy": in_noise}

    def _said(self, split: Batch, snr_db: float | None = None, generator: torch.Generator | None = None) -> Tensor:
        """The class said of every row, (N,), in the split's order."""
        said_N = torch.empty_like(split.targets)
        for rows in self.plan_evaluation(split):
            batch = split.rows(rows)
            if snr_db is not None:
                assert batch.lengths is not None, "rows of sound have lengths"
                batch = Batch(add_noise(batch.inputs, batch.lengths, snr_db, generator), batch.targets, batch.lengths)
            said_N[rows] = self(batch).argmax(1)
        return said_N


class AugmentedModule(Augmented, Module):
    """The same, trained on sounds with noise and masks."""
