"""Back-propagation through time for every gated cell, derived from its `step`.

Between its operations (recurrent products, normalisations) a step is elementwise. After the forward pass the result of every
operation and every state is known, so the elementwise parts of many steps can be differentiated at once: a few calls of autograd over
a block of steps give the diagonals of their Jacobians. Only the chain itself is left to go step by step: gradient times diagonal,
gradient times R. A cell needs no backward pass of its own for this, and a step costs a handful of calls instead of autograd's dozens.
"""
# Shapes: T time, B rows, I inputs, H hidden, G all gates, V argument and P result of an operation. A leaf of the elementwise part of
# a step is a gate, a part of an operation's result, or a state: (T, B, H). With a model axis N before B in all of them, and first in
# weights, N models go through the steps together.

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rnnbench.cells.chain import Call, Chain, Names
from rnnbench.cells.models import has_models, map_models
from rnnbench.cells.operations import Kept, Operands, Parts, Weights, Written, copy_steps, empty_steps, project_steps, stack_steps
from rnnbench.cells.step import Projection, State, Step, Structure, find_structure, unroll


@dataclass(frozen=True)
class Program:
    """A step, and what it needs beside numbers.

    Attributes:
        widths: Of each gate.
        structures: Found at the first call and kept here by name; `kind` is this step's.
    """

    step: Step
    kind: str
    widths: tuple[int, ...]
    structures: dict[str, Structure]


def run(program: Program, weights: Weights, x_TBI: Tensor, projection: Projection | None, state: State) -> tuple[Tensor, State]:
    """The same function, fast: outputs (T, B, H), which are the first state, and the state after the last step.

    Args:
        x_TBI: The input, or the gates themselves where `projection` is None.
        projection: W (G, I) and b (G,) of the gates W x + b.
    """
    operands = [operand for name in weights.operations for operand in weights.operands[name]]
    names = Names(weights.operations, {name: len(weights.operands[name]) for name in weights.operations}, len(state))
    tensors = (x_TBI, *(projection or (None, None)), *state, *operands)

    def run_tensors(*given: Tensor | None) -> tuple[Tensor, ...]:
        call = Call(names, given)
        if program.kind not in program.structures:
            gates_BG = project_steps(call.x_TBI[:1], *call.projection)[0] if call.projection else call.x_TBI[0]
            program.structures[program.kind] = find_structure(program.step, call.weights, gates_BG, program.widths, call.state)
        structure = program.structures[program.kind]
        found: tuple[Tensor, ...] = _Unrolled.apply(program.step, structure, names, *given)  # type: ignore[no-untyped-call]
        return found

    if has_models():
        # Steps come first, then models; in weights and states models do.
        outputs_TBH, *others = map_models(run_tensors, tensors, places=(1, *[0] * (len(tensors) - 1)), out=(1, *[0] * (len(state) - 1)))
    else:
        outputs_TBH, *others = run_tensors(*tensors)
    return outputs_TBH, (outputs_TBH[-1], *others)


class _Recording(Weights):
    """Weights whose operations keep their results: shared ones in the gates, in place."""

    def __init__(self, weights: Weights, gates_TBG: Tensor, widths: Sequence[int], results: dict[str, int]) -> None:
        super().__init__(weights.operations, weights.operands)
        # For each gate its steps. Views are made once and shared: they are a good part of what a small step costs.
        steps = [gate_TBH.unbind(0) for gate_TBH in gates_TBG.split(list(widths), dim=-1)]
        self.gates = list(zip(*steps, strict=True))
        self.step = 0
        self.results: dict[str, Tensor] = {}
        self.kept: dict[str, list[Tensor]] = {}
        self._steps: dict[str, tuple[Written, Operands, Sequence[Tensor], Sequence[Parts]]] = {}
        for name, operation in self.operations.items():
            if isinstance(operation, Kept):
                continue
            if operation.shared:
                places = self.shared_gates[name]
                first, parts = sum(widths[: places.start]), list(zip(*steps[places], strict=True))
                whole = places.stop - places.start > 1
                result = gates_TBG[..., first : first + sum(widths[places])].unbind(0) if whole else steps[places.start]
            else:
                result_TBP = self.results[name] = empty_steps(gates_TBG, len(gates_TBG), results[name])
                result = result_TBP.unbind(0)
                parts = list(zip(*(part.unbind(0) for part in result_TBP.chunk(operation.num_gates, dim=-1)), strict=True))
            # A product is faster by rows; that of many models lies in memory the other way round.
            is_one = gates_TBG.dim() == 3
            operands = tuple(operand.contiguous() if is_one else operand.mT.contiguous().mT for operand in weights.operands[name])
            self._steps[name] = operation, operands, result, parts

    def apply(self, name: str, v_BH: Tensor | Parts, gates: Parts = ()) -> Parts:
        """See Weights."""
        operation, operands, results, parts = self._steps[name]
        operation.write(results[self.step], v_BH if isinstance(v_BH, Tensor) else torch.cat(v_BH, dim=-1), operands)
        return parts[self.step]

    def keep(self, name: str, value_BH: Tensor) -> Tensor:
        """See Weights."""
        self.kept.setdefault(name, []).append(value_BH)
        return value_BH


class _Unrolled(torch.autograd.Function):
    """The loop over a step, its chain of gradients, and by plain autograd the gradients of those."""

    @staticmethod
    def forward(ctx: Any, step: Step, structure: Structure, names: Names, *tensors: Any) -> tuple[Tensor, ...]:
        call = Call(names, tensors)
        # Shared operations add to the gates in place.
        gates_TBG = project_steps(call.x_TBI, *call.projection) if call.projection else copy_steps(call.x_TBI)
        widths, state = list(structure.widths), tuple(stack_steps([part])[0] for part in call.state)
        sequence = [state]
        lengths = {name: operands[0].shape[-1] for name, operands in call.weights.operands.items() if operands}
        recording = _Recording(call.weights, gates_TBG, widths, lengths)
        for place, parts in enumerate(recording.gates):
            recording.step = place
            state = step(recording, parts, state)
            sequence.append(state)
        states = [stack_steps(steps) for steps in zip(*sequence, strict=True)]
        # A kept value is mostly the state that comes next.
        ends = {end.same[1] for end in structure.ends if end.same is not None and end.same[0] == "result"}
        kept = {name: stack_steps(steps) for name, steps in recording.kept.items() if name not in ends}
        ctx.names = [*recording.results, *kept]
        ctx.step, ctx.structure, ctx.of_call, ctx.num_tensors = step, structure, names, len(tensors)
        ctx.save_for_backward(*tensors, gates_TBG, *recording.results.values(), *kept.values(), *states)
        return states[0][1:], *state[1:]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        tensors, kept = ctx.saved_tensors[: ctx.num_tensors], ctx.saved_tensors[ctx.num_tensors :]
        call = Call(ctx.of_call, tensors)
        if not torch.is_grad_enabled():
            chain = Chain(ctx.step, ctx.structure, call, ctx.names, kept, needs_x=ctx.needs_input_grad[3])
            return None, None, None, *chain.pull(grads)
        # The gradient of a gradient is wanted: through the plain loop.
        gates_TBG = project_steps(call.x_TBI, *call.projection) if call.projection else call.x_TBI
        states = unroll(ctx.step, call.weights, gates_TBG, ctx.structure.widths, call.state)
        ends = [torch.stack([state[0] for state in states]), *states[-1][1:]]
        wanted = [tensor is not None and tensor.requires_grad for tensor in tensors]
        leaves = [tensor for tensor, is_wanted in zip(tensors, wanted, strict=True) if is_wanted]
        known = [(end, grad) for end, grad in zip(ends, grads, strict=True) if end.requires_grad]
        found = iter(
            torch.autograd.grad([end for end, _ in known], leaves, [grad for _, grad in known], create_graph=True, allow_unused=True)
        )
        return None, None, None, *(next(found) if is_wanted else None for is_wanted in wanted)
