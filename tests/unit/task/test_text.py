"""Text to token numbers and back: how texts are split, vocabularies from counts, and no text that passes for a special token."""

import json
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.utils.rnn import pad_sequence

from rnnbench.base.canonical import canonical_json
from rnnbench.base.errors import DataError
from rnnbench.task.text import BEGIN, END, PAD, SPECIAL, UNKNOWN, Codec, TokenKind, codec_of, learn_codec, pad, unknown_share

KINDS: tuple[TokenKind, ...] = ("word", "space", "subword", "char")
every_kind = pytest.mark.parametrize("kind", KINDS)

# Nothing that JSON or UTF-8 cannot hold.
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)


def tokens_of(text: str, kind: TokenKind = "word", *, lowercase: bool = False) -> list[str]:
    codec = learn_codec([text], kind, lowercase=lowercase)
    return [codec.tokens[number] for number in codec.encode(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't stop, it's late!", ["Don't", "stop", ",", "it's", "late", "!"]),
        ("good,bad.Worse", ["good", ",", "bad", ".", "Worse"]),
        ("1,000.50 is 3.5 or 3.", ["1,000.50", "is", "3.5", "or", "3", "."]),
        ("rock'n'roll 'tis the boys'", ["rock'n'roll", "'", "tis", "the", "boys", "'"]),
        ("do n't ; U.S.", ["do", "n't", ";", "U", ".", "S", "."]),
        ("a\tb\nc\u2028d\u0085e", ["a", "b", "c", "d", "e"]),
        ("\U0001f600\u2764\ufe0f!", ["\U0001f600", "\u2764\ufe0f", "!"]),
    ],
)
def test_words_are_whole_and_signs_stand_alone(text: str, expected: list[str]) -> None:
    assert tokens_of(text) == expected


def test_an_accent_is_part_of_its_word_however_it_is_written() -> None:
    assert tokens_of("caf\u00e9 cafe\u0301") == ["caf\u00e9", "caf\u00e9"]


def test_words_of_scripts_with_vowel_signs_stay_whole() -> None:
    hindi, thai = "\u0939\u093f\u0928\u094d\u0926\u0940", "\u0e20\u0e32\u0e29\u0e32\u0e44\u0e17\u0e22"
    assert tokens_of(f"{hindi} {thai}") == [hindi, thai]


@every_kind
def test_small_and_capital_letters_are_the_same_where_asked_for(kind: TokenKind) -> None:
    codec = learn_codec(["the Cat sat"] * 2, kind, lowercase=True)
    assert codec.encode("THE CAT") == codec.encode("the cat")
    assert UNKNOWN not in codec.encode("THE CAT")


def test_the_vocabulary_are_the_commonest_tokens_in_order_of_count_then_spelling() -> None:
    text = "b b b c c a a d"
    assert learn_codec([text], "word").tokens == (*SPECIAL, "b", "a", "c", "d")
    assert learn_codec([text], "word", max_size=6).tokens == (*SPECIAL, "b", "a")
    assert learn_codec([text], "word", min_count=2).tokens == (*SPECIAL, "b", "a", "c")
    assert learn_codec([text], "word", max_size=1).tokens == SPECIAL


@given(st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=40), st.integers(5, 12), st.integers(1, 4))
def test_the_vocabulary_is_what_a_plain_count_gives_whatever_the_order(letters: list[str], max_size: int, min_count: int) -> None:
    counts = Counter(letters)
    expected = sorted((letter for letter in counts if counts[letter] >= min_count), key=lambda letter: (-counts[letter], letter))
    for order in (letters, letters[::-1]):
        assert learn_codec(order, "word", max_size=max_size, min_count=min_count).tokens[4:] == tuple(expected)[: max_size - 4]


@every_kind
@pytest.mark.parametrize("written", ["<pad>", "<bos>"])
def test_what_is_written_like_a_special_token_is_none(kind: TokenKind, written: str) -> None:
    codec = learn_codec([f"a {written} b"] * 3, kind)
    assert not {PAD, BEGIN} & set(codec.encode(f"b {written} a"))


def test_a_line_end_and_a_rare_word_of_tokenised_text_are_special_tokens() -> None:
    codec = learn_codec(["a <unk> b\nc"], "space")
    assert codec.encode("a <unk> b\nc <eos>") == [
        codec.tokens.index("a"),
        UNKNOWN,
        codec.tokens.index("b"),
        END,
        codec.tokens.index("c"),
        END,
    ]
    assert codec.decode(codec.encode("a b\nc")) == "a b \n c"


@every_kind
@given(texts, texts)
def test_a_codec_comes_back_whole_from_its_plain_form(kind: TokenKind, learned: str, text: str) -> None:
    codec = learn_codec([learned, "some words"], kind)
    again: Codec = codec_of(json.loads(canonical_json(codec.to_plain())))
    assert list(again.tokens) == list(codec.tokens)
    assert again.encode(text) == codec.encode(text)
    assert again.decode(codec.encode(text)) == codec.decode(codec.encode(text))


@given(texts.filter(bool))
def test_characters_come_back_as_they_were(text: str) -> None:
    codec = learn_codec([text], "char")
    assert len(codec.encode(text)) == len(text)
    assert codec.decode([BEGIN, *codec.encode(text), END, PAD]) == text


def test_words_come_back_with_the_spaces_that_people_write() -> None:
    text = "It's late, (really) late: 3.5 km!"
    codec = learn_codec([text], "word")
    assert codec.decode(codec.encode(text)) == text


def test_subwords_spell_new_words_with_known_letters_and_come_back() -> None:
    codec = learn_codec(["low lower newest widest lowest"] * 20, "subword", max_size=40)
    assert codec.decode(codec.encode("newer widow lowest")) == "newer widow lowest"
    assert UNKNOWN not in codec.encode("slower")
    assert codec.encode("xyz").count(UNKNOWN) > 0


def test_the_first_merged_pairs_are_the_commonest_ones() -> None:
    # Sennrich et al. 2016, figure 1: low 5, lower 2, newest 6, widest 3. e-s and s-t occur 9 times, est with them; lo-w 7 times.
    corpus = ["low"] * 5 + ["lower"] * 2 + ["newest"] * 6 + ["widest"] * 3
    tokens = set(learn_codec(corpus, "subword", max_size=4 + 11 + 4).tokens)
    assert {"es", "est"} <= tokens
    assert "newest" not in tokens


def test_subwords_are_learned_the_same_every_time() -> None:
    corpus = [f"word{number} and some more text {number % 7}" for number in range(200)]
    one, other = (learn_codec(corpus, "subword", max_size=80) for _ in range(2))
    assert one.to_plain() == other.to_plain()


@every_kind
@pytest.mark.parametrize("nothing", [[], ["", ""]])
def test_texts_without_a_token_teach_nothing(kind: TokenKind, nothing: list[str]) -> None:
    with pytest.raises(DataError, match="the training text holds no tokens"):
        learn_codec(nothing, kind)


def test_rows_are_padded_as_torch_pads_them_and_cut() -> None:
    rows = [[5, 6, 7], [8], [9, 10]]
    numbers, lengths = pad(rows)
    assert torch.equal(numbers, pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=PAD))
    assert lengths.tolist() == [3, 1, 2]
    numbers, lengths = pad(rows, longest=2)
    assert numbers.tolist() == [[5, 6], [8, PAD], [9, 10]]
    assert lengths.tolist() == [2, 1, 2]


def test_an_empty_row_is_one_unknown_token() -> None:
    numbers, lengths = pad([[], [4, 5]])
    assert numbers.tolist() == [[UNKNOWN, PAD], [4, 5]]
    assert lengths.tolist() == [1, 2]


def test_the_unknown_share_counts_tokens_of_all_texts() -> None:
    codec = learn_codec(["a b c"], "word")
    assert unknown_share(codec, ["a x", "y", "b c a"]) == pytest.approx(2 / 6)
    assert unknown_share(codec, ["", ""]) == 0.0
