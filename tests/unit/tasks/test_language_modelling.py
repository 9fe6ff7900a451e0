"""Language modelling: texts and windows, carried state, tokens and characters, counted baselines, sampling, starting points."""

# Shapes: N rows, T steps, V vocabulary.

import gzip
import itertools
import json
import math
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch import Tensor, nn

from rnnbench.base.errors import DataError, ParameterError
from rnnbench.base.parameters import Value
from rnnbench.cells.build import build_network
from rnnbench.cells.cell import Cell
from rnnbench.cells.network_parameters import NETWORK_PARAMETERS
from rnnbench.cells.step import State
from rnnbench.cells.table import get_cell
from rnnbench.task.answers import Question
from rnnbench.task.catalogue import get_task
from rnnbench.task.module import Batch, TaskData, TaskModule
from rnnbench.task.sources import fingerprint, locate
from rnnbench.task.text import BEGIN, END, PAD, UNKNOWN, TokenKind, learn_codec
from rnnbench.trial.build import build_module
from rnnbench.trial.checkpoint import load_checkpoint, save_checkpoint
from rnnbench.trial.fused import can_fuse
from rnnbench.trial.loop import Trainer, evaluate
from rnnbench.trial.parameters import OPTIMIZER_PARAMETERS, TRAINING_PARAMETERS
from rnnbench.trial.pulse import Pulse
from rnnbench.trial.spec import Budget, TrialSpec
from rnnbench.trial.trained import keep, load_trained
from rnnbench_tasks.language_modelling.baselines import BIGRAM_SHARE
from rnnbench_tasks.language_modelling.corpora import cut_prefix, cut_text, read_texts
from rnnbench_tasks.language_modelling.decoding import Sampling, Writer, continue_tokens, probabilities
from rnnbench_tasks.language_modelling.module import EVALUATION_STREAMS, LanguageModel
from rnnbench_tasks.language_modelling.task import answer, baselines, check_data, read_data
from rnnbench_tasks.language_modelling.windows import NOTHING, Windows, build_windows, encode_text, plan_streams
from tests.unit.tasks.reviews import review_files

CARD = get_task("language_modelling")
OPTIONS: dict[str, Value] = {parameter.name.removeprefix("predict."): parameter.default for parameter in CARD.predict or ()}
TEXT = "".join(f"line {n % 7} of {n % 11} says {'abc'[n % 3] * (n % 5)}.\n" for n in range(400))


def options(**changes: Value) -> dict[str, Value]:
    return {parameter.name: parameter.default for parameter in CARD.parameters} | {
        name.replace("__", "."): value for name, value in changes.items()
    }


def read_own(folder: Path, text: str | bytes = TEXT, name: str = "own.txt", **changes: Value) -> TaskData:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_data({name: path}, f"path:{name}", options(**changes), ("train", "validation", "test"))


def spec(cell: str = "lstm", **changes: Value) -> TrialSpec:
    entry = get_cell(cell)
    declared = (*NETWORK_PARAMETERS, *entry.parameters, *OPTIMIZER_PARAMETERS, *TRAINING_PARAMETERS, *CARD.parameters)
    chosen = {"network.hidden_size": 12, "training.batch_size": 7, "task.embedding_size": 12} | options(**changes)
    chosen |= {"task.embedding_size": chosen["task.embedding_size"] if "task__embedding_size" in changes else 12}
    values = {parameter.name: chosen.get(parameter.name, parameter.default) for parameter in declared}
    active = {parameter.name: values[parameter.name] for parameter in declared if parameter.is_active(values)}
    return TrialSpec(
        stage="search", task=CARD.name, task_version=CARD.version, data="path:own.txt", data_fingerprint="own", cell=cell,
        cell_version=entry.version, parameters=active, seed=3, budget=Budget(max_epochs=2),
    )  # fmt: skip


def build(data: TaskData, cell: str = "lstm", **changes: Value) -> LanguageModel:
    module = build_module(spec(cell, **changes), TaskData(data.splits, 12, data.output_size, data.facts, data.preparation))
    assert isinstance(module, LanguageModel)
    return module


def numbers_of(data: TaskData, split: str) -> Tensor:
    windows = data.splits[split]
    assert isinstance(windows, Windows)
    return windows.tokens()


# Texts


@given(text=st.text(alphabet="ab \n", min_size=300, max_size=3000))
def test_parts_of_a_text_are_the_text(text: str) -> None:
    try:
        parts = cut_text(text, (0.9, 0.05, 0.05), "a.txt")
    except DataError:
        return
    assert "".join(parts) == text
    assert abs(len(parts[0]) - 0.9 * len(text)) <= 0.01 * len(text) + 1


def test_parts_end_with_a_line_or_a_word_where_one_ends_nearby() -> None:
    lines = "".join(f"{n:03d}\n" for n in range(1000))
    assert all(part.endswith("\n") for part in cut_text(lines, (0.9, 0.05, 0.05), "a.txt"))
    words = "".join(f"{n:03d} " for n in range(1000))
    assert all(part.endswith(" ") for part in cut_text(words, (0.9, 0.05, 0.05), "a.txt"))
    assert [len(part) for part in cut_text("x" * 1000, (0.9, 0.05, 0.05), "a.txt")] == [900, 50, 50]


def test_a_smaller_share_of_the_training_text_is_the_beginning_of_a_larger_one(tmp_path: Path) -> None:
    parts = [cut_prefix(TEXT, share) for share in (0.1, 0.25, 0.5, 1.0)]
    assert all(larger.startswith(smaller) for smaller, larger in itertools.pairwise(parts))
    assert parts[-1] == TEXT
    whole, half = read_own(tmp_path), read_own(tmp_path, data__train_fraction=0.5)
    assert len(numbers_of(half, "train")) == pytest.approx(0.5 * len(numbers_of(whole, "train")), rel=0.02)
    assert half.facts["validation characters"] == whole.facts["validation characters"]


def test_the_topics_share_no_paragraph_between_splits_and_the_seed_orders_them() -> None:
    texts, again, other = read_texts({}, "pydoc", 0), read_texts({}, "pydoc", 0), read_texts({}, "pydoc", 1)
    assert texts == again
    assert texts != other
    paragraphs = {split: set(text.split("\n\n")) for split, text in texts.items()}
    # The cut goes through one paragraph, whose halves are no paragraphs.
    assert not paragraphs["train"] & (paragraphs["validation"] | paragraphs["test"])
    assert not paragraphs["validation"] & paragraphs["test"]


def test_the_key_of_the_topics_knows_the_version_of_python(monkeypatch: pytest.MonkeyPatch) -> None:
    here = fingerprint(CARD, "pydoc", Path())
    monkeypatch.setattr(platform, "python_version", lambda: "3.99.1")
    assert fingerprint(CARD, "pydoc", Path()) != here
    assert read_data({}, "pydoc", options(), ("validation",)).facts["Python"] == "3.99.1"


@pytest.mark.parametrize(
    "names",
    [("train.txt", "valid.txt", "test.txt"), ("wiki.train.tokens", "wiki.valid.tokens", "wiki.test.tokens"),
     ("ptb.train.txt", "ptb.dev.txt", "ptb.test.txt"), ("my_train.txt", "my-val.txt", "sub/test.txt")],
)  # fmt: skip
def test_files_of_a_folder_are_the_splits_that_their_names_say(tmp_path: Path, names: Sequence[str]) -> None:
    files = {}
    for name, word in zip(names, ("one", "two", "three"), strict=True):
        files[name] = tmp_path / name
        files[name].parent.mkdir(exist_ok=True)
        files[name].write_text(f"{word}\n" * 50)
    files["README.md"] = tmp_path / "README.md"
    assert read_texts(files, "path:corpus", 0) == {"train": "one\n" * 50, "validation": "two\n" * 50, "test": "three\n" * 50}


def test_a_folder_without_a_split_or_with_two_files_for_one_is_refused(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("train.txt", "notes.txt")}
    with pytest.raises(DataError, match=r"no file for validation and test among train\.txt, notes\.txt; call them train\.txt"):
        read_texts(files, "path:corpus", 0)
    files |= {name: tmp_path / name for name in ("valid.txt", "dev.txt", "test.txt")}
    with pytest.raises(DataError, match=r"dev\.txt: a second file for validation beside .*valid\.txt"):
        read_texts(files, "path:corpus", 0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"own\.txt: the file is empty"),
        (b" \n\n \n", r"own\.txt: the file is empty"),
        (b"fine\nfine\nbad \xff\xfe byte\n", r"own\.txt:3: not UTF-8 \(byte 0xff\)"),
        (b"fine\nzero \0 byte\n", r"own\.txt:2: a zero byte"),
        (b"abc", r"own\.txt: 3 characters are too few to be cut into 3 parts"),
        (b"word\n" * 12, r"own\.txt: 54 tokens to train on, fewer than one window of data\.bptt \(64\)"),
    ],
)  # fmt: skip
def test_a_text_that_cannot_be_used_is_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as raised:
        read_own(tmp_path, content)
    assert "\n" not in str(raised.value)


def test_a_vocabulary_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"own\.txt: no token of the training text occurs 9 times; lower data\.min_count"):
        read_own(tmp_path, "one two\n" * 9, data__tokens="word", data__min_count=9)


def test_a_damaged_test_text_is_refused_before_training(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("train.txt", "valid.txt", "test.txt")}
    for path in files.values():
        path.write_text(TEXT)
    files["test.txt"].write_bytes(b"good line\n\xe9\n")
    with pytest.raises(DataError, match=r"test\.txt:2: not UTF-8"):
        read_data(files, "path:corpus", options(), ("train", "validation"))


@pytest.mark.parametrize("line", ["no label here", "1", "1 ", "x fine"])
def test_a_line_without_label_or_sentence_is_named(tmp_path: Path, line: str) -> None:
    files = {name: tmp_path / name for name in ("stsa.binary.train", "stsa.binary.dev", "stsa.binary.test")}
    for path in files.values():
        path.write_text(f"1 a good film\n{line}\n0 a bad one\n")
    with pytest.raises(DataError, match=r"stsa\.binary\.train:2: '.*' is not a label"):
        read_texts(files, "sst2", 0)


def test_labels_are_no_part_of_the_text(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("stsa.binary.train", "stsa.binary.dev", "stsa.binary.test")}
    for path in files.values():
        path.write_text("1 a good film\n0 10 bad ones\n")
    assert read_texts(files, "sst2", 0)["train"] == "a good film\n10 bad ones\n"


def test_reviews_are_the_same_text_from_the_archive_and_from_tables_each_once(tmp_path: Path) -> None:
    archive, tables = review_files(tmp_path)
    for seed in (0, 1):
        texts = read_texts(archive, "imdb", seed)
        assert texts == read_texts(tables, "imdb", seed)
        assert sorted((texts["train"] + texts["validation"]).split("\n")) == ["", "Bad too", "Bad.", "Fine", "Very\u0085bad", "Worse"]
        assert texts["validation"]
        assert texts["test"] == "No\n"


def test_reviews_sorted_by_class_are_mixed_by_the_seed(tmp_path: Path) -> None:
    many = {f"train/{kind}/{number}_1": f"{kind} {number}" for kind in ("neg", "pos") for number in range(100)} | {"test/neg/0_1": "test"}
    _, tables = review_files(tmp_path, many)
    first, second = (read_texts(tables, "imdb", seed) for seed in (0, 1))
    assert first["train"] != second["train"]
    assert first["validation"].count("\n") == 10
    # Its beginning, which a smaller data.train_fraction takes, has both classes.
    assert 15 < sum(line.startswith("neg") for line in first["train"].split("\n")[:60]) < 45


@pytest.mark.parametrize(
    ("reviews", "message"),
    [
        ({"train/neg/0_3": "One", "test/neg/0_3": "Two"}, "one review in .* cannot both train and validate"),
        ({"train/neg/0_3": "One"}, "no reviews of test in .*aclImdb_v1.tar.gz"),
        ({"test/neg/0_3": "One"}, "no reviews of train in .*aclImdb_v1.tar.gz"),
    ],
)
def test_an_archive_without_reviews_is_named(tmp_path: Path, reviews: Mapping[str, str], message: str) -> None:
    archive, _ = review_files(tmp_path, reviews)
    with pytest.raises(DataError, match=message):
        read_texts(archive, "imdb", 0)


def test_a_row_that_names_no_review_is_named(tmp_path: Path) -> None:
    _, tables = review_files(tmp_path)
    rows = [{"id": "neg/1_1", "text": "fine"}, {"id": "neutral/2_5", "text": "odd"}]
    tables["test.jsonl.gz"].write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    with pytest.raises(DataError, match=r"test\.jsonl\.gz:2: 'neutral/2_5' does not name a review"):
        read_texts(tables, "imdb", 0)


def test_imdb_is_all_of_its_reviews(data_home: Path) -> None:
    texts = read_texts(locate(CARD, "imdb", data_home), "imdb", 0)
    assert {split: len(text.split()) for split, text in texts.items()} == {"train": 5477623, "validation": 292557, "test": 5586920}
    assert not any("<br" in text or "\n\n" in text for text in texts.values())


def test_a_careful_person_is_told_what_is_odd(tmp_path: Path) -> None:
    line = "the same long line that stands everywhere\n"
    own = [f"a line of its own, number {n:05d}, and nothing else\n" for n in range(2000)]
    texts = {
        "train.txt": "".join(own) + "was decoded wr\ufffdngly\n",
        "valid.txt": line * 20 + "bell \x07\r\n",
        "test.txt": "".join(own[:98]) + "\u00e9",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text, newline="")
    files = {name: tmp_path / name for name in texts}
    found = "\n".join(check_data(files, "path:corpus", options()))
    assert "train: 1 replacement characters (U+FFFD): it was decoded wrongly before; the first in line 2001" in found
    assert "validation: 19 of 20 lines stand there before, e.g. 'the same long line" in found
    assert "validation: 1 control characters, most of them U+0007; in line 21" in found
    assert "test: 98 of 98 lines stand in the training text too" in found
    assert "test: 1 characters that the training text has not, e.g. U+00E9" in found
    assert check_data({"own.txt": tmp_path / "train.txt"}, "path:own.txt", options(data__tokens="word"))[1:] == []


# Tokens, characters, windows


@pytest.mark.parametrize("kind", ["char", "word", "space", "subword"])
def test_tokens_stand_for_all_characters_of_the_text(kind: TokenKind) -> None:
    codec = learn_codec(TEXT.split("\n") if kind != "char" else [TEXT], kind, max_size=100)
    for text in (TEXT, TEXT + "an unfinished line", "\n\nblank lines\n\n"):
        tokens, characters = encode_text(codec, text, of_characters=kind == "char")
        numbers = tokens.tolist()
        assert len(numbers) == len(characters)
        # A last line without its end counts as if it had one, except of characters.
        assert sum(characters) == len(text) + (not text.endswith("\n") and kind != "char")
        if kind != "char":
            assert numbers.count(END) == text.count("\n") + (not text.endswith("\n"))


def test_words_are_those_of_the_usual_reading_of_wikitext(data_home: Path) -> None:
    data = read_data(locate(CARD, "wikitext2_small", data_home), "wikitext2_small", options(), ("train", "validation", "test"))
    # The published numbers of words and line ends.
    assert data.facts["train tokens"] == 245569
    assert data.facts["validation tokens"] + data.facts["test tokens"] == 217646
    assert data.facts["tokens"] == "space"
    assert data.facts["bptt"] == 35
    # Every word of the training text is known; what is unknown there was unknown to the publisher.
    assert data.facts["train unknown tokens"] == pytest.approx(15219 / 245569, abs=1e-4)


def windows_of(numbers: Sequence[int], bptt: int) -> Windows:
    return build_windows(np.array(numbers, dtype=np.int32), np.ones(len(numbers), dtype=np.int32), bptt)


@given(length=st.integers(1, 200), bptt=st.integers(2, 40))
def test_windows_hold_every_token_once_each_predicted_from_the_one_before(length: int, bptt: int) -> None:
    numbers = [4 + (7 * n) % 50 for n in range(length)]
    windows = windows_of(numbers, bptt)
    assert windows.tokens().tolist() == numbers
    assert windows.inputs[windows.mask()].tolist() == [BEGIN, *numbers[:-1]]
    assert (windows.inputs[~windows.mask()] == PAD).all()
    assert (windows.targets[~windows.mask()] == NOTHING).all()
    assert len(windows) == math.ceil(length / bptt)
    assert int(windows.characters.sum()) == length
    last = windows.rows(torch.tensor([len(windows) - 1]))
    assert last.inputs.shape == last.targets.shape == (1, length - (len(windows) - 1) * bptt)
    assert int(last.characters.sum()) == last.inputs.shape[1]


@given(num_rows=st.integers(1, 300), num_streams=st.integers(1, 40))
def test_streams_are_contiguous_and_of_equal_length_to_one_row(num_rows: int, num_streams: int) -> None:
    batches = plan_streams(num_rows, num_streams)
    assert sorted(torch.cat(batches).tolist()) == list(range(num_rows))
    for before, after in itertools.pairwise(batches):
        assert torch.equal(after, before[: len(after)] + 1)
    streams = Counter(len(batch) for batch in batches)
    assert len(batches[0]) == min(num_rows, num_streams)
    # Shorter batches come last, and there is at most one of them: streams differ by at most one row.
    assert sum(count for width, count in streams.items() if width < len(batches[0])) <= 1


# The model


def test_a_step_of_training_is_truncated_back_propagation_with_the_state_carried(tmp_path: Path) -> None:
    """Three windows of two streams, against torch's LSTM whose state is detached by hand; float64."""
    data = read_own(tmp_path, data__bptt=6)
    module = build(data)
    module.double()
    cell = module.network.forwards[0]
    assert isinstance(cell, Cell)
    reference = nn.LSTM(12, 12, batch_first=True).double()
    with torch.no_grad():
        for weight, value in zip(reference.all_weights[0], cell.flat_weights(), strict=True):
            weight.copy_(value)
    train = data.splits["train"].rows(torch.arange(40))
    state = None
    for step, rows in enumerate(plan_streams(40, 2)[:3]):
        batch = train.rows(rows)
        module.zero_grad()
        reference.zero_grad()
        loss = module.training_step(batch, step)
        loss.backward()
        outputs_NTO, state = reference(module.embedding.weight.detach()[batch.inputs], state)
        state = tuple(part.detach() for part in state)
        expected = nn.functional.cross_entropy(module.head(outputs_NTO).transpose(1, 2), batch.targets)
        expected.backward()
        assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
        for name, theirs in zip(("weight_ih", "weight_hh"), reference.all_weights[0], strict=False):
            ours = cell.get_parameter(name).grad
            assert ours is not None
            assert theirs.grad is not None
            torch.testing.assert_close(ours, theirs.grad, rtol=1e-10, atol=1e-14)


def read_at_once(module: LanguageModel, numbers: Sequence[int], first: int) -> float:
    """Nats of a text in one pass from its beginning: no windows, no carried state."""
    inputs = torch.tensor([[first, *numbers[:-1]]])
    scores_NTV = module.score(module.network(module.embed(inputs))[0])
    return float(nn.functional.cross_entropy(scores_NTV[0].double(), torch.tensor(numbers), reduction="sum"))


@pytest.mark.parametrize("cell", ["lstm", "gru", "min_gru", "transformer", "tcn"])
def test_perplexity_is_that_of_each_stream_read_at_once(tmp_path: Path, cell: str) -> None:
    data = read_own(tmp_path, data__bptt=10)
    module, split = build(data, cell).eval(), data.splits["validation"]
    assert len(split) % EVALUATION_STREAMS, "a ragged end is part of the case"
    found = evaluate(module, split, Pulse(lambda: 0.0))
    numbers, at = numbers_of(data, "validation").tolist(), 0
    shortest, longer = divmod(len(split), EVALUATION_STREAMS)
    nats = 0.0
    with torch.inference_mode():
        for stream in range(EVALUATION_STREAMS):
            end = at + (shortest + (stream < longer)) * 10
            nats += read_at_once(module, numbers[at:end], numbers[at - 1] if at else BEGIN)
            at = end
    assert found["nll"] == pytest.approx(nats / len(numbers), rel=1e-6)
    assert found["perplexity"] == pytest.approx(math.exp(nats / len(numbers)), rel=1e-5)
    assert found["bits_per_character"] == pytest.approx(nats / len(numbers) / math.log(2), rel=1e-6)


def test_row_after_row_is_the_whole_text_read_at_once(tmp_path: Path) -> None:
    data = read_own(tmp_path, data__bptt=10)
    module, split = build(data).eval(), data.splits["validation"]
    nats = 0.0
    with torch.inference_mode():
        for row in torch.arange(len(split)).split(1):
            batch = split.rows(row)
            nats += float(module.totals(module(batch), batch)["nats"])
        assert nats == pytest.approx(read_at_once(module, numbers_of(data, "validation").tolist(), BEGIN), rel=1e-6)


def test_nothing_is_carried_from_one_evaluation_to_the_next(tmp_path: Path) -> None:
    data = read_own(tmp_path)
    module, pulse = build(data), Pulse(lambda: 0.0)
    once = evaluate(module, data.splits["validation"], pulse)
    evaluate(module, data.splits["test"], pulse)
    assert evaluate(module, data.splits["validation"], pulse) == once
    assert module.carried is None


def test_a_model_that_knows_nothing_has_the_perplexity_of_its_vocabulary(tmp_path: Path) -> None:
    data = read_own(tmp_path, data__tokens="space")
    module = build(data)
    nn.init.zeros_(module.head.weight)
    nn.init.zeros_(module.head.bias)
    found = evaluate(module, data.splits["validation"], Pulse(lambda: 0.0))
    tokens, characters = data.facts["validation tokens"], data.facts["validation characters"]
    assert found["perplexity"] == pytest.approx(data.output_size, rel=1e-6)
    assert found["nll"] == found["loss"] == pytest.approx(math.log(data.output_size), rel=1e-6)
    assert found["bits_per_character"] == pytest.approx(math.log2(data.output_size) * tokens / characters, rel=1e-6)


def test_a_diverged_model_has_an_infinite_perplexity_and_no_crash(tmp_path: Path) -> None:
    module = build(read_own(tmp_path))
    assert module.metrics({"nats": 1e6, "tokens": 10.0, "characters": 10.0})["perplexity"] == math.inf


class Stopped(Exception):
    """Ends a training run in the middle of an epoch."""


def trainer(of: TrialSpec, data: TaskData, after: int | None = None, path: Path | None = None) -> Trainer:
    count = itertools.count(1)

    def stop(one: Trainer) -> None:
        if path is not None and next(count) == after:
            save_checkpoint(path, one.state())
            raise Stopped

    return Trainer(of, build_module(of, data), metric="nll", maximize=False, pulse=Pulse(itertools.count().__next__), after_batch=stop)


def run(one: Trainer, data: TaskData, epochs: int) -> list[dict[str, float]]:
    return [one.run_epoch(data.splits["train"], data.splits["validation"]) for _ in range(epochs)]


@pytest.mark.parametrize(("cell", "after"), [("lstm", 1), ("lstm", 4), ("lstm", 13), ("gru", 4), ("min_gru", 4)])
def test_a_trial_stopped_within_a_text_goes_on_bit_equal(tmp_path: Path, cell: str, after: int) -> None:
    data = read_own(tmp_path, task__embedding_size=12, data__train_fraction=0.5)
    of = spec(
        cell, network__num_layers=2, network__dropout=0.3, network__variational=True, network__weight_drop=0.2, task__embedding_dropout=0.1,
        task__input_dropout=0.2, task__activation_reg=1.0, task__temporal_reg=1.0, training__batch_size=7,
    )  # fmt: skip
    whole = trainer(of, data)
    curve = run(whole, data, 2)
    first = trainer(of, data, after, tmp_path / "last.ckpt")
    with pytest.raises(Stopped):
        run(first, data, 2)
    torch.manual_seed(99)
    second = trainer(of, data)
    second.restore(load_checkpoint(tmp_path / "last.ckpt"))
    rest = run(second, data, 2 - second.progress.epoch)
    for one, other in zip(curve[-len(rest) :], rest, strict=True):
        assert {name: value for name, value in one.items() if name != "train_s"} == {k: v for k, v in other.items() if k != "train_s"}
    assert all(torch.equal(weight, other) for weight, other in zip(whole.weights, second.weights, strict=True))


def test_without_what_was_carried_a_resumed_trial_would_be_another(tmp_path: Path) -> None:
    """The control of the test above: the carried state matters."""
    data = read_own(tmp_path, task__embedding_size=12, data__train_fraction=0.5)
    whole, losses = trainer(spec(), data), []
    whole.run_epoch(data.splits["train"], data.splits["validation"])
    first = trainer(spec(), data, 4, tmp_path / "last.ckpt")
    with pytest.raises(Stopped):
        first.run_epoch(data.splits["train"], data.splits["validation"])
    state = load_checkpoint(tmp_path / "last.ckpt")
    for carried in (state["partial"]["carried"], None):
        second = trainer(spec(), data)
        second.restore({**state, "partial": {**state["partial"], "carried": carried}})
        losses.append(second.run_epoch(data.splits["train"], data.splits["validation"])["train_loss"])
    assert losses[0] != losses[1]


def test_a_backward_direction_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"network\.bidirectional: a language model predicts what a backward direction has read"):
        build(read_own(tmp_path), network__bidirectional=True)


def test_a_model_that_carries_state_is_not_trained_with_others(tmp_path: Path) -> None:
    module = build(read_own(tmp_path))
    assert module.carries_state
    assert not can_fuse(module)


@pytest.mark.parametrize("hidden", [12, 20])
def test_tied_embeddings_are_the_head_through_a_projection_where_sizes_differ(tmp_path: Path, hidden: int) -> None:
    data = read_own(tmp_path)
    module = build(data, task__tied=True, network__hidden_size=hidden)
    assert module.head.weight is module.embedding.weight
    assert isinstance(module.project, nn.Linear) == (hidden != 12)
    free = build(data, network__hidden_size=hidden)
    projected = 12 * hidden if hidden != 12 else 0
    assert count_weights(free) - count_weights(module) == hidden * data.output_size - projected
    batch = data.splits["train"].rows(torch.arange(4))
    module.training_step(batch, 0).backward()
    assert module.embedding.weight.grad is not None
    kept = {name: weight.clone() for name, weight in module.state_dict().items()}
    again = build(data, task__tied=True, network__hidden_size=hidden)
    again.load_state_dict(kept)
    assert again.head.weight is again.embedding.weight
    module.carried = None
    torch.testing.assert_close(again(batch), module(batch), rtol=0, atol=0)


def count_weights(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def test_words_are_dropped_whole_and_features_for_a_whole_window(tmp_path: Path) -> None:
    data = read_own(tmp_path)
    tokens_NT = data.splits["train"].inputs[:40]
    words = build(data, task__embedding_dropout=0.4)
    whole_NTE = words.embedding(tokens_NT)
    ratio_NTE = words.embed(tokens_NT) / whole_NTE
    assert torch.all((ratio_NTE == 0) | ((ratio_NTE - 1 / 0.6).abs() < 1e-5))
    assert torch.equal(ratio_NTE.amin(2) > 0, ratio_NTE.amax(2) > 0)
    dropped = {(int(token), bool(kept)) for token, kept in zip(tokens_NT.flatten(), ratio_NTE[..., 0].flatten() > 0, strict=True)}
    assert len(dropped) == len({token for token, _ in dropped}), "a word is dropped wherever it stands"
    features = build(data, task__input_dropout=0.4)
    ratio_NTE = features.embed(tokens_NT) / features.embedding(tokens_NT)
    assert torch.allclose(ratio_NTE, ratio_NTE[:, :1].expand_as(ratio_NTE), atol=1e-4)
    share = float((ratio_NTE[:, 0] == 0).double().mean())
    assert abs(share - 0.4) < 4 * math.sqrt(0.24 / (40 * 12))
    assert torch.equal(features.eval().embed(tokens_NT), features.embedding(tokens_NT))


def test_penalties_are_means_of_squared_outputs_and_of_their_squared_change(tmp_path: Path) -> None:
    data = read_own(tmp_path)
    batch = data.splits["train"].rows(torch.arange(5))
    plain = build(data)
    loss = plain.training_step(batch, 0).item()
    outputs_NTO = plain.network(plain.embedding(batch.inputs))[0].detach().double().numpy()
    sized, smooth = build(data, task__activation_reg=3.0), build(data, task__temporal_reg=5.0)
    assert sized.training_step(batch, 0).item() - loss == pytest.approx(3 * (outputs_NTO**2).mean(), rel=1e-4)
    change = outputs_NTO[:, 1:] - outputs_NTO[:, :-1]
    assert smooth.training_step(batch, 0).item() - loss == pytest.approx(5 * (change**2).mean(), rel=1e-3)


@pytest.mark.slow
def test_training_beats_the_bigram_on_a_text_with_memory_and_not_on_one_that_is_shuffled(tmp_path: Path) -> None:
    text = "".join(f"{a}{b}{a}{b}\n" for a, b in zip("abcd" * 200, "wxyz" * 150 + "zyxw" * 50, strict=True))
    order = np.random.default_rng(0).permutation(len(text))
    for of, memory in ((text, True), ("".join(text[place] for place in order), False)):
        data = read_own(tmp_path, of, task__embedding_size=12, data__bptt=20)
        found = trainer(spec(optimizer__lr=0.02, network__hidden_size=24), data)
        best = min(found.run_epoch(data.splits["train"], data.splits["validation"])["nll"] for _ in range(8))
        counted = baselines(data, "validation")
        if memory:
            assert best < 0.8 * min(counted.values())
        else:
            # Three standard errors of some 200 tokens of which no one can know more than their frequency.
            assert best > counted["unigram"] - 3 * 0.5 / math.sqrt(200)
            assert counted["bigram, Kneser-Ney"] > counted["unigram"] - 0.1


# Counting


def test_counted_baselines_equal_a_count_by_hand(tmp_path: Path) -> None:
    data = read_own(tmp_path, "a b a c a b b a c c a b\n" * 20, data__tokens="space", data__bptt=7)
    train: list[int] = numbers_of(data, "train").tolist()
    validation: list[int] = numbers_of(data, "validation").tolist()
    size = data.output_size
    pairs = Counter(itertools.pairwise([BEGIN, *train]))
    before = Counter([BEGIN, *train[:-1]])
    unigram = {token: (train.count(token) + 1) / (len(train) + size) for token in range(size)}
    once, twice = (sum(count == times for count in pairs.values()) for times in (1, 2))
    discount = once / (once + 2 * twice)

    def bigram(last: int, token: int) -> float:
        own = pairs[last, token] / before[last] if before[last] else unigram[token]
        return BIGRAM_SHARE * own + (1 - BIGRAM_SHARE) * unigram[token]

    def kneser_ney(last: int, token: int) -> float:
        lower = (sum(pair[1] == token for pair in pairs) + 1) / (len(pairs) + size)
        if not before[last]:
            return lower
        kinds = sum(pair[0] == last for pair in pairs)
        return max(pairs[last, token] - discount, 0) / before[last] + discount * kinds / before[last] * lower

    for chance in (bigram, kneser_ney):
        for last in range(size):
            assert sum(chance(last, token) for token in range(size)) == pytest.approx(1, rel=1e-12)
    steps = list(itertools.pairwise([BEGIN, *validation]))
    expected = {
        "unigram": -sum(math.log(unigram[token]) for token in validation) / len(validation),
        "bigram": -sum(math.log(bigram(*step)) for step in steps) / len(steps),
        "bigram, Kneser-Ney": -sum(math.log(kneser_ney(*step)) for step in steps) / len(steps),
    }
    assert baselines(data, "validation") == pytest.approx(expected, rel=1e-12)


def test_the_floors_of_the_card_are_the_best_counted_baseline_of_the_test_text(data_home: Path) -> None:
    for name, item in CARD.data.items():
        if item.floor is None:
            continue
        data = read_data(locate(CARD, name, data_home), name, options(), ("train", "test"))
        counted = baselines(data, "test")
        assert min(counted.values()) == pytest.approx(item.floor.value, abs=0.001)
        assert min(counted, key=lambda one: counted[one]) in item.floor.baseline


def test_counts_of_shakespeare_are_those_that_others_found(data_home: Path) -> None:
    """Trained on the first nine tenths and validated on the last, as nanoGPT does: 3.347 and 2.497 nats."""
    data = read_data(locate(CARD, "tinyshakespeare", data_home), "tinyshakespeare", options(), ("train", "validation", "test"))
    pieces = [numbers_of(data, name) for name in ("validation", "test")]
    last = windows_of(torch.cat(pieces).tolist(), 64)
    counted = baselines(TaskData({"train": data.splits["train"], "validation": last}, 1, data.output_size), "validation")
    assert data.facts["train characters"] == pytest.approx(1003854, abs=40)
    assert int(last.characters.sum()) == pytest.approx(111540, abs=40)
    assert counted["unigram"] == pytest.approx(3.347, abs=0.0005)
    assert counted["bigram"] == pytest.approx(2.497, abs=0.001)
    # By turns both are like the whole; its halves have 2.487 and 2.506.
    for name in ("validation", "test"):
        part = baselines(data, name)
        assert part["bigram"] == pytest.approx(counted["bigram"], abs=0.006)


def test_pieces_of_shakespeare_are_the_text(data_home: Path) -> None:
    files = locate(CARD, "tinyshakespeare", data_home)
    texts, whole = read_texts(files, "tinyshakespeare", 0), files["input.txt"].read_text(encoding="utf-8")
    assert whole.startswith(texts["train"])
    assert sorted(whole[len(texts["train"]) :]) == sorted(texts["validation"] + texts["test"])
    assert len(texts["validation"]) == pytest.approx(len(texts["test"]), rel=0.02)
    # Whole lines in the order of the text.
    rest = iter(whole[len(texts["train"]) :].split("\n"))
    assert all(line in rest for line in texts["test"].removesuffix("\n").split("\n"))


# Sampling


@given(
    scores=st.lists(st.floats(-5, 5), min_size=2, max_size=12, unique=True),
    temperature=st.floats(0.3, 3),
    top_k=st.integers(0, 12),
    top_p=st.floats(0.05, 1),
)
def test_the_distribution_is_cut_as_by_hand(scores: list[float], temperature: float, top_k: int, top_p: float) -> None:
    weights = [math.exp(score / temperature) for score in scores]
    order = sorted(range(len(scores)), key=lambda token: -weights[token])
    kept = order[:top_k] if top_k else order
    total = sum(weights[token] for token in kept)
    nucleus: list[int] = []
    while sum(weights[token] for token in nucleus) / total < top_p - 1e-9 and len(nucleus) < len(kept):
        nucleus.append(kept[len(nucleus)])
    found = probabilities(torch.tensor(scores, dtype=torch.float64), Sampling(temperature, top_k, top_p))
    share = sum(weights[token] for token in nucleus)
    expected = [weights[token] / share if token in nucleus else 0.0 for token in range(len(scores))]
    # Where the nucleus is full to a rounding error, one more or less is as right.
    if abs(sum(weights[token] for token in nucleus) / total - top_p) > 1e-6 or top_p == 1:
        assert found.tolist() == pytest.approx(expected, abs=1e-9)


def test_of_equal_scores_exactly_k_stay() -> None:
    assert probabilities(torch.zeros(6), Sampling(top_k=2)).tolist() == [0.5, 0.5, 0, 0, 0, 0]
    assert probabilities(torch.zeros(4), Sampling(top_p=0.5)).tolist() == [0.5, 0.5, 0, 0], "the fewest that have the share"
    assert probabilities(torch.zeros(6), Sampling(greedy=True)).tolist() == [1, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(0.5), Sampling(top_k=3), Sampling(top_p=0.7), Sampling(1.5, 4, 0.9)])
def test_draws_are_as_often_as_the_distribution_says(sampling: Sampling) -> None:
    scores_V = torch.tensor([0.3, -1.0, 2.0, 1.1, 0.0, 0.9])
    said = continue_tokens(lambda tokens, state: (scores_V, []), [0], 6000, sampling, banned=[4], seed=7)
    expected = probabilities(scores_V.index_fill(0, torch.tensor([4]), -torch.inf), sampling).numpy()
    counts = np.bincount(said, minlength=6)
    assert counts[4] == 0
    assert (counts[expected == 0] == 0).all()
    assert chisquare(counts[expected > 0], 6000 * expected[expected > 0]).pvalue > 1e-4


def test_each_token_is_drawn_given_all_before_it(tmp_path: Path) -> None:
    """Stepping with the state gives the scores of the whole text read anew."""
    data = read_own(tmp_path)
    module = build(data, network__num_layers=2).eval()
    prompt, found = [5, 9, 4, 7], []

    def read(tokens: Sequence[int], state: Sequence[State] | None) -> tuple[Tensor, Sequence[State]]:
        scores_V, state = module.next_scores(tokens, state)
        found.append(scores_V)
        return scores_V, state

    with torch.inference_mode():
        said = continue_tokens(read, prompt, 12, Sampling(), module.writer.banned(), seed=0)
        assert len(set(said)) > 1
        for place, scores_V in enumerate(found):
            anew_NTV = module.score(module.network(module.embed(torch.tensor([prompt + said[:place]])))[0])
            torch.testing.assert_close(scores_V, anew_NTV[0, -1])


def ask(module: LanguageModel, data: TaskData, lines: Sequence[str], **changes: Value) -> list[str]:
    with torch.inference_mode():
        found = answer(module, data, Question(lines=lines, options=OPTIONS | changes))
    return [str(row["continuation"]) for row in found.rows]


def test_answers_are_seeded_and_leave_the_default_generator_alone(tmp_path: Path) -> None:
    data = read_own(tmp_path)
    module = build(data).eval()
    torch.manual_seed(1)
    once = ask(module, data, ["line 3", "line 3"], length=40)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    assert ask(module, data, ["line 3", "line 3"], length=40) == once
    assert torch.equal(torch.get_rng_state(), before)
    assert once[0] != once[1], "each line has a stream of its own"
    assert ask(module, data, ["line 3", "line 3"], length=40, seed=1) != once
    assert ask(module, data, ["line 3"], length=40) == once[:1]
    greedy = ask(module, data, ["line 3", "line 3"], length=40, greedy=True)
    assert greedy[0] == greedy[1]
    assert all(len(text) == 40 for text in once)


def test_an_answer_says_how_much_of_the_prompt_it_does_not_know(tmp_path: Path) -> None:
    data = read_own(tmp_path)
    with torch.inference_mode():
        found = answer(build(data).eval(), data, Question(lines=["line \u00e9\u00e8", ""], options=OPTIONS | {"length": 5}))
    assert [row["unknown_tokens"] for row in found.rows] == [2, 0]
    assert found.text == "\n\n".join(f"{row['prompt']}{row['continuation']}" for row in found.rows)
    with pytest.raises(DataError, match="give it at least one"):
        answer(build(data), data, Question(options=OPTIONS))


@pytest.mark.parametrize(
    ("kind", "prompt", "said", "expected"),
    [
        ("char", "ab", "c\nd", "c\nd"),
        ("space", "a b", "c d\ne", " c d\ne"),
        ("word", "Well", ", he said.\nYes", ", he said.\nYes"),
        ("word", "he", "said", " said"),
        ("subword", "he", "said yes", " said yes"),
    ],
)
def test_a_continuation_joins_its_prompt_as_text_would(kind: TokenKind, prompt: str, said: str, expected: str) -> None:
    texts = [prompt, said, "a b c d e", "Well, he said. Yes, he said yes."] * 5
    codec = learn_codec([*texts, "\n"] if kind == "char" else texts, kind, max_size=200)
    writer = Writer(codec, of_characters=kind == "char")
    numbers = encode_text(codec, said, of_characters=kind == "char")[0].tolist()
    assert writer.write(writer.prompt(prompt), numbers if kind == "char" else numbers[:-1]) == expected


def test_a_prompt_begins_a_line() -> None:
    characters = learn_codec(["ab\n"], "char")
    assert Writer(characters, of_characters=True).prompt("ab") == characters.encode("\nab")
    assert Writer(learn_codec(["ab"], "char"), of_characters=True).prompt("ab")[0] == BEGIN
    assert Writer(learn_codec(["ab"], "word"), of_characters=False).prompt("")[:1] == [END]


def test_a_learned_text_is_continued_from_the_checkpoint_alone(tmp_path: Path) -> None:
    data = read_own(tmp_path, "abcdefgh\n" * 300, task__embedding_size=12, data__bptt=18)
    of = spec(optimizer__lr=0.03, network__hidden_size=16)
    one = trainer(of, data)
    for _ in range(6):
        one.run_epoch(data.splits["train"], data.splits["validation"])
    keep(of, one.progress.best_weights, data, None).save(tmp_path / "best.ckpt")
    trained = load_trained(tmp_path / "best.ckpt")
    assert isinstance(trained.module, LanguageModel)
    assert not trained.data.splits
    assert ask(trained.module, trained.data, ["abc"], length=15, greedy=True) == ["defgh\nabcdefgh\n"]
    one.module.load_state_dict(one.progress.best_weights)
    assert isinstance(one.module, LanguageModel)
    assert ask(trained.module, trained.data, ["abc"], length=30) == ask(one.module.eval(), data, ["abc"], length=30)
    with torch.inference_mode():
        examined = trained.module.examine(data.splits["test"])
    # Every token of the test text is known.
    assert examined["perplexity_of_known_tokens"] == pytest.approx(
        evaluate(trained.module, data.splits["test"], Pulse(lambda: 0.0))["perplexity"], rel=1e-6
    )
    assert [one["temperature"] for one in examined["examples"]] == [0.5, 0.8, 1.0]
    assert all("abcdefgh\nabcdefgh" in one["text"] for one in examined["examples"])


def test_unknown_words_are_left_out_of_the_perplexity_of_known_tokens(tmp_path: Path) -> None:
    data = read_own(tmp_path, data__tokens="space", data__min_count=100)
    module, split = build(data).eval(), data.splits["test"]
    with torch.inference_mode():
        found = module.examine(split)["perplexity_of_known_tokens"]
        nats = tokens = 0.0
        for rows in module.plan_evaluation(split):
            batch = split.rows(rows)
            chance_NTV = module(batch).double().log_softmax(2)
            for target, chance_V in zip(batch.targets.flatten().tolist(), chance_NTV.flatten(0, 1), strict=True):
                if target not in (UNKNOWN, NOTHING):
                    nats, tokens = nats - float(chance_V[target]), tokens + 1
    assert (numbers_of(data, "test") == UNKNOWN).any()
    assert found == pytest.approx(math.exp(nats / tokens), rel=1e-5)


# Starting from another model


def test_another_language_model_gives_its_network_and_each_token_its_own_weights(tmp_path: Path) -> None:
    source_data = read_own(tmp_path, "one two three four\n" * 100, data__tokens="space", data__bptt=5)
    data = read_own(tmp_path, "two five three two six\n" * 100, data__tokens="space", data__bptt=5)
    source, module = build(source_data), build(data)
    before = {name: weight.clone() for name, weight in module.state_dict().items()}
    taken = module.start_from(source, source_data)
    assert taken[-1] == "embedding.weight and head (6 of 8 tokens)"
    assert "network.forwards.0.weight_hh" in taken
    for token in ("<eos>", "two", "three"):
        ours, theirs = module.codec.tokens.index(token), source.codec.tokens.index(token)
        assert torch.equal(module.embedding.weight[ours], source.embedding.weight[theirs])
        assert torch.equal(module.head.weight[ours], source.head.weight[theirs])
        assert torch.equal(module.head.bias[ours], source.head.bias[theirs])
    for token in ("five", "six"):
        ours = module.codec.tokens.index(token)
        assert torch.equal(module.embedding.weight[ours], before["embedding.weight"][ours])
        assert torch.equal(module.head.weight[ours], before["head.weight"][ours])
    for name, weight in source.network.state_dict().items():
        assert torch.equal(module.network.state_dict()[name], weight)


def test_a_tied_model_takes_no_head_from_one_that_is_not(tmp_path: Path) -> None:
    data = read_own(tmp_path)
    free, tied = build(data), build(data, task__tied=True)
    assert tied.start_from(free, data)[-1].startswith("embedding.weight (")
    assert torch.equal(tied.embedding.weight, free.embedding.weight)
    assert tied.head.weight is tied.embedding.weight
    projected, other = (build(data, task__tied=True, network__hidden_size=20) for _ in range(2))
    nn.init.ones_(projected.project.get_parameter("weight"))
    assert other.start_from(projected, data)[-1].startswith("embedding.weight and head (")
    assert torch.equal(other.project.get_parameter("weight"), projected.project.get_parameter("weight"))


def test_a_model_of_another_shape_or_without_tokens_is_refused(tmp_path: Path) -> None:
    data = read_own(tmp_path)
    with pytest.raises(DataError, match=r"training\.init_from: .*same cell, hidden_size"):
        build(data).start_from(build(data, network__hidden_size=20), data)
    parameters = {parameter.name: parameter.default for parameter in NETWORK_PARAMETERS}
    plain = TaskData({}, 1, 1)
    other = TaskModule.build(partial(build_network, "lstm", parameters={**parameters, "network.hidden_size": 12}), plain, {})
    with pytest.raises(DataError, match="reads no tokens"):
        build(data).start_from(other, plain)


def test_a_plain_batch_of_lightning_is_moved_with_its_characters(tmp_path: Path) -> None:
    batch: Batch = read_own(tmp_path).splits["test"].rows(torch.arange(3))
    moved = batch.to(torch.device("cpu"))
    assert isinstance(moved, Windows)
    assert torch.equal(moved.characters, torch.tensor([64, 64, 64]))
