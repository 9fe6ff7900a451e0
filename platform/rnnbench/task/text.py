"""Text to numbers and back: words, subwords or characters, with a vocabulary learned from training text alone."""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal, Protocol, cast

import torch
from torch import Tensor

from rnnbench.base.canonical import Plain
from rnnbench.base.errors import DataError

TokenKind = Literal["word", "space", "subword", "char"]

# The first numbers of every vocabulary: padding, what is not in it, start and end of a text.
SPECIAL = ("<pad>", "<unk>", "<bos>", "<eos>")
PAD, UNKNOWN, BEGIN, END = range(4)

# Below this every combining mark of a living script; one of a dead script behind it is a sign by itself.
_LAST_MARK = 0x11800
_NO_SPACE_BEFORE = re.compile(r" (?=[.,;:!?%)\]}\u2019']|n't\b)")
_NO_SPACE_AFTER = re.compile(r"(?<=[(\[{$]) ")


class Codec(Protocol):
    """Turns text into token numbers and back."""

    @property
    def tokens(self) -> Sequence[str]:
        """Every token by its number, the special ones first."""

    def encode(self, text: str) -> list[int]:
        """Token numbers, without start or end."""

    def decode(self, numbers: Sequence[int]) -> str:
        """The text of token numbers; start, end and padding are left out."""

    def to_plain(self) -> dict[str, Plain]:
        """Plain data from which `codec_of` makes an equal one."""


def learn_codec(texts: Iterable[str], kind: TokenKind, *, lowercase: bool = False, max_size: int = 20_000, min_count: int = 1) -> Codec:
    """A codec whose vocabulary are the commonest tokens of these texts, at most `max_size` with the special ones.

    Args:
        kind: word: words and signs; space: what white space parts, for text that is tokenised already, a line's end its own token;
            subword: byte pairs (Sennrich et al. 2016, arXiv:1508.07909), of which nothing is unknown that its letters can spell;
            char: single characters. Words and subwords do not see how an accent is written, as one character or two (NFC).
        min_count: Rarer tokens are unknown.
    Raises:
        DataError: the texts hold nothing, or the library for subwords is missing.
    """
    if kind == "subword":
        return _Subwords.learn(texts, lowercase=lowercase, max_size=max_size, min_count=min_count)
    empty = _Listed(kind, lowercase, SPECIAL)
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(empty.split(text))
    if not counts:
        raise DataError("the training text holds no tokens")
    # By count, and of equally common ones by spelling, so that the order of the texts does not matter.
    common = sorted((token for token, count in counts.items() if count >= min_count), key=lambda token: (-counts[token], token))
    listed = [token for token in common if token not in SPECIAL]
    return _Listed(kind, lowercase, (*SPECIAL, *listed[: max(0, max_size - len(SPECIAL))]))


def codec_of(plain: Mapping[str, Plain]) -> Codec:
    """The codec that `to_plain` wrote."""
    if plain["kind"] == "subword":
        return _Subwords(str(plain["tokenizer"]))
    tokens = cast(Sequence[str], plain["tokens"])
    return _Listed(cast(TokenKind, plain["kind"]), bool(plain["lowercase"]), tuple(tokens))


def pad(rows: Sequence[Sequence[int]], longest: int | None = None) -> tuple[Tensor, Tensor]:
    """Token numbers (N, T), padded with PAD and cut to `longest`, and lengths (N,); an empty row holds one unknown token."""
    cut = [list(row[:longest]) or [UNKNOWN] for row in rows]
    lengths = torch.tensor([len(row) for row in cut])
    numbers = torch.full((len(cut), int(lengths.max())), PAD)
    for place, row in enumerate(cut):
        numbers[place, : len(row)] = torch.tensor(row)
    return numbers, lengths


def unknown_share(codec: Codec, texts: Iterable[str]) -> float:
    """Share of the tokens of these texts that are not in the vocabulary."""
    numbers = [number for text in texts for number in codec.encode(text)]
    return numbers.count(UNKNOWN) / len(numbers) if numbers else 0.0


@cache
def _word_rule() -> re.Pattern[str]:
    """Words with what stands inside them (don't, 3.5, 1,000), and every other sign by itself; an accent stays with what it stands on.

    Without the marks, which Python's `\\w` leaves out, a word of Hindi or Thai would be its consonants, one by one.
    """
    marks = "".join(re.escape(chr(number)) for number in range(_LAST_MARK) if unicodedata.category(chr(number)).startswith("M"))
    # Joiners too: Persian and the scripts of India need them inside words, and pictures of people are made with them.
    rest = rf"[\w{marks}\u200c\u200d]*"
    return re.compile(rf"\w{rest}(?:['\u2019]\w{rest}|(?<=\d)[.,](?=\d){rest})*|[^\w\s][{marks}\u200d]*")


@dataclass(frozen=True)
class _Listed:
    """Tokens that a rule splits a text into, looked up in a list."""

    kind: TokenKind
    lowercase: bool
    tokens: tuple[str, ...]

    @cached_property
    def _numbers(self) -> dict[str, int]:
        # Padding and start are not in any text, whatever is written there; the end and the unknown word of tokenised text are.
        return {token: number for number, token in enumerate(self.tokens) if number not in (PAD, BEGIN)}

    def split(self, text: str) -> list[str]:
        if self.lowercase:
            text = text.lower()
        if self.kind == "char":
            return list(text)
        if self.kind == "space":
            return text.replace("\n", " <eos> ").split()
        return _word_rule().findall(unicodedata.normalize("NFC", text))

    def encode(self, text: str) -> list[int]:
        return [self._numbers.get(token, UNKNOWN) for token in self.split(text)]

    def decode(self, numbers: Sequence[int]) -> str:
        said = [self.tokens[number] for number in numbers if number not in (PAD, BEGIN, END) or (self.kind == "space" and number == END)]
        if self.kind == "char":
            return "".join(said)
        text = " ".join("\n" if token == SPECIAL[END] else token for token in said)
        if self.kind == "space":
            return text
        return _NO_SPACE_AFTER.sub("", _NO_SPACE_BEFORE.sub("", text))

    def to_plain(self) -> dict[str, Plain]:
        return {"kind": self.kind, "lowercase": self.lowercase, "tokens": list(self.tokens)}


class _Subwords:
    """Byte pairs by the library `tokenizers`, whose own JSON is what is kept."""

    def __init__(self, tokenizer_json: str) -> None:
        from tokenizers import Tokenizer

        self._json = tokenizer_json
        self._tokenizer = Tokenizer.from_str(tokenizer_json)
        # "<pad>" in a text is a text: five characters.
        self._tokenizer.encode_special_tokens = True

    @classmethod
    def learn(cls, texts: Iterable[str], *, lowercase: bool, max_size: int, min_count: int) -> "_Subwords":
        # Several processes train at once, each with its own share of the cores.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

        tokenizer = Tokenizer(models.BPE(unk_token=SPECIAL[UNKNOWN]))
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), *([normalizers.Lowercase()] if lowercase else [])])
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()])
        tokenizer.decoder = decoders.Metaspace()
        trainer = trainers.BpeTrainer(
            vocab_size=max_size, min_frequency=max(2, min_count), special_tokens=list(SPECIAL), show_progress=False
        )
        tokenizer.train_from_iterator(texts, trainer)
        if tokenizer.get_vocab_size() <= len(SPECIAL):
            raise DataError("the training text holds no tokens")
        return cls(tokenizer.to_str())

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        return tuple(str(self._tokenizer.id_to_token(number)) for number in range(self._tokenizer.get_vocab_size()))

    def encode(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, numbers: Sequence[int]) -> str:
        return str(self._tokenizer.decode([number for number in numbers if number not in (PAD, BEGIN, END)], skip_special_tokens=False))

    def to_plain(self) -> dict[str, Plain]:
        return {"kind": "subword", "tokenizer": self._json}
