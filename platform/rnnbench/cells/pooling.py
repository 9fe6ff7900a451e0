"""From a sequence of outputs to one vector: mean, maximum, or attention with a learned question."""

# Shapes: B batch, T time, O size of an output, A size of the attention's inner layer.

from typing import Literal

import torch
from torch import Tensor, nn

Pooling = Literal["last", "mean", "max", "additive", "dot"]


def build_pooling(kind: Pooling, size: int) -> nn.Module | None:
    """None for `last`, which the network does itself."""
    if kind == "last":
        return None
    if kind in ("mean", "max"):
        return _Fixed(kind)
    return AdditiveAttention(size) if kind == "additive" else DotAttention(size)


def mask_of(x_BTO: Tensor, lengths_B: Tensor | None) -> Tensor:
    """Which steps are valid, (B, T)."""
    steps_T = torch.arange(x_BTO.shape[1], device=x_BTO.device)
    if lengths_B is None:
        return torch.ones_like(steps_T, dtype=torch.bool).expand(x_BTO.shape[:2])
    return steps_T < lengths_B.unsqueeze(1)


def attend(scores_BT: Tensor, x_BTO: Tensor, mask_BT: Tensor) -> Tensor:
    """The mean of valid steps with weights softmax(scores), (B, O)."""
    weights_BT = scores_BT.masked_fill(~mask_BT, -torch.inf).softmax(-1)
    return (weights_BT.unsqueeze(1) @ x_BTO).squeeze(1)


class _Fixed(nn.Module):
    def __init__(self, kind: Pooling) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, x_BTO: Tensor, lengths_B: Tensor | None = None) -> Tensor:
        mask_BT1 = mask_of(x_BTO, lengths_B).unsqueeze(-1)
        if self.kind == "max":
            return x_BTO.masked_fill(~mask_BT1, -torch.inf).amax(1)
        return (x_BTO * mask_BT1).sum(1) / mask_BT1.sum(1)


class AdditiveAttention(nn.Module):
    """score_t = v . tanh(W o_t + b). Source: Bahdanau, Cho, Bengio 2015, arXiv:1409.0473, with a fixed question."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.inner = nn.Linear(size, size)
        self.score = nn.Linear(size, 1, bias=False)

    def forward(self, x_BTO: Tensor, lengths_B: Tensor | None = None) -> Tensor:
        """(B, O)."""
        return attend(self.score(self.inner(x_BTO).tanh()).squeeze(-1), x_BTO, mask_of(x_BTO, lengths_B))


class DotAttention(nn.Module):
    """score_t = q . o_t / sqrt(O). Source: Luong, Pham, Manning 2015, arXiv:1508.04025, scaled, with a learned question q."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.question = nn.Parameter(torch.zeros(size))

    def forward(self, x_BTO: Tensor, lengths_B: Tensor | None = None) -> Tensor:
        """(B, O)."""
        return attend(x_BTO @ self.question * x_BTO.shape[-1] ** -0.5, x_BTO, mask_of(x_BTO, lengths_B))
