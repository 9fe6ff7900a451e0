"""LSTMs: torch's, the tutorial's, Greff's nine, and later relatives. No torch."""

from collections.abc import Mapping

from rnnbench.base.parameters import Parameter, Value
from rnnbench.cells.entry import BPTT, FUSED, CellEntry

FORGET_BIAS = Parameter("cell.forget_bias", "float", 0.0, "added to the initial bias of the forget gate", low=-100.0, high=100.0)
GREFF = "Greff et al. 2017, arXiv:1503.04069"


def _greff(name: str, target: str, summary: str, changed: tuple[str, ...], gates: int, peepholes: int, *, fused: bool) -> CellEntry:
    """An entry of the nine: `changed` replaces the vanilla equations of the same left side, and an empty right side drops one."""
    equations = {
        "z": "tanh(W_z x + R_z h- + b_z)",
        "i": "s(W_i x + R_i h- + p_i * c- + b_i)",
        "f": "s(W_f x + R_f h- + p_f * c- + b_f)",
        "c": "z * i + c- * f",
        "o": "s(W_o x + R_o h- + p_o * c + b_o)",
        "h": "tanh(c) * o",
    }
    equations |= dict(line.split(" = ", 1) for line in changed)

    fast_form = FUSED if fused else BPTT
    if fused and peepholes:
        fast_form = f"{BPTT}; without peepholes the {FUSED}, with that gate fixed or tied"

    def count(inputs: int, units: int, options: Mapping[str, Value]) -> int:
        full = 9 * units * units if name == "fgr" else 0
        return gates * units * (inputs + units + 1) + full + (peepholes * units if options.get("peepholes", True) else 0)

    return CellEntry(
        name=name,
        version=1,
        summary=summary,
        citation=GREFF,
        equations=tuple(f"{left} = {right}" for left, right in equations.items()),
        target=f"rnnbench.cells.greff:{target}",
        state_names=("h", "c", "i", "f", "o") if name == "fgr" else ("h", "c"),
        parameter_count=count,
        flop_count=lambda m, n, _: 2 * gates * n * (m + n) + (18 * n * n if name == "fgr" else 0),
        fast_form=fast_form,
        parameters=(Parameter("cell.peepholes", "bool", True, "whether gates see the cell state"),) if peepholes else (),
        # A silent unit's gates are half open, and there other gates see them.
        takes_silent_units=name != "fgr",
    )


def _projected(units: int, options: Mapping[str, Value]) -> int:
    """Size of an LSTM's h."""
    size = options["projection_size"]
    assert isinstance(size, int), "checked when the sweep file was read"
    return size or units


LSTMS = (
    CellEntry(
        name="lstm",
        version=1,
        summary="long short-term memory without peepholes (cuDNN, torch)",
        citation="Hochreiter and Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735; forget gate: Gers et al. 2000; torch.nn.LSTM",
        equations=(
            "i = s(W_i x + b_i + R_i h- + c_i)",
            "f = s(W_f x + b_f + R_f h- + c_f)",
            "g = tanh(W_g x + b_g + R_g h- + c_g)",
            "o = s(W_o x + b_o + R_o h- + c_o)",
            "c = f * c- + i * g",
            "h = o * tanh(c), or W_r (o * tanh(c)) with a projection",
        ),
        target="rnnbench.cells.lstm:LSTM",
        state_names=("h", "c"),
        parameter_count=lambda m, n, o: 4 * n * (m + _projected(n, o) + 2) + (n * _projected(n, o) if o["projection_size"] else 0),
        flop_count=lambda m, n, o: 8 * n * (m + _projected(n, o)) + (2 * n * _projected(n, o) if o["projection_size"] else 0),
        fast_form=FUSED,
        parameters=(
            FORGET_BIAS,
            Parameter(
                "cell.projection_size",
                "int",
                0,
                "size that h is projected to, below the hidden size; 0: none",
                low=0,
                high=65_536,
                is_later=True,
            ),
        ),
        output_count=_projected,
    ),
    CellEntry(
        name="tutorial_lstm",
        version=1,
        summary="the single-state cell of the tutorial this project started from",
        citation="the tutorial, see docs/tutorial.md",
        equations=(
            "i = s(W_i [x, h-] + b_i)",
            "f = s(W_f [x, h-] + b_f)",
            "h = i * h- + f * tanh(W_c [x, h-] + b_c)",
            "o = s(W_o [x, h] + b_o)",
            "y = o * tanh(h)",
        ),
        target="rnnbench.cells.tutorial:TutorialLSTM",
        state_names=("y", "h"),
        parameter_count=lambda m, n, _: 4 * n * (m + n + 1),
        flop_count=lambda m, n, _: 8 * n * (m + n),
        fast_form=BPTT,
    ),
    _greff("peephole_lstm", "PeepholeLSTM", "LSTM with peepholes, Greff's vanilla cell (V)", (), 4, 3, fused=True),
    _greff("nig", "NoInputGate", "peephole LSTM without input gate", ("i = 1",), 3, 2, fused=True),
    _greff("nfg", "NoForgetGate", "peephole LSTM without forget gate", ("f = 1",), 3, 2, fused=True),
    _greff("nog", "NoOutputGate", "peephole LSTM without output gate", ("o = 1",), 3, 2, fused=True),
    _greff("niaf", "NoInputActivation", "peephole LSTM without tanh on its input", ("z = W_z x + R_z h- + b_z",), 4, 3, fused=False),
    _greff("noaf", "NoOutputActivation", "peephole LSTM without tanh on its output", ("h = c * o",), 4, 3, fused=False),
    _greff("cifg", "CoupledGates", "peephole LSTM with coupled input and forget gate", ("f = 1 - i",), 3, 2, fused=True),
    _greff(
        "np",
        "NoPeepholes",
        "Greff's LSTM without peepholes: torch's with one bias",
        ("i = s(W_i x + R_i h- + b_i)", "f = s(W_f x + R_f h- + b_f)", "o = s(W_o x + R_o h- + b_o)"),
        4,
        0,
        fused=True,
    ),
    _greff(
        "fgr",
        "FullGateRecurrence",
        "peephole LSTM whose gates see the last step's gates",
        tuple(
            f"{gate} = s(W_{gate} x + R_{gate} h- + p_{gate} * {cell} + R_i{gate} i- + R_f{gate} f- + R_o{gate} o- + b_{gate})"
            for gate, cell in (("i", "c-"), ("f", "c-"), ("o", "c"))
        ),
        4,
        3,
        fused=False,
    ),
    CellEntry(
        name="layer_norm_lstm",
        version=1,
        summary="LSTM with layer normalisation",
        citation="Ba, Kiros, Hinton 2016, arXiv:1607.06450",
        equations=("(i, f, g, o) = LN(R h-; a_1) + LN(W x; a_2) + b", "c = s(f) * c- + s(i) * tanh(g)", "h = s(o) * tanh(LN(c; a_3, b_3))"),
        target="rnnbench.cells.layer_norm_lstm:LayerNormLSTM",
        state_names=("h", "c"),
        parameter_count=lambda m, n, _: 4 * n * (m + n) + 14 * n,
        flop_count=lambda m, n, _: 8 * n * (m + n),
        fast_form=BPTT,
        parameters=(FORGET_BIAS,),
        takes_silent_units=False,
    ),
    CellEntry(
        name="mogrifier_lstm",
        version=2,
        summary="LSTM whose input and state gate each other before each step",
        citation="Melis, Kocisky, Blunsom 2020, arXiv:1909.01792",
        equations=(
            "x^i = 2 s(Q^i h^(i-1)) * x^(i-2) for odd i",
            "h^i = 2 s(R^i x^(i-1)) * h^(i-2) for even i",
            "(h, c) = LSTM(last x^i, last h^i, c-)",
        ),
        target="rnnbench.cells.mogrifier_lstm:MogrifierLSTM",
        state_names=("h", "c"),
        parameter_count=lambda m, n, options: 4 * n * (m + n + 1) + int(options["rounds"] or 0) * m * n,
        flop_count=lambda m, n, options: 8 * n * (m + n) + 2 * int(options["rounds"] or 0) * m * n,
        fast_form=BPTT,
        parameters=(Parameter("cell.rounds", "int", 5, "rounds of mutual gating; 0 is an LSTM", low=0, high=20),),
        takes_silent_units=False,
    ),
    CellEntry(
        name="slstm",
        version=1,
        summary="LSTM with exponential gates, normaliser and stabiliser (xLSTM)",
        citation="Beck et al. 2024, arXiv:2405.04517",
        equations=(
            "v~ = W_v x + R_v h- + b_v for v in i, f, z, o",
            "m = max(i~, m- + logsig(f~))",
            "i = exp(i~ - m), f = exp(logsig(f~) + m- - m)",
            "c = f c- + i tanh(z~)",
            "n = f n- + i",
            "h = s(o~) * c / n",
        ),
        target="rnnbench.cells.slstm:SLSTM",
        state_names=("h", "c", "n", "m"),
        parameter_count=lambda m, n, _: 4 * n * (m + n + 1),
        flop_count=lambda m, n, _: 8 * n * (m + n),
        fast_form=BPTT,
        parameters=(FORGET_BIAS,),
    ),
)
