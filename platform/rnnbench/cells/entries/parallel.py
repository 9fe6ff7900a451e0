"""Cells whose recurrence is linear in the state, computed for a whole sequence at once. No torch."""

import math
from collections.abc import Mapping

from rnnbench.base.parameters import Parameter, Value
from rnnbench.cells.entry import BPTT, CellEntry

SCAN = "block by block on a CPU, one parallel scan on a GPU"


def heads(units: int, options: Mapping[str, Value]) -> int:
    """The heads that a layer of so many units has: the largest number up to the wanted one that divides them."""
    wanted = options["num_heads"]
    assert isinstance(wanted, int), "checked when the sweep file was read"
    return max(number for number in range(1, min(units, wanted) + 1) if units % number == 0)


def _mlstm_flops(inputs: int, units: int, options: Mapping[str, Value]) -> int:
    num_heads = heads(units, options)
    size = units // num_heads
    return 2 * inputs * (4 * units + 2 * num_heads) + num_heads * (6 * size + 4 * size * size)


PARALLEL = (
    CellEntry(
        name="sru",
        version=1,
        summary="simple recurrent unit",
        citation="Lei et al. 2018, arXiv:1709.02755",
        equations=(
            "f = s(W_f x + v_f * c- + b_f)",
            "r = s(W_r x + v_r * c- + b_r)",
            "c = f * c- + (1 - f) * W x",
            "h = r * c + (1 - r) * x', x' = x, or a projection of it where sizes differ",
            "without `vectors` v_f = v_r = 0, as in the paper's first versions",
        ),
        target="rnnbench.cells.parallel:SRU",
        state_names=("h", "c"),
        parameter_count=lambda m, n, options: (3 if m == n else 4) * n * m + 2 * n + (2 * n if options["vectors"] else 0),
        flop_count=lambda m, n, _: 2 * (3 if m == n else 4) * n * m,
        fast_form=f"{SCAN}; with `vectors` {BPTT}",
        has_recurrent_weights=False,
        parameters=(Parameter("cell.vectors", "bool", False, "whether gates see the cell state through v"),),
    ),
    CellEntry(
        name="qrnn",
        version=1,
        summary="quasi-recurrent network with fo-pooling",
        citation="Bradbury et al. 2017, arXiv:1611.01576",
        equations=(
            "z = tanh(W_z x'), f = s(W_f x'), o = s(W_o x'), x' the last k inputs",
            "c = f * c- + (1 - f) * z",
            "h = o * c",
        ),
        target="rnnbench.cells.qrnn:QRNN",
        state_names=("c", "inputs"),
        parameter_count=lambda m, n, options: 3 * n * (int(options["window"] or 0) * m + 1),
        flop_count=lambda m, n, options: 6 * n * int(options["window"] or 0) * m,
        fast_form=SCAN,
        has_recurrent_weights=False,
        parameters=(Parameter("cell.window", "int", 2, "inputs seen by each gate, k", low=1, high=64),),
    ),
    CellEntry(
        name="min_gru",
        version=1,
        summary="GRU whose gate and candidate see only the input",
        citation="Feng et al. 2024, arXiv:2410.01201",
        equations=(
            "z = s(W_z x + b_z)",
            "h = (1 - z) * h- + z * g(W_h x + b_h)",
            "g(v) = v + 0.5 for v >= 0, else s(v)",
        ),
        target="rnnbench.cells.parallel:MinGRU",
        state_names=("h",),
        parameter_count=lambda m, n, _: 2 * n * (m + 1),
        flop_count=lambda m, n, _: 4 * n * m,
        fast_form=SCAN,
        has_recurrent_weights=False,
        takes_silent_units=False,
    ),
    CellEntry(
        name="min_lstm",
        version=1,
        summary="LSTM whose gates and candidate see only the input",
        citation="Feng et al. 2024, arXiv:2410.01201",
        equations=(
            "f = s(W_f x + b_f), i = s(W_i x + b_i)",
            "f' = f / (f + i), i' = i / (f + i)",
            "h = f' * h- + i' * g(W_h x + b_h)",
            "g(v) = v + 0.5 for v >= 0, else s(v)",
        ),
        target="rnnbench.cells.parallel:MinLSTM",
        state_names=("h",),
        parameter_count=lambda m, n, _: 3 * n * (m + 1),
        flop_count=lambda m, n, _: 6 * n * m,
        fast_form=SCAN,
        has_recurrent_weights=False,
        takes_silent_units=False,
    ),
    CellEntry(
        name="mlstm",
        version=1,
        summary="LSTM with a matrix memory and exponential gates (xLSTM)",
        citation="Beck et al. 2024, arXiv:2405.04517",
        equations=(
            "m = max(logsig(f~) + m-, i~)",
            "i = exp(i~ - m), f = exp(logsig(f~) + m- - m)",
            "C = f C- + i k v^T / sqrt(d)",
            "n = f n- + i k / sqrt(d)",
            "h = s(o~) * (q^T C / max(|q.n|, exp(-m)))",
        ),
        target="rnnbench.cells.mlstm:MLSTM",
        state_names=("C", "n", "m"),
        parameter_count=lambda m, n, options: (4 * n + 2 * heads(n, options)) * (m + 1),
        flop_count=_mlstm_flops,
        fast_form="chunk by chunk",
        can_learn_state=False,
        has_recurrent_weights=False,
        parameters=(
            Parameter("cell.num_heads", "int", 1, "heads; where they do not divide the units, the next smaller number", low=1, high=64),
        ),
        takes_silent_units=False,
    ),
    CellEntry(
        name="lru",
        version=1,
        summary="linear recurrent unit: a diagonal complex recurrence",
        citation="Orvieto et al. 2023, arXiv:2303.06349",
        equations=(
            "lambda = exp(-exp(nu) + i exp(theta)), gamma = sqrt(1 - |lambda|^2)",
            "x = lambda * x- + gamma * (B u)",
            "y = Re(C x) + D u",
        ),
        target="rnnbench.cells.lru:LRU",
        state_names=("x",),
        parameter_count=lambda m, n, _: n * (3 * m + 2 * n + 2),
        flop_count=lambda m, n, _: 6 * n * m + 4 * n * n,
        fast_form=SCAN,
        has_recurrent_weights=False,
        parameters=(
            Parameter("cell.min_radius", "float", 0.0, "smallest |lambda| at the start", low=0.0, high=0.999),
            Parameter("cell.max_radius", "float", 1.0, "largest |lambda| at the start", above=0.0, high=1.0),
            Parameter("cell.max_phase", "float", 2 * math.pi, "largest phase of lambda at the start, radians", above=0.0, high=2 * math.pi),
        ),
    ),
)
