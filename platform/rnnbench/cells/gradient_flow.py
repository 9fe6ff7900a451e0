"""How far back an output's gradient reaches: what vanishes within a few steps is not learned from (Pascanu et al. 2013)."""

# Shapes: B batch, T time, I inputs, O outputs.

import torch
from torch import Tensor

from rnnbench.cells.network import RecurrentNetwork


def gradient_flow(network: RecurrentNetwork, x_BTI: Tensor, seed: int = 0) -> Tensor | None:
    """Norms of the last output's gradient by the state 1, 2, ... steps before, (T - 1,), mean over rows.

    The state is all that one step hands to the next, of every layer (h and c of an LSTM); the output is seen through a random
    direction for each row, the same in every call with that seed. What only scales another part of a state (m of sLSTM and mLSTM) has no
    gradient of its own. None for a network in both directions, or without a state.

    Args:
        x_BTI: What the network reads, whole rows; at least two steps.
    """
    if network.bidirectional:
        return None
    was_training = network.training
    network.eval()
    state, states, y_B1O = None, [], x_BTI
    for step in range(x_BTI.shape[1]):
        y_B1O, state = network(x_BTI[:, step : step + 1], state=state)
        states.append([part for layer in state for part in layer if part.requires_grad])
    network.train(was_training)
    direction_BO = torch.randn(y_B1O[:, 0].shape, generator=torch.Generator().manual_seed(seed)).to(y_B1O)
    direction_BO = direction_BO / direction_BO.norm(dim=-1, keepdim=True)
    parts = [part for before in states[:-1] for part in before]
    if not parts:
        return None
    found = iter(torch.autograd.grad((y_B1O[:, 0] * direction_BO).sum(), parts, allow_unused=True))
    norms = []
    for before in states[:-1]:
        squares_B = torch.zeros(len(x_BTI), dtype=torch.float64)
        for _ in before:
            gradient = next(found)
            if gradient is not None:
                # In single precision the square of what has almost vanished would be nothing at all.
                squares_B += gradient.detach().abs().to(torch.float64).flatten(1).square().sum(dim=1).cpu()
        norms.append(squares_B.sqrt().mean())
    return torch.stack(norms).flip(0)
