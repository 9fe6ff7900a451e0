"""What is reached without a recurrent network: the commonest class, and naive Bayes over counted words, or over parts of words."""

# Shapes: N rows.

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB

from rnnbench.task.module import Batch, TaskData
from rnnbench.task.text import UNKNOWN
from rnnbench_tasks.text_classification.preparation import Preparation

# Parts of words are many: of a large set these rows give them within seconds.
PART_ROWS = 10_000

Classes = NDArray[np.int64]


def find_baselines(data: TaskData, split: str) -> dict[str, float]:
    """Accuracy of both on a split.

    Words are those that the network gets: of texts that are cut, without rare tokens. Where it reads characters, there is also naive Bayes
    over one to three of them in a row, learned from at most PART_ROWS rows.
    """
    train, judged = data.splits["train"], data.splits[split]
    said, truth = train.targets.numpy(), judged.targets.numpy()
    codec = Preparation.from_plain(data.preparation).codec
    texts, tested = ([codec.decode(row) for row in _known_tokens(part)] for part in (train, judged))
    commonest = train.targets.bincount().argmax()
    found = {
        "majority class": float((judged.targets == commonest).double().mean()),
        "naive Bayes over words": naive_bayes(CountVectorizer(), texts, said, tested, truth),
    }
    if codec.to_plain()["kind"] == "char":
        parts = CountVectorizer(analyzer="char_wb", ngram_range=(1, 3))
        # Rows may be sorted by class.
        some = np.random.default_rng(0).permutation(len(texts))[:PART_ROWS]
        found["naive Bayes over 1 to 3 characters"] = naive_bayes(parts, [texts[row] for row in some], said[some], tested, truth)
    return found


def naive_bayes(counter: CountVectorizer, texts: Sequence[str], said: Classes, tested: Sequence[str], truth: Classes) -> float:
    """Accuracy of multinomial naive Bayes with one added count over what is counted in the training texts, in lower case.

    Source: McCallum and Nigam 1998, "A comparison of event models for naive Bayes text classification".
    """
    try:
        counts = counter.fit_transform(texts)
    except ValueError:  # not a single word in all training texts: nothing is left but the commonest class
        return float((truth == np.bincount(said).argmax()).mean())
    return float(MultinomialNB().fit(counts, said).score(counter.transform(tested), truth))


def _known_tokens(split: Batch) -> list[list[int]]:
    lengths = split.mask().sum(1).tolist()
    return [[number for number in row[:length] if number != UNKNOWN] for row, length in zip(split.inputs.tolist(), lengths, strict=True)]
