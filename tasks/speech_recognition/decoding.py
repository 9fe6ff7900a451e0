"""From CTC's chances at every step to units: the best path, or a search over prefixes, with a language model or without.

The search keeps, for each prefix, the chance of all paths that end in it, apart for those that end in a blank. Sources: Graves et al. 2006;
Hannun et al. 2014, arXiv:1408.2873. With a beam that holds every prefix it finds the likeliest transcript, not only the likeliest path.
"""

# Shapes: T steps, U units with the blank.

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnbench_tasks.speech_recognition.language_model import END, LanguageModel
from rnnbench_tasks.speech_recognition.units import BLANK, UNKNOWN

NOTHING = -math.inf
Prefix = tuple[int, ...]


@dataclass(frozen=True)
class Search:
    """How a beam search goes.

    Attributes:
        width: Prefixes that are kept after each step.
        model: Its logarithm of a transcript's chance, times `weight`, is added to CTC's.
        bonus: Added for every unit, against a language model's leaning to short transcripts.
        least_log: Units less likely than this at a step are not tried there.
    """

    width: int
    model: LanguageModel | None = None
    weight: float = 0.0
    bonus: float = 0.0
    least_log: float = -12.0


def best_path(log_TU: NDArray[np.floating]) -> list[int]:
    """The likeliest unit of each step, repeats taken once, blanks left out."""
    path_T = log_TU.argmax(axis=1)
    starts_T = np.concatenate([[True], path_T[1:] != path_T[:-1]])
    found: list[int] = path_T[starts_T & (path_T != BLANK)].tolist()
    return found


def beam_search(log_TU: NDArray[np.floating], search: Search) -> list[int]:
    """The best transcript found.

    Args:
        log_TU: Log-probabilities of each step.
    """
    beam: dict[Prefix, tuple[float, float]] = {(): (0.0, NOTHING)}
    spoken: dict[Prefix, float] = {(): 0.0}
    for log_U in log_TU.tolist():
        likely = [unit for unit, log in enumerate(log_U) if log >= search.least_log and unit not in (BLANK, UNKNOWN)]
        grown: dict[Prefix, tuple[float, float]] = {}
        for prefix, (in_blank, in_unit) in beam.items():
            whole = _add(in_blank, in_unit)
            last = prefix[-1] if prefix else None
            stays = NOTHING if last is None else in_unit + log_U[last]
            _put(grown, prefix, whole + log_U[BLANK], stays)
            for unit in likely:
                # A repeat is a unit of its own only behind a blank.
                _put(grown, (*prefix, unit), NOTHING, (in_blank if unit == last else whole) + log_U[unit])
        scored = sorted(grown, key=lambda one: _add(*grown[one]) + _spoken(one, spoken, search), reverse=True)
        beam = {prefix: grown[prefix] for prefix in scored[: search.width]}
        spoken = {prefix: spoken[prefix] for prefix in beam}
    score = {prefix: _add(*chances) + _spoken(prefix, spoken, search) + _ending(prefix, search) for prefix, chances in beam.items()}
    best: Prefix = max(score, key=score.__getitem__)
    return list(best)


def _spoken(prefix: Prefix, known: dict[Prefix, float], search: Search) -> float:
    """What the language model and the bonus add to a prefix; kept in `known`."""
    if prefix not in known:
        known[prefix] = _spoken(prefix[:-1], known, search) + search.bonus + _weighed(prefix[-1], prefix[:-1], search)
    return known[prefix]


def _ending(prefix: Prefix, search: Search) -> float:
    return _weighed(END, prefix, search)


def _weighed(unit: int, said: Sequence[int], search: Search) -> float:
    if search.model is None or not search.weight:
        return 0.0
    return search.weight * search.model.log_chance(unit, search.model.context(said))


def _put(beam: dict[Prefix, tuple[float, float]], prefix: Prefix, in_blank: float, in_unit: float) -> None:
    if prefix in beam:
        before = beam[prefix]
        in_blank, in_unit = _add(before[0], in_blank), _add(before[1], in_unit)
    beam[prefix] = in_blank, in_unit


def _add(one: float, other: float) -> float:
    """The logarithm of a sum of chances."""
    if one < other:
        one, other = other, one
    return one if other == NOTHING else one + math.log1p(math.exp(other - one))
