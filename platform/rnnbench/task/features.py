"""Sound to features in torch: log-mel energies or cepstra, their slopes, normalised, and stacked.

Frames, as HTK cuts them, lie wholly within the sound: 1 + (samples - window) // hop, without padding at the ends. Each is multiplied by a
periodic Hann window; its power spectrum goes through the bands of `task.mel`; then the natural logarithm. Cepstra are the first
coefficients of an orthonormal DCT-II of that, the zeroth with them. There is no pre-emphasis: a filter adds nearly the same to every
frame's logarithms, and the mean is taken off. Slopes as in The HTK Book, 5.9.
"""

# Shapes: N rows, S samples, T frames, W samples of a window, F frequencies, M mel bands, I features of a frame, V valid frames of all rows.

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rnnbench.task.feature_settings import FeatureSettings
from rnnbench.task.mel import dct_matrix, mel_filters

# Loudest value of 16 bit samples.
FULL_SCALE = 32768.0
# Lowest band energy: about what rounding samples to 16 bit leaves in a silent frame.
FLOOR = 1e-8
# A feature that varies less is constant.
SMALLEST_SCALE = 1e-3
# A slope reads so many frames on each side.
SLOPE_FRAMES = 2


class Features(nn.Module):
    """Makes features of rows of samples; holds no weights.

    Args:
        mean, scale: Of each feature over the training split; empty: features stay as they are, or each sound has its own.
    """

    window_W: Tensor
    mel_FM: Tensor
    dct_MC: Tensor
    mean_I: Tensor
    scale_I: Tensor

    def __init__(self, settings: FeatureSettings, mean: Sequence[float] = (), scale: Sequence[float] = ()) -> None:
        super().__init__()
        self.settings = settings
        arrays = {
            "window_W": torch.hann_window(settings.window, periodic=True),
            "mel_FM": _bands(settings),
            "dct_MC": torch.from_numpy(dct_matrix(settings.mels, settings.cepstra)).float(),
            "mean_I": torch.tensor(list(mean) or [0.0] * settings.num_features),
            "scale_I": torch.tensor(list(scale) or [1.0] * settings.num_features),
        }
        for name, array in arrays.items():
            # Not among the weights: they follow from the preparation.
            self.register_buffer(name, array, persistent=False)

    def forward(self, rows: Tensor, lengths_N: Tensor) -> tuple[Tensor, Tensor]:
        """What the network reads, (N, steps, inputs), and valid steps (N,); zeros behind them."""
        frames_NTI, frames_N = self.frames(rows, lengths_N)
        return self.stacked(frames_NTI, frames_N)

    def frames(self, rows: Tensor, lengths_N: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised features of every frame, (N, T, I), and valid frames (N,).

        Args:
            rows: (N, S) samples, 16 bit or floats in -1..1; (N, T, I) where features are given.
        """
        frames_N = self.count_frames(lengths_N)
        features_NTI = rows.float() if self.settings.kind == "given" else self._spectral(rows)
        levels = [features_NTI]
        for _ in range(self.settings.deltas):
            levels.append(slopes(levels[-1], frames_N))
        features_NTI = torch.cat(levels, dim=-1)
        if self.settings.normalise == "sound":
            return _normalised_alone(features_NTI, frames_N), frames_N
        normalised_NTI: Tensor = (features_NTI - self.mean_I) / self.scale_I
        return normalised_NTI, frames_N

    def stacked(self, frames_NTI: Tensor, frames_N: Tensor) -> tuple[Tensor, Tensor]:
        """Every `stack` frames joined into a step, a rest dropped; zeros behind a row's steps."""
        stack = self.settings.stack
        num_steps = frames_NTI.shape[1] // stack
        steps_NTI = frames_NTI[:, : num_steps * stack].unflatten(1, (num_steps, stack)).flatten(2)
        steps_N = frames_N // stack
        return steps_NTI * _valid(steps_NTI, steps_N), steps_N

    def count_frames(self, lengths_N: Tensor) -> Tensor:
        """Whole frames of rows of so many samples."""
        return (lengths_N - self.settings.window) // self.settings.hop + 1

    def count_steps(self, lengths_N: Tensor) -> Tensor:
        """Whole steps of rows of so many samples."""
        return self.count_frames(lengths_N) // self.settings.stack

    def _spectral(self, rows_NS: Tensor) -> Tensor:
        samples_NS = rows_NS if rows_NS.is_floating_point() else rows_NS.float() / FULL_SCALE
        framed_NTW = samples_NS.unfold(-1, self.settings.window, self.settings.hop) * self.window_W
        spectrum_NTF = torch.fft.rfft(framed_NTW, n=self.settings.num_fft)
        power_NTF = spectrum_NTF.real.square() + spectrum_NTF.imag.square()
        features_NTI: Tensor = (power_NTF @ self.mel_FM).clamp_min(FLOOR).log()
        if self.settings.kind == "mfcc":
            features_NTI = features_NTI @ self.dct_MC
        return features_NTI


def learn_scales(settings: FeatureSettings, rows: Tensor, lengths_N: Tensor, num_rows: int = 64) -> tuple[list[float], list[float]]:
    """Mean and deviation of each feature over all valid frames of these rows, summed in float64; empty where none are asked for."""
    if settings.normalise != "training":
        return [], []
    features = Features(settings)
    total, squares, count = torch.zeros(settings.num_features).double(), torch.zeros(settings.num_features).double(), 0
    for index in torch.arange(len(rows)).split(num_rows):
        lengths = lengths_N[index]
        frames_NTI, frames_N = features.frames(rows[index, : int(lengths.max())], lengths)
        valid_VI = frames_NTI[_valid(frames_NTI, frames_N).squeeze(-1)].double()
        total, squares, count = total + valid_VI.sum(0), squares + valid_VI.square().sum(0), count + len(valid_VI)
    mean = total / count
    scale = (squares / count - mean.square()).clamp_min(0).sqrt().clamp_min(SMALLEST_SCALE)
    return mean.tolist(), scale.tolist()


def slopes(frames_NTI: Tensor, frames_N: Tensor) -> Tensor:
    """Slope of each feature by regression over two frames on each side, the ends repeated. Source: The HTK Book, 5.9."""
    num_frames = frames_NTI.shape[1]
    step_T = torch.arange(num_frames, device=frames_NTI.device)
    last_N1 = (frames_N - 1).unsqueeze(1)
    total = torch.zeros_like(frames_NTI)
    for shift in range(1, SLOPE_FRAMES + 1):
        after_NT = torch.minimum((step_T + shift).unsqueeze(0), last_N1)
        before_NT = torch.minimum((step_T - shift).clamp_min(0).unsqueeze(0), last_N1)
        total = total + shift * (_take(frames_NTI, after_NT) - _take(frames_NTI, before_NT))
    return total / (2 * sum(shift * shift for shift in range(1, SLOPE_FRAMES + 1)))


def _valid(frames_NTI: Tensor, frames_N: Tensor) -> Tensor:
    return (torch.arange(frames_NTI.shape[1], device=frames_NTI.device) < frames_N.unsqueeze(1)).unsqueeze(-1)


def _normalised_alone(features_NTI: Tensor, frames_N: Tensor) -> Tensor:
    valid_NT1, count_N11 = _valid(features_NTI, frames_N), frames_N.view(-1, 1, 1)
    mean_N1I = (features_NTI * valid_NT1).sum(1, keepdim=True) / count_N11
    centred_NTI = features_NTI - mean_N1I
    scale_N1I = ((centred_NTI.square() * valid_NT1).sum(1, keepdim=True) / count_N11).sqrt()
    return centred_NTI / scale_N1I.clamp_min(SMALLEST_SCALE)


def _take(frames_NTI: Tensor, index_NT: Tensor) -> Tensor:
    return frames_NTI.gather(1, index_NT.unsqueeze(-1).expand_as(frames_NTI))


def _bands(settings: FeatureSettings) -> Tensor:
    filters = mel_filters(settings.num_fft, settings.sample_rate, settings.mels, settings.low_hz, settings.high_hz)
    return torch.from_numpy(filters).float()
