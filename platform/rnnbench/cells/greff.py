"""The nine cells of "LSTM: A Search Space Odyssey": an LSTM with peepholes, and what is left when one part is taken out or added.

z = tanh(W_z x + R_z h- + b_z); i = s(W_i x + R_i h- + p_i * c- + b_i); f = s(W_f x + R_f h- + p_f * c- + b_f);
c = z * i + c- * f; o = s(W_o x + R_o h- + p_o * c + b_o); h = tanh(c) * o. The peephole of o sees the new c.

Source: Greff et al. 2017, arXiv:1503.04069.
"""
# Shapes: B batch, T time, I inputs, H hidden. `step` also takes a leading model axis on every tensor.

import torch
from torch import Tensor

from rnnbench.cells.cell import Cell
from rnnbench.cells.operations import Kept, Operation, Parts, Product, Scale, Weights, recurrent_weight
from rnnbench.cells.step import State

# A bias at which the logistic sigmoid is 1 in every precision.
OPEN = 1e4


class PeepholeLSTM(Cell):
    """V, the vanilla cell; the others change its attributes.

    Args: `peepholes` says whether gates see the cell state, as in the paper.
    Attributes:
        gate_names: The gates it has, in the order of the weights: i, f, z, o without those that are fixed.
        coupled: Whether f = 1 - i.
        full_recurrence: Whether i, f and o also see the gates of the last step.
        squashes_input, squashes_output: Whether z and the output pass through tanh.
    """

    gate_names: tuple[str, ...] = ("i", "f", "z", "o")
    coupled = False
    full_recurrence = False
    squashes_input = True
    squashes_output = True

    def __init__(self, input_size: int, hidden_size: int, *, peepholes: bool = True) -> None:
        self.peepholes = peepholes
        self.num_gates = len(self.gate_names)
        self.state_names = ("h", "c", *(("i", "f", "o") if self.full_recurrence else ()))
        operations: list[Operation] = [Product("hh", self.num_gates), Kept("c")]
        if self.full_recurrence:
            operations.append(Product("gates", 3, shared=False, num_inputs=3))
        if peepholes:
            operations += [Scale(name, place) for place, name in enumerate(self.gate_names) if name != "z"]
        self.operations = tuple(operations)
        super().__init__(input_size, hidden_size)

    def step(self, weights: Weights, gates: Parts, state: State) -> State:
        """See Cell."""
        h_BH, c_BH, *last = state
        parts = dict(zip(self.gate_names, weights.apply("hh", h_BH, gates), strict=True))
        seen = dict(zip("ifo", weights.apply("gates", tuple(last)), strict=True)) if last else {}

        def gate(name: str, peep_BH: Tensor) -> Tensor:
            gate_BH = weights.scale(name, peep_BH, parts[name]) if self.peepholes else parts[name]
            return (gate_BH + seen[name] if last else gate_BH).sigmoid()

        i_BH = gate("i", c_BH) if "i" in parts else None
        z_BH = parts["z"].tanh() if self.squashes_input else parts["z"]
        f_BH = gate("f", c_BH) if "f" in parts else 1 - i_BH if self.coupled and i_BH is not None else None
        new_BH = z_BH if i_BH is None else z_BH * i_BH
        c_BH = weights.keep("c", new_BH + c_BH if f_BH is None else torch.addcmul(new_BH, c_BH, f_BH))
        h_BH = c_BH.tanh() if self.squashes_output else c_BH
        if "o" not in parts:
            return h_BH, c_BH
        o_BH = gate("o", c_BH)
        return (h_BH * o_BH, c_BH, i_BH, f_BH, o_BH) if last and i_BH is not None and f_BH is not None else (h_BH * o_BH, c_BH)

    def run(self, x_BTI: Tensor, state: State) -> tuple[Tensor, State]:
        """Without peepholes, torch's fused LSTM on weights that fix or couple its gates; else the loop."""
        if self.peepholes or self.full_recurrence or not (self.squashes_input and self.squashes_output):
            return super().run(x_BTI, state)
        weight_GI, weight_GH, bias_G = self._as_lstm()
        return self.run_kernel(torch.lstm, x_BTI, state, [weight_GI, weight_GH, bias_G, torch.zeros_like(bias_G)])

    def _as_lstm(self) -> tuple[Tensor, Tensor, Tensor]:
        """The weights as those of an LSTM: a missing gate is open, a coupled one is 1 - s(v) = s(-v)."""
        weights = self.weight_ih, recurrent_weight(self, "weight_hh"), self.bias_ih
        rows = {
            name: tuple(weight.narrow(0, place * self.hidden_size, self.hidden_size) for weight in weights)
            for place, name in enumerate(self.gate_names)
        }
        weight_HI, weight_HH, bias_H = rows["z"]
        if self.coupled:
            rows["f"] = tuple(-weight for weight in rows["i"])
        for name in "ifo":
            rows.setdefault(name, (torch.zeros_like(weight_HI), torch.zeros_like(weight_HH), torch.full_like(bias_H, OPEN)))
        weight_GI, weight_GH, bias_G = (torch.cat(parts) for parts in zip(*(rows[name] for name in "ifzo"), strict=True))
        return weight_GI, weight_GH, bias_G


class NoInputGate(PeepholeLSTM):
    """NIG: i = 1."""

    gate_names = ("f", "z", "o")


class NoForgetGate(PeepholeLSTM):
    """NFG: f = 1."""

    gate_names = ("i", "z", "o")


class NoOutputGate(PeepholeLSTM):
    """NOG: o = 1."""

    gate_names = ("i", "f", "z")


class NoInputActivation(PeepholeLSTM):
    """NIAF: z without tanh."""

    squashes_input = False


class NoOutputActivation(PeepholeLSTM):
    """NOAF: h = c * o."""

    squashes_output = False


class CoupledGates(PeepholeLSTM):
    """CIFG: f = 1 - i."""

    gate_names = ("i", "z", "o")
    coupled = True


class NoPeepholes(PeepholeLSTM):
    """NP, which is torch's LSTM with b = b_ih + b_hh."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, peepholes=False)


class FullGateRecurrence(PeepholeLSTM):
    """FGR: i, f and o also receive the last step's i, f and o through nine more matrices."""

    full_recurrence = True
