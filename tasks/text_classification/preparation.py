"""Texts to token numbers: the vocabulary of the training texts, long texts cut, rows padded."""

# Shapes: N rows, T tokens.

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from rnnbench.base.canonical import Plain
from rnnbench.base.errors import DataError
from rnnbench.base.parameters import Value
from rnnbench.task.text import SPECIAL, Codec, TokenKind, codec_of, learn_codec, pad
from rnnbench_tasks.text_classification.rows import get_int, get_text

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True)
class Preparation:
    """What a text goes through, and what a class is called.

    Attributes:
        classes: Their names, by number.
        max_tokens: Tokens that stay of a longer text.
        keep: Which ones: the first, the last, or half from both ends.
    """

    codec: Codec
    classes: tuple[str, ...]
    max_tokens: int
    keep: str

    @classmethod
    def learn(
        cls, texts: Sequence[str], classes: Sequence[str], parameters: Mapping[str, Value], where: str, kind: TokenKind = "word"
    ) -> "Preparation":
        """From the training texts.

        Args:
            where: What to call them in a message.
            kind: Where `data.tokens` is null.
        Raises:
            DataError: none of their tokens is frequent enough.
        """
        kind, min_count = cast(TokenKind, parameters["data.tokens"] or kind), get_int(parameters, "data.min_count")
        size, lowercase = get_int(parameters, "data.vocabulary_size"), parameters["data.lowercase"] is True
        try:
            codec = learn_codec(texts, kind, lowercase=lowercase, max_size=size, min_count=min_count)
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
        if len(codec.tokens) == len(SPECIAL):
            raise DataError(f"{where}: no token of the training texts occurs {min_count} times; lower data.min_count")
        return cls(codec, tuple(classes), get_int(parameters, "data.max_tokens"), get_text(parameters, "data.keep"))

    @classmethod
    def from_plain(cls, plain: Mapping[str, Plain]) -> "Preparation":
        """The one that `to_plain` wrote."""
        codec, classes = cast(Mapping[str, Plain], plain["codec"]), cast(Sequence[str], plain["classes"])
        return cls(codec_of(codec), tuple(classes), cast(int, plain["max_tokens"]), cast(str, plain["keep"]))

    def to_plain(self) -> dict[str, Plain]:
        """Plain data that is kept with a trained model."""
        return {"codec": self.codec.to_plain(), "classes": list(self.classes), "max_tokens": self.max_tokens, "keep": self.keep}

    def encode(self, texts: Sequence[str]) -> tuple[Tensor, Tensor, int]:
        """Token numbers (N, T), lengths (N,), and how many texts were cut."""
        rows = [self.codec.encode(text) for text in texts]
        cut = sum(len(row) > self.max_tokens for row in rows)
        return *pad([self.shorten(row) for row in rows]), cut

    def shorten(self, row: list[int]) -> list[int]:
        """At most `max_tokens` of a text."""
        excess = len(row) - self.max_tokens
        if excess <= 0:
            return row
        start = {"first": self.max_tokens, "last": 0, "both_ends": (self.max_tokens + 1) // 2}[self.keep]
        return row[:start] + row[start + excess :]

    def number(self, labels: Sequence[str]) -> Tensor:
        """Class numbers, (N,)."""
        places = {name: place for place, name in enumerate(self.classes)}
        return torch.tensor([places[label] for label in labels])


def sort_classes(labels: Sequence[str]) -> list[str]:
    """Different labels: by number where all are numbers, else by spelling."""
    found = set(labels)
    if all(_NUMBER.fullmatch(label) for label in found):
        return sorted(found, key=lambda label: (float(label), label))
    return sorted(found)
