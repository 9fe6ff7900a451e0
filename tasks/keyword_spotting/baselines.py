"""What can be said of a sound without its order: classifiers on mean and deviation of each feature."""

# Shapes: N rows, T frames, I features of a frame.

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from rnnbench.task.features import Features
from rnnbench.task.module import Batch, TaskData
from rnnbench.task.sound_module import EVALUATION_ROWS, kept_features

# More rows do not change a linear model in the second digit, and it stays a matter of seconds.
BASELINE_ROWS = 10_000


def find_baselines(data: TaskData, split: str) -> dict[str, float]:
    """Accuracy, on a split, of the commonest class, of the nearest class mean, and of logistic regression."""
    train, judged = data.splits["train"], data.splits[split]
    features = kept_features(data.preparation)
    truth = judged.targets.numpy()
    found = {"majority class": float((truth == int(train.targets.bincount().argmax())).mean())}
    part = train.rows(torch.arange(min(len(train), BASELINE_ROWS)))
    seen, known = summarise(features, part), part.targets.numpy()
    if len(set(known)) > 1:
        asked = summarise(features, judged)
        for name, model in (("nearest class mean", NearestCentroid()), ("logistic regression", LogisticRegression(max_iter=1000))):
            scaled = make_pipeline(StandardScaler(), model)
            scaled.fit(seen, known)
            found[name] = float(scaled.score(asked, truth))
    return found


def summarise(features: Features, split: Batch) -> NDArray[np.float32]:
    """Mean and deviation of each feature over a sound's frames, (N, 2 I)."""
    assert split.lengths is not None, "rows of sound have lengths"
    found = []
    for rows in torch.arange(len(split)).split(EVALUATION_ROWS):
        batch = split.rows(rows)
        assert batch.lengths is not None, "rows of sound have lengths"
        frames_NTI, frames_N = features.frames(batch.inputs, batch.lengths)
        valid_NT1 = (torch.arange(frames_NTI.shape[1]) < frames_N.unsqueeze(1)).unsqueeze(-1)
        mean_NI = (frames_NTI * valid_NT1).sum(1) / frames_N.unsqueeze(1)
        square_NI = (frames_NTI.square() * valid_NT1).sum(1) / frames_N.unsqueeze(1)
        found.append(torch.cat([mean_NI, (square_NI - mean_NI.square()).clamp_min(0).sqrt()], dim=1))
    return torch.cat(found).numpy()
