"""Text classification: the module's numbers against scikit-learn, starting points, answers, training alone and together."""

# Shapes: N rows, T tokens, E embedding, C classes.

import copy
import itertools
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, log_loss, roc_auc_score
from sklearn.naive_bayes import MultinomialNB
from torch import Tensor, nn

from rnnbench.base.canonical import canonical_json
from rnnbench.base.errors import DataError
from rnnbench.base.parameters import Value
from rnnbench.cells.build import build_network
from rnnbench.cells.network_parameters import NETWORK_PARAMETERS
from rnnbench.cells.table import get_cell
from rnnbench.task.answers import Question
from rnnbench.task.catalogue import get_task
from rnnbench.task.load import load_task
from rnnbench.task.module import Batch, TaskData, TaskModule
from rnnbench.task.text import BEGIN, END, PAD, SPECIAL, UNKNOWN, learn_codec
from rnnbench.trial.build import build_module
from rnnbench.trial.fused import FusedTrainer, can_fuse
from rnnbench.trial.loop import Trainer
from rnnbench.trial.parameters import OPTIMIZER_PARAMETERS, TRAINING_PARAMETERS
from rnnbench.trial.pulse import Pulse
from rnnbench.trial.spec import Budget, TrialSpec
from rnnbench_tasks.text_classification.module import Module
from rnnbench_tasks.text_classification.task import answer, baselines, read_data

CARD = get_task("text_classification")
DEFAULTS: dict[str, Value] = {parameter.name: parameter.default for parameter in CARD.parameters}
NETWORK: dict[str, Value] = {parameter.name: parameter.default for parameter in NETWORK_PARAMETERS}
TEXTS = tuple(f"{'good' if n % 2 else 'bad'} {'very ' * (n % 4)}film number {n % 9}" for n in range(40))
PARAMETERS = (*NETWORK_PARAMETERS, *OPTIMIZER_PARAMETERS, *TRAINING_PARAMETERS, *CARD.parameters)


def task_data(num_classes: int = 2, texts: Sequence[str] = TEXTS) -> TaskData:
    """A training and a validation split whose classes go round."""
    codec = learn_codec(texts, "word")
    rows = [codec.encode(text) for text in texts]
    inputs = nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True)
    batch = Batch(inputs, torch.arange(len(texts)) % num_classes, torch.tensor([len(row) for row in rows]))
    kept = {"codec": codec.to_plain(), "classes": [f"class {n}" for n in range(num_classes)], "max_tokens": 9, "keep": "first"}
    return TaskData({"train": batch, "validation": batch}, len(codec.tokens), num_classes, {}, kept)


def build(data: TaskData, cell: str = "gru", **changes: Value) -> Module:
    named = {name.replace("__", "."): value for name, value in changes.items()}
    parameters = NETWORK | DEFAULTS | {"network.hidden_size": 6, "task.embedding_size": 5} | named
    torch.manual_seed(1)
    module = load_task("text_classification").Module.build(partial(build_network, cell, parameters=parameters), data, parameters)
    assert isinstance(module, Module)
    return module


def add_up(module: TaskModule, outputs: Tensor, split: Batch, rows: int) -> dict[str, float]:
    found: dict[str, float] = {}
    for index in torch.arange(len(split)).split(rows):
        for name, value in module.totals(outputs[index], split.rows(index)).items():
            found[name] = found.get(name, 0.0) + float(value)
    return found


@settings(max_examples=25)
@given(st.integers(2, 5), st.integers(0, 1000), st.integers(1, 40))
def test_metrics_are_those_of_scikit_learn_however_a_split_is_cut(num_classes: int, seed: int, rows: int) -> None:
    data = task_data(num_classes)
    module, split = build(data), data.splits["validation"]
    generator = torch.Generator().manual_seed(seed)
    # Drawn so that some classes are missing, among the true ones or among those said.
    present = int(torch.randint(1, num_classes + 1, (1,), generator=generator))
    truth_N = torch.randint(0, present, (40,), generator=generator)
    scores_NC = torch.randn(40, num_classes, generator=generator, dtype=torch.float64)
    scores_NC[:, num_classes - 1] -= 3
    found = module.metrics(add_up(module, scores_NC, Batch(split.inputs, truth_N, split.lengths), rows))
    said_N = scores_NC.argmax(1)
    assert found["accuracy"] == pytest.approx(accuracy_score(truth_N, said_N))
    assert found["macro_f1"] == pytest.approx(f1_score(truth_N, said_N, average="macro"))
    assert found["loss"] == pytest.approx(log_loss(truth_N, scores_NC.softmax(1), labels=range(num_classes)))


@pytest.mark.parametrize("num_classes", [2, 3])
def test_the_examination_is_that_of_scikit_learn(num_classes: int) -> None:
    data = task_data(num_classes)
    module, split = build(data).eval(), data.splits["validation"]
    with torch.inference_mode():
        found = module.examine(split)
        scores_NC = module(split)
    truth, said = split.targets.numpy(), scores_NC.argmax(1).numpy()
    assert found["confusion"] == {
        "classes": data.preparation["classes"],
        "counts": confusion_matrix(truth, said, labels=range(num_classes)).tolist(),
    }
    expected = f1_score(truth, said, labels=range(num_classes), average=None)
    assert found["f1"] == {f"class {number}": pytest.approx(value) for number, value in enumerate(expected)}
    if num_classes == 2:
        assert found["auc"] == pytest.approx(roc_auc_score(truth, scores_NC.double().softmax(1)[:, 1].numpy()))
    else:
        assert "auc" not in found
    assert json.loads(canonical_json(found)) == found


def test_the_mistakes_that_are_shown_are_the_surest_ones_in_words() -> None:
    data = task_data(3)
    module, split = build(data).eval(), data.splits["validation"]
    with torch.inference_mode():
        examples = module.examine(split)["examples"]
        shares_NC = module(split).double().softmax(1)
    sure = sorted(
        (float(row.max()) for row, truth in zip(shares_NC, split.targets, strict=True) if int(row.argmax()) != truth), reverse=True
    )
    assert isinstance(examples, list)
    assert len(examples) == 5
    for example, share in zip(examples, sure, strict=False):
        assert isinstance(example, dict)
        assert example["probability"] == pytest.approx(share, abs=1e-4)
        assert example["true"] != example["said"]
        assert any(text == example["text"] and example["true"] == f"class {number % 3}" for number, text in enumerate(TEXTS))


def test_two_classes_of_which_one_is_missing_have_no_area_under_the_curve() -> None:
    data = task_data()
    split = data.splits["validation"]
    with torch.inference_mode():
        found = build(data).eval().examine(Batch(split.inputs, torch.ones_like(split.targets), split.lengths))
    assert "auc" not in found


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "additive", "dot"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_text_has_the_same_scores_alone_and_beside_longer_ones(pooling: str, bidirectional: bool) -> None:
    data = task_data()
    module = build(data, network__pooling=pooling, network__bidirectional=bidirectional).double().eval()
    split = data.splits["validation"]
    together = module(split)
    for row in range(8):
        alone = split.rows(torch.tensor([row]))
        assert alone.inputs.shape[1] < split.inputs.shape[1] or row % 4 == 3
        torch.testing.assert_close(module(alone)[0], together[row], rtol=1e-9, atol=1e-12)


def test_padding_and_the_tokens_behind_it_have_no_gradient() -> None:
    data = task_data()
    module, split = build(data).train(), data.splits["train"]
    module.loss(module(split), split).backward()
    gradient = module.embedding.weight.grad
    assert gradient is not None
    assert not gradient[PAD].any()
    used = split.inputs.unique()
    assert gradient[used[used != PAD]].abs().sum(1).min() > 0


def test_dropped_words_are_unknown_and_only_in_training() -> None:
    data = task_data(texts=["a b c d e f g h " * 10] * 64)
    module, split = build(data, task__word_dropout=0.3), data.splits["train"]
    seen: list[Tensor] = []
    module.embedding.register_forward_pre_hook(lambda _, tokens: seen.append(tokens[0]))
    module.train()(split)
    module.eval()(split)
    hidden_NT = seen[0] != split.inputs
    assert (seen[0][hidden_NT] == UNKNOWN).all()
    # 64 x 80 tokens: the standard error of a share of 0.3 is 0.0064.
    assert float(hidden_NT.double().mean()) == pytest.approx(0.3, abs=0.0256)
    assert torch.equal(seen[1], split.inputs)


def test_dropped_features_are_the_same_in_a_whole_text_and_only_in_training() -> None:
    data = task_data()
    module, split = build(data, task__embedding_size=200, task__embedding_dropout=0.4), data.splits["train"]
    seen: list[Tensor] = []
    module.network.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    module.train()(split)
    module.eval()(split)
    assert torch.equal(seen[1], module.embedding(split.inputs))
    kept_NE = (seen[0] != 0).any(1)
    torch.testing.assert_close(seen[0], seen[1] * kept_NE.unsqueeze(1) / 0.6)
    # 40 x 200 features: the standard error of a share of 0.6 is 0.0055.
    assert float(kept_NE.double().mean()) == pytest.approx(0.6, abs=0.022)


# Without a recurrent network.


def own_data(tmp_path: Path, rows: Sequence[tuple[str, str, str]], **changes: Value) -> TaskData:
    path = tmp_path / "own.jsonl"
    path.write_text("\n".join(json.dumps({"text": text, "label": label, "split": split}) for text, label, split in rows))
    parameters = DEFAULTS | {"data.min_count": 1} | {name.replace("__", "."): value for name, value in changes.items()}
    return read_data({path.name: path}, f"path:{path.name}", parameters, ("train", "validation"))


def drawn_rows(seed: int = 0) -> list[tuple[str, str, str]]:
    """Texts of a few hundred words, of which half hint at the class."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(400):
        label = "ab"[number % 2]
        words = [f"{label if random.random() < 0.5 else random.choice(['a', 'b', 'c'])}word{random.integers(30)}" for _ in range(6)]
        rows.append((" ".join(words), label, ("train", "train", "validation", "test")[number // 100]))
    return rows


def test_naive_bayes_is_that_over_the_words_of_the_texts(tmp_path: Path) -> None:
    rows = drawn_rows()
    counter = CountVectorizer()
    model = MultinomialNB().fit(counter.fit_transform([row[0] for row in rows[:200]]), [row[1] for row in rows[:200]])
    expected = model.score(counter.transform([row[0] for row in rows[200:300]]), [row[1] for row in rows[200:300]])
    for tokens in ("word", "space", "subword", "char"):
        found = baselines(own_data(tmp_path, rows, data__tokens=tokens), "validation")
        assert found["naive Bayes over words"] == pytest.approx(expected, abs=0.011 if tokens == "subword" else 1e-9)
        assert found["majority class"] == 0.5
        assert ("naive Bayes over 1 to 3 characters" in found) == (tokens == "char")


def test_naive_bayes_falls_to_chance_with_shuffled_labels(tmp_path: Path) -> None:
    rows = drawn_rows()
    assert baselines(own_data(tmp_path, rows), "validation")["naive Bayes over words"] > 0.75
    labels = np.random.default_rng(3).permutation([row[1] for row in rows])
    mixed = [(text, str(label), split) for (text, _, split), label in zip(rows, labels, strict=True)]
    # 100 rows: three standard errors of a half are 0.15.
    assert baselines(own_data(tmp_path, mixed), "validation")["naive Bayes over words"] == pytest.approx(0.5, abs=0.15)


def test_texts_of_signs_alone_leave_naive_bayes_with_the_commonest_class(tmp_path: Path) -> None:
    rows = [("! ?", "a", "train"), ("? ?", "a", "train"), (". .", "b", "train"), ("!", "b", "validation"), ("?", "a", "test")]
    assert baselines(own_data(tmp_path, rows), "validation") == {"majority class": 0.0, "naive Bayes over words": 0.0}


# Starting from a trained model.


class Reader(TaskModule):
    """What another task of tokens must have to be started from: a network, `embedding`, and `codec` in its preparation."""

    def __init__(self, data: TaskData, size: int = 5, cell: str = "gru", **changes: Value) -> None:
        parameters = NETWORK | {"network.hidden_size": 6} | {name.replace("__", "."): value for name, value in changes.items()}
        super().__init__(build_network(cell, size, parameters=parameters), data, parameters)
        self.embedding = nn.Embedding(data.input_size, size)


def test_each_token_takes_its_own_embedding_and_the_network_its_weights() -> None:
    theirs, ours = task_data(texts=["film good other bad"]), task_data()
    torch.manual_seed(7)
    source, module = Reader(theirs), build(ours)
    before = module.embedding.weight.detach().clone()
    taken = module.start_from(source, theirs)
    our_tokens, their_tokens = learn_codec(TEXTS, "word").tokens, learn_codec(["film good other bad"], "word").tokens
    shared = [token for token in our_tokens if token in their_tokens]
    assert set(shared) == {*SPECIAL, "film", "good", "bad"}
    for number, token in enumerate(our_tokens):
        expected = source.embedding.weight[their_tokens.index(token)] if token in shared else before[number]
        assert torch.equal(module.embedding.weight[number], expected)
    for name, weight in module.network.named_parameters():
        assert torch.equal(weight, source.network.get_parameter(name))
    assert taken[0] == f"embedding.weight (7 of {len(our_tokens)} tokens)"
    assert set(taken[1:]) == {f"network.{name}" for name, _ in module.network.named_parameters()}
    assert all(weight.requires_grad for weight in module.parameters())


def test_a_network_in_both_directions_takes_the_forward_one() -> None:
    data = task_data()
    source, module = Reader(data), build(data, network__bidirectional=True, network__pooling="additive")
    before = {name: weight.detach().clone() for name, weight in module.network.named_parameters()}
    taken = module.start_from(source, data)[1:]
    assert set(taken) == {f"network.{name}" for name in before if name.startswith("forwards.")}
    for name, weight in module.network.named_parameters():
        assert torch.equal(weight, source.network.get_parameter(name) if name.startswith("forwards.") else before[name])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": 4}, "set task.embedding_size to 4, as that model has it"),
        ({"cell": "lstm"}, "give this one the same cell, hidden_size and num_layers"),
        ({"network__num_layers": 2}, "give this one the same cell, hidden_size and num_layers"),
        ({"network__hidden_size": 7}, "give this one the same cell, hidden_size and num_layers"),
    ],
)
def test_another_model_cannot_be_started_from(changes: Mapping[str, Value], message: str) -> None:
    data = task_data()
    module = build(data)
    before = {name: weight.detach().clone() for name, weight in module.named_parameters()}
    with pytest.raises(DataError, match=message):
        module.start_from(Reader(data, **changes), data)  # type: ignore[arg-type]  # size and cell by name
    assert all(torch.equal(weight, before[name]) for name, weight in module.named_parameters())


def test_a_model_that_reads_no_tokens_cannot_be_started_from() -> None:
    data = task_data()
    source = Reader(data)
    del source.embedding
    with pytest.raises(DataError, match="that model does not read tokens"):
        build(data).start_from(source, data)
    with pytest.raises(DataError, match="that model does not read tokens"):
        build(data).start_from(Reader(data), TaskData({}, data.input_size, 2))


def test_a_classifier_starts_from_a_language_model_of_the_same_words() -> None:
    card = get_task("language_modelling")
    parameters = NETWORK | {p.name: p.default for p in card.parameters} | {"data.tokens": "word", "data.lowercase": True}
    parameters |= {"network.hidden_size": 6, "task.embedding_size": 5, "data.vocabulary_size": 100}
    code = load_task("language_modelling")
    theirs = code.read_data({}, card.default_data, parameters, ("train",))
    source = code.Module.build(partial(build_network, "gru", parameters=parameters), theirs, parameters)
    module = build(task_data(texts=["the statement is of a class"]))
    taken = module.start_from(source, TaskData({}, theirs.input_size, theirs.output_size, preparation=theirs.preparation))
    assert taken[0].startswith("embedding.weight (")
    embedding = source.embedding
    assert isinstance(embedding, nn.Embedding)
    codec = theirs.preparation["codec"]
    assert isinstance(codec, dict)
    tokens = codec["tokens"]
    assert isinstance(tokens, list)
    ours = learn_codec(["the statement is of a class"], "word").tokens
    assert torch.equal(module.embedding.weight[ours.index("the")], embedding.weight[tokens.index("the")])


# Asking a trained model.


def ask(data: TaskData, module: Module, lines: Sequence[str], top: int = 1) -> Sequence[Mapping[str, object]]:
    kept = TaskData({}, data.input_size, data.output_size, preparation=json.loads(canonical_json(dict(data.preparation))))
    with torch.inference_mode():
        return answer(module.eval(), kept, Question(lines=lines, options={"top": top})).rows


def test_every_line_gets_its_label_and_the_probability_that_evaluation_finds() -> None:
    data = task_data(3)
    module = build(data)
    rows = ask(data, module, TEXTS)
    shares_NC = module(data.splits["validation"]).detach().double().softmax(1)
    for text, row, shares_C in zip(TEXTS, rows, shares_NC, strict=True):
        assert row["text"] == text
        assert row["label"] == f"class {int(shares_C.argmax())}"
        assert row["probability"] == pytest.approx(float(shares_C.max()), rel=1e-5)
        assert list(row) == ["text", "label", "probability"]


def test_as_many_classes_are_told_as_are_asked_for_and_their_probabilities_add_up() -> None:
    data = task_data(3)
    module = build(data)
    (row,) = ask(data, module, ["good film"], top=9)
    assert list(row) == ["text", "label", "probability", "label 2", "probability 2", "label 3", "probability 3"]
    shares = [row["probability"], row["probability 2"], row["probability 3"]]
    assert shares == sorted(shares, reverse=True)  # type: ignore[type-var]  # numbers
    assert sum(shares) == pytest.approx(1)  # type: ignore[arg-type]  # numbers
    assert {row["label"], row["label 2"], row["label 3"]} == {"class 0", "class 1", "class 2"}


def test_a_line_is_answered_the_same_whatever_is_asked_beside_it() -> None:
    data = task_data()
    module = build(data).double()
    lines = ["good", "", "words never seen before " * 40, "bad very film"]
    together = ask(data, module, lines)
    for line, row in zip(lines, together, strict=True):
        (alone,) = ask(data, module, [line])
        assert alone["probability"] == pytest.approx(row["probability"], rel=1e-9)
        assert alone["label"] == row["label"]


# Training, alone and together.


def spec(seed: int, cell: str = "gru", **changes: Value) -> TrialSpec:
    entry = get_cell(cell)
    declared = (*PARAMETERS, *entry.parameters)
    chosen: dict[str, Value] = {"network.hidden_size": 8, "training.batch_size": 50, "data.train_fraction": 0.07}
    chosen |= {name.replace("__", "."): value for name, value in changes.items()}
    values = {parameter.name: chosen.get(parameter.name, parameter.default) for parameter in declared}
    return TrialSpec(
        stage="search", task=CARD.name, task_version=CARD.version, data="opinions", data_fingerprint="embedded", cell=cell,
        cell_version=entry.version, parameters={p.name: values[p.name] for p in declared if p.is_active(values)}, seed=seed,
        budget=Budget(max_epochs=2),
    )  # fmt: skip


def trainer_of(of: TrialSpec, data: TaskData, stream: torch.Generator | None = None) -> Trainer:
    module = build_module(of, data).double()
    return Trainer(of, module, metric="accuracy", maximize=True, pulse=Pulse(itertools.count().__next__), stream=stream)


def test_trials_trained_together_have_the_numbers_of_trials_alone() -> None:
    # What is dropped is the same at every step: trials together read rows cut to the longest of all, and draw for as many steps.
    noise: dict[str, Value] = {"task__embedding_dropout": 0.3, "network__dropout": 0.2, "network__variational": True}
    specs = [
        spec(seed, "gru", optimizer__lr=lr, network__pooling="max", network__bidirectional=True, **noise)
        for seed, lr in ((0, 0.01), (1, 0.002))
    ]
    data = read_data({}, "opinions", specs[0].parameters, ("train", "validation"))
    alone = [trainer_of(one, data).run_epoch(data.splits["train"], data.splits["validation"]) for one in specs]
    trainers = [trainer_of(one, data, torch.Generator()) for one in specs]
    assert can_fuse(trainers[0].module)
    together = FusedTrainer(trainers, Pulse(itertools.count().__next__)).run_epoch(data.splits["train"], data.splits["validation"])
    for trainer, expected in zip(trainers, alone, strict=True):
        found = together[trainer]
        assert isinstance(found, dict)
        for name in ("train_loss", "grad_norm", "loss", "accuracy", "macro_f1"):
            assert found[name] == pytest.approx(expected[name], rel=1e-9)


def test_training_goes_on_from_within_an_epoch_to_the_bit() -> None:
    one = spec(3, task__word_dropout=0.2, task__embedding_dropout=0.3, training__bucketing=True)
    data = read_data({}, "opinions", one.parameters, ("train", "validation"))
    whole = trainer_of(one, data)
    states: list[dict[str, Any]] = []
    # A copy, that training on does not change.
    whole.after_batch = lambda trainer: states.append(copy.deepcopy(trainer.state()))
    expected = whole.run_epoch(data.splits["train"], data.splits["validation"])
    again = trainer_of(one, data)
    torch.manual_seed(99)
    again.restore(states[2])
    found = again.run_epoch(data.splits["train"], data.splits["validation"])
    assert {name: value for name, value in found.items() if name != "train_s"} == {n: v for n, v in expected.items() if n != "train_s"}


@pytest.mark.slow
def test_a_gated_network_learns_what_counting_words_cannot_and_nothing_from_shuffled_labels() -> None:
    one = spec(0, data__train_fraction=1.0, network__hidden_size=64, optimizer__lr=0.01, training__batch_size=64)
    data = read_data({}, "opinions", one.parameters, ("train", "validation"))
    assert baselines(data, "validation")["naive Bayes over words"] < 0.6
    train = data.splits["train"]
    mixed = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
    best = {}
    for name, split in (("right", train), ("shuffled", Batch(train.inputs, train.targets[mixed], train.lengths))):
        trainer = trainer_of(one, data)
        trainer.module.float()
        for _ in range(15):
            trainer.run_epoch(split, data.splits["validation"])
        best[name] = trainer.progress.last
    assert best["right"] is not None
    assert best["right"] > 0.8
    # 500 rows: three standard errors of a half are 0.067.
    assert best["shuffled"] == pytest.approx(0.5, abs=0.067)


def test_special_tokens_are_in_no_text_of_the_embedded_set() -> None:
    data = read_data({}, "opinions", DEFAULTS, ("train", "validation"))
    for split in data.splits.values():
        inside = split.inputs[split.mask()]
        assert not torch.isin(inside, torch.tensor([PAD, UNKNOWN, BEGIN, END])).any()
