"""From a data set's files to the splits of a trial: rows, splits, the part that is trained on, vocabulary, token numbers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rnnbench.base.canonical import Plain
from rnnbench.base.parameters import Value
from rnnbench.base.seeds import child
from rnnbench.task.module import Batch, TaskData
from rnnbench.task.sources import OWN
from rnnbench.task.splits import nested_rows
from rnnbench.task.text import UNKNOWN, TokenKind
from rnnbench_tasks.text_classification.corpora import read_corpus
from rnnbench_tasks.text_classification.opinions import draw_opinions
from rnnbench_tasks.text_classification.own import read_own
from rnnbench_tasks.text_classification.preparation import Preparation, sort_classes
from rnnbench_tasks.text_classification.rows import Row, get_float, get_int, require_labels
from rnnbench_tasks.text_classification.splitting import assign_splits

# Of the 7600 rows of the official test file, where it serves alone.
_AG_TEST = {"train": 6000 / 7600, "validation": 800 / 7600, "test": 800 / 7600}


@dataclass(frozen=True)
class Corpus:
    """All rows of a data set.

    Attributes:
        splits: Row numbers of each split, the training split whole.
        how: How the splits came about.
        tokens: What it is read as where `data.tokens` is null.
    """

    rows: Sequence[Row]
    splits: Mapping[str, Sequence[int]]
    how: str
    tokens: TokenKind = "word"


def read_rows(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value]) -> Corpus:
    """Every row, and which split it is in.

    Raises:
        DataError: a file or row cannot be used.
    """
    seed = get_int(parameters, "data.seed")
    if data.startswith(OWN):
        rows = read_own(files, parameters)
    elif data == "opinions":
        rows = draw_opinions(child(seed, "text_classification", "opinions"))
    else:
        rows = read_corpus(files, data)
    require_labels(rows)
    splits, how = assign_splits(rows, child(seed, "text_classification", "splits"), _AG_TEST if data == "ag_news_test" else None)
    how = "generated with the texts, by data.seed" if data == "opinions" else how
    return Corpus(rows, splits, how, "char" if data == "surnames" else "word")


def prepare(corpus: Corpus, parameters: Mapping[str, Value], splits: Sequence[str]) -> TaskData:
    """The asked splits; the vocabulary comes from the part of the training split that is used, the classes from all rows.

    Raises:
        DataError: the training texts hold no usable token.
    """
    used = _used(corpus, parameters)
    classes = sort_classes([row.label for row in corpus.rows])
    trained = [corpus.rows[number] for number in used]
    prepared = Preparation.learn([row.text for row in trained], classes, parameters, f"{trained[0].where} and so on", corpus.tokens)
    batches: dict[str, Batch] = {}
    facts: dict[str, Plain] = {"splits": corpus.how, "classes": ", ".join(classes), "vocabulary": len(prepared.codec.tokens)}
    for name in splits:
        rows = trained if name == "train" else [corpus.rows[number] for number in corpus.splits[name]]
        inputs, lengths, num_cut = prepared.encode([row.text for row in rows])
        batch = batches[name] = Batch(inputs, prepared.number([row.label for row in rows]), lengths)
        unknown = int(((inputs == UNKNOWN) & batch.mask()).sum()) / int(lengths.sum())
        facts |= {f"{name} rows": len(rows), f"{name} unknown tokens": round(unknown, 4), f"{name} texts cut": num_cut}
    repeated = sum(count - 1 for count in Counter(row.key() for row in corpus.rows).values())
    facts |= {"most tokens of a text": prepared.max_tokens, "rows that repeat a text": repeated}
    return TaskData(batches, len(prepared.codec.tokens), len(classes), facts, prepared.to_plain())


def _used(corpus: Corpus, parameters: Mapping[str, Value]) -> list[int]:
    """The training rows that `data.train_fraction` leaves."""
    numbers = corpus.splits["train"]
    seed = child(get_int(parameters, "data.seed"), "text_classification", "part")
    kept = nested_rows(len(numbers), get_float(parameters, "data.train_fraction"), seed, [corpus.rows[number].label for number in numbers])
    return [numbers[place] for place in kept.tolist()]
