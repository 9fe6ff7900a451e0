"""A step of a gated cell, and what depends on what within it."""
# Shapes: see `rnnbench.cells.bptt`.

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rnnbench.cells.operations import Parts, Weights

State = tuple[Tensor, ...]
Step = Callable[[Weights, Parts, State], State]
Projection = tuple[Tensor, Tensor]
# ("gate", "", place), ("result", operation, part) or ("state", "", place).
Leaf = tuple[str, str, int]


def unroll(step: Step, weights: Weights, gates_TBG: Tensor, widths: Sequence[int], state: State) -> list[State]:
    """The loop over `step` under autograd: the state after each step."""
    states = []
    for gates_BG in gates_TBG.unbind(0):
        state = step(weights, gates_BG.split(list(widths), dim=-1), state)
        states.append(state)
    return states


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
