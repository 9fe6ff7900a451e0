"""Sentences of Dyck-(k, m): drawn from an automaton, and at each step which bracket is open."""

# Shapes: N rows, T steps, D = m places of the stack.

import torch
from torch import Tensor

from rnnbench.base.errors import DataError
from rnnbench.task.memory import NOTHING, PADDING
from rnnbench.task.module import Batch

# Draws before a length is held to be out of reach.
_MAX_ROUNDS = 1000


def draw_sentences(num_rows: int, num_kinds: int, max_depth: int, lengths: tuple[int, int], generator: torch.Generator) -> Batch:
    """Rows of well-nested brackets: number x below k opens kind x, number k + x closes it; 2k is the end, and is only ever predicted.

    With nothing open a bracket opens or the sentence ends, with m open the last one closes, else one opens or closes; each of two is as
    likely, and so are all kinds. Ends before the shortest length are drawn again, sentences above the longest are left out.

    Returns:
        Targets (N, T, 3): what comes next, which closing bracket is due (NOTHING with none open), and how many steps ago it was opened.
    Raises:
        DataError: hardly any sentence has such a length.
    Source: Hewitt et al. 2020, arXiv:2010.07515.
    """
    shapes, sizes = _draw_shapes(num_rows, max_depth, lengths, generator)
    symbols_NT = torch.full((num_rows, lengths[1]), PADDING)
    due_NT, opened_NT = torch.full_like(symbols_NT, NOTHING), torch.zeros_like(symbols_NT)
    kinds_NT = torch.randint(0, num_kinds, symbols_NT.shape, generator=generator)
    row_N, depth_N = torch.arange(num_rows), torch.zeros(num_rows, dtype=torch.int64)
    stack_ND, since_ND = torch.zeros(num_rows, max_depth + 1, dtype=torch.int64), torch.zeros(num_rows, max_depth + 1, dtype=torch.int64)
    for step in range(lengths[1]):
        is_valid_N, opens_N = step < sizes, shapes[:, step] > 0
        closing_N = num_kinds + stack_ND[row_N, depth_N]
        symbols_NT[:, step] = torch.where(is_valid_N, torch.where(opens_N, kinds_NT[:, step], closing_N), PADDING)
        depth_N = depth_N + shapes[:, step]
        top = row_N[opens_N], depth_N[opens_N]
        stack_ND[top] = kinds_NT[opens_N, step]
        since_ND[top] = step
        has_open_N = is_valid_N & (depth_N > 0)
        due_NT[:, step] = torch.where(has_open_N, num_kinds + stack_ND[row_N, depth_N], NOTHING)
        opened_NT[:, step] = torch.where(has_open_N, step - since_ND[row_N, depth_N], 0)
    next_NT = torch.cat([symbols_NT[:, 1:], symbols_NT[:, :1]], dim=1)
    next_NT[row_N, sizes - 1] = 2 * num_kinds
    next_NT[torch.arange(lengths[1]) >= sizes.unsqueeze(1)] = NOTHING
    return Batch(symbols_NT, torch.stack([next_NT, due_NT, opened_NT], dim=2), sizes)


def _draw_shapes(num_rows: int, max_depth: int, lengths: tuple[int, int], generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Up and down, 1 and -1, then zeros, (N, T), and the lengths (N,)."""
    shapes, sizes, missing = [], [], num_rows
    for _ in range(_MAX_ROUNDS):
        found_NT, size_N = _walk(max(missing, 64), max_depth, lengths, generator)
        shapes.append(found_NT[size_N > 0])
        sizes.append(size_N[size_N > 0])
        missing -= len(sizes[-1])
        if missing <= 0:
            return torch.cat(shapes)[:num_rows], torch.cat(sizes)[:num_rows]
    raise DataError(f"dyck: hardly any sentence has {lengths[0]} to {lengths[1]} brackets; give the lengths a wider range")


def _walk(num_rows: int, max_depth: int, lengths: tuple[int, int], generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Walks and their lengths; 0 is that of one which did not end in time."""
    shortest, longest = lengths
    coin_NT = torch.randint(0, 2, (num_rows, longest + 1), generator=generator, dtype=torch.bool)
    shape_NT, size_N = torch.zeros(num_rows, longest, dtype=torch.int64), torch.zeros(num_rows, dtype=torch.int64)
    depth_N = torch.zeros(num_rows, dtype=torch.int64)
    for step in range(longest + 1):
        ends_N = (size_N == 0) & (depth_N == 0) & (step >= shortest) & coin_NT[:, step]
        size_N[ends_N] = step
        if step < longest:
            up_N = (depth_N == 0) | ((depth_N < max_depth) & coin_NT[:, step])
            shape_NT[:, step] = torch.where(size_N > 0, 0, torch.where(up_N, 1, -1))
            depth_N = depth_N + shape_NT[:, step]
    return shape_NT, size_N
