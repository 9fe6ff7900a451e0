"""The linear recurrence h_t = a_t * h_(t-1) + b_t over a whole sequence at once, with its gradients.

The sequence is cut into pieces that are scanned side by side; then the end of each piece is carried into the next: about
2 sqrt(T) calls instead of T. Products of a only run forward in time, so nothing is divided and nothing overflows.

Source: the associative rule (a1, b1) . (a2, b2) = (a1 a2, a2 b1 + b2), Blelloch 1990; Martin and Cundy 2018, arXiv:1709.04057.
"""
# Shapes: T time, B all other axes as they are, P pieces of L steps.

import math
from typing import Any

import torch
from torch import Tensor

from rnnbench.cells.models import has_models, map_models

# Elements of a step from which a call's own cost no longer matters: then the plain loop does the least work.
LARGE_STEP = 1 << 15


def scan(a_TB: Tensor, b_TB: Tensor, start_B: Tensor) -> Tensor:
    """The states h_1 to h_T.

    Args:
        a_TB, b_TB: Of one shape, real or complex.
        start_B: h_0.
    """
    if has_models():
        return map_models(lambda *tensors: (_Scan.apply(*tensors),), (a_TB, b_TB, start_B), (1, 1, 0), (1,))[0]  # type: ignore[no-untyped-call]
    states_TB: Tensor = _Scan.apply(a_TB, b_TB, start_B)  # type: ignore[no-untyped-call]
    return states_TB


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a_TB: Tensor, b_TB: Tensor, start_B: Tensor) -> Tensor:
        states_TB = _scan(a_TB, b_TB, start_B)
        ctx.save_for_backward(a_TB, states_TB, start_B)
        return states_TB

    @staticmethod
    def backward(ctx: Any, grad_TB: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        # The gradient runs the same recurrence backwards in time: g_t = grad_t + a_(t+1) g_(t+1).
        a_TB, states_TB, start_B = ctx.saved_tensors
        later_TB = torch.cat([a_TB[1:], torch.zeros_like(a_TB[:1])]).conj()
        sums_TB = scan(later_TB.flip(0), grad_TB.flip(0), torch.zeros_like(start_B)).flip(0)
        before_TB = torch.cat([start_B.unsqueeze(0), states_TB[:-1]])
        return sums_TB * before_TB.conj(), sums_TB, sums_TB[0] * a_TB[0].conj()


def _scan(a_TB: Tensor, b_TB: Tensor, start_B: Tensor) -> Tensor:
    steps = len(a_TB)
    length = max(1, math.isqrt(steps)) if a_TB[0].numel() < LARGE_STEP else steps
    pieces = steps // length
    if pieces < 2:
        return _loop(a_TB, b_TB, start_B)
    whole = pieces * length
    # Step k of every piece at once: states as if each piece began at zero, and how much of its true beginning is left.
    a_PLB, b_PLB = (x_TB[:whole].unflatten(0, (pieces, length)) for x_TB in (a_TB, b_TB))
    states_LPB, left_LPB = torch.empty_like(b_PLB.transpose(0, 1)), torch.empty_like(a_PLB.transpose(0, 1))
    states_LPB[0], left_LPB[0] = b_PLB[:, 0], a_PLB[:, 0]
    for step in range(1, length):
        torch.addcmul(b_PLB[:, step], a_PLB[:, step], states_LPB[step - 1], out=states_LPB[step])
        torch.mul(a_PLB[:, step], left_LPB[step - 1], out=left_LPB[step])
    starts_PB = torch.empty_like(b_PLB[:, 0])
    starts_PB[0] = start_B
    for piece in range(1, pieces):
        torch.addcmul(states_LPB[-1, piece - 1], left_LPB[-1, piece - 1], starts_PB[piece - 1], out=starts_PB[piece])
    states_TB = torch.empty_like(b_TB)
    torch.addcmul(states_LPB, left_LPB, starts_PB, out=states_TB[:whole].unflatten(0, (pieces, length)).transpose(0, 1))
    if whole < steps:
        states_TB[whole:] = _loop(a_TB[whole:], b_TB[whole:], states_TB[whole - 1])
    return states_TB


def _loop(a_TB: Tensor, b_TB: Tensor, state_B: Tensor) -> Tensor:
    states_TB = torch.empty_like(b_TB)
    for a_B, b_B, out_B in zip(a_TB.unbind(0), b_TB.unbind(0), states_TB.unbind(0), strict=True):
        torch.addcmul(b_B, a_B, state_B, out=out_B)
        state_B = out_B
    return states_TB
