"""Beam search against a search of all translations, against greedy decoding, and against itself alone."""

import itertools

import pytest
import torch

from rnnbench.cells.table import list_cells
from rnnbench.task.module import Batch, TaskData
from rnnbench.task.text import BEGIN, END, pad
from rnnbench_tasks.machine_translation.decoding import Translation
from rnnbench_tasks.machine_translation.module import Module
from tests.unit.tasks.toy_translation import build, read_toy

SOURCES = ["abc", "d", "ba", "cc", "dab"]
LONGEST = 3


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> TaskData:
    return read_toy(tmp_path_factory.mktemp("toy"))


def log_probability(module: Module, source: str, tokens: list[int]) -> float:
    """Of a whole translation and its end, by one pass of teacher forcing."""
    inputs, lengths = pad([module.codecs.encode_source(source)])
    targets, target_lengths = pad([[BEGIN, *tokens, END]])
    scores_TV = module(Batch(inputs, targets, lengths, target_lengths)).log_softmax(-1)
    return float(scores_TV[torch.arange(len(scores_TV)), targets[0, 1:]].sum())


def translate(module: Module, beam_size: int, length_power: float, longest: int = LONGEST) -> list[Translation]:
    with torch.inference_mode():
        return module.translate(SOURCES, beam_size, length_power, longest)


@pytest.mark.parametrize("length_power", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_beam_wide_enough_for_all_finds_the_best_of_all_translations(toy: TaskData, seed: int, length_power: float) -> None:
    module = build(toy, seed=seed, sharpness=3).eval()
    letters = range(END + 1, toy.output_size)
    every = [list(tokens) for length in range(LONGEST + 1) for tokens in itertools.product(letters, repeat=length)]
    assert len(every) == 1 + 4 + 16 + 64
    found = translate(module, len(every), length_power)
    for source, one in zip(SOURCES, found, strict=True):
        with torch.inference_mode():
            sums = [log_probability(module, source, tokens) for tokens in every]
        scores = [total / (len(tokens) + 1) ** length_power for total, tokens in zip(sums, every, strict=True)]
        best = max(range(len(every)), key=scores.__getitem__)
        assert one.tokens == every[best]
        assert one.log_probability == pytest.approx(sums[best], abs=1e-4)


@pytest.mark.parametrize("attention", ["additive", "dot", "none"])
def test_a_beam_of_one_is_greedy(toy: TaskData, attention: str) -> None:
    module = build(toy, "lstm", sharpness=3, task__attention=attention, network__num_layers=2, network__bidirectional=True).eval()
    for source, one in zip(SOURCES, translate(module, 1, 1.0, 6), strict=True):
        tokens: list[int] = []
        with torch.inference_mode():
            while len(tokens) < 6:
                inputs, lengths = pad([module.codecs.encode_source(source)])
                targets, target_lengths = pad([[BEGIN, *tokens, END]])
                scores_V = module(Batch(inputs, targets, lengths, target_lengths))[-1]
                following = int(scores_V[END:].argmax()) + END
                if following == END:
                    break
                tokens.append(following)
        assert one.tokens == tokens


@pytest.mark.parametrize("cell", [entry.name for entry in list_cells()])
def test_translations_do_not_depend_on_what_is_translated_beside(toy: TaskData, cell: str) -> None:
    module = build(toy, cell, sharpness=2).eval()
    together = translate(module, 3, 1.0, 5)
    with torch.inference_mode():
        alone = [module.translate([source], 3, 1.0, 5)[0] for source in SOURCES]
        given = [log_probability(module, source, one.tokens) for source, one in zip(SOURCES, together, strict=True)]
    assert [one.tokens for one in together] == [one.tokens for one in alone]
    assert [one.log_probability for one in together] == pytest.approx(given, abs=1e-3)


def test_a_wider_beam_finds_what_greedy_decoding_misses(toy: TaskData) -> None:
    module = build(toy, seed=3, sharpness=4).eval()
    narrow, wide = translate(module, 1, 0.0), translate(module, 85, 0.0)
    gains = [one.log_probability - other.log_probability for one, other in zip(wide, narrow, strict=True)]
    assert min(gains) > -1e-4
    assert max(gains) > 0.01


def test_what_cannot_be_written_is_not_and_translations_end(toy: TaskData) -> None:
    module = build(toy).eval()
    with torch.no_grad():
        # Surest of padding, unknown tokens and beginnings, and never of an end.
        module.translator.head_bias[:END] = 50.0
        module.translator.head_bias[END] = -50.0
    for beam_size in (1, 4):
        for one in translate(module, beam_size, 1.0, 7):
            assert len(one.tokens) == 7
            assert all(END < token < toy.output_size for token in one.tokens)


def test_a_length_power_of_zero_prefers_shorter_translations(toy: TaskData) -> None:
    module = build(toy, seed=5).eval()
    short, long = (sum(len(one.tokens) for one in translate(module, 85, power)) for power in (0.0, 2.0))
    assert short < long


def test_there_may_be_nothing_to_translate(toy: TaskData) -> None:
    assert build(toy).eval().translate([], 5) == []
