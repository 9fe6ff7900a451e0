"""Recurrences that are linear in the state, h = a * h- + b with a and b from the input alone, for a whole sequence.

On a GPU one parallel scan. On a CPU a parallel scan only moves more memory: there a block of steps at a time goes through the
projection, the coefficients, the recurrence and the output while it is in the core's cache, and the same way back.
"""
# Shapes: T time, B rows, I inputs, G gates, H state, which may be complex.

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rnnbench.cells.operations import Parts
from rnnbench.cells.scan import scan

# Elements of (steps, B, H) in a block.
BLOCK_ELEMENTS = 1 << 16


@dataclass(frozen=True)
class Recurrence:
    """What a cell says of its recurrence.

    Attributes:
        num_gates: Equal parts of the projection W x + b.
        coefficients: From the gates and the extras to a and b; a may have fewer axes.
        emit: From the gates and the states to the outputs; None: the outputs are the states.
        reads_input: Whether `emit` sees the input as a last gate.
    """

    num_gates: int
    coefficients: Callable[[Parts, Parts], tuple[Tensor, Tensor]]
    emit: Callable[[Parts, Tensor], Tensor] | None = None
    reads_input: bool = False


def run_linear(
    recurrence: Recurrence, x_TBI: Tensor, weight_GI: Tensor, bias_G: Tensor | None, start_BH: Tensor, extras: Sequence[Tensor] = ()
) -> tuple[Tensor, Tensor]:
    """Outputs (T, B, H) and the last state.

    Args:
        weight_GI: (G, K * I), where each step reads K inputs side by side: x_TBI then begins with K - 1 earlier ones.
    """
    if x_TBI.is_cuda:
        outputs_TBH, states_TBH = _whole(recurrence, x_TBI, weight_GI, bias_G, start_BH, extras)
        return outputs_TBH, states_TBH[-1]
    outputs_TBH, end_BH = _Blocks.apply(  # type: ignore[no-untyped-call]
        recurrence, x_TBI, weight_GI, bias_G, start_BH, *extras
    )
    return outputs_TBH, end_BH


def _whole(
    recurrence: Recurrence, x_TBI: Tensor, weight_GI: Tensor, bias_G: Tensor | None, start_BH: Tensor, extras: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    gates = _project(x_TBI, weight_GI, bias_G).chunk(recurrence.num_gates, dim=-1)
    a_TBH, b_TBH = recurrence.coefficients(gates, tuple(extras))
    states_TBH = scan(a_TBH.expand_as(b_TBH), b_TBH, start_BH)
    seen = (*gates, x_TBI) if recurrence.reads_input else gates
    return (states_TBH if recurrence.emit is None else recurrence.emit(seen, states_TBH)), states_TBH


class _Blocks(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, recurrence: Recurrence, x_TBI: Tensor, weight_GI: Tensor, bias_G: Tensor | None, start_BH: Tensor, *extras: Tensor
    ) -> tuple[Tensor, Tensor]:
        x_TBI = x_TBI.contiguous()
        taps = _taps(x_TBI, weight_GI)
        steps = len(x_TBI) - len(taps) + 1
        gates_TBG = x_TBI.new_empty(steps, x_TBI.shape[1], len(weight_GI))
        states_TBH = start_BH.new_empty(steps + 1, *start_BH.shape)
        states_TBH[0] = start_BH
        outputs = []
        places = states_TBH.unbind(0)
        for first, last in _blocks(steps, start_BH):
            rows_RG = gates_TBG[first:last].flatten(0, 1)
            for place, columns in taps:
                x_RI, weight_IG = x_TBI[first + place : last + place].flatten(0, 1), weight_GI[:, columns].mT
                if place:
                    torch.addmm(rows_RG, x_RI, weight_IG, out=rows_RG)
                elif bias_G is None:
                    torch.mm(x_RI, weight_IG, out=rows_RG)
                else:
                    torch.addmm(bias_G, x_RI, weight_IG, out=rows_RG)
            gates = gates_TBG[first:last].chunk(recurrence.num_gates, dim=-1)
            a_TBH, b_TBH = recurrence.coefficients(gates, extras)
            pairs = zip(a_TBH.expand_as(b_TBH).unbind(0), b_TBH.unbind(0), strict=True)
            for step, (a_BH, b_BH) in enumerate(pairs, first):
                torch.addcmul(b_BH, a_BH, places[step], out=places[step + 1])
            if recurrence.emit is not None:
                seen = (*gates, x_TBI[first:last]) if recurrence.reads_input else gates
                outputs.append(recurrence.emit(seen, states_TBH[first + 1 : last + 1]))
        ctx.recurrence = recurrence
        ctx.save_for_backward(x_TBI, weight_GI, bias_G, start_BH, *extras, gates_TBG, states_TBH)
        return (torch.cat(outputs) if outputs else states_TBH[1:]), states_TBH[-1].clone()

    @staticmethod
    def backward(ctx: Any, grad_TBH: Tensor, grad_end_BH: Tensor) -> tuple[Tensor | None, ...]:
        x_TBI, weight_GI, bias_G, start_BH, *extras, gates_TBG, states_TBH = ctx.saved_tensors
        inputs = (x_TBI, weight_GI, bias_G, start_BH, *extras)
        if torch.is_grad_enabled():
            # The gradient of a gradient is wanted: through the parallel scan.
            outputs_TBH, again_TBH = _whole(ctx.recurrence, x_TBI, weight_GI, bias_G, start_BH, extras)
            wanted = [tensor is not None and tensor.requires_grad for tensor in inputs]
            leaves = [tensor for tensor, is_wanted in zip(inputs, wanted, strict=True) if is_wanted]
            again = iter(
                torch.autograd.grad([outputs_TBH, again_TBH[-1]], leaves, [grad_TBH, grad_end_BH], create_graph=True, allow_unused=True)
            )
            return None, *(next(again) if is_wanted else None for is_wanted in wanted)
        x_grad = torch.zeros_like(x_TBI) if ctx.needs_input_grad[1] else None
        weight_grad, bias_grad = torch.zeros_like(weight_GI), None if bias_G is None else torch.zeros_like(bias_G)
        extra_grads = [torch.zeros_like(extra) for extra in extras]
        grad_TBH = grad_TBH.contiguous()
        # What comes to a state from later: its gradient so far, and the next step's a.
        later_BH, next_a_BH = grad_end_BH, torch.ones_like(grad_end_BH)
        for first, last in reversed(_blocks(len(gates_TBG), start_BH)):
            with torch.enable_grad():
                leaf_TBG = gates_TBG[first:last].detach().requires_grad_()
                given = [extra.detach().requires_grad_() for extra in extras]
                gates = leaf_TBG.chunk(ctx.recurrence.num_gates, dim=-1)
                a_TBH, b_TBH = ctx.recurrence.coefficients(gates, tuple(given))
                of_states, gates_grad, seen_grad = grad_TBH[first:last], None, None
                if ctx.recurrence.emit is not None:
                    known_TBH = states_TBH[first + 1 : last + 1].detach().requires_grad_()
                    seen = [x_TBI[first:last].detach().requires_grad_()] if ctx.recurrence.reads_input else []
                    emitted_TBH = ctx.recurrence.emit((*gates, *seen), known_TBH)
                    gates_grad, of_states, *of_seen = torch.autograd.grad(
                        emitted_TBH, [leaf_TBG, known_TBH, *seen], of_states, retain_graph=True
                    )
                    seen_grad = of_seen[0] if of_seen else None
            sums_TBH = torch.empty_like(b_TBH)
            rows = list(zip(of_states.unbind(0), a_TBH.detach().conj().expand_as(b_TBH).unbind(0), sums_TBH.unbind(0), strict=True))
            for of_state_BH, a_BH, sum_BH in reversed(rows):
                torch.addcmul(of_state_BH, next_a_BH, later_BH, out=sum_BH)
                later_BH, next_a_BH = sum_BH, a_BH
            of_a_TBH = (sums_TBH * states_TBH[first:last].conj()).sum_to_size(a_TBH.shape)
            made = [(tensor, grad) for tensor, grad in ((a_TBH, of_a_TBH), (b_TBH, sums_TBH)) if tensor.requires_grad]
            found = torch.autograd.grad(
                [tensor for tensor, _ in made], [leaf_TBG, *given], [grad for _, grad in made], materialize_grads=True
            )
            gates_grad = found[0] if gates_grad is None else gates_grad.add_(found[0])
            for total, grad in zip(extra_grads, found[1:], strict=True):
                total.add_(grad)
            gates_RG = gates_grad.flatten(0, 1)
            if bias_grad is not None:
                bias_grad.add_(gates_RG.sum(0))
            for place, columns in _taps(x_TBI, weight_GI):
                weight_grad[:, columns].addmm_(gates_RG.mT, x_TBI[first + place : last + place].flatten(0, 1))
                if x_grad is not None:
                    x_grad[first + place : last + place].flatten(0, 1).addmm_(gates_RG, weight_GI[:, columns])
            if x_grad is not None and seen_grad is not None:
                x_grad[first:last] += seen_grad
        return None, x_grad, weight_grad, bias_grad, later_BH * next_a_BH, *extra_grads


def _project(x_TBI: Tensor, weight_GI: Tensor, bias_G: Tensor | None) -> Tensor:
    """W x + b, x the last K inputs of each step."""
    taps = _taps(x_TBI, weight_GI)
    steps = len(x_TBI) - len(taps) + 1
    gates_TBG = torch.nn.functional.linear(x_TBI[:steps], weight_GI[:, taps[0][1]], bias_G)
    for place, columns in taps[1:]:
        gates_TBG = gates_TBG + torch.nn.functional.linear(x_TBI[place : place + steps], weight_GI[:, columns])
    return gates_TBG


def _taps(x_TBI: Tensor, weight_GI: Tensor) -> list[tuple[int, slice]]:
    """For each of the K inputs of a step: how many steps into `x_TBI` the first step's is, and its columns of W."""
    size = x_TBI.shape[-1]
    return [(place, slice(place * size, (place + 1) * size)) for place in range(weight_GI.shape[1] // size)]


def _blocks(steps: int, state_BH: Tensor) -> list[tuple[int, int]]:
    length = min(steps, max(1, BLOCK_ELEMENTS // state_BH.numel()))
    return [(first, min(first + length, steps)) for first in range(0, steps, length)]
