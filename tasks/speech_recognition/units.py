"""Transcripts as numbers: the characters or words of the training transcripts, behind the blank of CTC and what is unknown."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal

BLANK, UNKNOWN = 0, 1
_NUM_SPECIAL = 2
# Stands in a true transcript for what no training transcript holds; a model never says it.
UNKNOWN_SIGN = "\ufffd"
_NOT_IN_WORDS = re.compile(r"[^\w']+|_")

UnitKind = Literal["characters", "words"]
Cleaning = Literal["as_is", "lowercase", "words"]


@dataclass(frozen=True)
class Units:
    """What a network writes with.

    Attributes:
        units: Characters or words by their number, from 2 on.
    """

    kind: UnitKind
    units: tuple[str, ...]

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {unit: number for number, unit in enumerate(self.units, _NUM_SPECIAL)}

    def __len__(self) -> int:
        """Classes of the network, blank and unknown with them."""
        return _NUM_SPECIAL + len(self.units)

    def encode(self, text: str) -> list[int]:
        """Numbers of a transcript's units."""
        return [self._numbers.get(unit, UNKNOWN) for unit in self._parts(text)]

    def decode(self, numbers: Sequence[int]) -> str:
        """The text of units that a model says; unknown ones are left out."""
        return self._join(self.units[number - _NUM_SPECIAL] for number in numbers if number >= _NUM_SPECIAL)

    def decode_truth(self, numbers: Sequence[int]) -> str:
        """The text of a true transcript, in which nothing that a model says is right where a unit is unknown."""
        return self._join(UNKNOWN_SIGN if number == UNKNOWN else self.units[number - _NUM_SPECIAL] for number in numbers)

    def unknown(self, texts: Iterable[str]) -> list[str]:
        """Units of these transcripts that there are none of, each once, in order."""
        return sorted({unit for text in texts for unit in self._parts(text)} - self._numbers.keys())

    def _parts(self, text: str) -> list[str]:
        return list(text) if self.kind == "characters" else text.split()

    def _join(self, parts: Iterable[str]) -> str:
        if self.kind == "words":
            return " ".join(parts)
        return " ".join("".join(parts).split())


def learn_units(texts: Iterable[str], kind: UnitKind) -> Units:
    """All units of these transcripts, sorted."""
    found = {unit for text in texts for unit in (text if kind == "characters" else text.split())}
    return Units(kind, tuple(sorted(found)))


def clean(text: str, how: Cleaning) -> str:
    """A transcript with single spaces; in lower case; or in lower case with nothing but letters, digits and apostrophes."""
    if how != "as_is":
        text = text.lower()
    if how == "words":
        text = _NOT_IN_WORDS.sub(" ", text)
    return " ".join(text.split())


def least_steps(numbers: Sequence[int]) -> int:
    """Steps that CTC needs to write these units: one for each, and a blank between equal neighbours."""
    return len(numbers) + sum(one == other for one, other in pairwise(numbers))
