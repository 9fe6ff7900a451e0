"""Recurrences that are linear in the state, with coefficients from the input alone, for a whole sequence.

`run_gated`: h = a * h- + (1 - a) * v, with a share a and a value v from the gates; `run_diagonal`: h = a * h- + b, with a constant a.
On a GPU one parallel scan. On a CPU a parallel scan only moves more memory: there a block of steps at a time goes through the
projection, the activations, the recurrence and the output while it is in the core's cache, and the same way back.
"""
# Shapes: T time, B rows, I inputs, G gates, H state, R steps and rows of a block. T in a name is also the steps of a block.

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from rnnbench.cells.models import each_model
from rnnbench.cells.operations import Parts
from rnnbench.cells.scan import scan

# Elements of (steps, B, H) in a block.
BLOCK_ELEMENTS = 1 << 16

_sigmoid_backward = torch.ops.aten.sigmoid_backward.default
_tanh_backward = torch.ops.aten.tanh_backward.default
_threshold_backward = torch.ops.aten.threshold_backward.default


class Gated(ABC):
    """What a cell says of its recurrence, forward and backward; all parts are (T, B, H).

    Attributes:
        num_gates: Equal parts of the projection W x + b.
        emits: Whether the outputs are something else than the states.
        reads_input: Whether the input follows the gates as one more, where it is as long as the state.
    """

    num_gates: int
    emits: bool = False
    reads_input: bool = False

    @abstractmethod
    def activate(self, gates: Parts) -> Parts:
        """From the gates to a, v, and what else the outputs or the way back need."""

    @abstractmethod
    def pull(self, kept: Parts, grad_a: Tensor, grad_v: Tensor, grads_emit: Parts) -> Parts:
        """The gates' gradients.

        Args:
            kept: What `activate` gave.
            grads_emit: What `pull_emit` gave beside the gradient of the states.
        """

    def emit(self, kept: Parts, states: Tensor, out: Tensor | None = None) -> Tensor:
        """The outputs, where `emits`."""
        return states

    def pull_emit(self, kept: Parts, states: Tensor, grad: Tensor) -> Parts:
        """From the outputs' gradient to that of the states, and whatever else `pull` needs of it."""
        return (grad,)


def sigmoid_backward(grad: Tensor, y: Tensor) -> Tensor:
    """grad * y * (1 - y), the way back through y = s(v)."""
    found: Tensor = _sigmoid_backward(grad, y)
    return found


def tanh_backward(grad: Tensor, y: Tensor) -> Tensor:
    """grad * (1 - y^2), the way back through y = tanh(v)."""
    found: Tensor = _tanh_backward(grad, y)
    return found


def keep_above(grad: Tensor, y: Tensor, threshold: float) -> Tensor:
    """grad where y is above the threshold, else 0."""
    found: Tensor = _threshold_backward(grad, y, threshold)
    return found


def run_gated(gated: Gated, x_TBI: Tensor, weight_GI: Tensor, bias_G: Tensor, start_BH: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs (T, B, H) and the last state.

    Args:
        weight_GI: (G, K * I), where each step reads K inputs side by side: x_TBI then begins with K - 1 earlier ones.
    """
    if x_TBI.is_cuda:
        return _scan_gated(gated, x_TBI, weight_GI, bias_G, start_BH)
    outputs_TBH, end_BH = each_model(partial(_GatedBlocks.apply, gated), 2, x_TBI, weight_GI, bias_G, start_BH)
    return outputs_TBH, end_BH


def run_diagonal(x_TBI: Tensor, weight_GI: Tensor, a_H: Tensor, start_BH: Tensor) -> tuple[Tensor, Tensor]:
    """The states (T, B, H), complex, and the last one, with b = W x, whose real and imaginary parts take turns: G = 2H."""
    if x_TBI.is_cuda:
        states_TBH = _scan_diagonal(x_TBI, weight_GI, a_H, start_BH)
        return states_TBH, states_TBH[-1]
    states_TBH, end_BH = each_model(_DiagonalBlocks.apply, 2, x_TBI, weight_GI, a_H, start_BH)
    return states_TBH, end_BH


def _scan_gated(gated: Gated, x_TBI: Tensor, weight_GI: Tensor, bias_G: Tensor, start_BH: Tensor) -> tuple[Tensor, Tensor]:
    gates = _project(x_TBI, weight_GI, bias_G).chunk(gated.num_gates, dim=-1)
    kept = gated.activate((*gates, x_TBI) if gated.reads_input else gates)
    a_TBH, v_TBH = kept[:2]
    states_TBH = scan(a_TBH, (1 - a_TBH) * v_TBH, start_BH)
    return gated.emit(kept, states_TBH), states_TBH[-1]


def _scan_diagonal(x_TBI: Tensor, weight_GI: Tensor, a_H: Tensor, start_BH: Tensor) -> Tensor:
    b_TBH = torch.view_as_complex(torch.nn.functional.linear(x_TBI, weight_GI).unflatten(-1, (-1, 2)))
    return scan(a_H.expand_as(b_TBH), b_TBH, start_BH)


class _GatedBlocks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gated: Gated, x_TBI: Tensor, weight_GI: Tensor, bias_G: Tensor, start_BH: Tensor) -> tuple[Tensor, Tensor]:
        x_TBI = x_TBI.contiguous()
        taps = _taps(x_TBI, weight_GI)
        steps = len(x_TBI) - len(taps) + 1
        states_TBH = start_BH.new_empty(steps + 1, *start_BH.shape)
        states_TBH[0] = start_BH
        outputs_TBH = torch.empty_like(states_TBH[1:]) if gated.emits else states_TBH[1:]
        kept: list[Tensor] = []
        places = states_TBH.unbind(0)
        pairs = list(zip(weight_GI.chunk(gated.num_gates), bias_G.chunk(gated.num_gates), strict=True))
        for first, last in _blocks(steps, start_BH):
            gates = []
            for weight_HI, bias_H in pairs:
                # Gate by gate, each in one piece: what follows is elementwise.
                gate_RH = torch.addmm(bias_H, x_TBI[first:last].flatten(0, 1), weight_HI[:, taps[0][1]].mT)
                for place, columns in taps[1:]:
                    torch.addmm(gate_RH, x_TBI[first + place : last + place].flatten(0, 1), weight_HI[:, columns].mT, out=gate_RH)
                gates.append(gate_RH.view(last - first, *start_BH.shape))
            block = gated.activate((*gates, x_TBI[first:last]) if gated.reads_input else tuple(gates))
            for step, (a_BH, v_BH) in enumerate(zip(block[0].unbind(0), block[1].unbind(0), strict=True), first):
                torch.lerp(v_BH, places[step], a_BH, out=places[step + 1])
            if gated.emits:
                gated.emit(block, states_TBH[first + 1 : last + 1], out=outputs_TBH[first:last])
            kept.extend(block)
        ctx.gated = gated
        ctx.save_for_backward(x_TBI, weight_GI, bias_G, start_BH, states_TBH, *kept)
        return outputs_TBH, states_TBH[-1].clone()

    @staticmethod
    def backward(ctx: Any, grad_TBH: Tensor, grad_end_BH: Tensor) -> tuple[Tensor | None, ...]:
        x_TBI, weight_GI, bias_G, start_BH, states_TBH, *kept = ctx.saved_tensors
        gated: Gated = ctx.gated
        inputs = (x_TBI, weight_GI, bias_G, start_BH)
        if torch.is_grad_enabled():
            # The gradient of a gradient is wanted: through the parallel scan.
            return None, *_grads(_scan_gated(gated, *inputs), inputs, [grad_TBH, grad_end_BH])
        x_grad = torch.zeros_like(x_TBI) if ctx.needs_input_grad[1] else None
        weight_grad, bias_grad = torch.zeros_like(weight_GI), torch.zeros_like(bias_G)
        parts = list(zip(*(tensor.chunk(gated.num_gates) for tensor in (weight_GI, weight_grad, bias_grad)), strict=True))
        taps, grad_TBH = _taps(x_TBI, weight_GI), grad_TBH.contiguous()
        # What comes to a state from later: its gradient so far, and the next step's a.
        later_BH, next_a_BH = grad_end_BH, torch.ones_like(grad_end_BH)
        blocks = _blocks(len(states_TBH) - 1, start_BH)
        per_block = len(kept) // len(blocks)
        for place_of_block, (first, last) in reversed(list(enumerate(blocks))):
            block = tuple(kept[place_of_block * per_block : (place_of_block + 1) * per_block])
            a_TBH, v_TBH = block[:2]
            of_states_TBH, *of_emit = gated.pull_emit(block, states_TBH[first + 1 : last + 1], grad_TBH[first:last])
            sums_TBH = torch.empty_like(a_TBH)
            steps = list(zip(of_states_TBH.unbind(0), a_TBH.unbind(0), sums_TBH.unbind(0), strict=True))
            for of_state_BH, a_BH, sum_BH in reversed(steps):
                torch.addcmul(of_state_BH, next_a_BH, later_BH, out=sum_BH)
                later_BH, next_a_BH = sum_BH, a_BH
            of_a_TBH = (states_TBH[first:last] - v_TBH).mul_(sums_TBH)
            of_v_TBH = torch.addcmul(sums_TBH, sums_TBH, a_TBH, value=-1)
            gates = gated.pull(block, of_a_TBH, of_v_TBH, tuple(of_emit))
            for gate_TBH, (weight_HI, weight_grad_HI, bias_grad_H) in zip(gates, parts, strict=False):
                gate_RH = gate_TBH.flatten(0, 1)
                bias_grad_H.add_(gate_RH.sum(0))
                for place, columns in taps:
                    x_RI = x_TBI[first + place : last + place].flatten(0, 1)
                    weight_grad_HI[:, columns].addmm_(gate_RH.mT, x_RI)
                    if x_grad is not None:
                        x_grad[first + place : last + place].flatten(0, 1).addmm_(gate_RH, weight_HI[:, columns])
            if x_grad is not None and gated.reads_input:
                x_grad[first:last] += gates[-1]
        return None, x_grad, weight_grad, bias_grad, later_BH * next_a_BH


class _DiagonalBlocks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_TBI: Tensor, weight_GI: Tensor, a_H: Tensor, start_BH: Tensor) -> tuple[Tensor, Tensor]:
        x_TBI = x_TBI.contiguous()
        states_TBH = start_BH.new_empty(len(x_TBI) + 1, *start_BH.shape)
        states_TBH[0] = start_BH
        places, a_BH = states_TBH.unbind(0), a_H.expand_as(start_BH).contiguous()
        for first, last in _blocks(len(x_TBI), start_BH):
            b_RG = x_TBI[first:last].flatten(0, 1) @ weight_GI.mT
            b_TBH = torch.view_as_complex(b_RG.view(last - first, *start_BH.shape, 2))
            for step, b_BH in enumerate(b_TBH.unbind(0), first):
                torch.addcmul(b_BH, a_BH, places[step], out=places[step + 1])
        ctx.save_for_backward(x_TBI, weight_GI, a_H, start_BH, states_TBH)
        return states_TBH[1:], states_TBH[-1].clone()

    @staticmethod
    def backward(ctx: Any, grad_TBH: Tensor, grad_end_BH: Tensor) -> tuple[Tensor | None, ...]:
        x_TBI, weight_GI, a_H, start_BH, states_TBH = ctx.saved_tensors
        inputs = (x_TBI, weight_GI, a_H, start_BH)
        if torch.is_grad_enabled():
            again_TBH = _scan_diagonal(*inputs)
            return _grads((again_TBH, again_TBH[-1]), inputs, [grad_TBH, grad_end_BH])
        x_grad = torch.empty_like(x_TBI) if ctx.needs_input_grad[0] else None
        weight_grad, a_grad = torch.zeros_like(weight_GI), torch.zeros_like(a_H)
        a_BH = a_H.conj().expand_as(start_BH).resolve_conj().contiguous()
        later_BH, next_a_BH = grad_end_BH, torch.ones_like(grad_end_BH)
        for first, last in reversed(_blocks(len(x_TBI), start_BH)):
            sums_TBH = torch.empty_like(states_TBH[first:last])
            for of_state_BH, sum_BH in reversed(list(zip(grad_TBH[first:last].unbind(0), sums_TBH.unbind(0), strict=True))):
                torch.addcmul(of_state_BH, next_a_BH, later_BH, out=sum_BH)
                later_BH, next_a_BH = sum_BH, a_BH
            a_grad += (sums_TBH * states_TBH[first:last].conj()).sum((0, 1))
            sums_RG = torch.view_as_real(sums_TBH).reshape(-1, len(weight_GI))
            weight_grad.addmm_(sums_RG.mT, x_TBI[first:last].flatten(0, 1))
            if x_grad is not None:
                torch.mm(sums_RG, weight_GI, out=x_grad[first:last].flatten(0, 1))
        return x_grad, weight_grad, a_grad, later_BH * next_a_BH


def _grads(outputs: Sequence[Tensor], inputs: Sequence[Tensor], grads: Sequence[Tensor]) -> tuple[Tensor | None, ...]:
    """The gradients of the inputs that have one, themselves differentiable."""
    leaves = [tensor for tensor in inputs if tensor.requires_grad]
    found = iter(torch.autograd.grad(outputs, leaves, grads, create_graph=True, allow_unused=True))
    return tuple(next(found) if tensor.requires_grad else None for tensor in inputs)


def _project(x_TBI: Tensor, weight_GI: Tensor, bias_G: Tensor) -> Tensor:
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
