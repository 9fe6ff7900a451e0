"""Beam search for many sources at once: the finished translation with the best log-probability by its length.

A translation's score is its log-probability, its end included, divided by its number of tokens, its end included, to the power
`length_power`. At each step a source's best hypotheses stay; those that end leave the beam, and a source is done when as many have ended
as its beam is wide. With a beam of one this is the greedy translation.

Source: Graves 2012, arXiv:1211.3711, section 2.2; normalised as in Cho et al. 2014, arXiv:1409.1259; stopping as in fairseq.
"""
# Shapes: B sources that are not done, K hypotheses of each, R = B * K rows, C candidates of a source, V target vocabulary,
# L longest translation, its end included.

from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from rnnbench.task.text import BEGIN, END

State = TypeVar("State")


class Decoder(Protocol[State]):
    """What writes translations, a token at a time."""

    def step(self, tokens_R: Tensor, state: State) -> tuple[Tensor, State]:
        """Log-probabilities of the next token (R, V) after the last ones, -inf for what is never written, and the state after it."""

    def rows(self, state: State, rows_R: Tensor, sources_B: Tensor | None) -> State:
        """The state of some rows, several for each source; `sources_B`: the sources that are left, None where all are."""


@dataclass(frozen=True)
class Search:
    """How to look for a translation.

    Attributes:
        beam_size: Hypotheses of a source that are followed.
        max_length: Tokens of a translation, its end not counted; what is longer is ended there.
        length_power: 0 compares probabilities, which favours short translations; 1 compares means over tokens.
    """

    beam_size: int = 5
    max_length: int = 100
    length_power: float = 1.0


@dataclass(frozen=True)
class Translation:
    """Token numbers without beginning and end, and their log-probability, the end included."""

    tokens: list[int]
    log_probability: float


@torch.no_grad()
def beam_search(
    decoder: Decoder[State], state: State, num_sources: int, search: Search, device: torch.device | None = None
) -> list[Translation]:
    """The best translation of each source.

    Args:
        state: Before the first token, one row for each source.
    """
    beam = _Beam(num_sources, search, device)
    for length in range(1, search.max_length + 2):
        scores_RV, state = decoder.step(beam.last(), state)
        if length > search.max_length:
            # Only its end is left to be said.
            scores_RV = torch.where(torch.arange(scores_RV.shape[1], device=device) == END, scores_RV, -torch.inf)
        rows_R, sources_B = beam.extend(scores_RV, length)
        if not len(rows_R):
            break
        state = decoder.rows(state, rows_R, None if sources_B.all() else sources_B.nonzero().flatten())
    return beam.best()


class _Beam:
    """The hypotheses of all sources, alive and ended."""

    def __init__(self, num_sources: int, search: Search, device: torch.device | None) -> None:
        self.search = search
        self.source_B = torch.arange(num_sources, device=device)
        # One hypothesis of each source, which says nothing yet.
        self.alive_BKL = torch.full((num_sources, 1, 1), BEGIN, device=device)
        self.alive_BK = torch.zeros(num_sources, 1, device=device)
        # What has ended, best first by its score, and its log-probability.
        self.ended_BKL = torch.full((num_sources, search.beam_size, search.max_length + 1), END, device=device)
        self.ended_BK = torch.full((num_sources, search.beam_size), -torch.inf, device=device)
        self.ended_sums_BK = self.ended_BK
        self.found: dict[int, Translation] = {}

    def last(self) -> Tensor:
        """The last token of each row."""
        return self.alive_BKL[:, :, -1].flatten()

    def extend(self, scores_RV: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """Takes the scores of every next token; returns the rows from which those come that go on, and which sources go on."""
        num_sources, width, vocabulary = *self.alive_BK.shape, scores_RV.shape[-1]
        sums_BC = (self.alive_BK.unsqueeze(-1) + scores_RV.view(num_sources, width, vocabulary)).flatten(1)
        # Twice the beam: even if half of them end, the beam is full.
        sums_BC, candidate_BC = sums_BC.topk(min(2 * self.search.beam_size, sums_BC.shape[1]))
        parent_BC, token_BC = candidate_BC // vocabulary, candidate_BC % vocabulary
        ends_BC = token_BC == END
        self._end(sums_BC, ends_BC, parent_BC, length)
        self.alive_BK, kept_BK = sums_BC.masked_fill(ends_BC, -torch.inf).topk(min(self.search.beam_size, sums_BC.shape[1]))
        parent_BK, token_BK = parent_BC.gather(1, kept_BK), token_BC.gather(1, kept_BK)
        before_BKL = self.alive_BKL.gather(1, parent_BK.unsqueeze(-1).expand(-1, -1, self.alive_BKL.shape[-1]))
        self.alive_BKL = torch.cat([before_BKL, token_BK.unsqueeze(-1)], dim=-1)
        on_B = self._leave()
        rows_BK = parent_BK + torch.arange(num_sources, device=parent_BK.device).unsqueeze(1) * width
        return rows_BK[on_B].flatten(), on_B

    def best(self) -> list[Translation]:
        """The best translation of each source, in their order."""
        return [self.found[place] for place in range(len(self.found))]

    def _end(self, sums_BC: Tensor, ends_BC: Tensor, parent_BC: Tensor, length: int) -> None:
        """Those of the best candidates that end join what has ended before; the best of both stay."""
        width = min(self.search.beam_size, sums_BC.shape[1])
        sums_BK = sums_BC[:, :width].masked_fill(~ends_BC[:, :width], -torch.inf)
        if not sums_BK.isfinite().any():
            return
        text_BKL = self.alive_BKL.gather(1, parent_BC[:, :width].unsqueeze(-1).expand(-1, -1, self.alive_BKL.shape[-1]))[:, :, 1:]
        text_BKL = torch.nn.functional.pad(text_BKL, (0, self.ended_BKL.shape[-1] - text_BKL.shape[-1]), value=END)
        self.ended_BK, kept_BK = torch.cat([self.ended_BK, sums_BK / length**self.search.length_power], dim=1).topk(self.search.beam_size)
        self.ended_sums_BK = torch.cat([self.ended_sums_BK, sums_BK], dim=1).gather(1, kept_BK)
        every_BCL = torch.cat([self.ended_BKL, text_BKL], dim=1)
        self.ended_BKL = every_BCL.gather(1, kept_BK.unsqueeze(-1).expand(-1, -1, every_BCL.shape[-1]))

    def _leave(self) -> Tensor:
        """Sources that are done leave; which of them stay."""
        done_B = self.ended_BK.isfinite().all(1) | ~self.alive_BK.isfinite().any(1)
        for place in done_B.nonzero().flatten().tolist():
            tokens = self.ended_BKL[place, 0].tolist()
            self.found[int(self.source_B[place])] = Translation(tokens[: tokens.index(END)], float(self.ended_sums_BK[place, 0]))
        on_B = ~done_B
        self.source_B, self.alive_BK, self.alive_BKL = self.source_B[on_B], self.alive_BK[on_B], self.alive_BKL[on_B]
        self.ended_BK, self.ended_sums_BK, self.ended_BKL = self.ended_BK[on_B], self.ended_sums_BK[on_B], self.ended_BKL[on_B]
        return on_B
