"""Baselines without a network: how likely the target's tokens are by counts, whatever the source says."""

# Shapes: M target tokens, V target vocabulary.

import numpy as np
from numpy.typing import NDArray

from rnnbench.task.module import Batch, TaskData

Numbers = NDArray[np.int64]


def baselines(data: TaskData, split: str) -> dict[str, float]:
    """Nats per target token, on a split, of a unigram model with one added count, and of an interpolated bigram model.

    Source: Witten and Bell 1991 (a history of n tokens with t different successors gives t / (n + t) to the unigram).
    """
    before_M, after_M = _bigrams(data.splits["train"])
    seen_before_M, seen_after_M = _bigrams(data.splits[split])
    size = data.output_size
    single_V = np.bincount(after_M, minlength=size) + 1.0
    single_V /= single_V.sum()
    pairs, counts = np.unique(before_M * size + after_M, return_counts=True)
    tokens_V, types_V = np.bincount(before_M, minlength=size), np.bincount(pairs // size, minlength=size)
    asked = seen_before_M * size + seen_after_M
    place = np.searchsorted(pairs, asked).clip(max=len(pairs) - 1)
    count_M = np.where(pairs[place] == asked, counts[place], 0)
    alone_M, tokens_M, types_M = single_V[seen_after_M], tokens_V[seen_before_M], types_V[seen_before_M]
    # A token that no training sentence goes on after leaves it all to the unigram.
    pair_M = np.where(tokens_M > 0, (count_M + types_M * alone_M) / np.maximum(tokens_M + types_M, 1), alone_M)
    return {"target unigram": float(-np.log(alone_M).mean()), "target bigram": float(-np.log(pair_M).mean())}


def _bigrams(split: Batch) -> tuple[Numbers, Numbers]:
    assert split.target_lengths is not None, "targets are sequences of their own"
    targets, ends = split.targets.numpy(), split.target_lengths.numpy()
    valid = np.arange(1, targets.shape[1]) < ends[:, None]
    return targets[:, :-1][valid].astype(np.int64), targets[:, 1:][valid].astype(np.int64)
