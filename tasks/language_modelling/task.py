"""Language modelling: a text as windows that go on from each other, and how surprising each next token is."""

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from rnnbench.base.canonical import Plain
from rnnbench.base.errors import DataError
from rnnbench.base.parameters import Value
from rnnbench.base.seeds import child
from rnnbench.task.answers import Answer, Question
from rnnbench.task.module import TaskData, TaskModule
from rnnbench.task.text import SPECIAL, UNKNOWN, Codec, TokenKind, learn_codec
from rnnbench_tasks.language_modelling.baselines import count_baselines
from rnnbench_tasks.language_modelling.checks import check_texts
from rnnbench_tasks.language_modelling.corpora import cut_prefix, describe_splits, read_texts
from rnnbench_tasks.language_modelling.decoding import Sampling, continue_tokens
from rnnbench_tasks.language_modelling.module import LanguageModel
from rnnbench_tasks.language_modelling.windows import Windows, build_windows, cut_pieces, encode_text

# What a corpus is usually read as, where data.tokens does not say; other texts are read as characters.
USUAL_TOKENS: Mapping[str, TokenKind] = {
    "wikitext2": "space",
    "wikitext2_small": "space",
    "ptb": "space",
    "sst2": "space",
    "imdb": "word",
}
# Steps of a window, where data.bptt does not say.
USUAL_BPTT = {"char": 64, "word": 35, "space": 35, "subword": 35}

Module = LanguageModel
baselines = count_baselines


def read_data(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value], splits: Sequence[str]) -> TaskData:
    """Windows of each split's text; the vocabulary is that of the training text, or of the part of it that is used.

    Raises:
        DataError: a file cannot be used, or the training text is shorter than one window.
    """
    texts = read_texts(files, data, _whole(parameters, "data.seed"))
    fraction = parameters["data.train_fraction"]
    assert isinstance(fraction, float), "checked when the sweep file was read"
    texts["train"] = cut_prefix(texts["train"], fraction)
    kind, where = get_kind(data, parameters), str(next(iter(files.values()), data))
    codec = _learn(texts["train"], kind, parameters, where)
    bptt = USUAL_BPTT[kind] if parameters["data.bptt"] is None else _whole(parameters, "data.bptt")
    windows = {split: build_windows(*encode_text(codec, texts[split], of_characters=kind == "char"), bptt) for split in splits}
    if "train" in windows and (num_tokens := len(windows["train"].tokens())) < bptt:
        raise DataError(
            f"{where}: {num_tokens} tokens to train on, fewer than one window of data.bptt ({bptt}); give more text, or lower it"
        )
    facts: dict[str, Plain] = {"splits": describe_splits(files, data), "tokens": kind, "vocabulary": len(codec.tokens), "bptt": bptt}
    if data == "pydoc":
        facts["Python"] = platform.python_version()
    for split, rows in windows.items():
        facts |= _count(split, rows)
    embedding_size = _whole(parameters, "task.embedding_size")
    return TaskData(windows, embedding_size, len(codec.tokens), facts, {"codec": codec.to_plain()})


def check_data(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value]) -> list[str]:
    """What a careful person would want to know of the texts before training, a line each."""
    texts = read_texts(files, data, _whole(parameters, "data.seed"))
    return check_texts(texts, get_kind(data, parameters))


def answer(module: TaskModule, data: TaskData, question: Question) -> Answer:
    """Continues each line; line number n has a random stream of its own, so that the same line again gives something else.

    Raises:
        DataError: there is no line to continue.
    """
    assert isinstance(module, LanguageModel), "a model of this task"
    if not question.lines:
        raise DataError("a language model continues lines of text: give it at least one, which may be empty")
    options = question.options
    sampling = Sampling(
        temperature=cast(float, options["temperature"]),
        top_k=cast(int, options["top_k"]),
        top_p=cast(float, options["top_p"]),
        greedy=bool(options["greedy"]),
    )
    rows: list[dict[str, Plain]] = []
    for place, line in enumerate(question.lines):
        prompt = module.writer.prompt(line)
        seed = child(cast(int, options["seed"]), "language_modelling", "answer", place)
        said = continue_tokens(module.next_scores, prompt, cast(int, options["length"]), sampling, module.writer.banned(), seed)
        rows.append({"prompt": line, "continuation": module.writer.write(prompt, said), "unknown_tokens": prompt[1:].count(UNKNOWN)})
    return Answer(rows, text="\n\n".join(f"{row['prompt']}{row['continuation']}" for row in rows))


def get_kind(data: str, parameters: Mapping[str, Value]) -> TokenKind:
    """The kind of token that a corpus is read as."""
    kind = parameters["data.tokens"]
    return USUAL_TOKENS.get(data, "char") if kind is None else cast(TokenKind, kind)


def _learn(text: str, kind: TokenKind, parameters: Mapping[str, Value], where: str) -> Codec:
    min_count = _whole(parameters, "data.min_count")
    lowercase, size = bool(parameters["data.lowercase"]), _whole(parameters, "data.vocabulary_size")
    texts = cut_pieces(text) if kind == "char" else text.split("\n")
    try:
        codec = learn_codec(texts, kind, lowercase=lowercase, max_size=size, min_count=min_count)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    if len(codec.tokens) == len(SPECIAL):
        raise DataError(f"{where}: no token of the training text occurs {min_count} times; lower data.min_count")
    return codec


def _count(split: str, rows: Windows) -> dict[str, Plain]:
    tokens = rows.tokens()
    counts: dict[str, Plain] = {"rows": len(rows), "tokens": len(tokens), "characters": int(rows.characters.sum())}
    counts["unknown tokens"] = float((tokens == UNKNOWN).double().mean())
    return {f"{split} {name}": count for name, count in counts.items()}


def _whole(parameters: Mapping[str, Value], name: str) -> int:
    value = parameters[name]
    assert isinstance(value, int), "checked when the sweep file was read"
    return value
