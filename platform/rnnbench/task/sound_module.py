"""What tasks of sound share: a module whose network reads features that it makes of samples, so that noise can be added to the sound."""

# Shapes: N rows, T steps, I inputs.

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from rnnbench.base.canonical import Plain
from rnnbench.base.parameters import Value
from rnnbench.cells.network import RecurrentNetwork
from rnnbench.task.augment import add_noise, hide_parts
from rnnbench.task.feature_settings import FeatureSettings
from rnnbench.task.features import Features, learn_scales
from rnnbench.task.module import Batch, TaskData, TaskModule

# Sounds are long rows: fewer at once than of others.
EVALUATION_ROWS = 128


def prepare_features(settings: FeatureSettings, train: Batch | None) -> dict[str, Plain]:
    """The part of a preparation that `SoundModule` reads: settings, and scales learned from the training rows if they are there."""
    scales: tuple[list[float], list[float]] = ([], [])
    if train is not None:
        assert train.lengths is not None, "rows of sound have lengths"
        scales = learn_scales(settings, train.inputs, train.lengths)
    return {"features": settings.to_plain(), "mean": cast(Plain, scales[0]), "scale": cast(Plain, scales[1])}


def kept_features(preparation: Mapping[str, Plain]) -> Features:
    """The features of a preparation."""
    settings: Any = preparation["features"]
    return Features(FeatureSettings(**settings), cast(Sequence[float], preparation["mean"]), cast(Sequence[float], preparation["scale"]))


def is_augmented(parameters: Mapping[str, Value]) -> bool:
    """Whether something is done to sounds in training."""
    return bool(parameters.get("task.masks")) or parameters.get("task.noise_from_db") is not None


class SoundModule(TaskModule):
    """Reads rows of samples (or of given features); a task overrides `read`, not `forward`."""

    def __init__(self, network: RecurrentNetwork, data: TaskData, parameters: Mapping[str, Value]) -> None:
        super().__init__(network, data, parameters)
        self.features = kept_features(data.preparation)

    def forward(self, batch: Batch) -> Tensor:
        """What `read` gives for the features of the batch's sound."""
        assert batch.lengths is not None, "rows of sound have lengths"
        return self.read(*self.features(batch.inputs, batch.lengths))

    def read(self, inputs_NTI: Tensor, steps_N: Tensor) -> Tensor:
        """The head's outputs for features."""
        raise TypeError(f"{type(self).__name__} has no read")

    def plan_evaluation(self, split: Batch) -> Sequence[Tensor]:
        """Rows of similar length together: less padding."""
        assert split.lengths is not None, "rows of sound have lengths"
        batches: Sequence[Tensor] = split.lengths.argsort(stable=True).split(EVALUATION_ROWS)
        return batches


class Augmented(SoundModule):
    """Trains on sound with noise and on features with masks; put in front of a task's module.

    Its random numbers come from torch's default stream, which is the trial's own; so such trials train one by one.
    """

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of one batch of disturbed sounds."""
        chosen: Any = self.task_parameters
        rows, lengths_N = batch.inputs, batch.lengths
        assert lengths_N is not None, "rows of sound have lengths"
        settings = self.features.settings
        if chosen["task.noise_from_db"] is not None and settings.kind != "given":
            low, high = chosen["task.noise_from_db"], chosen["task.noise_to_db"]
            rows = add_noise(rows, lengths_N, low + (high - low) * torch.rand(len(rows), device=rows.device))
        frames_NTI, frames_N = self.features.frames(rows, lengths_N)
        if chosen["task.masks"]:
            shares = chosen["task.time_mask"], chosen["task.band_mask"]
            frames_NTI = hide_parts(frames_NTI, frames_N, settings.num_bands, chosen["task.masks"], *shares)
        return self.loss(self.read(*self.features.stacked(frames_NTI, frames_N)), batch)
