"""From sentence pairs to tensors: vocabularies learned from the training pairs, and batches that still know their texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

from rnnbench.base.canonical import Plain
from rnnbench.base.errors import DataError
from rnnbench.base.parameters import Value
from rnnbench.base.seeds import child
from rnnbench.task.module import Batch, TaskData
from rnnbench.task.splits import nested_rows
from rnnbench.task.text import BEGIN, END, UNKNOWN, Codec, TokenKind, codec_of, learn_codec, pad
from rnnbench_tasks.machine_translation.corpora import Corpus, read_multi30k, read_own
from rnnbench_tasks.machine_translation.dates import ROWS, draw_dates
from rnnbench_tasks.machine_translation.values import number, whole

# A pair counts as too long by its tokens, with the end but without the beginning.
Numbers = tuple[list[int], list[int]]


@dataclass(frozen=True)
class Pairs(Batch):
    """A whole split: source numbers with their end, target numbers with beginning and end, and the texts that both were made from.

    Attributes:
        sources, references: As they stand in the files, for what compares texts.
    """

    sources: tuple[str, ...] = ()
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class Codecs:
    """The vocabularies of both languages; one and the same with `data.shared_vocabulary`."""

    source: Codec
    target: Codec

    @property
    def shared(self) -> bool:
        """Whether it is one vocabulary."""
        return self.source is self.target

    def encode(self, source: str, target: str) -> Numbers:
        """Numbers of a pair, each with its end."""
        return self.encode_source(source), [*self.target.encode(target), END]

    def encode_source(self, source: str) -> list[int]:
        """Numbers of a source with its end."""
        return [*self.source.encode(source), END]

    @classmethod
    def of(cls, preparation: Mapping[str, Plain]) -> "Codecs":
        """Those of a task's preparation."""
        source = codec_of(cast(Mapping[str, Plain], preparation["source"]))
        target = preparation["target"]
        return cls(source, source if target is None else codec_of(cast(Mapping[str, Plain], target)))


def read_corpus(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value]) -> Corpus:
    """Texts of all splits.

    Raises:
        DataError: a file cannot be used.
    """
    seed = whole(parameters, "data.seed")
    if data == "dates":
        return Corpus({name: draw_dates(seed, name) for name in ROWS}, "drawn by data.seed, no day in two of them")
    if data == "multi30k":
        return read_multi30k(files, str(parameters["data.direction"]), str(parameters["data.test"]))
    source, target = str(parameters["data.source_column"]), str(parameters["data.target_column"])
    return read_own(files, source, target, child(seed, "machine_translation", "split"))


def read_data(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value], splits: Sequence[str]) -> TaskData:
    """Pairs of a set as token numbers.

    Raises:
        DataError: a file cannot be used, or no training pair is short enough.
    """
    corpus = read_corpus(files, data, parameters)
    every, seed = corpus.splits["train"], child(whole(parameters, "data.seed"), "machine_translation", "fraction")
    train = [every[row] for row in nested_rows(len(every), number(parameters, "data.train_fraction"), seed)]
    codecs = learn_codecs(train, parameters)
    numbers = {name: [codecs.encode(*pair) for pair in (train if name == "train" else corpus.splits[name])] for name in {*splits, "train"}}
    longest = whole(parameters, "data.max_length")
    short = [place for place, pair in enumerate(numbers["train"]) if max(map(len, pair)) <= longest + 1]
    if not short:
        raise DataError(f"every training pair has more than {longest} tokens on a side; raise data.max_length")
    left_out = len(train) - len(short)
    train, numbers["train"] = [train[place] for place in short], [numbers["train"][place] for place in short]
    texts = {name: train if name == "train" else corpus.splits[name] for name in splits}
    batches = {name: _batch(texts[name], numbers[name]) for name in splits}
    facts: dict[str, Plain] = {"splits": corpus.origin}
    for name in splits:
        facts |= _facts(name, numbers[name])
    facts |= {
        "training pairs left out, too long": left_out,
        "source vocabulary": len(codecs.source.tokens),
        "target vocabulary": len(codecs.target.tokens),
        "capitals": "lower-cased" if parameters["data.lowercase"] else "as in the files",
    }
    preparation: dict[str, Plain] = {
        "source": codecs.source.to_plain(),
        "target": None if codecs.shared else codecs.target.to_plain(),
        "longest_source": max(len(pair[0]) for pair in numbers["train"]),
        "longest_target": max(len(pair[1]) for pair in numbers["train"]),
    }
    return TaskData(batches, len(codecs.source.tokens), len(codecs.target.tokens), facts, preparation)


def learn_codecs(train: Sequence[tuple[str, str]], parameters: Mapping[str, Value]) -> Codecs:
    """Vocabularies of training pairs."""
    learn = partial(
        learn_codec,
        kind=cast(TokenKind, parameters["data.tokens"]),
        lowercase=bool(parameters["data.lowercase"]),
        max_size=whole(parameters, "data.vocabulary_size"),
        min_count=whole(parameters, "data.min_count"),
    )
    sources, targets = [source for source, _ in train], [target for _, target in train]
    if parameters["data.shared_vocabulary"]:
        both = learn([*sources, *targets])
        return Codecs(both, both)
    return Codecs(learn(sources), learn(targets))


def _batch(texts: Sequence[tuple[str, str]], numbers: Sequence[Numbers]) -> Pairs:
    inputs, lengths = pad([source for source, _ in numbers])
    targets, target_lengths = pad([[BEGIN, *target] for _, target in numbers])
    return Pairs(inputs, targets, lengths, target_lengths, tuple(source for source, _ in texts), tuple(target for _, target in texts))


def _facts(name: str, numbers: Sequence[Numbers]) -> dict[str, Plain]:
    sides = [token for source, _ in numbers for token in source], [token for _, target in numbers for token in target]
    facts: dict[str, Plain] = {f"{name} pairs": len(numbers)}
    for side, found in zip(("source", "target"), sides, strict=True):
        facts[f"{name} {side} tokens of a pair"] = round(len(found) / len(numbers), 2)
        facts[f"{name} {side} tokens unknown"] = round(found.count(UNKNOWN) / len(found), 5)
    return facts
