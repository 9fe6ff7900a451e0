"""Counts of tokens and of pairs of tokens as language models: what a network must beat."""

# Shapes: V vocabulary, F tokens of a text.

from typing import cast

import numpy as np
from numpy.typing import NDArray

from rnnbench.task.module import TaskData
from rnnbench_tasks.language_modelling.windows import NOTHING, Windows

# The share that a bigram's own frequency has beside the unigram.
BIGRAM_SHARE = 0.95

Tokens = NDArray[np.int64]
Chances = NDArray[np.float64]


def count_baselines(data: TaskData, split: str) -> dict[str, float]:
    """Nats per token of a split's text, for models counted on the training text.

    Returns:
        unigram: (c(w) + 1) / (F + V).
        bigram: 0.95 c(vw) / c(v) + 0.05 unigram(w); behind a token that was never followed by any, the unigram alone.
        bigram, Kneser-Ney: interpolated, with one discount D = n1 / (n1 + 2 n2) from the numbers of pairs seen once and twice, and of
            the numbers of different tokens before w the share of w with one added count.
            Source: Chen and Goodman 1999, Computer Speech and Language 13, 359-394.
    """
    before, after = _pairs(cast(Windows, data.splits["train"]))
    last, following = _pairs(cast(Windows, data.splits[split]))
    size = data.output_size
    unigram_V = (np.bincount(after, minlength=size) + 1) / (len(after) + size)
    pairs, counts = np.unique(before * size + after, return_counts=True)
    place = np.minimum(np.searchsorted(pairs, last * size + following), len(pairs) - 1)
    count_F = np.where(pairs[place] == last * size + following, counts[place], 0)
    total_F = np.bincount(before, minlength=size)[last]
    seen_F = np.maximum(total_F, 1)
    bigram_F = np.where(total_F > 0, BIGRAM_SHARE * count_F / seen_F + (1 - BIGRAM_SHARE) * unigram_V[following], unigram_V[following])
    contexts_V = np.bincount(pairs % size, minlength=size)
    lower_F = ((contexts_V + 1) / (len(pairs) + size))[following]
    once, twice = int((counts == 1).sum()), int((counts == 2).sum())
    discount = once / (once + 2 * twice) if once else 0.5
    left_F = discount * np.bincount(pairs // size, minlength=size)[last] / seen_F
    kneser_ney_F = np.where(total_F > 0, np.maximum(count_F - discount, 0) / seen_F + left_F * lower_F, lower_F)
    found = {"unigram": unigram_V[following], "bigram": bigram_F, "bigram, Kneser-Ney": kneser_ney_F}
    return {name: float(-np.log(chance_F).mean()) for name, chance_F in found.items()}


def _pairs(text: Windows) -> tuple[Tokens, Tokens]:
    """Each token of a text, and the one before it."""
    valid = text.targets != NOTHING
    return text.inputs[valid].long().numpy(), text.targets[valid].long().numpy()
