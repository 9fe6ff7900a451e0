"""An n-gram model over units, learned on training transcripts: each order is mixed with the shorter ones it backs off to.

P(u | h) = (c(h u) + T(h) P(u | h')) / (c(h) + T(h)), where c counts, T(h) is how many different units followed h, and h' is h without its
first unit; below the empty context stands the uniform distribution. Source: Witten and Bell 1991, interpolated as in Chen and Goodman 1998.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import cast

from rnnbench.base.canonical import Plain

# The end of a transcript is a unit like others; the blank's number serves for it.
END = 0


class LanguageModel:
    """Chances of the next unit.

    Args:
        order: Units of an n-gram; the context is one shorter.
        counts: How often each unit followed each context of up to order - 1 units; END where a transcript ended.
        num_units: Different units that may follow, END with them.
    """

    def __init__(self, order: int, counts: Mapping[tuple[int, ...], Mapping[int, int]], num_units: int) -> None:
        self.order = order
        self._counts = counts
        self._sums = {context: (sum(after.values()), len(after)) for context, after in counts.items()}
        self._num_units = num_units
        self.log_chance = lru_cache(maxsize=200_000)(self._log_chance)

    def context(self, said: Sequence[int]) -> tuple[int, ...]:
        """What of the units so far counts for the next; a transcript begins with END."""
        return (END, *said)[-(self.order - 1) :] if self.order > 1 else ()

    def _log_chance(self, unit: int, context: tuple[int, ...]) -> float:
        return math.log(self._chance(unit, context))

    def _chance(self, unit: int, context: tuple[int, ...]) -> float:
        shorter = self._chance(unit, context[1:]) if context else 1 / self._num_units
        if context not in self._sums:
            return shorter
        total, kinds = self._sums[context]
        return (self._counts[context].get(unit, 0) + kinds * shorter) / (total + kinds)

    def to_plain(self) -> dict[str, Plain]:
        """Plain data from which `model_of` makes an equal one."""
        counts = {
            " ".join(map(str, context)): {str(unit): count for unit, count in after.items()} for context, after in self._counts.items()
        }
        return {"order": self.order, "num_units": self._num_units, "counts": cast(Plain, counts)}


def learn_model(transcripts: Iterable[Sequence[int]], order: int, num_units: int) -> LanguageModel:
    """A model of these transcripts' units.

    Args:
        num_units: Different units that there may be, without END.
    """
    counts: dict[tuple[int, ...], Counter[int]] = {}
    for numbers in transcripts:
        whole = [END, *numbers, END]
        for place in range(1, len(whole)):
            for length in range(min(order, place + 1)):
                counts.setdefault(tuple(whole[place - length : place]), Counter())[whole[place]] += 1
    return LanguageModel(order, counts, num_units + 1)


def model_of(plain: Mapping[str, Plain]) -> LanguageModel:
    """The model that `to_plain` wrote."""
    kept = cast(Mapping[str, Mapping[str, int]], plain["counts"])
    counts = {tuple(map(int, context.split())): {int(unit): count for unit, count in after.items()} for context, after in kept.items()}
    return LanguageModel(cast(int, plain["order"]), counts, cast(int, plain["num_units"]))
