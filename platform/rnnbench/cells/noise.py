"""Noise inside the recurrence, for any cell that has a step: recurrent dropout, zoneout, weight drop."""

# Shapes: B rows, H hidden, V argument and P result of a product, T steps.

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rnnbench.cells.models import Share, draw_dropout
from rnnbench.cells.operations import Operands, Parts, Product, Weights

State = tuple[Tensor, ...]


@dataclass(frozen=True)
class Noise:
    """Shares, each from 0 to below 1.

    Attributes:
        recurrent_dropout: Units of the state that recurrent products do not see, the same at every step of a sequence.
            Source: Gal and Ghahramani 2016, arXiv:1512.05287.
        zoneout: Units of every state that keep their last value, drawn at each step; when not training, the mixture that is expected.
            Source: Krueger et al. 2017, arXiv:1606.01305.
        weight_drop: Recurrent weights that are zero, the same for a whole batch. Source: Merity et al. 2018, arXiv:1708.02182.
    """

    recurrent_dropout: Share = 0.0
    zoneout: Share = 0.0
    weight_drop: Share = 0.0

    def is_within_steps(self, *, training: bool) -> bool:
        """Whether steps differ from those of a fused kernel."""
        return bool(self.zoneout) or (training and bool(self.recurrent_dropout))


@dataclass(frozen=True)
class Masked(Product):
    """A product that sees its argument through a mask, its last operand, (B, V)."""

    def apply(self, v_BV: Tensor, operands: Operands) -> Tensor:
        """See Product."""
        return super().apply(v_BV * operands[-1], operands)

    def write(self, out_BP: Tensor, v_BV: Tensor, operands: Operands) -> None:
        """See Product."""
        super().write(out_BP, v_BV * operands[-1], operands)

    def pull(self, grad_BP: Tensor, seen: Parts, operands: Operands) -> Tensor:
        """See Product."""
        return super().pull(grad_BP, seen, operands) * operands[-1]

    def add_pull(self, sum_BV: Tensor, grad_BP: Tensor, seen: Parts, operands: Operands) -> None:
        """See Product."""
        sum_BV.add_(self.pull(grad_BP, seen, operands))

    def add_gradients(self, sums: Sequence[Tensor], grad_TBP: Tensor, seen: Parts, operands: Operands) -> None:
        """See Product."""
        super().add_gradients(sums, grad_TBP, (seen[0] * operands[-1],), operands)


def mask_products(weights: Weights, share: Share, rows: int) -> Weights:
    """The same weights, each product with a mask of its own that keeps its argument's scale."""
    operations, operands = dict(weights.operations), dict(weights.operands)
    for name, operation in weights.operations.items():
        if isinstance(operation, Product):
            size = operands[name][0].shape[-2]
            mask_BV = draw_dropout(operands[name][0], (rows, size), share)
            operations[name] = Masked(**vars(operation))
            operands[name] = (*operands[name], mask_BV)
    return Weights(operations, operands)


def zone_out(state: State, following: State, masks: Parts) -> State:
    """The next state, where the masks are not set; they are shares between 0 and 1 when not training."""
    return tuple(torch.lerp(new, old, mask) for old, new, mask in zip(state, following, masks, strict=True))
