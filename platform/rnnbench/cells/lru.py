"""Linear recurrent unit: a diagonal complex recurrence, stable by its parametrisation.

x = lambda * x- + gamma * (B u);  y = Re(C x) + D u;  lambda = exp(-exp(nu) + i exp(theta)), gamma = sqrt(1 - |lambda|^2).
At the start |lambda| is uniform on the ring between the two radii, its phase between 0 and `max_phase`.

Source: Orvieto et al. 2023, arXiv:2303.06349; gamma follows lambda.
"""
# Shapes: B batch, T time, I inputs, H hidden.

import math

import torch
from torch import Tensor, nn

from rnnbench.cells.layer import Layer
from rnnbench.cells.linear import run_diagonal
from rnnbench.cells.step import State


class LRU(Layer):
    """Args: `min_radius`, `max_radius` and `max_phase` (radians) bound lambda at the start. The state holds real and imaginary parts."""

    def __init__(
        self, input_size: int, hidden_size: int, min_radius: float = 0.0, max_radius: float = 1.0, max_phase: float = 2 * math.pi
    ) -> None:
        super().__init__(input_size, hidden_size)
        uniform = torch.rand(hidden_size)
        radius_squared = uniform * (max_radius**2 - min_radius**2) + min_radius**2
        # Never exactly 0 or 1, where nu would be infinite.
        tiny = torch.finfo(radius_squared.dtype).eps
        self.nu = nn.Parameter(torch.log(-0.5 * torch.log(radius_squared.clamp(tiny, 1 - tiny))))
        self.theta = nn.Parameter(torch.log((max_phase * torch.rand(hidden_size)).clamp_min(tiny)))
        self.input_weight = nn.Parameter(torch.randn(2, hidden_size, input_size) / math.sqrt(2 * input_size))
        self.output_weight = nn.Parameter(torch.randn(2, hidden_size, hidden_size) / math.sqrt(hidden_size))
        self.skip_weight = nn.Parameter(torch.randn(hidden_size, input_size) / math.sqrt(input_size))

    def initial_state(self, x_BTI: Tensor) -> State:
        """Zeros, (B, 2, H)."""
        return (x_BTI.new_zeros(x_BTI.shape[0], 2, self.hidden_size),)

    def run(self, x_BTI: Tensor, state: State) -> tuple[Tensor, State]:
        """One linear recurrence."""
        decay_H = torch.exp(self.nu)
        lambda_H = torch.polar(torch.exp(-decay_H), torch.exp(self.theta))
        # 1 - |lambda|^2 = 1 - exp(-2 exp(nu)), exact also near the circle.
        gamma_H = torch.sqrt(-torch.expm1(-2 * decay_H))
        # Real and imaginary rows take turns, so that a projection is a row of complex numbers as it stands.
        weight_GI = (self.input_weight * gamma_H.unsqueeze(-1)).transpose(0, 1).flatten(0, 1)
        start_BH, x_TBI = torch.complex(state[0][:, 0], state[0][:, 1]), x_BTI.transpose(0, 1)
        states_TBH, end_BH = run_diagonal(x_TBI, weight_GI, lambda_H, start_BH)
        parts_TBHC = torch.view_as_real(states_TBH)
        # Re(C x) of the two parts side by side, as one product.
        weight_HCH = torch.stack([self.output_weight[0].mT, -self.output_weight[1].mT], dim=1)
        skipped_RH = x_TBI.flatten(0, 1) @ self.skip_weight.mT
        outputs_RH = torch.addmm(skipped_RH, parts_TBHC.flatten(0, 1).flatten(1), weight_HCH.flatten(0, 1))
        outputs_TBH = outputs_RH.unflatten(0, x_TBI.shape[:2])
        return outputs_TBH.transpose(0, 1), (torch.stack([end_BH.real, end_BH.imag], dim=1),)
