"""Noise compared with its expected distributions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats
import torch
from srkit_photos.degradations.noise import correlated, gaussian, poisson

SIDE = 120


def test_gaussian_noise_is_normal() -> None:
    grey = torch.full((3, SIDE, SIDE), 0.5)
    noise = ((gaussian(grey, 12.0, 3) - grey) * 255).numpy()
    assert scipy.stats.kstest(noise.ravel(), scipy.stats.norm(0, 12).cdf).pvalue > 0.01
    assert abs(np.corrcoef(noise.reshape(3, -1))[0, 1]) < 0.03


@pytest.mark.parametrize("add", [gaussian, poisson])
def test_grey_noise_is_the_same_in_all_channels(add: Callable[..., torch.Tensor]) -> None:
    image = torch.rand(3, 20, 20, generator=torch.Generator().manual_seed(0)) / 2 + 0.25
    noise = add(image, 0.5, 7, grey=True) - image
    torch.testing.assert_close(noise[0], noise[1])
    torch.testing.assert_close(noise[0], noise[2])
    assert noise.std() > 0


def test_correlated_noise_has_its_covariance() -> None:
    mixture = torch.tensor([[1.0, 0, 0], [0.8, 0.6, 0], [-0.5, 0.2, 0.3]])
    grey = torch.full((3, 200, 200), 0.5)
    noise = (correlated(grey, 10.0, mixture, 5) - grey).flatten(1) * 255
    expected = 100 * mixture @ mixture.T
    torch.testing.assert_close(torch.cov(noise), expected, atol=2.5, rtol=0)


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_poisson_noise_counts_light(strength: float) -> None:
    # 16 levels, so that white has 16 counts; all are integers in 8 bits.
    levels = (torch.arange(16) * 8 + 64).float() / 255
    image = levels.repeat(1, SIDE, 10)
    noise = (poisson(image, strength, 11) - image) / strength
    counts = ((noise + image) * 16)[0, :, 5::16]
    assert (counts - counts.round()).abs().max() < 1e-3
    expected = scipy.stats.poisson(float(levels[5]) * 16)
    found = np.bincount(counts.flatten().round().int().numpy(), minlength=9)[:9]
    wanted = expected.pmf(np.arange(9)) * counts.numel()
    # Pearson's statistic of nine classes; clipped values are above all of them.
    assert (((found - wanted) ** 2 / wanted).sum()) < scipy.stats.chi2(8).ppf(0.99)


def test_noise_depends_on_the_seed_and_is_clipped() -> None:
    image = torch.rand(3, 30, 30, generator=torch.Generator().manual_seed(0))
    for add in (gaussian, poisson):
        first, again, other = (add(image, 2.0, seed) for seed in (1, 1, 2))
        assert torch.equal(first, again)
        assert not torch.equal(first, other)
        assert 0 <= first.min() <= first.max() <= 1


def test_grey_noise_of_a_single_channel() -> None:
    image = torch.rand(1, 12, 12, generator=torch.Generator().manual_seed(0))
    assert torch.equal(poisson(image, 1.0, 4, grey=True), poisson(image, 1.0, 4))
