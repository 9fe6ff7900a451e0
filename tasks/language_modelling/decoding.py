"""What a language model says next: temperature, top-k and nucleus sampling, or always the likeliest token."""

# Shapes: V vocabulary.

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rnnbench.cells.step import State
from rnnbench.task.text import BEGIN, END, PAD, UNKNOWN, Codec

# Scores (V,) of the token behind some tokens, and the state to go on from; no state: the tokens are the beginning.
Read = Callable[[Sequence[int], Sequence[State] | None], tuple[Tensor, Sequence[State]]]


@dataclass(frozen=True)
class Sampling:
    """How a token is chosen.

    Attributes:
        temperature: Scores are divided by it: below 1 likely tokens become likelier.
        top_k: Only so many of the likeliest tokens are drawn from; 0: all.
        top_p: Only the fewest likeliest tokens that together have this share are drawn from, of what `top_k` has left.
            Source: Holtzman et al. 2020, arXiv:1904.09751 (nucleus sampling).
        greedy: Always the likeliest, whatever the others say; of equally likely ones the first.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    greedy: bool = False


def probabilities(scores_V: Tensor, sampling: Sampling) -> Tensor:
    """The distribution that a token is drawn from, (V,), in float64; a score of -inf is never drawn."""
    scores_V = scores_V.double()
    if sampling.greedy:
        return torch.zeros_like(scores_V).index_fill(0, scores_V.argmax(), 1.0)
    chance_V, token_V = (scores_V / sampling.temperature).softmax(0).sort(descending=True, stable=True)
    if sampling.top_k:
        chance_V[sampling.top_k :] = 0
        chance_V /= chance_V.sum()
    if sampling.top_p < 1:
        # A token stays while those before it have less than the share.
        chance_V[chance_V.cumsum(0) - chance_V >= sampling.top_p] = 0
        chance_V /= chance_V.sum()
    return torch.zeros_like(chance_V).index_copy(0, token_V, chance_V)


def continue_tokens(read: Read, prompt: Sequence[int], length: int, sampling: Sampling, banned: Sequence[int], seed: int) -> list[int]:
    """So many tokens behind a prompt of at least one, each drawn given all before it; none of the banned ones.

    The same seed gives the same tokens, whatever torch's default generator stands at.
    """
    generator = torch.Generator().manual_seed(seed)
    said: list[int] = []
    state: Sequence[State] | None = None
    tokens = prompt
    for _ in range(length):
        scores_V, state = read(tokens, state)
        chance_V = probabilities(scores_V.index_fill(0, torch.tensor(banned), -torch.inf), sampling)
        said.append(int(torch.multinomial(chance_V, 1, generator=generator)))
        tokens = said[-1:]
    return said


@dataclass(frozen=True)
class Writer:
    """Turns prompts into tokens and what follows into text, for one kind of token.

    Attributes:
        of_characters: Whether a token is a character, so that a line's end is one too.
    """

    codec: Codec
    of_characters: bool

    def banned(self) -> list[int]:
        """Tokens that are no text; the end of a line is one, except of characters."""
        return [PAD, UNKNOWN, BEGIN, *([END] if self.of_characters else [])]

    def prompt(self, text: str) -> list[int]:
        """A prompt as it would stand at the beginning of a line."""
        if not self.of_characters:
            return [END, *self.codec.encode(text)]
        newline = self.codec.encode("\n")
        return [*([BEGIN] if newline == [UNKNOWN] else newline), *self.codec.encode(text)]

    def write(self, prompt: Sequence[int], said: Sequence[int]) -> str:
        """The text of tokens behind a prompt, with the white space that stands between the two."""
        before, after = self._text(prompt[1:]), self._text([*prompt[1:], *said])
        if after.startswith(before):
            return after[len(before) :]
        text = self._text(said)
        return text if self.of_characters else f" {text}"

    def _text(self, numbers: Sequence[int]) -> str:
        if self.of_characters:
            return self.codec.decode(numbers)
        lines: list[list[int]] = [[]]
        for number in numbers:
            if number == END:
                lines.append([])
            else:
                lines[-1].append(number)
        return "\n".join(self.codec.decode(line) for line in lines)
