"""Features of sound against numbers of librosa 0.11, a slow reference in float64 by definition, and closed forms."""

import math
from typing import Any

import numpy as np
import pytest
import scipy.fft
import torch
from numpy.typing import NDArray

from rnnbench.base.errors import DataError
from rnnbench.base.parameters import Value
from rnnbench.task.feature_settings import FeatureSettings, choose_features
from rnnbench.task.features import FLOOR, Features, learn_scales, slopes
from rnnbench.task.mel import dct_matrix, mel_filters

RATE = 8000
# librosa 0.11.0 on `chirp()`: stft(n_fft=256, hop_length=80, window="hann", center=False), filters.mel(n_mels=20, fmin=60, fmax=3800,
# htk=True, norm=None), log, feature.mfcc(S=..., n_mfcc=8, dct_type=2, norm="ortho"), feature.delta(width=5, mode="nearest").
LOG_MEL = {
    0: [-5.915647, -1.228746, 5.805804, 6.457132, 2.58672, -5.334283],
    17: [-14.831427, -13.968947, -12.663804, -10.979912, -8.394316, -2.159044],
    45: [-16.241063, -15.948293, -15.428783, -14.877475, -14.172583, -13.257928],
}
CEPSTRA = {
    0: [-31.418544, 28.261006, -10.720885, 8.269399],
    17: [-36.885193, 15.139543, -33.258099, -10.357064],
    45: [-44.151183, -3.842655, -29.255763, 11.060731],
}
SLOPES = {
    0: [-0.048624, 0.581042, -1.060298, -1.080984],
    17: [-0.882352, -0.131236, -1.153182, 0.202838],
    45: [-1.205427, -0.000179, -1.104034, 0.793055],
}
BAND_SUMS = {0: 2.284347, 7: 4.053572, 19: 11.227646}
LIBROSA: dict[str, Any] = {"window_ms": 32.0, "mels": 20, "cepstra": 8, "low_hz": 60.0, "high_hz": 3800.0}

Array = NDArray[np.float64]


def chirp(samples: int = 4000) -> Array:
    time = np.arange(samples) / RATE
    found: Array = 0.4 * np.sin(2 * np.pi * (300 * time + 1200 * time * time)) + 0.2 * np.cos(2 * np.pi * 1234.5 * time)
    return found


def settings(kind: str = "log_mel", **changes: Any) -> FeatureSettings:
    return FeatureSettings(**{"kind": kind, "sample_rate": RATE, "normalise": "none", **changes})


def features_of(sound: Array, of: FeatureSettings) -> Array:
    rows = torch.from_numpy(sound).float().unsqueeze(0)
    found: Array = Features(of).frames(rows, torch.tensor([len(sound)]))[0][0].double().numpy()
    return found


def rounding(log_energies: Array) -> Array:
    """What float32 may change in a logarithm: the spectrum is right to some eps of its largest value, however small the band."""
    amplitudes = np.exp(log_energies / 2)
    allowed: Array = 16 * np.finfo(np.float32).eps * amplitudes.max() / amplitudes + 1e-5
    return allowed


def mel(hz: float) -> float:
    return 2595 * math.log10(1 + hz / 700)


def slow_log_mel(sound: Array, of: FeatureSettings) -> Array:
    """By definition: windows one by one, Fourier sums, triangles point by point."""
    size, shift, num_fft = of.window, of.hop, of.num_fft
    window = np.array([0.5 - 0.5 * math.cos(2 * math.pi * n / size) for n in range(size)])
    turns = np.exp(-2j * np.pi * np.outer(np.arange(num_fft // 2 + 1), np.arange(size)) / num_fft)
    step = (mel(of.high_hz) - mel(of.low_hz)) / (of.mels + 1)
    edges = [700 * (10 ** ((mel(of.low_hz) + place * step) / 2595) - 1) for place in range(of.mels + 2)]
    rows = []
    start = 0
    while start + size <= len(sound):
        power = np.abs(turns @ (sound[start : start + size] * window)) ** 2
        bands = []
        for left, centre, right in zip(edges, edges[1:], edges[2:], strict=False):
            total = 0.0
            for place, value in enumerate(power):
                hz = place * of.sample_rate / num_fft
                if left < hz <= centre:
                    total += value * (hz - left) / (centre - left)
                elif centre < hz < right:
                    total += value * (right - hz) / (right - centre)
            bands.append(math.log(max(total, FLOOR)))
        rows.append(bands)
        start += shift
    return np.array(rows)


def test_log_mel_energies_are_librosas() -> None:
    found = features_of(chirp(), settings(**LIBROSA))
    assert found.shape == (47, 20)
    allowed = rounding(found)
    for frame, expected in LOG_MEL.items():
        assert (np.abs(found[frame, :6] - expected) < allowed[frame, :6]).all()


def test_bands_are_librosas() -> None:
    sums = mel_filters(256, RATE, 20, 60.0, 3800.0).sum(axis=0)
    assert {band: sums[band] for band in BAND_SUMS} == pytest.approx(BAND_SUMS, abs=1e-6)


def test_cepstra_and_their_slopes_are_librosas() -> None:
    found = features_of(chirp(), settings("mfcc", deltas=1, **LIBROSA))
    allowed = rounding(features_of(chirp(), settings(**LIBROSA))).max()
    for frame, expected in CEPSTRA.items():
        assert found[frame, :4] == pytest.approx(expected, abs=allowed)
        assert found[frame, 8:12] == pytest.approx(SLOPES[frame], abs=allowed)


@pytest.mark.parametrize("window_ms", [25.0, 20.0, 13.0])
def test_log_mel_energies_are_those_of_a_slow_reference(window_ms: float) -> None:
    of = settings(window_ms=window_ms, hop_ms=7.0, mels=17)
    sound = chirp(900) + 0.01 * np.random.default_rng(0).standard_normal(900)
    expected = slow_log_mel(sound, of)
    found = features_of(sound, of)
    assert found.shape == expected.shape
    assert (np.abs(found - expected) < rounding(expected)).all()


def test_the_cosine_transform_is_scipys_and_orthonormal() -> None:
    bands = np.random.default_rng(0).standard_normal((5, 23))
    assert bands @ dct_matrix(23, 13) == pytest.approx(scipy.fft.dct(bands, norm="ortho")[:, :13], abs=1e-12)
    assert dct_matrix(23, 23).T @ dct_matrix(23, 23) == pytest.approx(np.eye(23), abs=1e-12)


@pytest.mark.parametrize("hz", [300.0, 1000.0, 2500.0])
def test_a_pure_tone_is_loudest_in_the_band_around_it(hz: float) -> None:
    of = settings(mels=24)
    tone = 0.5 * np.sin(2 * np.pi * hz * np.arange(2000) / RATE)
    place = 25 * (mel(hz) - mel(20)) / (mel(4000) - mel(20)) - 1
    loudest = features_of(tone, of).argmax(axis=1)
    assert np.abs(loudest - place).max() < 1


def test_the_power_spectrum_keeps_the_energy_of_the_window() -> None:
    # Parseval: with bands that take every frequency once, what the two-sided spectrum holds is num_fft times the windowed samples' energy.
    of = settings(mels=1)
    module = Features(of)
    module.mel_FM.fill_(2.0)
    module.mel_FM[[0, -1]] = 1.0
    noise = np.random.default_rng(0).standard_normal(of.window)
    found = module.frames(torch.from_numpy(noise).float().unsqueeze(0), torch.tensor([of.window]))[0].item()
    window = np.hanning(of.window + 1)[:-1]
    assert math.exp(found) == pytest.approx(of.num_fft * float(((noise * window) ** 2).sum()), rel=1e-5)


def test_ten_times_the_sound_adds_ten_log_ten_decibels_to_every_band() -> None:
    quiet, loud = features_of(chirp(), settings(mels=8)), features_of(10 * chirp(), settings(mels=8))
    assert loud - quiet == pytest.approx(np.full_like(quiet, 2 * math.log(10)), abs=2 * rounding(quiet).max())


def test_silence_is_the_floor() -> None:
    assert features_of(np.zeros(500), settings()) == pytest.approx(np.full((4, 40), math.log(FLOOR)))


def test_16_bit_samples_are_the_same_as_floats() -> None:
    rows = torch.from_numpy(np.round(chirp() * 32768)).to(torch.int16).unsqueeze(0)
    module, lengths = Features(settings()), torch.tensor([4000])
    assert torch.equal(module(rows, lengths)[0], module(rows.float() / 32768, lengths)[0])


def test_slopes_of_a_straight_line_are_its_slope_and_smaller_where_the_ends_are_repeated() -> None:
    line = torch.arange(7.0).mul(3).view(1, 7, 1)
    # At the first step: (1 * (3 - 0) + 2 * (6 - 0)) / 10.
    expected = [1.5, 2.4, 3.0, 3.0, 3.0, 2.4, 1.5]
    assert slopes(line, torch.tensor([7])).flatten().tolist() == pytest.approx(expected)


@pytest.mark.parametrize("normalise", ["none", "sound"])
@pytest.mark.parametrize("kind", ["log_mel", "mfcc"])
def test_a_row_does_not_depend_on_its_padding_or_its_neighbours(kind: str, normalise: str) -> None:
    of = settings(kind, deltas=2, stack=3, normalise=normalise)
    sounds = [chirp(4000), chirp(1500) * 0.5, chirp(2345)]
    rows, lengths = torch.full((3, 5000), 0.7), torch.tensor([len(sound) for sound in sounds])
    for place, sound in enumerate(sounds):
        rows[place, : len(sound)] = torch.from_numpy(sound)
    together, steps = Features(of)(rows, lengths)
    for place, sound in enumerate(sounds):
        alone, count = Features(of)(torch.from_numpy(sound).float().unsqueeze(0), lengths[place : place + 1])
        assert count.item() == steps[place].item() == of.num_steps(len(sound)) == alone.shape[1]
        # Matrix products of other shapes add in another order.
        assert torch.allclose(together[place, : count.item()], alone[0], rtol=1e-4, atol=1e-4)
        assert not together[place, count.item() :].any()


def test_stacking_joins_neighbours_in_order_and_drops_a_rest() -> None:
    rows = torch.arange(14.0).view(1, 7, 2)
    steps, counts = Features(settings("given", cepstra=2, stack=3))(rows, torch.tensor([7]))
    assert counts.tolist() == [2]
    assert steps.tolist() == [[[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]]


def test_learned_scales_make_the_training_rows_mean_0_and_deviation_1() -> None:
    of = settings(normalise="training", deltas=1)
    rows = torch.randn(9, 3000, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([3000, 400, 900, 2500, 1300, 3000, 201, 777, 1000])
    mean, scale = learn_scales(of, rows, lengths, num_rows=4)
    frames, counts = Features(of, mean, scale).frames(rows, lengths)
    valid = torch.cat([row[:count] for row, count in zip(frames, counts.tolist(), strict=True)]).double()
    assert valid.mean(0).numpy() == pytest.approx(np.zeros(80), abs=1e-4)
    assert valid.std(0, correction=0).numpy() == pytest.approx(np.ones(80), abs=1e-4)


def test_each_sound_by_itself_has_mean_0_and_deviation_1_where_it_varies() -> None:
    rows = torch.randn(2, 2000, generator=torch.Generator().manual_seed(0))
    rows[1] = 0
    frames, counts = Features(settings(normalise="sound")).frames(rows, torch.tensor([1500, 2000]))
    valid = frames[0, : int(counts[0])]
    assert valid.mean(0).numpy() == pytest.approx(np.zeros(40), abs=1e-4)
    assert valid.std(0, correction=0).numpy() == pytest.approx(np.ones(40), abs=1e-4)
    # The mean of equal numbers is off by rounding, which a deviation of 0 must not blow up.
    assert frames[1].abs().max() < 0.01


PARAMETERS: dict[str, Value] = {
    "data.features": "log_mel", "data.window_ms": 25.0, "data.hop_ms": 10.0, "data.mels": 40, "data.low_hz": 20.0, "data.high_hz": None,
    "data.deltas": 0, "data.stack": 2, "data.normalise": "training",
}  # fmt: skip


def test_settings_follow_the_parameters_and_survive_being_kept() -> None:
    of = choose_features({**PARAMETERS, "data.features": "mfcc", "data.cepstra": 12}, 16000)
    assert (of.window, of.hop, of.num_fft, of.high_hz, of.input_size) == (400, 160, 512, 8000.0, 24)
    assert of.num_steps(400 + 160) == 1
    assert of.seconds(1) == pytest.approx(0.035)
    kept: Any = of.to_plain()
    assert FeatureSettings(**kept) == of


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.high_hz": 5000.0}, "bands must lie within 0 to 4000 Hz"),
        ({"data.low_hz": 4000.0}, "bands must lie within 0 to 4000 Hz"),
        ({"data.features": "mfcc", "data.cepstra": 41}, "no more cepstra than data.mels"),
        ({"data.mels": 200}, "of these bands are narrower than a step of the spectrum"),
        ({"data.hop_ms": 0.01}, "less than a sample"),
    ],
)
def test_settings_that_the_sample_rate_has_no_room_for_are_refused(changes: dict[str, Value], message: str) -> None:
    with pytest.raises(DataError, match=message):
        choose_features({**PARAMETERS, **changes}, RATE)
