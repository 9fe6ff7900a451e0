"""Every cell against its published equations, written again here in NumPy for one row, a step at a time, from REFERENCES alone."""

import math
from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rnnbench.base.parameters import Value
from rnnbench.cells.contract import draw
from rnnbench.cells.table import get_cell, list_cells
from tests.contract.test_cells import build

Array = NDArray[np.float64]
Weights = Mapping[str, Array]
INPUTS, UNITS, STEPS = 3, 4, 6


def s(v: Array) -> Array:
    return 1 / (1 + np.exp(-v))


def logs(v: Array) -> Array:
    return -np.log1p(np.exp(-v))


def rows(weight: Array, number: int) -> list[Array]:
    """A stacked weight or bias, gate by gate."""
    return list(weight.reshape(number, -1, *weight.shape[1:]))


def norm(v: Array) -> Array:
    return np.asarray((v - v.mean()) / np.sqrt(v.var() + 1e-5))


def positive(v: Array) -> Array:
    return np.where(v >= 0, v + 0.5, s(v))


def elman(w: Weights, xs: Array, phi: Callable[[Array], Array]) -> list[Array]:
    h, out = np.zeros(UNITS), []
    for x in xs:
        h = phi(w["weight_ih"] @ x + w["bias_ih"] + w["weight_hh"] @ h + w["bias_hh"])
        out.append(h)
    return out


def relu(v: Array) -> Array:
    return np.maximum(v, 0)


def indrnn(w: Weights, xs: Array, phi: Callable[[Array], Array]) -> list[Array]:
    h, out = np.zeros(UNITS), []
    for x in xs:
        h = phi(w["weight_ih"] @ x + w["bias_ih"] + w["scale_u"] * h)
        out.append(h)
    return out


def gru(w: Weights, xs: Array, _: Mapping[str, Value]) -> list[Array]:
    (wr, wz, wn), (br, bz, bn) = rows(w["weight_ih"], 3), rows(w["bias_ih"], 3)
    (rr, rz, rn), (cr, cz, cn) = rows(w["weight_hh"], 3), rows(w["bias_hh"], 3)
    h, out = np.zeros(UNITS), []
    for x in xs:
        r, z = s(wr @ x + br + rr @ h + cr), s(wz @ x + bz + rz @ h + cz)
        n = np.tanh(wn @ x + bn + r * (rn @ h + cn))
        h = (1 - z) * n + z * h
        out.append(h)
    return out


def gru_v1(w: Weights, xs: Array, _: Mapping[str, Value]) -> list[Array]:
    (wr, wz, wn), (br, bz, bn), (rr, rz), rn = rows(w["weight_ih"], 3), rows(w["bias_ih"], 3), rows(w["weight_hh"], 2), w["weight_hn"]
    h, out = np.zeros(UNITS), []
    for x in xs:
        r, z = s(wr @ x + br + rr @ h), s(wz @ x + bz + rz @ h)
        h = (1 - z) * np.tanh(wn @ x + rn @ (r * h) + bn) + z * h
        out.append(h)
    return out


def mgu(w: Weights, xs: Array, _: Mapping[str, Value]) -> list[Array]:
    (wf, wn), (bf, bn) = rows(w["weight_ih"], 2), rows(w["bias_ih"], 2)
    h, out = np.zeros(UNITS), []
    for x in xs:
        f = s(wf @ x + w["weight_hh"] @ h + bf)
        h = (1 - f) * h + f * np.tanh(wn @ x + w["weight_hn"] @ (f * h) + bn)
        out.append(h)
    return out


def janet(w: Weights, xs: Array, _: Mapping[str, Value]) -> list[Array]:
    (wf, wn), (bf, bn), (rf, rn) = rows(w["weight_ih"], 2), rows(w["bias_ih"], 2), rows(w["weight_hh"], 2)
    h, out = np.zeros(UNITS), []
    for x in xs:
        f = s(wf @ x + rf @ h + bf)
        h = f * h + (1 - f) * np.tanh(wn @ x + rn @ h + bn)
        out.append(h)
    return out


def mut1(w: Weights, xs: Array, _: Mapping[str, Value]) -> list[Array]:
    (wr, wz, wn), (br, bz) = rows(w["weight_ih"], 3), rows(w["bias_ih"], 2)
    h, out = np.zeros(UNITS), []
    for x in xs:
        z, r = s(wz @ x + bz), s(wr @ x + w["weight_hr"] @ h + br)
        h = np.tanh(w["weight_hn"] @ (r * h) + np.tanh(wn @ x) + w["bias_hn"]) * z + h * (1 - z)
        out.append(h)
    return out


def mut2(w: Weights, xs: Array, _: Mapping[str, Value]) -> list[Array]:
    (wr, wz, wn), (br, bz, bn), (rr, rz) = rows(w["weight_ih"], 3), rows(w["bias_ih"], 3), rows(w["weight_hh"], 2)
    h, out = np.zeros(UNITS), []
    for x in xs:
        z, r = s(wz @ x + rz @ h + bz), s(wr @ x + rr @ h + br)
        h = np.tanh(w["weight_hn"] @ (r * h) + wn @ x + bn) * z + h * (1 - z)
        out.append(h)
    return out


def mut3(w: Weights, xs: Array, _: Mapping[str, Value]) -> list[Array]:
    (wr, wz, wn), (br, bz, bn) = rows(w["weight_ih"], 3), rows(w["bias_ih"], 3)
    h, out = np.zeros(UNITS), []
    for x in xs:
        z, r = s(wz @ x + w["weight_hz"] @ np.tanh(h) + bz), s(wr @ x + w["weight_hr"] @ h + br)
        h = np.tanh(w["weight_hn"] @ (r * h) + wn @ x + bn) * z + h * (1 - z)
        out.append(h)
    return out


def lstm(w: Weights, xs: Array, _: Mapping[str, Value]) -> list[Array]:
    (wi, wf, wg, wo), (bi, bf, bg, bo) = rows(w["weight_ih"], 4), rows(w["bias_ih"] + w["bias_hh"], 4)
    ri, rf, rg, ro = rows(w["weight_hh"], 4)
    h, c, out = np.zeros(UNITS), np.zeros(UNITS), []
    for x in xs:
        c = s(wf @ x + rf @ h + bf) * c + s(wi @ x + ri @ h + bi) * np.tanh(wg @ x + rg @ h + bg)
        h = s(wo @ x + ro @ h + bo) * np.tanh(c)
        out.append(h)
    return out


def tutorial(w: Weights, xs: Array, _: Mapping[str, Value]) -> list[Array]:
    (wi, wf, wc, wo), (bi, bf, bc, bo) = rows(w["weight_ih"], 4), rows(w["bias_ih"], 4)
    (ri, rf, rc), ro = rows(w["weight_hh"], 3), w["weight_ho"]
    h, out = np.zeros(UNITS), []
    for x in xs:
        h = s(wi @ x + ri @ h + bi) * h + s(wf @ x + rf @ h + bf) * np.tanh(wc @ x + rc @ h + bc)
        out.append(s(wo @ x + ro @ h + bo) * np.tanh(h))
    return out


def greff(name: str) -> Callable[[Weights, Array, Mapping[str, Value]], list[Array]]:
    """The nine, from the vanilla equations and what each changes; gate rows in the order i, f, z, o without the missing ones."""
    missing = {"nig": "i", "nfg": "f", "nog": "o", "cifg": "f"}.get(name, "")
    names = [gate for gate in "ifzo" if gate != missing]

    def run(w: Weights, xs: Array, options: Mapping[str, Value]) -> list[Array]:
        w_x, w_h, b = (dict(zip(names, rows(w[key], len(names)), strict=True)) for key in ("weight_ih", "weight_hh", "bias_ih"))
        peep = {gate: w.get(f"scale_{gate}", np.zeros(UNITS)) for gate in "ifo"}
        assert all((f"scale_{gate}" in w) == (gate in names and name != "np" and options.get("peepholes", True)) for gate in "ifo")
        full: dict[str, dict[str, Array]] = {}
        if name == "fgr":
            for to, block in zip("ifo", rows(w["weight_gates"], 3), strict=True):
                full[to] = dict(zip("ifo", np.split(block, 3, axis=1), strict=True))
        y, c, past, out = np.zeros(UNITS), np.zeros(UNITS), dict.fromkeys("ifo", np.zeros(UNITS)), []
        for x in xs:
            before, raw = dict(past), {gate: w_x[gate] @ x + w_h[gate] @ y + b[gate] for gate in names}
            for to, blocks in full.items():
                raw[to] = raw[to] + sum(blocks[of] @ before[of] for of in "ifo")
            i = s(raw["i"] + peep["i"] * c) if "i" in raw else np.ones(UNITS)
            f = 1 - i if name == "cifg" else s(raw["f"] + peep["f"] * c) if "f" in raw else np.ones(UNITS)
            z = raw["z"] if name == "niaf" else np.tanh(raw["z"])
            c = z * i + c * f
            o = s(raw["o"] + peep["o"] * c) if "o" in raw else np.ones(UNITS)
            y = (c if name == "noaf" else np.tanh(c)) * o
            past = {"i": i, "f": f, "o": o}
            out.append(y)
        return out

    return run


def layer_norm_lstm(w: Weights, xs: Array, _: Mapping[str, Value]) -> list[Array]:
    h, c, out = np.zeros(UNITS), np.zeros(UNITS), []
    for x in xs:
        raw = norm(w["weight_hh"] @ h) * w["gain_norm_hh"] + norm(w["weight_ih"] @ x) * w["gain_ih"] + w["bias_ih"]
        i, f, g, o = np.split(raw, 4)
        c = s(f) * c + s(i) * np.tanh(g)
        h = s(o) * np.tanh(norm(c) * w["gain_norm_c"] + w["shift_norm_c"])
        out.append(h)
    return out


def mogrifier(w: Weights, xs: Array, options: Mapping[str, Value]) -> list[Array]:
    rounds = options.get("rounds", 5)
    assert isinstance(rounds, int)
    h, c, out = np.zeros(UNITS), np.zeros(UNITS), []
    for x in xs:
        for number in range(1, rounds + 1):
            if number % 2:
                x = 2 * s(w[f"weight_q{number}"] @ h) * x  # the paper's own recursion
            else:
                h = 2 * s(w[f"weight_r{number}"] @ x) * h
        i, f, g, o = np.split(w["weight_xh"] @ np.concatenate([x, h]) + w["bias_xh"], 4)
        c = s(f) * c + s(i) * np.tanh(g)
        h = s(o) * np.tanh(c)
        out.append(h)
    return out


def slstm(w: Weights, xs: Array, _: Mapping[str, Value]) -> list[Array]:
    """Without the stabiliser, which is not to change anything: plain exponentials of the input gate and sigmoids of the forget gate."""
    h, c, n, out = np.zeros(UNITS), np.zeros(UNITS), np.zeros(UNITS), []
    for x in xs:
        i, f, z, o = np.split(w["weight_ih"] @ x + w["bias_ih"] + w["weight_hh"] @ h, 4)
        c = s(f) * c + np.exp(i) * np.tanh(z)
        n = s(f) * n + np.exp(i)
        h = s(o) * c / n
        out.append(h)
    return out


def mlstm(w: Weights, xs: Array, options: Mapping[str, Value]) -> list[Array]:
    heads = int(options.get("num_heads", 1) or 1)
    size = UNITS // heads
    memory, normal, m = np.zeros((heads, size, size)), np.zeros((heads, size)), np.full(heads, -np.inf)
    out = []
    for x in xs:
        raw = w["weight_ih"] @ x + w["bias_ih"]
        q, k, v, o = (part.reshape(heads, size) for part in np.split(raw[: 4 * UNITS], 4))
        i, f = np.split(raw[4 * UNITS :], 2)
        parts = []
        for head in range(heads):
            new = max(logs(f[head]) + m[head], i[head])
            i_gate, f_gate = math.exp(i[head] - new), math.exp(logs(f[head]) + m[head] - new)
            m[head] = new
            memory[head] = f_gate * memory[head] + i_gate * np.outer(k[head], v[head]) / math.sqrt(size)
            normal[head] = f_gate * normal[head] + i_gate * k[head] / math.sqrt(size)
            parts.append(q[head] @ memory[head] / max(abs(q[head] @ normal[head]), math.exp(-new)))
        out.append(s(o.reshape(-1)) * np.concatenate(parts))
    return out


def sru(w: Weights, xs: Array, options: Mapping[str, Value]) -> list[Array]:
    wf, wr, wc, wx = rows(w["weight_ih"], 4)
    bf, br = rows(w["bias_ih"], 2)
    vf, vr = (w["scale_f"], w["scale_r"]) if options.get("vectors") else (np.zeros(UNITS), np.zeros(UNITS))
    c, out = np.zeros(UNITS), []
    for x in xs:
        f, r = s(wf @ x + vf * c + bf), s(wr @ x + vr * c + br)
        c = f * c + (1 - f) * (wc @ x)
        out.append(r * c + (1 - r) * (wx @ x))
    return out


def qrnn(w: Weights, xs: Array, options: Mapping[str, Value]) -> list[Array]:
    window = int(options.get("window", 2) or 2)
    c, out = np.zeros(UNITS), []
    padded = np.concatenate([np.zeros((window - 1, INPUTS)), xs])
    for step in range(len(xs)):
        z, f, o = np.split(w["weight"] @ padded[step : step + window].reshape(-1) + w["bias"], 3)
        c = s(f) * c + (1 - s(f)) * np.tanh(z)
        out.append(s(o) * c)
    return out


def min_gru(w: Weights, xs: Array, _: Mapping[str, Value]) -> list[Array]:
    """In the paper's log space: h_t = exp(a_t + logsumexp over s <= t of (log b_s - a_s)), a the sum of log(1 - z)."""
    (wz, wh), (bz, bh) = rows(w["weight_ih"], 2), rows(w["bias_ih"], 2)
    k, candidate = xs @ wz.T + bz, xs @ wh.T + bh
    decay = np.cumsum(-np.logaddexp(0, k), axis=0)
    added = -np.logaddexp(0, -k) + np.log(positive(candidate))
    return list(np.exp(decay + np.logaddexp.accumulate(added - decay, axis=0)))


def min_lstm(w: Weights, xs: Array, _: Mapping[str, Value]) -> list[Array]:
    (wf, wi, wh), (bf, bi, bh) = rows(w["weight_ih"], 3), rows(w["bias_ih"], 3)
    h, out = np.zeros(UNITS), []
    for x in xs:
        f, i = s(wf @ x + bf), s(wi @ x + bi)
        h = f / (f + i) * h + i / (f + i) * positive(wh @ x + bh)
        out.append(h)
    return out


def lru(w: Weights, xs: Array, _: Mapping[str, Value]) -> list[Array]:
    eigen = np.exp(-np.exp(w["nu"]) + 1j * np.exp(w["theta"]))
    gamma = np.sqrt(1 - np.abs(eigen) ** 2)
    b, c = w["input_weight"][0] + 1j * w["input_weight"][1], w["output_weight"][0] + 1j * w["output_weight"][1]
    state, out = np.zeros(UNITS, dtype=complex), []
    for u in xs:
        state = eigen * state + gamma * (b @ u)
        out.append(np.real(c @ state) + w["skip_weight"] @ u)
    return out


def mlp(w: Weights, xs: Array, options: Mapping[str, Value]) -> list[Array]:
    window = int(options.get("window", 8) or 8)
    padded, out = np.concatenate([np.zeros((window - 1, INPUTS)), xs]), []
    for step in range(len(xs)):
        seen = padded[step : step + window]
        inner = (
            w["first.weight"][:, :, 0] @ seen.mean(0)
            if options.get("pooling") == "mean"
            else np.einsum("hik,ki->h", w["first.weight"], seen)
        )
        out.append(relu(w["second.weight"][:, :, 0] @ relu(inner + w["first.bias"]) + w["second.bias"]))
    return out


def causal(weight: Array, bias: Array, xs: Array, dilation: int) -> Array:
    """y_t = sum over j of weight[:, :, K - 1 - j] x_(t - j * dilation) + bias, with zeros before the beginning."""
    kernel, out = weight.shape[2], []
    for t in range(len(xs)):
        y = bias.copy()
        for j in range(kernel):
            if t - j * dilation >= 0:
                y = y + weight[:, :, kernel - 1 - j] @ xs[t - j * dilation]
        out.append(y)
    return np.array(out)


def cnn(w: Weights, xs: Array, options: Mapping[str, Value]) -> list[Array]:
    for layer in range(int(options.get("depth", 2) or 2)):
        xs = relu(causal(w[f"layers.{layer}.weight"], w[f"layers.{layer}.bias"], xs, 1))
    return list(xs)


def tcn(w: Weights, xs: Array, options: Mapping[str, Value]) -> list[Array]:
    for level in range(int(options.get("levels", 4) or 4)):
        inner = xs
        for name in ("first", "second"):
            prefix = f"blocks.{level}.{name}."
            g, v = w[f"{prefix}parametrizations.weight.original0"], w[f"{prefix}parametrizations.weight.original1"]
            weight = g * v / np.sqrt((v**2).sum((1, 2), keepdims=True))
            inner = relu(causal(weight, w[f"{prefix}bias"], inner, 2**level))
        if level == 0:
            xs = xs @ w["blocks.0.shortcut.weight"][:, :, 0].T + w["blocks.0.shortcut.bias"]
        xs = relu(inner + xs)
    return list(xs)


def transformer(w: Weights, xs: Array, options: Mapping[str, Value]) -> list[Array]:
    wanted, window = int(options.get("num_heads", 4) or 4), int(options.get("window", 128) or 128)
    heads = max(number for number in range(1, wanted + 1) if UNITS % number == 0)
    size = UNITS // heads
    embedded = xs @ w["embed.weight"].T + w["embed.bias"]
    inner = np.array([norm(e) * w["attention_norm.weight"] + w["attention_norm.bias"] for e in embedded])
    q, k, v = np.split(inner @ w["query_key_value.weight"].T + w["query_key_value.bias"], 3, axis=1)
    out = []
    for t, e in enumerate(embedded):
        first, parts = max(0, t - window + 1), []
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            slope = 2.0 ** (-8 * (head + 1) / heads)
            scores = np.array([q[t, part] @ k[u, part] / math.sqrt(size) - slope * (t - u) for u in range(first, t + 1)])
            weights = np.exp(scores - scores.max())
            parts.append(weights / weights.sum() @ v[first : t + 1, part])
        a = e + w["attention_out.weight"] @ np.concatenate(parts) + w["attention_out.bias"]
        dense = w["dense_in.weight"] @ (norm(a) * w["dense_norm.weight"] + w["dense_norm.bias"]) + w["dense_in.bias"]
        gelu = dense * 0.5 * (1 + np.array([math.erf(value / math.sqrt(2)) for value in dense]))
        out.append(a + w["dense_out.weight"] @ gelu + w["dense_out.bias"])
    return out


EQUATIONS: dict[str, Callable[[Weights, Array, Mapping[str, Value]], list[Array]]] = {
    "elman": lambda w, xs, o: elman(w, xs, relu if o.get("nonlinearity") == "relu" else np.tanh),
    "irnn": lambda w, xs, _: elman(w, xs, relu),
    "indrnn": lambda w, xs, o: indrnn(w, xs, np.tanh if o.get("nonlinearity") == "tanh" else relu),
    "gru": gru, "gru_v1": gru_v1, "mgu": mgu, "janet": janet, "mut1": mut1, "mut2": mut2, "mut3": mut3,
    "lstm": lstm, "tutorial_lstm": tutorial,
    "peephole_lstm": greff("peephole_lstm"),
    **{name: greff(name) for name in ("nig", "nfg", "nog", "niaf", "noaf", "cifg", "np", "fgr")},
    "layer_norm_lstm": layer_norm_lstm, "mogrifier_lstm": mogrifier, "slstm": slstm,
    "sru": sru, "qrnn": qrnn, "min_gru": min_gru, "min_lstm": min_lstm, "mlstm": mlstm, "lru": lru,
    "mlp": mlp, "cnn": cnn, "tcn": tcn, "transformer": transformer,
}  # fmt: skip

FORMS: list[tuple[str, dict[str, Value]]] = [
    *((name, {}) for name in EQUATIONS),
    ("elman", {"nonlinearity": "relu"}),
    ("indrnn", {"nonlinearity": "tanh"}),
    ("mogrifier_lstm", {"rounds": 2}),
    ("sru", {"vectors": True}),
    ("qrnn", {"window": 3}),
    ("mlstm", {"num_heads": 2}),
    ("mlp", {"pooling": "mean"}),
    ("cnn", {"depth": 3}),
    ("tcn", {"kernel": 2}),
    ("transformer", {"window": 3, "num_heads": 2}),
]
FORMS += [(name, {"peepholes": False}) for name in ("peephole_lstm", "nig", "nfg", "nog", "niaf", "noaf", "cifg", "fgr")]


def test_every_cell_has_its_equations_here() -> None:
    assert set(EQUATIONS) == {entry.name for entry in list_cells()}


@pytest.mark.parametrize(("name", "options"), FORMS)
def test_a_cell_computes_its_published_equations(name: str, options: dict[str, Value]) -> None:
    cell = build(get_cell(name), options, INPUTS, UNITS)
    weights = {key: weight.detach().numpy() for key, weight in cell.state_dict().items()}
    for seed in (1, 2):
        xs = draw(STEPS, INPUTS, seed=seed) * 2
        expected = np.array(EQUATIONS[name](weights, xs.numpy(), options))
        for form in (cell.run, cell.unroll):
            with torch.no_grad():
                outputs_TH = form(xs.unsqueeze(0), cell.initial_state(xs.unsqueeze(0)))[0][0]
            # Some sixty sums and products of numbers near one, each rounded to 1e-16.
            np.testing.assert_allclose(outputs_TH.numpy(), expected, rtol=0, atol=1e-12)
