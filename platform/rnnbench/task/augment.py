"""What is done to sound so that a network must do without some of it: white noise on the samples, masks over the features.

Masks after Park et al. 2019, arXiv:1904.08779 (SpecAugment), without time warping: a masked feature is 0, its mean.
"""

# Shapes: N rows, S samples, T frames, B bands of a frame, L levels (features, slopes, slopes of slopes).

import torch
from torch import Tensor

from rnnbench.task.features import FULL_SCALE


def add_noise(rows_NS: Tensor, lengths_N: Tensor, snr_db: Tensor | float, generator: torch.Generator | None = None) -> Tensor:
    """Rows with white Gaussian noise, as floats in -1..1 and beyond; zeros stay behind a row's samples, and a silent row stays silent.

    Args:
        rows_NS: 16 bit samples.
        snr_db: 10 log10 of the sound's mean power over the noise's, over the whole row; one for all, or (N,).
        generator: None: torch's default one.
    """
    samples_NS = rows_NS.float() / FULL_SCALE
    valid_NS = torch.arange(rows_NS.shape[1], device=rows_NS.device) < lengths_N.unsqueeze(1)
    power_N = (samples_NS * valid_NS).square().sum(1) / lengths_N
    scale_N = (power_N * 10 ** (-torch.as_tensor(snr_db, device=rows_NS.device) / 10)).sqrt()
    noise_NS = torch.randn(samples_NS.shape, generator=generator, device=rows_NS.device)
    return (samples_NS + scale_N.unsqueeze(1) * noise_NS) * valid_NS


def hide_parts(frames_NTI: Tensor, frames_N: Tensor, num_bands: int, num_masks: int, time_share: float, band_share: float) -> Tensor:
    """Features of which so many stretches of time, and as many of bands, are zero in each row, drawn from torch's default stream.

    A stretch is from nothing to a share of the row's frames, or of the bands, and lies anywhere; slopes are hidden with their band.
    """
    frames_NTLB = frames_NTI.unflatten(2, (-1, num_bands))
    for _ in range(num_masks):
        hidden_NT = _stretch(frames_N, time_share, frames_NTI.shape[1])
        hidden_NB = _stretch(torch.full_like(frames_N, num_bands), band_share, num_bands)
        frames_NTLB = frames_NTLB * ~hidden_NT[:, :, None, None] * ~hidden_NB[:, None, None, :]
    hidden_NTI: Tensor = frames_NTLB.flatten(2)
    return hidden_NTI


def _stretch(size_N: Tensor, share: float, longest: int) -> Tensor:
    """(N, longest), true in one stretch within each row's first places."""
    width_N = torch.rand(len(size_N), device=size_N.device) * share * size_N
    start_N = torch.rand(len(size_N), device=size_N.device) * (size_N - width_N)
    # A place is hidden where its middle is.
    middle = torch.arange(longest, device=size_N.device) + 0.5
    return (middle >= start_N.unsqueeze(1)) & (middle < (start_N + width_N).unsqueeze(1))
