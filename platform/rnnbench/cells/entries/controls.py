"""Controls that are no recurrent networks. No torch."""

from collections.abc import Mapping

from rnnbench.base.parameters import Parameter, Value
from rnnbench.cells.entry import CellEntry


def _number(options: Mapping[str, Value], name: str) -> int:
    value = options[name]
    assert isinstance(value, int), "checked when the sweep file was read"
    return value


def _tcn(inputs: int, units: int, options: Mapping[str, Value], fixed: int) -> int:
    """Weights of all convolutions, plus `fixed` for each unit of a convolution, plus the shortcut of the first block."""
    kernel, levels = _number(options, "kernel"), _number(options, "levels")
    shortcut = 0 if inputs == units else inputs * units + (units if fixed else 0)
    return units * kernel * (inputs + units * (2 * levels - 1)) + 2 * levels * fixed * units + shortcut


CONTROLS = (
    CellEntry(
        name="mlp",
        version=2,
        summary="two dense layers on a window of inputs: no recurrence",
        citation="control of this project",
        equations=("h = relu(W_2 relu(W_1 v + b_1) + b_2), v the last `window` inputs side by side, or their mean",),
        target="rnnbench.cells.controls:WindowMLP",
        state_names=("inputs",),
        parameter_count=lambda m, n, o: n * (m * (_number(o, "window") if o["pooling"] == "flatten" else 1) + 1) + n * (n + 1),
        flop_count=lambda m, n, o: 2 * n * m * (_number(o, "window") if o["pooling"] == "flatten" else 1) + 2 * n * n,
        fast_form="convolution",
        has_recurrent_weights=False,
        can_learn_state=False,
        parameters=(
            Parameter("cell.window", "int", 8, "inputs seen at once", low=1, high=4096),
            Parameter("cell.pooling", "choice", "flatten", "how the window becomes a vector", choices=("flatten", "mean")),
        ),
        is_control=True,
    ),
    CellEntry(
        name="cnn",
        version=1,
        summary="causal convolutions with relu: no recurrence",
        citation="control of this project",
        equations=("h^l = relu(sum over j < kernel of W^l_j h^(l-1) at t - j + b^l), l = 1 to `depth`",),
        target="rnnbench.cells.controls:CNN",
        state_names=("inputs",),
        parameter_count=lambda m, n, o: n * (_number(o, "kernel") * (m + (_number(o, "depth") - 1) * n) + _number(o, "depth")),
        flop_count=lambda m, n, o: 2 * n * _number(o, "kernel") * (m + (_number(o, "depth") - 1) * n),
        fast_form="convolution",
        has_recurrent_weights=False,
        can_learn_state=False,
        parameters=(
            Parameter("cell.kernel", "int", 3, "inputs seen by each convolution", low=1, high=1024),
            Parameter("cell.depth", "int", 2, "convolutions", low=1, high=64),
        ),
        is_control=True,
    ),
    CellEntry(
        name="tcn",
        version=1,
        summary="temporal convolutional network: no recurrence",
        citation="Bai, Kolter, Koltun 2018, arXiv:1803.01271",
        equations=(
            "F(x) = drop(relu(conv(drop(relu(conv(x)))))), both with weight normalisation and dilation 2^(l-1)",
            "h^l = relu(F(h^(l-1)) + W^l h^(l-1)), W^l = I where sizes agree, l = 1 to `levels`",
        ),
        target="rnnbench.cells.controls:TCN",
        state_names=("inputs",),
        parameter_count=lambda m, n, o: _tcn(m, n, o, 2),
        flop_count=lambda m, n, o: 2 * _tcn(m, n, o, 0),
        fast_form="convolution",
        has_recurrent_weights=False,
        can_learn_state=False,
        parameters=(
            Parameter("cell.kernel", "int", 3, "inputs seen by each convolution", low=1, high=1024),
            Parameter("cell.levels", "int", 4, "residual blocks, each with twice the dilation", low=1, high=16),
            Parameter("cell.dropout", "float", 0.0, "share of channels dropped behind each convolution", low=0.0, high=1 - 1e-9),
        ),
        is_control=True,
        takes_silent_units=False,
    ),
    CellEntry(
        name="transformer",
        version=1,
        summary="one causal Transformer layer over a window: no recurrence",
        citation="Vaswani et al. 2017, arXiv:1706.03762; distance by Press et al. 2022, arXiv:2108.12409",
        equations=(
            "e = W x + b",
            "a = e + W_o attention(LN(e)) over the last `window` steps, minus a slope times the distance",
            "h = a + W_2 gelu(W_1 LN(a) + b_1) + b_2",
        ),
        target="rnnbench.cells.transformer:TransformerLayer",
        state_names=("keys and values", "seen"),
        parameter_count=lambda m, n, _: n * (m + 12 * n + 14),
        flop_count=lambda m, n, o: 2 * n * (m + 12 * n) + 4 * _number(o, "window") * n,
        fast_form="attention in pieces of the window's length",
        has_recurrent_weights=False,
        can_learn_state=False,
        parameters=(
            Parameter("cell.num_heads", "int", 4, "heads; where they do not divide the units, the next smaller number", low=1, high=64),
            Parameter("cell.window", "int", 128, "steps that are seen", low=1, high=65_536),
        ),
        is_control=True,
        takes_silent_units=False,
    ),
)
