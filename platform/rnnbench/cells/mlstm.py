"""mLSTM: a matrix memory with exponential gates, computed chunk by chunk.

m = max(logsig(f~) + m-, i~);  i = exp(i~ - m);  f = exp(logsig(f~) + m- - m);  C = f C- + i k v^T / sqrt(d);
n = f n- + i k / sqrt(d);  h = s(o~) * (q^T C / max(|q.n|, exp(-m))), with q, k, v, i~, f~ and o~ linear in x, for each head of size d.

Within a chunk every output is one masked product of queries and keys; between chunks only C, n and m are carried.

Source: Beck et al. 2024, arXiv:2405.04517, section 2.3 and appendix A.
"""
# Shapes: B batch, T time, I inputs, H hidden, N heads, D = H / N, L steps of a chunk.

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from rnnbench.cells.layer import Layer
from rnnbench.cells.step import State

CHUNK_STEPS = 64


class MLSTM(Layer):
    """Args: `num_heads` divides the hidden size, else the next smaller number that does is taken."""

    def __init__(self, input_size: int, hidden_size: int, num_heads: int = 1) -> None:
        super().__init__(input_size, hidden_size)
        self.num_heads = heads_that_divide(hidden_size, num_heads)
        self.head_size = hidden_size // self.num_heads
        # Rows: q, k, v, o, then one i and one f for each head.
        self.weight_ih = nn.Parameter(torch.empty(4 * hidden_size + 2 * self.num_heads, input_size))
        self.bias_ih = nn.Parameter(torch.empty(4 * hidden_size + 2 * self.num_heads))
        for weight in self.parameters():
            nn.init.uniform_(weight, -(hidden_size**-0.5), hidden_size**-0.5)

    def initial_state(self, x_BTI: Tensor) -> State:
        """C (B, N, D, D) and n (B, N, D) of zeros; m (B, N) of the lowest number, so that the first step's own gate decides."""
        shape = x_BTI.shape[0], self.num_heads, self.head_size
        lowest = torch.finfo(x_BTI.dtype).min / 2
        return x_BTI.new_zeros(*shape, self.head_size), x_BTI.new_zeros(shape), x_BTI.new_full(shape[:2], lowest)

    def run(self, x_BTI: Tensor, state: State) -> tuple[Tensor, State]:
        """Chunk by chunk."""
        outputs = []
        # From the projection on, so that what belongs to a chunk stays in the cache. Split, not sliced: the gradient of a slice is as
        # long as the whole sequence.
        for x_BLI in x_BTI.split(CHUNK_STEPS, dim=1):
            output_BLH, state = self._run_chunk(x_BLI, state)
            outputs.append(output_BLH)
        return torch.cat(outputs, dim=1), state

    def _run_chunk(self, x_BLI: Tensor, state: State) -> tuple[Tensor, State]:
        hidden, heads = self.hidden_size, self.num_heads
        # One by one: the gradient of a split is a copy of everything.
        sizes = [hidden, hidden, hidden, hidden, 2 * heads]
        projections = zip(self.weight_ih.split(sizes), self.bias_ih.split(sizes), strict=True)
        *vectors, o_BLH, scalars = (nn.functional.linear(x_BLI, weight_HI, bias_H) for weight_HI, bias_H in projections)
        q, k, v = (vector.unflatten(-1, (heads, self.head_size)).transpose(1, 2) for vector in vectors)
        i_BNL, f_BNL = scalars.mT.chunk(2, dim=1)
        output_BNLD, state = _chunk(q, k, v, i_BNL, logsigmoid(f_BNL), state)
        return o_BLH.sigmoid() * output_BNLD.transpose(1, 2).flatten(2), state


def _chunk(q: Tensor, k: Tensor, v: Tensor, i_BNL: Tensor, logf_BNL: Tensor, state: State) -> tuple[Tensor, State]:
    """The outputs (B, N, L, D) of a chunk, and the state behind it. q, k and v are (B, N, L, D).

    m is a scale that the output does not depend on, so it has no gradient; that of C and n is for a given scale.
    """
    memory_BNDD, normal_BND, m_BN = state
    decay_BNL = logf_BNL.cumsum(-1)
    # log of the weight of step s in step t: what is forgotten from s to t, and the input gate of s; none of it before s.
    future_LL = q.new_full((q.shape[2], q.shape[2]), -math.inf).triu(1)
    weight_BNLL = (decay_BNL.unsqueeze(-1) + (i_BNL - decay_BNL).unsqueeze(-2)).add_(future_LL)
    with torch.no_grad():
        m_BNL = torch.maximum(decay_BNL + m_BN.unsqueeze(-1), weight_BNLL.amax(-1))
    # The keys' 1 / sqrt(D) is in the weights.
    weight_BNLL = (weight_BNLL - (m_BNL.unsqueeze(-1) + math.log(q.shape[3]) / 2)).exp()
    carried_BNL = (decay_BNL + (m_BN.unsqueeze(-1) - m_BNL)).exp()
    scores_BNLL = (q @ k.mT) * weight_BNLL
    value = scores_BNLL @ v + carried_BNL.unsqueeze(-1) * (q @ memory_BNDD)
    weight_BNL = scores_BNLL.sum(-1) + carried_BNL * (q @ normal_BND.unsqueeze(-1)).squeeze(-1)
    output = value / torch.maximum(weight_BNL.abs(), (-m_BNL).exp()).unsqueeze(-1)
    # The last row of weights is what each step adds to the state.
    last_BNL, left_BN = weight_BNLL[:, :, -1], carried_BNL[:, :, -1]
    weighted = k * last_BNL.unsqueeze(-1)
    kept_BNDD = left_BN[..., None, None] * memory_BNDD
    memory_BNDD = torch.baddbmm(kept_BNDD.flatten(0, 1), weighted.mT.flatten(0, 1), v.flatten(0, 1)).view_as(memory_BNDD)
    normal_BND = left_BN[..., None] * normal_BND + weighted.sum(2)
    return output, (memory_BNDD, normal_BND, m_BNL[:, :, -1])


def heads_that_divide(size: int, wanted: int) -> int:
    """The largest number of heads, at most as wanted, that divides a size."""
    return max(heads for heads in range(1, min(size, wanted) + 1) if size % heads == 0)
