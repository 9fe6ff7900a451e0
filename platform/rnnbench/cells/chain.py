"""The backward pass through the steps of a gated cell: the elementwise parts of many steps at once, then the chain, step by step."""
# Shapes: see `rnnbench.cells.bptt`.

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rnnbench.cells.operations import Operation, Weights, add_steps, empty_steps, pull_steps, sum_rows
from rnnbench.cells.step import Given, Leaf, Source, Step, Structure, results_of

# Elements of (steps, B, H) in a block: large enough that a call costs little beside its work, small enough to stay near the core.
BLOCK_ELEMENTS = 1 << 17


def blocks(steps: int, elements: int) -> list[tuple[int, int]]:
    """First step and end of each block, for so many elements a step."""
    length = max(1, BLOCK_ELEMENTS // elements)
    return [(first, min(first + length, steps)) for first in range(0, steps, length)]


@dataclass(frozen=True)
class Names:
    """What the tensors of a call are.

    Attributes:
        num_operands: Of each operation.
    """

    operations: Mapping[str, Operation]
    num_operands: Mapping[str, int]
    num_states: int


class Call:
    """What went into a call, by name."""

    def __init__(self, names: Names, tensors: Sequence[Any]) -> None:
        rest = iter(tensors)
        self.x_TBI: Tensor = next(rest)
        weight_GI, bias_G = next(rest), next(rest)
        self.projection = None if weight_GI is None else (weight_GI, bias_G)
        self.state = tuple(next(rest) for _ in range(names.num_states))
        operands = {name: tuple(next(rest) for _ in range(number)) for name, number in names.num_operands.items()}
        self.weights = Weights(names.operations, operands)


class Chain:
    """The backward pass of one call."""

    def __init__(
        self, step: Step, structure: Structure, call: Call, names: Sequence[str], kept: Sequence[Tensor], *, needs_x: bool
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

    def __init__(self, chain: Chain, room: _Room, first: int, last: int, outputs_TBH: Tensor) -> None:
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
