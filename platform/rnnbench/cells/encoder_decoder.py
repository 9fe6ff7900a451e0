"""Two networks for sequence to sequence: one reads the source, the other writes the target and may attend to what the first has read.

The source's summary enters every step of the decoder (Cho et al. 2014, arXiv:1406.1078), so any cell serves, whatever its state.
With attention each of the decoder's outputs s asks all valid source outputs m: out = tanh(W_o [s, sum of softmax(score(s, m)) m] + b).
"""
# Shapes: B batch, S source steps, T target steps, I source inputs, E target inputs, M size of a source output, K of its key,
# D of a decoder output.

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from rnnbench.cells.network import RecurrentNetwork
from rnnbench.cells.pooling import mask_of
from rnnbench.cells.step import State

Attention = Literal["none", "additive", "dot"]


@dataclass(frozen=True)
class Memory:
    """What the encoder leaves.

    Attributes:
        outputs_BSM: Its outputs.
        mask_BS: Which of them are valid.
        summary_BM: Their summary.
        keys_BSK: What the attention compares with its questions, computed once for all steps; the outputs where there is none.
    """

    outputs_BSM: Tensor
    mask_BS: Tensor
    summary_BM: Tensor
    keys_BSK: Tensor

    def rows(self, index: Tensor) -> "Memory":
        """The rows of an index."""
        return Memory(*(part[index] for part in (self.outputs_BSM, self.mask_BS, self.summary_BM, self.keys_BSK)))

    def repeat(self, times: int) -> "Memory":
        """Each row so many times, one after the other, for as many hypotheses of a beam search."""
        return self.rows(torch.arange(len(self.summary_BM), device=self.summary_BM.device).repeat_interleave(times))


class EncoderDecoder(nn.Module):
    """Args: the decoder reads target inputs and the encoder's summary, E + M; it reads in one direction."""

    def __init__(self, encoder: RecurrentNetwork, decoder: RecurrentNetwork, attention: Attention = "additive") -> None:
        super().__init__()
        if decoder.bidirectional:
            raise ValueError("a decoder cannot read what it has not written: bidirectional must be false")
        self.encoder, self.decoder = encoder, decoder
        self.output_size = decoder.output_size
        self.attention: _Additive | _Dot | None = None
        if attention != "none":
            build = _Additive if attention == "additive" else _Dot
            self.attention = build(decoder.output_size, encoder.output_size)
            self.combine = nn.Linear(decoder.output_size + encoder.output_size, decoder.output_size)

    def encode(self, source_BSI: Tensor, lengths_B: Tensor | None = None) -> Memory:
        """Reads the source."""
        outputs_BSM, _ = self.encoder(source_BSI, lengths_B)
        keys_BSK = outputs_BSM if self.attention is None else self.attention.keys(outputs_BSM)
        return Memory(outputs_BSM, mask_of(outputs_BSM, lengths_B), self.encoder.summary(outputs_BSM, lengths_B), keys_BSK)

    def decode(self, memory: Memory, target_BTE: Tensor, state: Sequence[State] | None = None) -> tuple[Tensor, list[State]]:
        """Outputs (B, T, D) for target inputs, all at once (teacher forcing) or a step at a time with the state carried on.

        Target rows may be some times as many as the memory's: then those of one source follow each other.
        """
        rows, steps = target_BTE.shape[:2]
        times = rows // len(memory.summary_BM)
        summary_BTM = memory.summary_BM.repeat_interleave(times, dim=0).unsqueeze(1).expand(-1, steps, -1)
        outputs_BTD, end = self.decoder(torch.cat([target_BTE, summary_BTM], dim=-1), state=state)
        if self.attention is None:
            return outputs_BTD, end
        # To a source all questions of all its targets are one sequence.
        questions_BTD = outputs_BTD.reshape(rows // times, times * steps, self.output_size)
        scores_BTS = self.attention(questions_BTD, memory.keys_BSK).masked_fill(~memory.mask_BS.unsqueeze(1), -torch.inf)
        context_BTM = (scores_BTS.softmax(-1) @ memory.outputs_BSM).view(rows, steps, -1)
        return self.combine(torch.cat([outputs_BTD, context_BTM], dim=-1)).tanh(), end

    def forward(self, source_BSI: Tensor, target_BTE: Tensor, lengths_B: Tensor | None = None) -> Tensor:
        """Outputs (B, T, D) with teacher forcing."""
        return self.decode(self.encode(source_BSI, lengths_B), target_BTE)[0]


class _Additive(nn.Module):
    """score(s, m) = v . tanh(W s + U m + b). Source: Bahdanau, Cho, Bengio 2015, arXiv:1409.0473."""

    def __init__(self, query_size: int, key_size: int) -> None:
        super().__init__()
        self.query = nn.Linear(query_size, query_size)
        self.key = nn.Linear(key_size, query_size, bias=False)
        self.score = nn.Linear(query_size, 1, bias=False)

    def keys(self, outputs_BSM: Tensor) -> Tensor:
        keys_BSK: Tensor = self.key(outputs_BSM)
        return keys_BSK

    def forward(self, queries_BTD: Tensor, keys_BSK: Tensor) -> Tensor:
        inner_BTSD = (self.query(queries_BTD).unsqueeze(2) + keys_BSK.unsqueeze(1)).tanh()
        scores_BTS: Tensor = self.score(inner_BTSD).squeeze(-1)
        return scores_BTS


class _Dot(nn.Module):
    """score(s, m) = (W s) . m / sqrt(M). Source: Luong, Pham, Manning 2015, arXiv:1508.04025 ("general"), scaled."""

    def __init__(self, query_size: int, key_size: int) -> None:
        super().__init__()
        self.query = nn.Linear(query_size, key_size, bias=False)

    def keys(self, outputs_BSM: Tensor) -> Tensor:
        return outputs_BSM

    def forward(self, queries_BTD: Tensor, keys_BSK: Tensor) -> Tensor:
        scores_BTS: Tensor = self.query(queries_BTD) @ keys_BSK.mT * keys_BSK.shape[-1] ** -0.5
        return scores_BTS
