"""Machine translation: loss and metrics, teacher forcing and its schedule, what the networks are, and using a trained model."""

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sacrebleu
import torch

from rnnbench.base.errors import DataError
from rnnbench.base.parameters import Value
from rnnbench.cells.table import get_cell
from rnnbench.task.answers import Question
from rnnbench.task.module import Batch, TaskData
from rnnbench.task.text import BEGIN, END, PAD
from rnnbench.trial.build import build_module, read_data
from rnnbench.trial.checkpoint import load_checkpoint, save_checkpoint
from rnnbench.trial.fused import can_fuse
from rnnbench.trial.loop import Trainer, evaluate
from rnnbench.trial.parameters import OPTIMIZER_PARAMETERS, TRAINING_PARAMETERS
from rnnbench.trial.pulse import Pulse
from rnnbench.trial.spec import Budget, TrialSpec
from rnnbench_tasks.machine_translation.forcing import Forcing
from rnnbench_tasks.machine_translation.pairs import Pairs
from rnnbench_tasks.machine_translation.scoring import score
from rnnbench_tasks.machine_translation.task import answer, baselines
from tests.unit.tasks.toy_translation import CARD, build, parameters, read_toy

ATTENTIONS = pytest.mark.parametrize("attention", ["additive", "dot", "none"])


@ATTENTIONS
def test_padding_changes_no_score(tmp_path: Path, attention: str) -> None:
    data = read_toy(tmp_path)
    module, whole = build(data, task__attention=attention, network__bidirectional=True).eval(), data.splits["train"]
    assert whole.lengths is not None
    assert whole.target_lengths is not None
    together = module(whole).split((whole.target_lengths - 1).tolist())
    for row in (0, 5, 40):
        torch.testing.assert_close(together[row], module(whole.rows(torch.tensor([row]))), rtol=0, atol=1e-5)
    inputs, targets = whole.inputs.clone(), whole.targets.clone()
    inputs[torch.arange(inputs.shape[1]) >= whole.lengths.unsqueeze(1)] = 5
    targets[torch.arange(targets.shape[1]) >= whole.target_lengths.unsqueeze(1)] = 5
    torch.testing.assert_close(module(replace(whole, inputs=inputs, targets=targets)), torch.cat(together), rtol=0, atol=1e-6)


@ATTENTIONS
@pytest.mark.parametrize("tied", [False, True])
def test_teacher_forcing_equals_going_step_by_step(tmp_path: Path, attention: str, *, tied: bool) -> None:
    data = read_toy(tmp_path)
    module = build(data, "lstm", task__attention=attention, task__tied=tied, network__num_layers=2).eval()
    batch = data.splits["train"].rows(torch.tensor([60]))
    state, scores = (module.translator.encode(batch.inputs, batch.lengths), None), []
    for place in range(batch.targets.shape[1] - 1):
        score_1V, state = module.translator.step(batch.targets[:, place], state)  # type: ignore[assignment]  # the state is there then
        scores.append(score_1V)
    expected = module.translator.silenced(module(batch).log_softmax(-1))
    torch.testing.assert_close(torch.cat(scores), expected, rtol=0, atol=1e-5)


def test_the_metrics_are_those_counted_by_hand(tmp_path: Path) -> None:
    data = read_toy(tmp_path)
    module, split = build(data, sharpness=3).eval(), data.splits["validation"]
    nats, right, tokens, exact = 0.0, 0, 0, 0
    with torch.inference_mode():
        for row in range(len(split)):
            batch = split.rows(torch.tensor([row]))
            wanted = [number for number in batch.targets[0].tolist()[1:] if number != PAD]
            chances = module(batch).double().softmax(-1)
            hits = [int(chance[3:].argmax()) + 3 == number for chance, number in zip(chances, wanted, strict=True)]
            nats -= sum(math.log(float(chance[number])) for chance, number in zip(chances, wanted, strict=True))
            right, tokens, exact = right + sum(hits), tokens + len(hits), exact + all(hits)
    found = evaluate(module, split, Pulse(lambda: 0.0))
    assert found["nll"] == found["loss"] == pytest.approx(nats / tokens, rel=1e-5)
    assert found["perplexity"] == pytest.approx(math.exp(nats / tokens), rel=1e-5)
    assert found["token_accuracy"] == right / tokens
    assert found["exact_match"] == exact / len(split)


def test_rows_right_under_teacher_forcing_are_those_that_greedy_decoding_gets_right(tmp_path: Path) -> None:
    data = read_toy(tmp_path)
    module, train = build(data), data.splits["train"]
    optimizer = torch.optim.Adam(module.parameters(), lr=0.02)
    for step in range(40):
        optimizer.zero_grad()
        module.training_step(train.rows(torch.arange(len(train))), step).backward()
        optimizer.step()
    assert isinstance(train, Pairs)
    with torch.inference_mode():
        greedy = module.eval().translate(train.sources, 1)
        right = [module.codecs.target.decode(one.tokens) == wanted for one, wanted in zip(greedy, train.references, strict=True)]
        assert 0.1 < np.mean(right) < 1
        assert evaluate(module, train, Pulse(lambda: 0.0))["exact_match"] == pytest.approx(np.mean(right))


@torch.no_grad()
def test_smoothed_labels_take_their_share_from_the_mean_over_the_vocabulary(tmp_path: Path) -> None:
    data = read_toy(tmp_path)
    module, batch = build(data, task__label_smoothing=0.2).eval(), data.splits["train"].rows(torch.arange(10))
    nats_MV = -module(batch).log_softmax(-1)
    wanted_M = batch.targets[:, 1:][batch.targets[:, 1:] != PAD]
    expected = (0.8 * nats_MV[torch.arange(len(wanted_M)), wanted_M] + 0.2 * nats_MV.mean(-1)).mean()
    assert float(module.loss(module(batch), batch)) == pytest.approx(float(expected), rel=1e-5)
    assert float(module.totals(module(batch), batch)["nats"]) == pytest.approx(float(nats_MV[torch.arange(len(wanted_M)), wanted_M].sum()))


def test_evaluation_takes_every_row_once_and_similar_lengths_together(tmp_path: Path) -> None:
    data = read_toy(tmp_path)
    split = data.splits["train"]
    many = Batch(*(part.repeat(20, *[1] * (part.ndim - 1)) for part in (split.inputs, split.targets, split.lengths, split.target_lengths)))  # type: ignore[union-attr]  # this task has lengths
    batches = build(data).plan_evaluation(many)
    assert sorted(torch.cat(list(batches)).tolist()) == list(range(len(many)))
    assert len(batches) > 1
    assert many.target_lengths is not None
    assert sum(int(many.target_lengths[rows].max()) * len(rows) for rows in batches) <= 1.05 * int(many.target_lengths.sum())


def test_without_teacher_forcing_the_decoder_reads_what_greedy_decoding_writes(tmp_path: Path) -> None:
    data = read_toy(tmp_path)
    module = build(data, sharpness=2).eval()
    batch = data.splits["train"].rows(torch.arange(40))
    memory = module.translator.encode(batch.inputs, batch.lengths)
    mixed = module.translator.mix(memory, batch.targets[:, :-1], 0.0)
    assert isinstance(data.splits["train"], Pairs)
    greedy = module.translate(data.splits["train"].sources[:40], 1, longest=10)
    assert batch.target_lengths is not None
    assert len({tuple(one.tokens) for one in greedy}) > 1
    for read, one, length in zip(mixed.tolist(), greedy, batch.target_lengths.tolist(), strict=True):
        # Inputs for which there is a target, up to where greedy decoding ends.
        count = min(length - 1, 1 + len(one.tokens))
        assert read[:count] == [BEGIN, *one.tokens][:count]
    assert torch.equal(module.translator.mix(memory, batch.targets[:, :-1], 1.0), batch.targets[:, :-1])


def test_a_share_of_teacher_forcing_is_the_share_of_tokens_that_are_the_reference(tmp_path: Path) -> None:
    data = read_toy(tmp_path)
    module = build(data, sharpness=0.0)
    with torch.no_grad():
        module.translator.head_bias[END] = 1.0  # it always says the end, which stands nowhere in these inputs
    targets = torch.full((400, 11), 5)
    memory = module.translator.encode(torch.full((400, 2), 5), torch.full((400,), 2))
    kept = (module.translator.mix(memory, targets, 0.7)[:, 1:] == 5).double().mean()
    # Four standard errors of 4000 coins.
    assert abs(float(kept) - 0.7) < 4 * math.sqrt(0.7 * 0.3 / 4000)


def test_schedules_go_from_the_first_share_to_the_last_and_stay() -> None:
    assert [Forcing(0.9).share(epoch) for epoch in (1, 50)] == [0.9, 0.9]
    linear = Forcing(1.0, "linear", 0.5, 5)
    assert [linear.share(epoch) for epoch in range(1, 8)] == pytest.approx([1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.5])
    sigmoid = Forcing(1.0, "sigmoid", 0.0, 10)
    shares = [sigmoid.share(epoch) for epoch in range(1, 13)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == 1
    assert shares[5] == pytest.approx(0.5)
    assert shares[10] == shares[11] == pytest.approx(0)
    assert 1 - shares[1] < 0.05 < shares[4] - shares[5]


def spec(changes: dict[str, Value], epochs: int = 3) -> TrialSpec:
    cell = get_cell("gru")
    declared = {one.name: one for one in (*cell.parameters, *OPTIMIZER_PARAMETERS, *TRAINING_PARAMETERS)}
    values = {**{name: one.default for name, one in declared.items()}, **parameters(**{"training.batch_size": 512, **changes})}
    active = {name: value for name, value in values.items() if name not in declared or declared[name].is_active(values)}
    return TrialSpec(
        stage="search", task=CARD.name, task_version=CARD.version, data="dates", data_fingerprint="embedded", cell="gru",
        cell_version=cell.version, parameters=active, seed=1, budget=Budget(max_epochs=epochs),
    )  # fmt: skip


def trainer(of: TrialSpec) -> tuple[Trainer, TaskData]:
    data = read_data(of, {})
    return Trainer(of, build_module(of, data), metric="nll", maximize=False, pulse=Pulse(itertools.count().__next__)), data


@pytest.mark.slow
def test_a_trial_stopped_within_an_epoch_of_scheduled_sampling_goes_on_bit_equal(tmp_path: Path) -> None:
    changes: dict[str, Value] = {
        "data.train_fraction": 0.25, "network.dropout": 0.2, "task.embedding_dropout": 0.2, "training.bucketing": True,
        "task.forcing_schedule": "linear", "task.forcing_end": 0.3, "task.forcing_epochs": 2,
    }  # fmt: skip
    whole, data = trainer(spec(changes))
    curve = [whole.run_epoch(data.splits["train"], data.splits["validation"]) for _ in range(3)]
    assert whole.module.epoch == 3
    first, _ = trainer(spec(changes))
    first.run_epoch(data.splits["train"], data.splits["validation"])

    def save(one: Trainer) -> None:
        if one.partial is not None and one.partial.batches == 2:
            save_checkpoint(tmp_path / "last.ckpt", one.state())

    first.after_batch = save
    first.run_epoch(data.splits["train"], data.splits["validation"])
    torch.manual_seed(99)
    second, _ = trainer(spec(changes))
    second.restore(load_checkpoint(tmp_path / "last.ckpt"))
    rest = [second.run_epoch(data.splits["train"], data.splits["validation"]) for _ in range(2)]
    for one, other in zip(curve[1:], rest, strict=True):
        assert {k: v for k, v in one.items() if k != "train_s"} == {k: v for k, v in other.items() if k != "train_s"}


@pytest.mark.slow
def test_dates_are_learnt_and_with_shuffled_translations_they_are_not() -> None:
    one, data = trainer(spec({"network.hidden_size": 32, "task.embedding_size": 16, "training.batch_size": 64, "optimizer.lr": 0.01}))
    for _ in range(3):
        found = one.run_epoch(data.splits["train"], data.splits["validation"])
    assert found["nll"] < 0.1 * baselines(data, "validation")["target bigram"]
    assert found["exact_match"] > 0.8
    other, _ = trainer(spec({"network.hidden_size": 32, "task.embedding_size": 16, "training.batch_size": 64, "optimizer.lr": 0.01}))
    train = data.splits["train"]
    mixed = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
    assert train.target_lengths is not None
    shuffled = replace(train, targets=train.targets[mixed], target_lengths=train.target_lengths[mixed])
    found = other.run_epoch(shuffled, data.splits["validation"])
    # One of the 73049 days of two centuries, in ten digits and an end: with less nats it would have seen the answer.
    assert found["nll"] > 0.99 * math.log(73049) / 11
    assert found["exact_match"] < 0.01


def test_a_budget_of_weights_is_that_of_both_networks_together(tmp_path: Path) -> None:
    module = build(read_toy(tmp_path), "lstm", network__param_budget=40_000, network__bidirectional=True)
    networks = module.translator.networks
    for one, share in ((networks.encoder, 20_000), (networks.decoder, 20_000)):
        assert sum(weight.numel() for weight in one.parameters()) == pytest.approx(share, rel=0.1)


def test_the_encoder_alone_reads_in_both_directions_and_pools(tmp_path: Path) -> None:
    module = build(read_toy(tmp_path), network__bidirectional=True, network__pooling="additive")
    assert module.translator.networks.encoder.bidirectional
    assert not module.translator.networks.decoder.bidirectional
    assert module.translator.networks.decoder.pool is None
    assert module.network is module.translator.networks.decoder


def test_every_weight_is_in_the_checkpoint_once_and_learns(tmp_path: Path) -> None:
    data = read_toy(tmp_path)
    for tied, shared in itertools.product([False, True], repeat=2):
        module = build(read_toy(tmp_path, data__shared_vocabulary=shared), task__tied=tied)
        state = module.state_dict()
        assert len({weight.data_ptr() for weight in state.values()}) == len(state)
        assert state.keys() == dict(module.named_parameters()).keys()
        module.training_step(data.splits["train"].rows(torch.arange(20)), 0).backward()
        assert all(weight.grad is not None and weight.grad.any() for weight in module.parameters())
        assert ("translator.source_embedding.weight" in state) == (not shared)
        assert ("translator.head_weight" in state) == (not tied)


def test_two_networks_train_alone(tmp_path: Path) -> None:
    assert not can_fuse(build(read_toy(tmp_path)))


def test_training_starts_from_another_translator_token_by_token(tmp_path: Path) -> None:
    data = read_toy(tmp_path)
    before, few = build(data, seed=1), read_toy(tmp_path, data__vocabulary_size=6)
    module = build(few, seed=2)
    taken = module.start_from(before, data)
    assert any("6 target tokens, 6 source tokens" in name for name in taken)
    assert "translator.networks.encoder.forwards.0.weight_ih" in taken
    ours, theirs = module.translator, before.translator
    assert torch.equal(ours.networks.decoder.forwards[0].weight_hh, theirs.networks.decoder.forwards[0].weight_hh)  # type: ignore[arg-type]  # a weight
    for here, token in enumerate(module.codecs.target.tokens):
        there = list(before.codecs.target.tokens).index(token)
        assert torch.equal(ours.target_embedding.weight[here], theirs.target_embedding.weight[there])
        assert ours.head_bias[here] == theirs.head_bias[there]
    with pytest.raises(DataError, match="that model's networks differ"):
        build(data, task__attention="dot").start_from(before, data)


def test_bleu_and_chrf_are_those_of_sacrebleu() -> None:
    said = ["the cat sat on the mat .", "a dog runs in the park", "Two men"]
    wanted = ["The cat sat on the mat.", "a dog is running in the park", "Two men"]
    found = score(said, wanted)
    assert found["bleu"] == sacrebleu.corpus_bleu(said, [wanted]).score
    assert found["chrf"] == sacrebleu.corpus_chrf(said, [wanted]).score
    assert "case:mixed" in found["bleu_signature"]
    assert found["exact_match"] == pytest.approx(1 / 3)
    small = score([text.lower() for text in said], wanted, lowercase=True)
    assert small["bleu"] == sacrebleu.corpus_bleu(said, [wanted], lowercase=True).score
    assert "case:lc" in small["bleu_signature"]
    assert score(["two men"], ["Two men"], lowercase=True)["exact_match"] == 1


def test_examining_scores_what_the_beam_writes(tmp_path: Path) -> None:
    data = read_toy(tmp_path)
    module, split = build(data, sharpness=2, task__beam_size=3).eval(), data.splits["test"]
    assert isinstance(split, Pairs)
    with torch.inference_mode():
        found = module.examine(split)
        said = [module.codecs.target.decode(one.tokens) for one in module.translate(split.sources, 3)]
    assert found["bleu"] == sacrebleu.corpus_bleu(said, [split.references]).score
    assert found["exact_match"] == np.mean([one == other for one, other in zip(said, split.references, strict=True)])
    assert found["examples"][0] == {"source": split.sources[0], "reference": split.references[0], "translation": said[0]}
    assert json.loads(json.dumps(found)) == found


def test_a_model_is_asked_with_nothing_but_its_weights_and_preparation(tmp_path: Path) -> None:
    data = read_toy(tmp_path)
    module = build(data, sharpness=2).eval()
    kept = TaskData({}, data.input_size, data.output_size, preparation=json.loads(json.dumps(data.preparation)))
    again = build(kept, seed=9).eval()
    again.load_state_dict(module.state_dict())
    options: dict[str, Value] = {"beam_size": 4, "length_power": 1.0, "max_length": None}
    question = Question(["abc", "", " d ", "unknown letters too, and longer than any source of the training pairs"], options=options)
    with torch.inference_mode():
        first, second = answer(module, data, question), answer(again, kept, question)
    assert first == second
    assert [row["source"] for row in first.rows] == ["abc", "", "d", question.lines[3]]
    assert first.rows[1] == {"source": "", "translation": "", "nats_per_token": 0.0}
    assert first.text.split("\n") == [row["translation"] for row in first.rows]
    assert all(row["nats_per_token"] > 0 for row in first.rows if row["source"])
    with torch.inference_mode():
        short = answer(module, data, Question(["abc"], options={**options, "max_length": 1}))
    assert len(str(short.rows[0]["translation"])) <= 1


def test_the_baselines_equal_a_count_by_hand(tmp_path: Path) -> None:
    data = read_toy(tmp_path)
    rows = {name: [[n for n in row if n != PAD] for row in split.targets.tolist()] for name, split in data.splits.items()}
    counts: dict[int, int] = {}
    after: dict[int, list[int]] = {}
    for row in rows["train"]:
        for one, other in itertools.pairwise(row):
            counts[other] = counts.get(other, 0) + 1
            after.setdefault(one, []).append(other)

    def alone(token: int) -> float:
        return (counts.get(token, 0) + 1) / (sum(counts.values()) + data.output_size)

    def following(before: int, token: int) -> float:
        seen = after.get(before, [])
        return (seen.count(token) + len(set(seen)) * alone(token)) / (len(seen) + len(set(seen)))

    # Both are distributions over the vocabulary.
    assert sum(alone(token) for token in range(data.output_size)) == pytest.approx(1)
    assert sum(following(BEGIN, token) for token in range(data.output_size)) == pytest.approx(1)
    asked = [pair for row in rows["validation"] for pair in itertools.pairwise(row)]
    found = baselines(data, "validation")
    assert found["target unigram"] == pytest.approx(-np.mean([math.log(alone(other)) for _, other in asked]))
    assert found["target bigram"] == pytest.approx(-np.mean([math.log(following(one, other)) for one, other in asked]))
