from __future__ import annotations

import math

import numpy as np
import pytest
from astropy.stats import gaussian_fwhm_to_sigma
from photutils.segmentation import detect_sources
from scipy import ndimage
from srkit_astro.validation.detection import SMOOTHING, distances, measure_background, smooth

FWHM, SIDE = 8.0, 512
SIGMA = SMOOTHING * FWHM * gaussian_fwhm_to_sigma


def test_the_noise_is_that_of_the_smoothed_image() -> None:
    white = np.random.default_rng(0).normal(5, 2, (SIDE, SIDE))
    found = measure_background(white, FWHM)
    # White noise smoothed by a Gaussian has 1 / (2 sigma sqrt(pi)) of its scatter.
    assert found.noise == pytest.approx(2 / (2 * SIGMA * math.sqrt(math.pi)), rel=0.03)
    assert found.sky.mean() == pytest.approx(5, abs=0.02)


def test_a_gradient_is_background() -> None:
    white = np.random.default_rng(0).normal(size=(256, 256))
    plain, found = (measure_background(white + np.linspace(0, end, 256), 4) for end in (0, 9))
    assert found.noise == pytest.approx(plain.noise, rel=0.1)
    assert len(found.detect(4)) == pytest.approx(len(plain.detect(4)), abs=3)


def test_correlated_noise_gains_nothing() -> None:
    """Each pixel is repeated, as by nearest-neighbour interpolation: the same sources are found."""
    white = np.random.default_rng(1).normal(size=(128, 128))
    repeated = white.repeat(2, 0).repeat(2, 1)
    first, second = measure_background(white, FWHM), measure_background(repeated, 2 * FWHM)
    assert second.noise == pytest.approx(first.noise, rel=0.03)
    assert len(second.detect(3)) == pytest.approx(len(first.detect(3)), abs=3)


@pytest.mark.parametrize("threshold", [2.5, 3.0])
def test_the_false_rate_of_white_noise_is_that_of_theory(threshold: float) -> None:
    counts, independent = 0, 0
    for seed in range(2):
        white = np.random.default_rng(seed).normal(size=(SIDE, SIDE))
        found = measure_background(white, FWHM)
        counts += len(found.detect(threshold))
        # photutils counts connected regions of the image smoothed by another implementation.
        smoothed = ndimage.fourier_gaussian(np.fft.fft2(white), SIGMA)
        pixels = np.fft.ifft2(smoothed).real
        independent += detect_sources(pixels, threshold * pixels.std(), n_pixels=1).n_labels
    # The density of peaks of a Gaussian field above a high threshold (Adler 1981), of which the
    # variance of the gradient relative to that of the field is 1 / (2 sigma**2).
    density = threshold * math.exp(-(threshold**2) / 2) / ((2 * math.pi) ** 1.5 * 2 * SIGMA**2)
    expected = 2 * density * SIDE**2
    assert counts == pytest.approx(expected, abs=3.5 * math.sqrt(expected))
    assert counts == pytest.approx(independent, abs=0.2 * expected)


def test_positions() -> None:
    image = np.random.default_rng(0).normal(0, 0.01, (60, 80))
    image[20, 50] = 50
    image += 100
    (place,) = measure_background(image, 4).detect(20)
    assert place == pytest.approx([50, 20], abs=0.05)
    assert not len(measure_background(np.zeros((40, 40)), 4).detect(5))


def test_distances() -> None:
    found, spine = np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[0.0, 1.0], [3.0, 3.0]])
    assert distances(found, spine).tolist() == [1, 1]
    assert distances(np.empty((0, 2)), spine).shape == (0,)


def test_smoothing_keeps_the_flux() -> None:
    image = np.zeros((41, 41))
    image[20, 20] = 3
    assert smooth(image, 4).sum() == pytest.approx(3)
