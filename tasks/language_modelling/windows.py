"""A text as windows: rows of so many steps, each of which goes on where the one before it stopped."""

# Shapes: N rows, T steps of a row, S streams.

from array import array
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnbench.task.module import Batch
from rnnbench.task.text import BEGIN, END, PAD, Codec

# The target of a step behind the text's end: no loss, no count.
NOTHING = -100
# Characters of a text that are turned into tokens at a time.
PIECE = 1 << 16

Tokens = NDArray[np.int32]


@dataclass(frozen=True)
class Windows(Batch):
    """Consecutive windows of a text; targets are the inputs one token later, NOTHING behind the text's end.

    A whole text is kept in half the bytes that torch wants of numbers of tokens; `rows` gives those.

    Attributes:
        characters: (N,) characters of the text that each row stands for; a line's are spread over its tokens.
    """

    characters: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))

    def rows(self, index: Tensor, longest: int | None = None, longest_target: int | None = None) -> "Windows":
        """See Batch."""
        cut = super().rows(index, longest, longest_target)
        return Windows(cut.inputs.long(), cut.targets.long(), cut.lengths, characters=self.characters[index])

    def to(self, device: torch.device) -> "Windows":
        """See Batch."""
        moved = super().to(device)
        return Windows(moved.inputs, moved.targets, moved.lengths, characters=self.characters.to(device))

    def tokens(self) -> Tensor:
        """All tokens of the text, one after the other."""
        return self.targets[self.targets != NOTHING]


def encode_text(codec: Codec, text: str, *, of_characters: bool) -> tuple[Tokens, Tokens]:
    """Token numbers of a text, and for each the characters that it stands for: together all of them, the ends of lines too.

    Characters are tokens as they are. Words know no line's end: END stands for it, a last line that has none ends all the same.
    """
    pieces = cut_pieces(text) if of_characters else text.removesuffix("\n").split("\n")
    numbers, characters = array("i"), array("i")
    for piece in pieces:
        found = codec.encode(piece) if of_characters else [*codec.encode(piece), END]
        numbers.extend(found)
        characters.extend(_spread(len(piece) + (not of_characters), len(found)))
    return np.array(numbers), np.array(characters)


def cut_pieces(text: str) -> list[str]:
    """A text in pieces, so that its characters are never all in a list at once."""
    return [text[start : start + PIECE] for start in range(0, len(text), PIECE)]


def _spread(total: int, places: int) -> list[int]:
    """A whole number spread evenly over places; those in front have one more."""
    least, rest = divmod(total, places)
    return [least + 1] * rest + [least] * (places - rest)


def build_windows(numbers: Tokens, characters: Tokens, bptt: int) -> Windows:
    """Windows of `bptt` steps, the last one perhaps shorter; the first token is predicted from BEGIN, so that every token counts."""
    num_rows = -(-len(numbers) // bptt)
    missing = num_rows * bptt - len(numbers)
    inputs = np.concatenate([[BEGIN], numbers[:-1], np.full(missing, PAD)], dtype=np.int32)
    targets = np.concatenate([numbers, np.full(missing, NOTHING)], dtype=np.int32)
    counts = np.concatenate([characters, np.zeros(missing, dtype=np.int32)]).reshape(num_rows, bptt).sum(1)
    inputs_NT, targets_NT = (torch.from_numpy(part).view(num_rows, bptt) for part in (inputs, targets))
    lengths = torch.full((num_rows,), bptt)
    lengths[-1] -= missing
    return Windows(inputs_NT, targets_NT, lengths, characters=torch.from_numpy(counts))


def plan_streams(num_rows: int, num_streams: int) -> list[Tensor]:
    """Row numbers of each batch, where a text is read at several places at once: batch t has row t of every stream.

    Streams are contiguous and differ by at most one row; longer ones come first, so the last batch has the first of them alone.
    """
    num_streams = min(num_streams, num_rows)
    shortest, num_longer = divmod(num_rows, num_streams)
    stream_S = torch.arange(num_streams)
    start_S = stream_S * shortest + stream_S.clamp(max=num_longer)
    batches = [start_S + place for place in range(shortest)]
    return [*batches, start_S[:num_longer] + shortest] if num_longer else batches
