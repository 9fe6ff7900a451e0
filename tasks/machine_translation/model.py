"""From token numbers to scores of the next token: embeddings, an encoder and a decoder, a head."""

# Shapes: B sources, S source steps, T target steps, R rows of a beam, E embedding, V target vocabulary, D outputs of the decoder.

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from rnnbench.cells.encoder_decoder import EncoderDecoder, Memory
from rnnbench.cells.models import draw_mask, drop
from rnnbench.cells.step import State
from rnnbench.task.text import BEGIN, PAD, UNKNOWN

# What the decoder knows between two tokens: what the encoder left, and its own state.
Position = tuple[Memory, list[State] | None]


class Translator(nn.Module):
    """Args: `sizes` of the source vocabulary (None: it is the target's), the target vocabulary, and an embedding; `dropout` of embeddings.

    With `tied` a token's row of the head is its embedding (Press and Wolf 2017, arXiv:1608.05859), and the decoder's outputs are
    projected to its size.
    """

    def __init__(self, networks: EncoderDecoder, sizes: tuple[int | None, int, int], *, dropout: float = 0.0, tied: bool = False) -> None:
        super().__init__()
        num_source, num_target, size = sizes
        self.networks = networks
        self.dropout = dropout
        self.target_embedding = _embedding(num_target, size)
        self.source_embedding = None if num_source is None else _embedding(num_source, size)
        self.project = nn.Linear(networks.output_size, size) if tied else nn.Identity()
        self.head_weight = None if tied else nn.Parameter(torch.empty(num_target, networks.output_size))
        self.head_bias = nn.Parameter(torch.zeros(num_target))
        if self.head_weight is not None:
            nn.init.normal_(self.head_weight, std=networks.output_size**-0.5)
        # Of what is never written.
        silence_V = torch.zeros(num_target)
        silence_V[[PAD, UNKNOWN, BEGIN]] = -torch.inf
        self.register_buffer("silence_V", silence_V, persistent=False)

    def encode(self, source_BS: Tensor, lengths_B: Tensor | None) -> Memory:
        """Reads the sources."""
        embedding = self.target_embedding if self.source_embedding is None else self.source_embedding
        return self.networks.encode(drop(embedding(source_BS), self.dropout, training=self.training), lengths_B)

    def decode(self, memory: Memory, target_BT: Tensor, state: list[State] | None = None) -> tuple[Tensor, list[State]]:
        """Outputs (B, T, D) after each target token, and the state after the last."""
        return self.networks.decode(memory, drop(self.target_embedding(target_BT), self.dropout, training=self.training), state)

    def scores(self, outputs_D: Tensor) -> Tensor:
        """Scores (..., V) of the next token."""
        weight_VD = self.target_embedding.weight if self.head_weight is None else self.head_weight
        return linear(self.project(outputs_D), weight_VD, self.head_bias)

    def silenced(self, scores_V: Tensor) -> Tensor:
        """The scores, -inf for padding, beginning and unknown tokens: nobody writes those."""
        return scores_V + cast(Tensor, self.silence_V)

    def step(self, tokens_R: Tensor, state: Position) -> tuple[Tensor, Position]:
        """See decoding.Decoder."""
        memory, own = state
        outputs_R1D, own = self.decode(memory, tokens_R.unsqueeze(1), own)
        return self.silenced(self.scores(outputs_R1D.squeeze(1)).log_softmax(-1)), (memory, own)

    def rows(self, state: Position, rows_R: Tensor, sources_B: Tensor | None) -> Position:
        """See decoding.Decoder."""
        memory, own = state
        left = memory if sources_B is None else memory.rows(sources_B)
        return left, None if own is None else [tuple(part[rows_R] for part in layer) for layer in own]

    @torch.no_grad()
    def mix(self, memory: Memory, targets_BT: Tensor, share: float) -> Tensor:
        """Target inputs of which this share is the reference, and the rest what the decoder says after the inputs before.

        The choices are made step by step and without a gradient (Bengio et al. 2015, arXiv:1506.03099, where none flows through them
        either); what dropout drops is drawn anew for the pass that learns.
        """
        own_BT = draw_mask(memory.summary_BM, targets_BT.shape, 1 - share) > 0
        own_BT &= targets_BT != PAD
        mixed_BT, state = targets_BT.clone(), None
        for place in range(1, targets_BT.shape[1]):
            outputs_B1D, state = self.decode(memory, mixed_BT[:, place - 1 : place], state)
            rows = own_BT[:, place].nonzero().flatten()
            mixed_BT[rows, place] = self.silenced(self.scores(outputs_B1D[rows, 0])).argmax(-1)
        return mixed_BT


def _embedding(num_tokens: int, size: int) -> nn.Embedding:
    embedding = nn.Embedding(num_tokens, size, padding_idx=PAD)
    # Short enough to serve as a head's rows too.
    nn.init.normal_(embedding.weight, std=size**-0.5)
    return embedding
