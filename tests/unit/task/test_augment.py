"""Noise at a ratio, masks of a size: what is added to sound and hidden of features in training."""

import math

import pytest
import torch
from scipy import stats

from rnnbench.task.augment import add_noise, hide_parts


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("snr_db", [20.0, 10.0, 0.0, -5.0])
def test_noise_has_the_power_that_its_ratio_says_over_the_valid_samples(snr_db: float) -> None:
    rows = torch.randint(-9000, 9000, (3, 20_000), generator=generator()).to(torch.int16)
    lengths = torch.tensor([20_000, 20_000, 10_000])
    noisy = add_noise(rows, lengths, snr_db, generator(1))
    clean = rows.float() / 32768
    for row, length in enumerate(lengths.tolist()):
        noise = (noisy - clean)[row, :length].double()
        ratio = 10 * math.log10(float(clean[row, :length].double().square().mean() / noise.square().mean()))
        # The mean of n squares of normal numbers has a relative deviation of sqrt(2 / n): five of them, in dB.
        assert ratio == pytest.approx(snr_db, abs=5 * 10 / math.log(10) * math.sqrt(2 / length))
    assert not noisy[2, 10_000:].any()


def test_noise_is_white_and_normal_and_the_same_for_a_seed() -> None:
    rows = torch.full((1, 50_000), 3000, dtype=torch.int16)
    lengths = torch.tensor([50_000])
    one = add_noise(rows, lengths, 10.0, generator(4))
    assert torch.equal(one, add_noise(rows, lengths, 10.0, generator(4)))
    noise = (one - 3000 / 32768).double().numpy()[0]
    assert stats.kstest(noise / noise.std(), "norm").pvalue > 1e-3
    neighbours = float((noise[1:] * noise[:-1]).mean() / noise.var())
    assert abs(neighbours) < 5 / math.sqrt(50_000)


def test_each_row_may_have_a_ratio_of_its_own_and_a_silent_row_stays_silent() -> None:
    rows = torch.full((3, 4000), 3000, dtype=torch.int16)
    rows[2] = 0
    noisy = add_noise(rows, torch.tensor([4000] * 3), torch.tensor([0.0, 40.0, 0.0]), generator())
    loud, quiet = (float((noisy[row] - 3000 / 32768).std()) for row in (0, 1))
    assert loud / quiet == pytest.approx(100, rel=0.1)
    assert not noisy[2].any()


def test_masks_hide_stretches_within_each_row_of_at_most_their_share() -> None:
    torch.manual_seed(0)
    frames, counts = torch.ones(200, 50, 3 * 8), torch.tensor([50, 20] * 100)
    hidden = hide_parts(frames, counts, 8, 1, 0.3, 0.5) == 0
    widths_in_time, widths_in_bands = [], []
    for row, count in zip(hidden, counts.tolist(), strict=True):
        steps, bands = row.all(dim=1), row[:, :8].all(dim=0)
        assert not steps[count:].any()
        # A hidden band is hidden with its slopes.
        assert torch.equal(row[~steps][:, :8], row[~steps][:, 8:16])
        assert torch.equal(row[~steps][:, :8], row[~steps][:, 16:])
        for mask in (steps, bands):
            places = mask.nonzero().flatten()
            assert len(places) == 0 or int(places[-1] - places[0]) + 1 == len(places)
        widths_in_time.append(int(steps.sum()) / count)
        widths_in_bands.append(int(bands.sum()) / 8)
    # Widths are even from nothing to the share: their mean is half of it, within five standard errors.
    for widths, share in ((widths_in_time, 0.3), (widths_in_bands, 0.5)):
        assert max(widths) <= share + 1 / 8
        assert sum(widths) / 200 == pytest.approx(share / 2, abs=5 * share / math.sqrt(12 * 200))


def test_masks_of_no_width_hide_nothing_and_follow_torchs_stream() -> None:
    frames, counts = torch.ones(4, 30, 5), torch.tensor([30] * 4)
    assert torch.equal(hide_parts(frames, counts, 5, 3, 0.0, 0.0), frames)
    torch.manual_seed(7)
    one = hide_parts(frames, counts, 5, 2, 0.4, 0.4)
    torch.manual_seed(7)
    assert torch.equal(one, hide_parts(frames, counts, 5, 2, 0.4, 0.4))
    assert not torch.equal(one, hide_parts(frames, counts, 5, 2, 0.4, 0.4))
