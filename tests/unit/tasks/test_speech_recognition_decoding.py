"""Decoding: the search over prefixes against every transcript there is, the language model against its formula."""

import itertools
import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from rnnbench_tasks.speech_recognition.decoding import Search, beam_search, best_path
from rnnbench_tasks.speech_recognition.language_model import END, LanguageModel, learn_model, model_of
from rnnbench_tasks.speech_recognition.units import clean, learn_units, least_steps

NO_LIMIT = {"width": 10_000, "least_log": -math.inf}
# Blank, unknown, and two units.
NUM_UNITS = 4


def draw(steps: int, seed: int, sharpness: float = 2.0) -> NDArray[np.float64]:
    scores = sharpness * np.random.default_rng(seed).standard_normal((steps, NUM_UNITS))
    scores[:, 1] = -80.0
    found: NDArray[np.float64] = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    return found


def every_transcript(log_TU: NDArray[np.float64]) -> dict[tuple[int, ...], float]:
    """The logarithm of each transcript's chance, from all paths."""
    found: dict[tuple[int, ...], float] = defaultdict(float)
    for path in itertools.product(range(NUM_UNITS), repeat=len(log_TU)):
        if 1 not in path:
            spelled = tuple(unit for unit, _ in itertools.groupby(path) if unit)
            found[spelled] += math.exp(sum(log_TU[step, unit] for step, unit in enumerate(path)))
    return {spelled: math.log(chance) for spelled, chance in found.items()}


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("steps", [1, 3, 6])
def test_an_unlimited_search_finds_the_likeliest_of_all_transcripts(steps: int, seed: int) -> None:
    log_TU = draw(steps, seed)
    every = every_transcript(log_TU)
    assert tuple(beam_search(log_TU, Search(**NO_LIMIT))) == max(every, key=every.__getitem__)  # type: ignore[arg-type]  # an int and a float


@pytest.mark.parametrize("seed", range(10))
def test_with_a_language_model_and_a_bonus_it_finds_the_best_sum(seed: int) -> None:
    log_TU, model = draw(5, seed, 0.7), learn_model([[2, 3, 2], [2, 2], [3, 2, 3, 2]], 3, 2)
    every = every_transcript(log_TU)

    def score(spelled: tuple[int, ...]) -> float:
        said = sum(model.log_chance(unit, model.context(spelled[:place])) for place, unit in enumerate(spelled))
        return every[spelled] + 0.8 * (said + model.log_chance(END, model.context(spelled))) + 0.3 * len(spelled)

    found = beam_search(log_TU, Search(model=model, weight=0.8, bonus=0.3, **NO_LIMIT))  # type: ignore[arg-type]  # an int and a float
    assert tuple(found) == max(every, key=score)


def test_the_likeliest_transcript_is_not_always_that_of_the_likeliest_path() -> None:
    # Two steps, blank 0.6 and a unit 0.4: the best path is empty (0.36), but the unit alone has 0.4 * 0.4 + 2 * 0.24 = 0.64.
    log_TU = np.log(np.array([[0.6, 1e-30, 0.4, 1e-30]] * 2))
    assert best_path(log_TU) == []
    assert beam_search(log_TU, Search(8)) == [2]


def test_a_beam_of_one_keeps_what_is_best_at_each_step_and_repeats_need_a_blank() -> None:
    certain = np.log(np.eye(NUM_UNITS)[[2, 2, 0, 2, 3, 3, 0]] + 1e-9)
    assert beam_search(certain, Search(1)) == [2, 2, 3]
    assert best_path(certain) == [2, 2, 3]


def test_a_narrow_beam_of_peaked_chances_is_as_good_as_a_wide_one() -> None:
    for seed in range(10):
        log_TU = draw(12, seed, 6.0)
        assert beam_search(log_TU, Search(8)) == beam_search(log_TU, Search(200))


def test_the_language_model_follows_its_formula() -> None:
    # Transcripts "a a b" and "a": after the start, a twice; a is followed by a, b and the end, once each.
    model = learn_model([[2, 2, 3], [2]], 2, 2)
    nothing = (model.order, model.context([]), model.context([3, 2]))
    assert nothing == (2, (END,), (2,))
    # Empty context: a 3, b 1, end 2 of 6, three kinds; below it 1/3 each.
    of_a, of_end = (3 + 3 / 3) / 9, (2 + 3 / 3) / 9
    assert math.exp(model.log_chance(2, (END,))) == pytest.approx((2 + 1 * of_a) / 3)
    assert math.exp(model.log_chance(END, (2,))) == pytest.approx((1 + 3 * of_end) / 6)


@given(
    transcripts=st.lists(st.lists(st.integers(2, 5), max_size=6), min_size=1, max_size=6),
    order=st.integers(1, 4),
    said=st.lists(st.integers(2, 5), max_size=5),
)
def test_the_chances_of_what_may_follow_sum_to_one(transcripts: list[list[int]], order: int, said: list[int]) -> None:
    model = learn_model(transcripts, order, 4)
    total = sum(math.exp(model.log_chance(unit, model.context(said))) for unit in (END, 2, 3, 4, 5))
    assert total == pytest.approx(1, abs=1e-12)


def test_a_longer_context_expects_its_own_transcripts_more() -> None:
    transcripts = [[2, 3, 4, 5] * 3, [2, 3, 4, 5] * 2] * 3

    def nats(model: LanguageModel) -> float:
        return -sum(model.log_chance(unit, model.context(transcripts[0][:place])) for place, unit in enumerate(transcripts[0]))

    by_order = [nats(learn_model(transcripts, order, 4)) for order in (1, 2, 3)]
    assert by_order[0] > by_order[1] > by_order[2]


def test_a_kept_language_model_is_the_same() -> None:
    model = learn_model([[2, 3, 2, 2], [3, 3]], 3, 2)
    again = model_of(model.to_plain())
    for context in ((), (END,), (2,), (2, 3), (3, 3), (5, 5)):
        for unit in (END, 2, 3):
            assert again.log_chance(unit, context) == model.log_chance(unit, context)


def test_units_are_sorted_and_come_back_as_text() -> None:
    characters = learn_units(["no yes", "on"], "characters")
    assert characters.units == (" ", "e", "n", "o", "s", "y")
    assert characters.decode(characters.encode("yes  no")) == "yes no"
    words = learn_units(["no yes", "on"], "words")
    assert len(words) == 5
    assert words.decode(words.encode("yes no on")) == "yes no on"
    assert words.unknown(["yes maybe", "no never"]) == ["maybe", "never"]


def test_transcripts_are_cleaned_as_asked() -> None:
    text = "  Don't STOP,\tnow_or (never)! "
    assert clean(text, "as_is") == "Don't STOP, now_or (never)!"
    assert clean(text, "lowercase") == "don't stop, now_or (never)!"
    assert clean(text, "words") == "don't stop now or never"


def test_equal_neighbours_need_a_step_between_them() -> None:
    assert [least_steps(numbers) for numbers in ([], [2], [2, 3], [2, 2], [2, 2, 2, 3, 3])] == [0, 1, 2, 3, 8]
