"""The generated memory problems against brute force, closed forms and enumeration; what needs no memory, and what a trial sees of it."""

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from rnnbench.base.errors import DataError, ParameterError
from rnnbench.base.parameters import Value
from rnnbench.cells.build import build_network
from rnnbench.cells.network_parameters import NETWORK_PARAMETERS
from rnnbench.task.catalogue import get_task
from rnnbench.task.load import load_task
from rnnbench.task.memory import EVALUATED_ROWS, NOTHING, PADDING, draw_distinct
from rnnbench.task.module import Batch, TaskData, TaskModule
from rnnbench.trial.fused import FusedTrainer, can_fuse
from rnnbench.trial.loop import Trainer
from rnnbench.trial.pulse import Pulse
from rnnbench.trial.spec import Budget, TrialSpec
from rnnbench_tasks.adding.task import draw_sequences as draw_adding
from rnnbench_tasks.associative_recall.task import draw_sequences as draw_recall
from rnnbench_tasks.copy_memory import task as copy_memory
from rnnbench_tasks.dyck import task as dyck
from rnnbench_tasks.dyck.brackets import draw_sentences
from rnnbench_tasks.parity import task as parity
from rnnbench_tasks.selective_copying import task as selective_copying

SYMBOLS = ("copy_memory", "selective_copying", "parity", "dyck", "associative_recall")
ALL = (*SYMBOLS, "adding")
every_task = pytest.mark.parametrize("name", ALL)
symbol_tasks = pytest.mark.parametrize("name", SYMBOLS)


def parameters_of(name: str, changes: Mapping[str, Value] | None = None) -> dict[str, Value]:
    return {parameter.name: parameter.default for parameter in get_task(name).parameters} | {"task.num_train": 200} | dict(changes or {})


def read(name: str, changes: Mapping[str, Value] | None = None, splits: Sequence[str] = ("train", "validation", "test")) -> TaskData:
    return load_task(name).read_data({}, "generated", parameters_of(name, changes), splits)


def build(name: str, changes: Mapping[str, Value] | None = None, cell: str = "gru", units: int = 8) -> TaskModule:
    torch.manual_seed(0)
    network: dict[str, Value] = {one.name: one.default for one in NETWORK_PARAMETERS} | {"network.hidden_size": units} | dict(changes or {})
    parameters = parameters_of(name, changes)
    data = read(name, changes, ("validation",))
    return load_task(name).Module.build(partial(build_network, cell, parameters=network), data, parameters)


def rows_of(split: Batch) -> list[bytes]:
    lengths = [split.inputs.shape[1]] * len(split) if split.lengths is None else split.lengths.tolist()
    return [row[:length].numpy().tobytes() for row, length in zip(split.inputs, lengths, strict=True)]


def measured(module: TaskModule, scores: Tensor, batch: Batch) -> dict[str, float]:
    """Metrics of given outputs."""
    return module.metrics({name: float(total) for name, total in module.totals(scores, batch).items()})


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def three_errors(share: float, count: int) -> float:
    return 3 * math.sqrt(share * (1 - share) / count)


# What all have in common.


@every_task
def test_no_sequence_is_in_two_splits_and_a_longer_one_tests(name: str) -> None:
    data = read(name, {} if name != "adding" else {"task.test_length": 100})
    rows = {split: set(rows_of(batch)) for split, batch in data.splits.items()}
    for one, other in itertools.combinations(rows, 2):
        assert not rows[one] & rows[other]
    assert data.splits["test"].inputs.shape[1] > data.splits["validation"].inputs.shape[1]


@pytest.mark.parametrize("bits", [9, 10])
def test_short_sequences_that_were_trained_are_not_tested(bits: int) -> None:
    # 512 or 1024 strings, of which 200 rows to train on have a good part.
    same = {"task.min_length": bits, "task.max_length": bits + 2, "task.test_min_length": bits, "task.test_max_length": bits + 2}
    data = read("parity", same)
    rows = {split: set(rows_of(batch)) for split, batch in data.splits.items()}
    assert not rows["train"] & rows["validation"]
    assert not (rows["train"] | rows["validation"]) & rows["test"]
    assert [len(data.splits[split]) for split in ("train", "validation", "test")] == [200, EVALUATED_ROWS, EVALUATED_ROWS]


def test_too_few_different_sequences_are_one_line() -> None:
    with pytest.raises(DataError, match="parity: too few different sequences for 2000 rows of the validation split"):
        read("parity", {"task.min_length": 2, "task.max_length": 5})


@every_task
def test_parts_of_the_training_rows_are_nested_and_change_nothing_else(name: str) -> None:
    whole, half, tenth = (read(name, {"data.train_fraction": fraction}) for fraction in (1.0, 0.5, 0.1))
    rows = [set(rows_of(data.splits["train"])) for data in (tenth, half, whole)]
    assert rows[0] < rows[1] < rows[2]
    assert [len(data.splits["train"]) for data in (tenth, half, whole)] == [20, 100, 200]
    for split in ("validation", "test"):
        assert torch.equal(tenth.splits[split].inputs, whole.splits[split].inputs)


@every_task
def test_another_seed_gives_other_sequences(name: str) -> None:
    one, other = (read(name, {"data.seed": seed}, ("validation",)).splits["validation"] for seed in (0, 1))
    # Short strings of bits or brackets come again.
    assert len(set(rows_of(one)) & set(rows_of(other))) < len(one) / 2


@every_task
def test_the_card_names_a_level_that_the_data_tell(name: str) -> None:
    card = get_task(name)
    assert card.must_beat is not None
    facts = read(name).facts
    level = facts[card.must_beat.baseline]
    assert load_task(name).baselines(read(name), "validation")["memoryless"] == level
    assert isinstance(facts[card.must_beat.on_test or card.must_beat.baseline], float)
    best = {"max": 1.0, "min": 0.0}[card.metric.direction]
    assert card.must_beat.perfect == best


@symbol_tasks
def test_what_stands_behind_a_row_changes_nothing(name: str) -> None:
    data, module = read(name), build(name).eval()
    batch = data.splits["validation"]
    if batch.lengths is None:
        assert batch.inputs.min() >= 0
        return
    assert (batch.inputs[~batch.mask()] == PADDING).all()
    other = replace(batch, inputs=batch.inputs.masked_fill(~batch.mask(), 1))
    with torch.inference_mode():
        one, two = measured(module, module(batch), batch), measured(module, module(other), other)
    assert one == two


@every_task
def test_trials_trained_together_have_the_numbers_of_trials_alone(name: str) -> None:
    def trainer(seed: int, stream: torch.Generator | None = None) -> tuple[Trainer, TaskData]:
        parameters: dict[str, Value] = {**parameters_of(name), "training.batch_size": 64, "optimizer.name": "adam", "optimizer.lr": 0.01}
        parameters |= {"optimizer.weight_decay": 0.0, "optimizer.beta1": 0.9, "optimizer.beta2": 0.999, "training.clip_norm": 1.0}
        parameters |= {"training.clip_value": None, "training.lr_schedule": "constant"}
        spec = TrialSpec("search", name, 1, "generated", "f", "peephole_lstm", 1, parameters, seed=seed, budget=Budget(max_epochs=1))
        module = build(name, {}, "peephole_lstm").double()
        metric = get_task(name).metric
        pulse = Pulse(itertools.count().__next__)
        return Trainer(spec, module, metric=metric.name, maximize=metric.direction == "max", pulse=pulse, stream=stream), data

    found = read(name, {}, ("train", "validation"))
    splits = {split: batch.rows(torch.arange(96)) for split, batch in found.splits.items()}
    if name == "adding":
        splits = {split: Batch(batch.inputs.double(), batch.targets.double()) for split, batch in splits.items()}
    data = replace(found, splits=splits)
    assert can_fuse(trainer(0)[0].module)
    together = [trainer(seed, torch.Generator())[0] for seed in (0, 1)]
    epochs = FusedTrainer(together, Pulse(itertools.count().__next__)).run_epoch(data.splits["train"], data.splits["validation"])
    for seed, one in enumerate(together):
        alone = trainer(seed)[0].run_epoch(data.splits["train"], data.splits["validation"])
        epoch = epochs[one]
        assert isinstance(epoch, dict)
        for metric in alone.keys() - {"train_s"}:
            assert epoch[metric] == pytest.approx(alone[metric], rel=1e-9, abs=1e-9), metric


@every_task
def test_a_confirmed_trial_is_examined_at_the_training_length_and_by_length(name: str) -> None:
    changes: dict[str, Value] = {"task.test_length": 100} if name == "adding" else {}
    card, module, data = get_task(name), build(name, changes).eval(), read(name, changes)
    test = data.splits["test"]
    with torch.inference_mode():
        found = module.examine(test)
        whole = measured(module, module(test), test)
    assert 0 <= found[f"{card.metric.name} at the training length"] < 10
    by_length = found[f"{card.metric.name} by length"]
    if test.lengths is None:
        at_training, at_test = (f"{data.splits[split].inputs.shape[1]} steps" for split in ("validation", "test"))
        assert list(by_length) == [at_training, at_test]
        assert by_length[at_test] == pytest.approx(whole[card.metric.name], rel=1e-5)
        assert by_length[at_training] == found[f"{card.metric.name} at the training length"]
        return
    # Lengths follow each other from the shortest to the longest, of training and then of the test.
    ranges = [[int(word) for word in place.split() if word.isdecimal()] for place in by_length]
    assert all(one[-1] < other[0] or other[0] == test.lengths.min() for one, other in itertools.pairwise(ranges))
    assert ranges[-1][-1] == test.lengths.max()
    for place, value in zip(ranges, by_length.values(), strict=True):
        first, last = place[0], place[-1]
        if first > data.splits["validation"].inputs.shape[1]:
            rows = test.rows(((test.lengths >= first) & (test.lengths <= last)).nonzero().flatten())
            with torch.inference_mode():
                assert value == pytest.approx(measured(module, module(rows), rows)[card.metric.name], rel=1e-5)


# The adding problem.


def test_the_adding_problem_is_what_it_was_without_a_test_length() -> None:
    # A trial from before does not mention what came later.
    old = {"task.length": 50, "task.num_train": 200, "data.seed": 0}
    before = load_task("adding").read_data({}, "generated", old, ("train", "validation", "test"))
    after = read("adding")
    for split in before.splits:
        assert torch.equal(before.splits[split].inputs, after.splits[split].inputs)
        assert torch.equal(before.splits[split].targets, after.splits[split].targets)
    longer = read("adding", {"task.test_length": 80})
    assert torch.equal(longer.splits["validation"].inputs, after.splits["validation"].inputs)
    assert longer.splits["test"].inputs.shape == (1000, 80, 2)


def test_always_answering_one_costs_a_sixth() -> None:
    # The mean over a fine grid of both numbers, and over drawn ones.
    middle = (np.arange(2000) + 0.5) / 2000
    grid = ((middle[:, None] + middle[None, :] - 1) ** 2).mean()
    level = read("adding").facts["memoryless"]
    assert level == pytest.approx(grid, rel=1e-6)
    targets = draw_adding(100_000, 10, generator()).targets
    assert float(((targets - 1) ** 2).mean()) == pytest.approx(1 / 6, abs=3 * 0.1972 / 100_000**0.5)


# Copy memory.


def test_copy_memory_is_digits_a_wait_calls_and_the_digits() -> None:
    batch = copy_memory.draw_sequences(50, 7, generator())
    for inputs, targets in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        digits = inputs[:10]
        assert set(digits) <= set(range(1, 9))
        assert inputs == digits + [0] * 6 + [9] * 11
        assert targets == [0] * 17 + digits
        assert len(inputs) == 7 + 20


@pytest.mark.parametrize("length", [5, 50])
def test_the_memoryless_level_of_copying_is_that_of_the_best_fixed_distribution_of_each_step(length: int) -> None:
    targets = copy_memory.draw_sequences(20_000, length, generator()).targets
    counts = torch.stack([(targets == kind).double().mean(0) for kind in range(10)])
    entropy = -(counts * counts.clamp_min(1e-12).log()).sum(0).mean()
    # Counted entropies are too low by (kinds - 1) / 2N on average, on ten of T + 20 steps.
    assert float(entropy) == pytest.approx(copy_memory.memoryless(length), abs=2 * 7 / 40_000)


def test_the_memoryless_level_of_copying_is_the_published_one() -> None:
    assert copy_memory.memoryless(1000) == pytest.approx(0.02039, abs=5e-6)
    assert read("copy_memory", {"task.length": 50}).facts["memoryless"] == pytest.approx(10 * math.log(8) / 70)
    assert read("copy_memory", {"task.length": 50}).facts["memoryless at the test length"] == pytest.approx(10 * math.log(8) / 120)


def test_copying_is_measured_over_all_steps_and_digits_apart() -> None:
    module, batch = build("copy_memory"), read("copy_memory").splits["validation"]
    sure = torch.nn.functional.one_hot(batch.targets, 10) * 100.0
    assert measured(module, sure, batch) == pytest.approx({"cross_entropy": 0, "loss": 0, "accuracy": 1, "whole_sequences": 1}, abs=1e-12)
    guess = sure.clone()
    guess[:, -10:] = 0.0
    guess[:, -10:, 1:9] = 100.0
    found = measured(module, guess, batch)
    assert found["cross_entropy"] == pytest.approx(copy_memory.memoryless(20), rel=1e-6)
    assert float(module.loss(guess, batch)) == pytest.approx(found["cross_entropy"], rel=1e-5)
    assert found["accuracy"] == pytest.approx(1 / 8, abs=three_errors(1 / 8, 10 * len(batch)))
    assert found["whole_sequences"] == 0


# Selective copying.


def test_selective_copying_asks_for_the_symbols_in_their_order() -> None:
    batch = selective_copying.draw_sequences(200, 9, 4, 6, generator())
    for inputs, targets in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        assert inputs[9:] == [selective_copying.CALL] * 4
        items = [symbol - selective_copying.FIRST for symbol in inputs[:9] if symbol != selective_copying.BLANK]
        assert len(items) == 4
        assert set(items) <= set(range(6))
        assert targets == [NOTHING] * 9 + items
    places = Counter(place for inputs in batch.inputs.tolist() for place in range(9) if inputs[place] != selective_copying.BLANK)
    assert chisquare([places[place] for place in range(9)]).pvalue > 0.001


def test_without_memory_every_symbol_to_copy_is_as_likely() -> None:
    train, test = (selective_copying.draw_sequences(20_000, 12, 4, 5, generator(seed)).targets[:, 12:] for seed in (0, 1))
    # What knows the step has one answer for each: the commonest there.
    best = torch.stack([train[:, place].bincount().argmax() for place in range(4)])
    level = selective_copying.memoryless(5)
    assert float((test == best).double().mean()) == pytest.approx(level, abs=three_errors(level, 80_000))
    module, batch = build("selective_copying"), read("selective_copying").splits["validation"]
    sure = torch.nn.functional.one_hot(batch.targets.clamp_min(0), 8) * 100.0
    assert measured(module, sure, batch) == pytest.approx({"accuracy": 1, "whole_sequences": 1, "loss": 0}, abs=1e-12)
    level = measured(module, torch.zeros_like(sure), batch)["loss"]
    assert level == pytest.approx(math.log(8))


def test_symbols_without_room_are_one_line() -> None:
    with pytest.raises(DataError, match=r"selective_copying: 9 symbols have no room in 8 steps; raise task\.length"):
        read("selective_copying", {"task.length": 8, "task.num_items": 9})


# Parity.


@pytest.mark.parametrize("is_every", [False, True])
def test_parity_is_the_sum_of_the_bits_so_far(is_every: bool) -> None:
    batch = parity.draw_sequences(300, (3, 12), generator(), is_every=is_every)
    assert batch.lengths is not None
    lengths = Counter(batch.lengths.tolist())
    assert set(lengths) == set(range(3, 13))
    assert chisquare(list(lengths.values())).pvalue > 0.001
    for inputs, targets, length in zip(batch.inputs.tolist(), batch.targets.tolist(), batch.lengths.tolist(), strict=True):
        bits = inputs[:length]
        assert set(bits) <= {0, 1}
        odd = [sum(bits[: step + 1]) % 2 for step in range(length)]
        wanted = odd if is_every else [NOTHING] * (length - 1) + odd[-1:]
        assert targets == wanted + [NOTHING] * (12 - length)


@pytest.mark.parametrize(("shortest", "longest"), [(2, 2), (2, 5), (3, 8)])
def test_the_memoryless_level_of_parity_is_the_best_of_every_rule_on_every_string(shortest: int, longest: int) -> None:
    # A rule gives one answer for a 0 and one for a 1. Lengths are equally likely, and so are the strings of one length.
    rules = list(itertools.product((0, 1), repeat=2))
    last, right, steps = dict.fromkeys(rules, 0.0), dict.fromkeys(rules, 0.0), 0.0
    for length in range(shortest, longest + 1):
        share = 1 / (longest - shortest + 1) / 2**length
        for bits in itertools.product((0, 1), repeat=length):
            odd = [sum(bits[: step + 1]) % 2 for step in range(length)]
            steps += share * length
            for rule in rules:
                last[rule] += share * (rule[bits[-1]] == odd[-1])
                right[rule] += share * sum(rule[bit] == answer for bit, answer in zip(bits, odd, strict=True))
    assert parity.memoryless((shortest, longest), is_every=False) == pytest.approx(max(last.values()))
    assert parity.memoryless((shortest, longest), is_every=True) == pytest.approx(max(right.values()) / steps)


def test_parity_of_impossible_lengths_is_one_line() -> None:
    with pytest.raises(DataError, match=r"parity: task\.min_length is 50 and task\.max_length 40"):
        read("parity", {"task.min_length": 50})


# Dyck.


def stack_of(sentence: Sequence[int], kinds: int) -> list[tuple[int, int]]:
    """What is open after a sentence: kind and place; raises where a bracket closes that is not open."""
    stack: list[tuple[int, int]] = []
    for place, symbol in enumerate(sentence):
        if symbol < kinds:
            stack.append((symbol, place))
        else:
            assert stack.pop()[0] == symbol - kinds
    return stack


def test_every_sentence_is_well_nested_and_its_targets_are_what_a_stack_says() -> None:
    kinds, depth, lengths = 3, 3, (6, 14)
    batch = draw_sentences(300, kinds, depth, lengths, generator())
    assert batch.lengths is not None
    for inputs, targets, length in zip(batch.inputs.tolist(), batch.targets.tolist(), batch.lengths.tolist(), strict=True):
        sentence = inputs[:length]
        assert lengths[0] <= length <= lengths[1]
        assert stack_of(sentence, kinds) == []
        for step in range(length):
            stack = stack_of(sentence[: step + 1], kinds)
            assert len(stack) <= depth
            expected = [kinds + stack[-1][0], step - stack[-1][1]] if stack else [NOTHING, 0]
            assert targets[step] == [sentence[step + 1] if step + 1 < length else 2 * kinds, *expected]
        assert all(target[:2] == [NOTHING, NOTHING] for target in targets[length:])


def automaton(lengths: tuple[int, int], depth: int) -> dict[str, float]:
    """The chance of every shape of a sentence, by going through all of them."""
    found: defaultdict[str, float] = defaultdict(float)

    def go_on(shape: str, chance: float) -> None:
        open_now = shape.count("(") - shape.count(")")
        if open_now == 0 and len(shape) >= lengths[0]:
            found[shape] += chance / 2
            chance /= 2
        if len(shape) == lengths[1]:
            return
        if open_now == 0:
            go_on(shape + "(", chance)
        elif open_now == depth:
            go_on(shape + ")", chance)
        else:
            go_on(shape + "(", chance / 2)
            go_on(shape + ")", chance / 2)

    go_on("", 1.0)
    total = sum(found.values())
    return {shape: chance / total for shape, chance in found.items()}


def test_sentences_come_as_often_as_the_automaton_says() -> None:
    expected = automaton((4, 8), 2)
    batch = draw_sentences(20_000, 2, 2, (4, 8), generator())
    assert batch.lengths is not None
    shapes = Counter(
        "".join("(" if symbol < 2 else ")" for symbol in row[:length])
        for row, length in zip(batch.inputs.tolist(), batch.lengths, strict=True)
    )
    assert set(shapes) == set(expected)
    assert chisquare([shapes[shape] for shape in expected], [20_000 * chance for chance in expected.values()]).pvalue > 0.001


def test_without_memory_one_of_the_kinds_is_known() -> None:
    kinds = 3
    train, test = (draw_sentences(5000, kinds, 3, (10, 40), generator(seed)) for seed in (0, 1))
    far = [(batch.targets[..., 1] != NOTHING) & (batch.targets[..., 2] > 0) for batch in (train, test)]
    # A rule for each last bracket: sure of the kind that was due most often behind it.
    rule = torch.zeros(2 * kinds, dtype=torch.int64)
    for symbol in range(kinds, 2 * kinds):
        rule[symbol] = train.targets[..., 1][far[0] & (train.inputs == symbol)].bincount(minlength=2 * kinds).argmax()
    known = (rule[test.inputs] == test.targets[..., 1])[far[1]].double()
    # What is due at one step is due again later, so that there are fewer independent cases than steps: one for each opening bracket.
    opened = int(((test.targets[..., 2] == 0) & (test.targets[..., 1] != NOTHING)).sum())
    assert float(known.mean()) == pytest.approx(dyck.memoryless(kinds), abs=three_errors(1 / kinds, opened // 2))


def test_a_closing_bracket_is_known_when_it_has_four_fifths_of_the_chance_of_all_closing_ones() -> None:
    module, batch = build("dyck"), read("dyck").splits["validation"]
    scores = torch.zeros(*batch.inputs.shape, 9)
    due = batch.targets[..., 1].clamp_min(4).unsqueeze(2)
    # Among four closing ones, score s has e^s / (e^s + 3): 0.8 at ln 12, whatever opening brackets have.
    scores[..., :4] = 5.0
    for score, share in ((math.log(12) + 0.01, 1.0), (math.log(12) - 0.01, 0.0)):
        assert measured(module, scores.scatter(2, due, score), batch)["closing_accuracy"] == share


def test_closing_brackets_are_examined_by_their_distance() -> None:
    module, test = build("dyck").eval(), read("dyck").splits["test"]
    with torch.inference_mode():
        examined = module.examine(test)
        whole = measured(module, module(test), test)["closing_accuracy"]
    shares = examined["closing_accuracy by distance"]
    ago = Counter(test.targets[..., 2][test.targets[..., 1] != NOTHING].tolist())
    # Behind inner pairs an even number of steps; those that are due hardly ever are left out.
    assert set(shares) == {f"{distance} steps" for distance, count in ago.items() if distance and count >= 100}
    assert all(distance % 2 == 0 for distance in ago)
    assert examined["closing_accuracy at the worst distance"] == min(shares.values()) <= whole


def test_what_reads_backwards_would_see_the_answer() -> None:
    with pytest.raises(ParameterError, match=r"network\.bidirectional: .* the next bracket"):
        build("dyck", {"network.bidirectional": True})


def test_lengths_that_no_sentence_has_are_one_line() -> None:
    with pytest.raises(DataError, match="dyck: hardly any sentence has 7 to 7 brackets"):
        read("dyck", {"task.min_length": 7, "task.max_length": 7})


# Associative recall.


@pytest.mark.parametrize("filler", ["blank", "random"])
def test_recall_asks_for_the_value_of_each_key_once(filler: str) -> None:
    parameters = parameters_of("associative_recall", {"task.num_pairs": 3, "task.filler": filler})
    batch = draw_recall(300, 20, parameters, generator())
    for inputs, targets in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        pairs = dict(zip(inputs[0:6:2], inputs[1:6:2], strict=True))
        assert len(pairs) == len(set(pairs.values())) == 3
        assert set(pairs) <= set(range(1, 9))
        assert set(pairs.values()) <= set(range(9, 17))
        asked = {place: answer for place, answer in enumerate(targets) if answer != NOTHING}
        assert sorted(inputs[place] for place in asked) == sorted(pairs)
        assert all(pairs[inputs[place]] == 9 + answer for place, answer in asked.items())
        assert all(place >= 6 and place % 2 == 0 for place in asked)
        if filler == "blank":
            assert all(symbol == 0 for place, symbol in enumerate(inputs) if place >= 6 and place not in asked)
        else:
            assert all(symbol > 0 for symbol in inputs)


def test_without_memory_every_value_is_as_likely_and_without_keys_every_value_of_the_sequence() -> None:
    data = read("associative_recall")
    targets = data.splits["validation"].targets
    answers = targets[targets != NOTHING]
    assert chisquare(answers.bincount(minlength=8)).pvalue > 0.001
    assert load_task("associative_recall").baselines(data, "validation") == {"memoryless": 1 / 8, "a value of the sequence": 1 / 4}
    first = data.splits["validation"].inputs[:, 1] - 9
    shares = (targets == first.unsqueeze(1)).sum(1).double()
    # Always giving the first pair's value is right once in every sequence of four questions.
    assert (shares == 1).all()


def test_numbers_are_drawn_without_replacement_one_after_the_other() -> None:
    weight = np.arange(1, 5, dtype=float) ** (0.2 - 1)
    expected: dict[tuple[int, int], float] = {}
    for first, second in itertools.permutations(range(4), 2):
        expected[first, second] = float(weight[first] / weight.sum() * weight[second] / (weight.sum() - weight[first]))
    drawn = Counter(map(tuple, draw_distinct(50_000, 2, 4, generator(), power=0.2).tolist()))
    assert chisquare([drawn[pair] for pair in expected], [50_000 * chance for chance in expected.values()]).pvalue > 0.001


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task.length": 14}, r"4 pairs and their keys need 16 steps, not 14; raise task\.length"),
        ({"task.length": 33}, "must be even"),
        ({"task.num_keys": 3}, r"task\.num_keys is 3, must be at least task\.num_pairs, 4"),
        ({"task.num_values": 3}, r"task\.num_values is 3, must be at least"),
    ],
)
def test_pairs_that_cannot_be_are_one_line(changes: dict[str, Value], message: str) -> None:
    with pytest.raises(DataError, match=f"associative_recall: .*{message}"):
        read("associative_recall", changes)


# Learning, and not learning where there is nothing to learn.


def train(name: str, changes: dict[str, Value], steps: int, *, shuffled: bool = False) -> dict[str, Any]:
    data, module = read(name, changes), build(name, changes, units=32)
    split = data.splits["train"]
    if shuffled:
        split = replace(split, targets=split.targets[torch.randperm(len(split), generator=generator())])
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    for step in range(steps):
        batch = split.rows(torch.randint(len(split), (64,), generator=generator(step)))
        optimizer.zero_grad()
        module.training_step(batch, step).backward()
        optimizer.step()
    with torch.inference_mode():
        validation = data.splits["validation"]
        return measured(module.eval(), module(validation), validation)


@pytest.mark.slow
def test_a_network_learns_to_copy_and_with_shuffled_answers_it_does_not() -> None:
    changes: dict[str, Value] = {"task.length": 8, "task.num_items": 3, "task.num_symbols": 4, "task.num_train": 2000}
    level = selective_copying.memoryless(4)
    assert train("selective_copying", changes, 500)["accuracy"] > 0.9
    wrong = train("selective_copying", changes, 500, shuffled=True)["accuracy"]
    assert wrong == pytest.approx(level, abs=three_errors(level, 3 * EVALUATED_ROWS))
