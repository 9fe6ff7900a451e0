"""Back-propagation through time for every gated cell, derived from its `step`.

Between its operations (recurrent products, normalisations) a step is elementwise. After the forward pass the result of every
operation and every state is known, so the elementwise parts of many steps can be differentiated at once: a few calls of autograd over
a block of steps give the diagonals of their Jacobians. Only the chain itself is left to go step by step: gradient times diagonal,
gradient times R. A cell needs no backward pass of its own for this, and a step costs a handful of calls instead of autograd's dozens.
"""
# Shapes: T time, B rows, I inputs, H hidden, G all gates, V argument and P result of an operation. A leaf of the elementwise part of
# a step is a gate, a part of an operation's result, or a state: (T, B, H). With a model axis N before B in all of them, and first in
# weights, N models go through the steps together.

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rnnbench.cells.models import has_models, map_models
from rnnbench.cells.operations import (
    Kept,
    Operands,
    Operation,
    Parts,
    Weights,
    Written,
    add_steps,
    copy_steps,
    empty_steps,
    project_steps,
    pull_steps,
    stack_steps,
    sum_rows,
)

State = tuple[Tensor, ...]
Step = Callable[[Weights, Parts, State], State]
Projection = tuple[Tensor, Tensor]
# ("gate", "", place), ("result", operation, part) or ("state", "", place).
Leaf = tuple[str, str, int]

# Elements of (steps, B, H) in a block: large enough that a call costs little beside its work, small enough to stay near the core.
BLOCK_ELEMENTS = 1 << 17


def unroll(step: Step, weights: Weights, gates_TBG: Tensor, widths: Sequence[int], state: State) -> list[State]:
    """The loop over `step` under autograd: the state after each step."""
    states = []
    for gates_BG in gates_TBG.unbind(0):
        state = step(weights, gates_BG.split(list(widths), dim=-1), state)
        states.append(state)
    return states


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
    structures: dict[str, "Structure"]


def run(program: Program, weights: Weights, x_TBI: Tensor, projection: Projection | None, state: State) -> tuple[Tensor, State]:
    """The same function, fast: outputs (T, B, H), which are the first state, and the state after the last step.

    Args:
        x_TBI: The input, or the gates themselves where `projection` is None.
        projection: W (G, I) and b (G,) of the gates W x + b.
    """
    operands = [operand for name in weights.operations for operand in weights.operands[name]]
    names = _Names(weights.operations, {name: len(weights.operands[name]) for name in weights.operations}, len(state))
    tensors = (x_TBI, *(projection or (None, None)), *state, *operands)

    def run_tensors(*given: Tensor | None) -> tuple[Tensor, ...]:
        call = _Call(names, given)
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


@dataclass(frozen=True)
class Source:
    """A tensor that a step makes: where it goes when its gradient comes back.

    Attributes:
        same: The leaf that it is, where it is one.
        reaches: The leaves that it is computed from otherwise.
    """

    same: Leaf | None
    reaches: tuple[Leaf, ...]


@dataclass(frozen=True)
class Structure:
    """What depends on what within a step.

    Attributes:
        widths: Of each gate.
        asked: The operations in the order in which `step` asks for them, each with the parts of what it is applied to.
        ends: The next states.
        leaves: Every leaf that something is computed from.
    """

    widths: tuple[int, ...]
    asked: tuple[tuple[str, tuple[Source, ...]], ...]
    ends: tuple[Source, ...]
    leaves: tuple[Leaf, ...]


def find_structure(step: Step, weights: Weights, gates_BG: Tensor, widths: Sequence[int], state: State) -> Structure:
    """Calls `step` once, on one row, and sees what it does."""
    with torch.enable_grad():
        row = tuple(gate[..., :1, :].detach() for gate in gates_BG.split(list(widths), dim=-1))
        begin = tuple(part[..., :1, :].detach() for part in state)
        eager = _Observed(weights)
        step(eager, row, begin)
        leaves: dict[Leaf, Tensor] = {("gate", "", place): gate.clone().requires_grad_() for place, gate in enumerate(row)}
        leaves |= {("state", "", place): part.clone().requires_grad_() for place, part in enumerate(begin)}
        for name, parts in eager.results.items():
            operation = weights.operations[name]
            for part, tensor in enumerate(parts):
                if not operation.shared:
                    leaves["result", name, part] = tensor.detach().requires_grad_()
        given = Given(weights, {name: results_of(weights, name, leaves) for name in weights.operations})
        ends = step(
            given,
            tuple(leaves["gate", "", place] for place in range(len(row))),
            tuple(leaves["state", "", place] for place in range(len(begin))),
        )
    known = {id(leaf): place for place, leaf in leaves.items()}

    def source(tensor: Tensor) -> Source:
        if id(tensor) in known:
            return Source(known[id(tensor)], ())
        if not tensor.requires_grad:
            return Source(None, ())
        found = torch.autograd.grad(tensor, list(leaves.values()), torch.ones_like(tensor), allow_unused=True, retain_graph=True)
        reached = (place for place, grad in zip(leaves, found, strict=True) if grad is not None)  # type: ignore[redundant-expr]  # torch's
        return Source(None, tuple(reached))

    asked = tuple((name, tuple(map(source, parts))) for name, parts in given.asked)
    sources = tuple(map(source, ends))
    every = [part for _, parts in asked for part in parts] + list(sources)
    # Through the first state the outputs' gradients come in, whether a step reads it or not.
    reached = {("state", "", 0), *(leaf for one in every for leaf in one.reaches), *(one.same for one in every)}
    return Structure(tuple(widths), asked, sources, tuple(leaf for leaf in leaves if leaf in reached))


def results_of(weights: Weights, name: str, leaves: dict[Leaf, Tensor]) -> Parts:
    """The leaves that an operation's result consists of."""
    if weights.operations[name].shared:
        places = weights.shared_gates[name]
        return tuple(leaves["gate", "", place] for place in range(places.start, places.stop))
    return tuple(leaves["result", name, part] for part in range(weights.operations[name].num_gates))


class _Observed(Weights):
    """Weights that note the results of their operations."""

    def __init__(self, weights: Weights) -> None:
        super().__init__(weights.operations, weights.operands)
        self.results: dict[str, Parts] = {}

    def apply(self, name: str, v_BH: Tensor | Parts, gates: Parts = ()) -> Parts:
        """See Weights."""
        self.results[name] = super().apply(name, v_BH, gates)
        return self.results[name]


class Given(Weights):
    """Weights whose operations give known results, and which note what was asked."""

    def __init__(self, weights: Weights, results: dict[str, Parts]) -> None:
        super().__init__(weights.operations, {})
        self._results = results
        self.asked: list[tuple[str, Parts]] = []

    def apply(self, name: str, v_BH: Tensor | Parts, gates: Parts = ()) -> Parts:
        """See Weights."""
        self.asked.append((name, (v_BH,) if isinstance(v_BH, Tensor) else v_BH))
        return self._results[name]


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
    def forward(ctx: Any, step: Step, structure: Structure, names: "_Names", *tensors: Any) -> tuple[Tensor, ...]:
        call = _Call(names, tensors)
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
        call = _Call(ctx.of_call, tensors)
        if not torch.is_grad_enabled():
            chain = _Chain(ctx.step, ctx.structure, call, ctx.names, kept, needs_x=ctx.needs_input_grad[3])
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


def blocks(steps: int, elements: int) -> list[tuple[int, int]]:
    """First step and end of each block, for so many elements a step."""
    length = max(1, BLOCK_ELEMENTS // elements)
    return [(first, min(first + length, steps)) for first in range(0, steps, length)]


@dataclass(frozen=True)
class _Names:
    """What the tensors of a call are.

    Attributes:
        num_operands: Of each operation.
    """

    operations: Mapping[str, Operation]
    num_operands: Mapping[str, int]
    num_states: int


class _Call:
    """What went into a call, by name."""

    def __init__(self, names: _Names, tensors: Sequence[Any]) -> None:
        rest = iter(tensors)
        self.x_TBI: Tensor = next(rest)
        weight_GI, bias_G = next(rest), next(rest)
        self.projection = None if weight_GI is None else (weight_GI, bias_G)
        self.state = tuple(next(rest) for _ in range(names.num_states))
        operands = {name: tuple(next(rest) for _ in range(number)) for name, number in names.num_operands.items()}
        self.weights = Weights(names.operations, operands)


class _Chain:
    """The backward pass of one call."""

    def __init__(
        self, step: Step, structure: Structure, call: _Call, names: Sequence[str], kept: Sequence[Tensor], *, needs_x: bool
    ) -> None:
        self.step, self.structure, self.call, self.weights = step, structure, call, call.weights
        self.gates_TBG, *rest = kept
        self.results = dict(zip(names, rest, strict=False))
        self.states = rest[len(names) :]
        for end, part in zip(structure.ends, self.states, strict=True):
            if end.same is not None and end.same[0] == "result":
                self.results[end.same[1]] = part[1:]
        self.x_grad = empty_steps(call.x_TBI, len(call.x_TBI), call.x_TBI.shape[-1]) if needs_x else None
        self.projection_grads = [torch.zeros_like(tensor) for tensor in call.projection or ()]
        self.sums = {name: [torch.zeros_like(operand) for operand in operands] for name, operands in self.weights.operands.items()}

    def known(self, first: int, last: int) -> dict[Leaf, Tensor]:
        """The values of all leaves over a block of steps."""
        gates = self.gates_TBG[first:last].split(list(self.structure.widths), dim=-1)
        known: dict[Leaf, Tensor] = {("gate", "", place): gate for place, gate in enumerate(gates)}
        known |= {("state", "", place): part[first:last] for place, part in enumerate(self.states)}
        for name, result in self.results.items():
            parts = result[first:last].chunk(self.weights.operations[name].num_gates, dim=-1)
            known |= {("result", name, place): part for place, part in enumerate(parts)}
        return known

    def pull(self, grads: Sequence[Tensor]) -> Iterator[Tensor | None]:
        """From the gradients of the outputs and of the other states' ends to those of everything that went in."""
        outputs_TBH = grads[0]
        spans = blocks(len(outputs_TBH), outputs_TBH[0].numel())
        running = [outputs_TBH[-1], *grads[1:]]
        room = _Room(self.structure, self.weights, self.known(*spans[0]))
        for first, last in reversed(spans):
            block = _Block(self, room, first, last, outputs_TBH)
            running = block.pull(running)
            block.add_gradients(first, last)
        yield self.x_grad
        yield from self.projection_grads or (None, None)
        yield from running
        for operands in self.sums.values():
            yield from operands


class _Room:
    """Gradients of the leaves over a block of steps, used for one block after the other.

    Attributes:
        gates_TBG: Of all gates.
        results: Of each operation's result, as a whole.
        result_steps: Their steps.
        targets: Of each leaf, its steps.
        outputs_TBH: Of the first state.
    """

    def __init__(self, structure: Structure, weights: Weights, known: dict[Leaf, Tensor]) -> None:
        state_TBH = known["state", "", 0]
        num_steps = len(state_TBH)
        self.gates_TBG = empty_steps(state_TBH, num_steps, sum(structure.widths))
        self.results: dict[str, Tensor] = {}
        self.result_steps: dict[str, Sequence[Tensor]] = {}
        self.targets: dict[Leaf, Sequence[Tensor]] = {}
        for place, gate_TBH in enumerate(self.gates_TBG.split(list(structure.widths), dim=-1)):
            self.targets["gate", "", place] = gate_TBH.unbind(0)
        for name, operation in weights.operations.items():
            if operation.shared:
                places = weights.shared_gates[name]
                start = sum(structure.widths[: places.start])
                self.results[name] = self.gates_TBG[..., start : start + sum(structure.widths[places])]
                alone = places.stop - places.start == 1
            else:
                length = sum(known["result", name, part].shape[-1] for part in range(operation.num_gates))
                # Side by side for the next product.
                self.results[name] = empty_steps(state_TBH, num_steps, length)
                for place, part in enumerate(self.results[name].chunk(operation.num_gates, dim=-1)):
                    self.targets["result", name, place] = part.unbind(0)
                alone = operation.num_gates == 1
            one = ("gate", "", places.start) if operation.shared else ("result", name, 0)
            self.result_steps[name] = self.targets[one] if alone else self.results[name].unbind(0)
        self.outputs_TBH = torch.empty_like(known["state", "", 0])
        for leaf in structure.leaves:
            if leaf[0] == "state":
                self.targets[leaf] = (torch.empty_like(known[leaf]) if leaf[2] else self.outputs_TBH).unbind(0)


class _Link:
    """The way back from one tensor of a step: diagonals and targets for each leaf that it reaches, over the steps of a block.

    Attributes:
        same: The steps of the leaf that it is, where it is one.
        ways: For each leaf: whether it is the first to reach it and so writes, the diagonals, the leaf's gradients.
    """

    def __init__(self, source: Source, block: "_Block", tensor: Tensor, leaves: dict[Leaf, Tensor]) -> None:
        self.same = block.targets[source.same] if source.same is not None else None
        self.first = source.same is not None and block.is_first(source.same)
        self.ways = []
        if source.reaches:
            wanted = [leaves[leaf] for leaf in source.reaches]
            # Ones that take no memory.
            found = torch.autograd.grad(tensor, wanted, tensor.new_ones(()).expand_as(tensor), retain_graph=True)
            for leaf, diagonal_TBH in zip(source.reaches, found, strict=True):
                self.ways.append((block.is_first(leaf), diagonal_TBH.unbind(0), block.targets[leaf]))

    def send(self, at: int, grad_BH: Tensor) -> None:
        """Hands the gradient of step `at` on to the leaves."""
        if self.same is not None:
            if self.first:
                self.same[at].copy_(grad_BH)
            else:
                self.same[at].add_(grad_BH)
            return
        for first, diagonals, targets in self.ways:
            if first:
                torch.mul(grad_BH, diagonals[at], out=targets[at])
            else:
                targets[at].addcmul_(grad_BH, diagonals[at])


class _Block:
    """Some consecutive steps of the backward pass: their elementwise parts at once, then the chain."""

    def __init__(self, chain: _Chain, room: _Room, first: int, last: int, outputs_TBH: Tensor) -> None:
        self.chain, structure, weights = chain, chain.structure, chain.weights
        self.room, self.targets, self.num_steps = room, room.targets, last - first
        known = chain.known(first, last)
        with torch.enable_grad():
            leaves = {leaf: known[leaf].detach().requires_grad_() for leaf in structure.leaves}
            values = {**known, **leaves}
            given = Given(weights, {name: results_of(weights, name, values) for name in weights.operations})
            gates = tuple(values["gate", "", place] for place in range(len(structure.widths)))
            ends = chain.step(given, gates, tuple(values["state", "", place] for place in range(len(chain.states))))
        self.widths = [[part.shape[-1] for part in parts] for _, parts in given.asked]
        self.seen = [
            weights.operations[name].look(parts[0].detach() if len(parts) == 1 else torch.cat([part.detach() for part in parts], dim=-1))
            for name, parts in given.asked
        ]
        # The gradient of an output comes in on the way: step t's, where the chain has come back to the state before step t + 1.
        self.before = [self.targets.get(("state", "", place)) for place in range(len(chain.states))]
        self._reached: set[Leaf] = {("state", "", 0)}
        if first:
            room.outputs_TBH[: self.num_steps] = outputs_TBH[first - 1 : last - 1]
        else:
            room.outputs_TBH[1 : self.num_steps] = outputs_TBH[: last - 1]
            room.outputs_TBH[0] = 0
        self.ends = [_Link(source, self, end, leaves) for source, end in zip(structure.ends, ends, strict=True)]
        # In the order in which gradients go back: the last operation first.
        self.links = [
            [_Link(source, self, part, leaves) for source, part in zip(sources, parts, strict=True)]
            for (_, sources), (_, parts) in reversed(list(zip(structure.asked, given.asked, strict=True)))
        ]
        for leaf in set(self.targets) - self._reached:
            for grad_BH in self.targets[leaf]:
                grad_BH.zero_()

    def is_first(self, leaf: Leaf) -> bool:
        """Whether nothing has reached the leaf yet."""
        first = leaf not in self._reached
        self._reached.add(leaf)
        return first

    def pull(self, running: list[Tensor]) -> list[Tensor]:
        """From the gradients of the states after the block to those before it."""
        weights = self.chain.weights
        program = []
        asked = zip(self.chain.structure.asked, self.widths, self.seen, strict=True)
        for ((name, _), widths, known), links in zip(reversed(list(asked)), self.links, strict=True):
            operation = weights.operations[name]
            program.append((operation, weights.operands[name], self.room.result_steps[name], operation.steps(known), widths, links))
        for at in range(self.num_steps - 1, -1, -1):
            for link, grad_BH in zip(self.ends, running, strict=True):
                link.send(at, grad_BH)
            for operation, operands, result_grads, seen, widths, links in program:
                if len(links) == 1 and links[0].same is not None and not links[0].first:
                    operation.add_pull(links[0].same[at], result_grads[at], seen[at], operands)
                    continue
                pulled_BV = operation.pull(result_grads[at], seen[at], operands)
                if len(links) == 1:
                    links[0].send(at, pulled_BV)
                else:
                    for link, part_BH in zip(links, pulled_BV.split(widths, dim=-1), strict=True):
                        link.send(at, part_BH)
            running = [torch.zeros_like(grad) if steps is None else steps[at] for steps, grad in zip(self.before, running, strict=True)]
        # The room is used again.
        return [grad.clone() for grad in running]

    def add_gradients(self, first: int, last: int) -> None:
        """Adds the block's share to the gradients of the projection and the operands."""
        chain = self.chain
        if chain.call.projection:
            weight_GI = chain.call.projection[0]
            gates_TBG, x_TBI = self.room.gates_TBG[: self.num_steps], chain.call.x_TBI[first:last]
            add_steps(chain.projection_grads[0], gates_TBG, x_TBI)
            chain.projection_grads[1].add_(sum_rows(gates_TBG).squeeze(-2))
            if chain.x_grad is not None:
                pull_steps(chain.x_grad[first:last], gates_TBG, weight_GI)
        elif chain.x_grad is not None:
            chain.x_grad[first:last] = self.room.gates_TBG[: self.num_steps]
        for (name, _), seen in zip(chain.structure.asked, self.seen, strict=True):
            grad_TBP, operands = self.room.results[name][: self.num_steps], chain.weights.operands[name]
            chain.weights.operations[name].add_gradients(chain.sums[name], grad_TBP, seen, operands)
