"""A small causal Transformer layer as a control: attention over a window of the past, then two dense layers.

a = x + W_o attention(LN(x)); h = a + W_2 gelu(W_1 LN(a)), x projected to H first. Distance enters as a slope for each head (ALiBi),
so a step needs no absolute position, and what a layer remembers is the keys and values of its window.

Source: Vaswani et al. 2017, arXiv:1706.03762; Press et al. 2022, arXiv:2108.12409 (ALiBi); pre-norm.
"""
# Shapes: B batch, T time, I inputs, H hidden, N heads, D = H / N, W window, Q queries of a piece, K its keys.

import torch
from torch import Tensor, nn

from rnnbench.cells.layer import Layer
from rnnbench.cells.mlstm import heads_that_divide
from rnnbench.cells.step import State


class TransformerLayer(Layer):
    """Args: `num_heads` divides the hidden size, else the next smaller number that does is taken; `window` of steps that are seen."""

    def __init__(self, input_size: int, hidden_size: int, num_heads: int = 4, window: int = 128) -> None:
        super().__init__(input_size, hidden_size)
        self.num_heads, self.window = heads_that_divide(hidden_size, num_heads), window
        self.embed = nn.Linear(input_size, hidden_size)
        self.attention_norm, self.dense_norm = nn.LayerNorm(hidden_size), nn.LayerNorm(hidden_size)
        self.query_key_value = nn.Linear(hidden_size, 3 * hidden_size)
        self.attention_out = nn.Linear(hidden_size, hidden_size)
        self.dense_in, self.dense_out = nn.Linear(hidden_size, 4 * hidden_size), nn.Linear(4 * hidden_size, hidden_size)

    def initial_state(self, x_BTI: Tensor) -> State:
        """Keys and values of the window before, (B, W - 1, 2H), and for each of its steps 1 if there was one, (B, W - 1)."""
        rows, past = x_BTI.shape[0], self.window - 1
        return x_BTI.new_zeros(rows, past, 2 * self.hidden_size), x_BTI.new_zeros(rows, past)

    def takes_half(self) -> bool:
        """See Layer."""
        return True

    def run(self, x_BTI: Tensor, state: State) -> tuple[Tensor, State]:
        """Attention in pieces of the window's length, so that its cost grows with T, not T squared."""
        before_BWC, seen_BW = state
        steps, past = x_BTI.shape[1], self.window - 1
        x_BTH = self.embed(x_BTI)
        queries_BTH, keys_values_BTC = self.query_key_value(self.attention_norm(x_BTH)).split(
            [self.hidden_size, 2 * self.hidden_size], dim=-1
        )
        keys_values_BKC = torch.cat([before_BWC, keys_values_BTC], dim=1)
        seen_BK = torch.cat([seen_BW, seen_BW.new_ones(len(seen_BW), steps)], dim=1)
        pieces = []
        for first in range(0, steps, self.window):
            last = min(first + self.window, steps)
            keys = slice(first, last + past)
            pieces.append(self._attend(queries_BTH[:, first:last], keys_values_BKC[:, keys], seen_BK[:, keys]))
        x_BTH = x_BTH + self.attention_out(torch.cat(pieces, dim=1))
        x_BTH = x_BTH + self.dense_out(nn.functional.gelu(self.dense_in(self.dense_norm(x_BTH))))
        return x_BTH, (keys_values_BKC[:, steps:], seen_BK[:, steps:])

    def _attend(self, queries_BQH: Tensor, keys_values_BKC: Tensor, seen_BK: Tensor) -> Tensor:
        num_queries, num_keys = queries_BQH.shape[1], keys_values_BKC.shape[1]
        query_at = torch.arange(num_queries, device=seen_BK.device).unsqueeze(1) + num_keys - num_queries
        distance_QK = query_at - torch.arange(num_keys, device=seen_BK.device)
        visible_B1QK = ((distance_QK >= 0) & (distance_QK < self.window)) & (seen_BK > 0)[:, None, None, :]
        slope_N = 2.0 ** (-8.0 * torch.arange(1, self.num_heads + 1, device=seen_BK.device) / self.num_heads)
        bias_NQK = -slope_N[:, None, None].to(queries_BQH.dtype) * distance_QK
        bias_BNQK = torch.where(visible_B1QK, bias_NQK, -torch.inf)
        q, k, v = (part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for part in (queries_BQH, *keys_values_BKC.chunk(2, dim=-1)))
        weights_BNQK = (q @ k.mT * q.shape[-1] ** -0.5 + bias_BNQK).softmax(-1)
        attended_BQH: Tensor = (weights_BNQK @ v).transpose(1, 2).flatten(2)
        return attended_BQH
