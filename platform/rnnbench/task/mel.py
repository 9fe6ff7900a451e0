"""Triangular bands on the HTK mel scale, and the cosine transform that makes cepstra of them. No torch.

mel = 2595 log10(1 + Hz / 700); the triangles, of peak 1 and straight in Hz, are those of librosa.filters.mel(htk=True, norm=None).
Sources: Davis and Mermelstein 1980; Young et al., The HTK Book, 5.6.
"""

# Shapes: F frequencies of a spectrum, M bands, C cepstra.

import math
from typing import cast

import numpy as np
from numpy.typing import NDArray


def mel_filters(num_fft: int, sample_rate: int, num_bands: int, low_hz: float, high_hz: float) -> NDArray[np.float64]:
    """Weights of each frequency in each band, (F, M): a band rises from the centre of the one below and falls to that of the one above."""
    edges = _hz(np.linspace(_mel(low_hz), _mel(high_hz), num_bands + 2))
    frequency_F1 = np.arange(num_fft // 2 + 1)[:, None] * sample_rate / num_fft
    rising = (frequency_F1 - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequency_F1) / (edges[2:] - edges[1:-1])
    return np.maximum(0.0, np.minimum(rising, falling))


def dct_matrix(num_bands: int, num_cepstra: int) -> NDArray[np.float64]:
    """The first columns of the orthonormal DCT-II, (M, C)."""
    band_M1, order_C = np.arange(num_bands)[:, None], np.arange(num_cepstra)
    matrix = np.cos(math.pi / num_bands * (band_M1 + 0.5) * order_C) * math.sqrt(2 / num_bands)
    matrix[:, 0] /= math.sqrt(2)
    return cast(NDArray[np.float64], matrix)


def _mel(hz: float) -> float:
    return 2595.0 * math.log10(1.0 + hz / 700.0)


def _hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
