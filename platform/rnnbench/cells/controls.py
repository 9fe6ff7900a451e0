"""Controls that are no recurrent networks, as layers that could take a cell's place: window MLP, CNN and TCN.

What a layer remembers is the last inputs of each of its convolutions, so a sequence can go on where it stopped, like a cell's.
"""
# Shapes: B batch, T time, C channels, I inputs, H hidden, K kernel, W window.

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from rnnbench.cells.layer import Layer
from rnnbench.cells.models import drop
from rnnbench.cells.step import State


class CausalConv(nn.Conv1d):
    """A convolution over the past: output t sees inputs t - (K - 1) * dilation to t."""

    def __init__(self, inputs: int, outputs: int, kernel: int, dilation: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, dilation=dilation)
        self.past = (kernel - 1) * dilation

    def run(self, x_BCT: Tensor, before_BCK: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs, and the last inputs for the next call."""
        x_BCT = torch.cat([before_BCK, x_BCT], dim=2)
        return self(x_BCT), x_BCT[:, :, x_BCT.shape[2] - self.past :]


class Convolutional(Layer):
    """A layer made of causal convolutions, whose state is their last inputs in the order of use."""

    def convolutions(self) -> list[CausalConv]:
        """Its convolutions in the order of use."""
        return [module for module in self.modules() if isinstance(module, CausalConv)]

    def initial_state(self, x_BTI: Tensor) -> State:
        """Zeros, (B, C, past) for each convolution: the usual padding."""
        return tuple(x_BTI.new_zeros(x_BTI.shape[0], one.in_channels, one.past) for one in self.convolutions())

    def transform(self, x_BCT: Tensor, convolve: "Convolve") -> Tensor:
        """The layer on (B, C, T), each convolution called through `convolve`."""
        raise TypeError(f"{type(self).__name__} has no transform")

    def takes_half(self) -> bool:
        """See Layer."""
        return True

    def run(self, x_BTI: Tensor, state: State) -> tuple[Tensor, State]:
        """See Layer."""
        convolve = Convolve(iter(state))
        outputs_BHT = self.transform(x_BTI.mT, convolve)
        return outputs_BHT.mT, tuple(convolve.after)


class Convolve:
    """Calls convolutions one after the other, each with the inputs it was left with."""

    def __init__(self, before: Iterator[Tensor]) -> None:
        self.before = before
        self.after: list[Tensor] = []

    def __call__(self, convolution: CausalConv, x_BCT: Tensor) -> Tensor:
        """The next convolution's outputs."""
        outputs_BCT, last = convolution.run(x_BCT, next(self.before))
        self.after.append(last)
        return outputs_BCT


class WindowMLP(Layer):
    """Two layers on the last `window` inputs: relu(W_2 relu(W_1 v + b_1) + b_2), v the inputs side by side or their mean.

    Args: `pooling` is flatten or mean; before the beginning inputs are zero.
    """

    def __init__(self, input_size: int, hidden_size: int, window: int = 8, pooling: str = "flatten") -> None:
        super().__init__(input_size, hidden_size)
        self.window, self.pooling = window, pooling
        self.first = CausalConv(input_size, hidden_size, window if pooling == "flatten" else 1)
        self.second = CausalConv(hidden_size, hidden_size, 1)

    def initial_state(self, x_BTI: Tensor) -> State:
        """The last inputs of the window."""
        return (x_BTI.new_zeros(x_BTI.shape[0], self.input_size, self.window - 1),)

    def takes_half(self) -> bool:
        """See Layer."""
        return True

    def run(self, x_BTI: Tensor, state: State) -> tuple[Tensor, State]:
        """See Layer."""
        x_BIT = torch.cat([state[0], x_BTI.mT], dim=2)
        last = x_BIT[:, :, x_BIT.shape[2] - (self.window - 1) :]
        if self.pooling == "mean":
            x_BIT = x_BIT.unfold(2, self.window, 1).mean(-1)
        return self.second(self.first(x_BIT).relu()).relu().mT, (last,)


class CNN(Convolutional):
    """`depth` causal convolutions of width `kernel` with relu, without dilation."""

    def __init__(self, input_size: int, hidden_size: int, kernel: int = 3, depth: int = 2) -> None:
        super().__init__(input_size, hidden_size)
        sizes = [input_size] + [hidden_size] * (depth - 1)
        self.layers = nn.ModuleList(CausalConv(size, hidden_size, kernel) for size in sizes)

    def transform(self, x_BCT: Tensor, convolve: Convolve) -> Tensor:
        """See Convolutional."""
        for layer in self.convolutions():
            x_BCT = convolve(layer, x_BCT).relu()
        return x_BCT


class TCN(Convolutional):
    """Temporal convolutional network: `levels` residual blocks of two weight-normalised convolutions, dilations 1, 2, 4, ...

    Args: `dropout` is the share of whole channels dropped behind each convolution.
    Source: Bai, Kolter, Koltun 2018, arXiv:1803.01271.
    """

    def __init__(self, input_size: int, hidden_size: int, kernel: int = 3, levels: int = 4, dropout: float = 0.0) -> None:
        super().__init__(input_size, hidden_size)
        sizes = [input_size] + [hidden_size] * (levels - 1)
        self.blocks = nn.ModuleList(_Block(size, hidden_size, kernel, 2**level) for level, size in enumerate(sizes))
        self.share = dropout

    def transform(self, x_BCT: Tensor, convolve: Convolve) -> Tensor:
        """See Convolutional."""
        for block in self.blocks:
            assert isinstance(block, _Block)
            inner_BCT = self._drop(convolve(block.first, x_BCT).relu())
            inner_BCT = self._drop(convolve(block.second, inner_BCT).relu())
            x_BCT = (inner_BCT + block.shortcut(x_BCT)).relu()
        return x_BCT

    def _drop(self, x_BCT: Tensor) -> Tensor:
        return drop(x_BCT, self.share, training=self.training, shape=(*x_BCT.shape[:2], 1))


class _WeightNorm(nn.Module):
    """g v / |v| for each output. torch's own has no rule for several models at once. Source: Salimans and Kingma 2016, arXiv:1602.07868."""

    def forward(self, g_O11: Tensor, v_OIK: Tensor) -> Tensor:
        return v_OIK * (g_O11 / self._norm(v_OIK))

    def right_inverse(self, weight_OIK: Tensor) -> tuple[Tensor, Tensor]:
        return self._norm(weight_OIK), weight_OIK

    def _norm(self, v_OIK: Tensor) -> Tensor:
        norm_O11: Tensor = torch.linalg.vector_norm(v_OIK, dim=(1, 2), keepdim=True)
        return norm_O11


class _Block(nn.Module):
    """The parts of a residual block."""

    def __init__(self, inputs: int, units: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.first = CausalConv(inputs, units, kernel, dilation)
        self.second = CausalConv(units, units, kernel, dilation)
        for convolution in (self.first, self.second):
            nn.utils.parametrize.register_parametrization(convolution, "weight", _WeightNorm())
        self.shortcut = nn.Identity() if inputs == units else nn.Conv1d(inputs, units, 1)
