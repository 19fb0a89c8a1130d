"""Noise of known correlation: white noise convolved with a known kernel."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage, signal

from srkit.functional import measure_noise

Array = NDArray[np.float64]

WHITE = np.ones((1, 1))
#: What averaging over a square of pixels shifted by half of one does, as in drizzling.
DRIZZLED = np.outer([0.5, 1, 0.5], [0.5, 1, 0.5]) / 4
RAGGED = np.array([[0.0, 0.3, 0.0], [0.5, 1.0, -0.4], [0.0, 0.0, 0.2]])  # not symmetrical


def _frame(kernel: Array, side: int, seed: int = 1) -> Array:
    white = np.random.default_rng(seed).normal(size=(side + 4, side + 4))
    return 3 * ndimage.convolve(white, kernel)[2:-2, 2:-2]


def _theory(kernel: Array) -> tuple[float, Array]:
    """Return RMS and correlation of the noise, up to lags of 6 pixels."""
    covariance = signal.correlate2d(kernel, kernel)
    peak = covariance.max()
    padding = 6 - covariance.shape[0] // 2
    return 3 * float(np.sqrt(peak)), np.pad(covariance / peak, padding)


def _add_sources(frame: Array, count: int, seed: int = 2) -> Array:
    rng, grid = np.random.default_rng(seed), np.mgrid[: frame.shape[0], : frame.shape[1]]
    for _ in range(count):
        y, x = rng.uniform(0, frame.shape[0], 2)
        radius2 = (grid[0] - y) ** 2 + (grid[1] - x) ** 2
        frame = frame + rng.exponential(150) * (1 + radius2 / 9) ** -2.5
    return frame


@pytest.mark.parametrize("kernel", [WHITE, DRIZZLED, RAGGED], ids=["white", "drizzled", "ragged"])
def test_the_correlation_is_that_of_theory(kernel: Array) -> None:
    found, (rms, correlation) = measure_noise(_frame(kernel, 256)), _theory(kernel)
    assert found.rms == pytest.approx(rms, rel=0.02)
    np.testing.assert_allclose(found.correlation, correlation, atol=0.055)
    box = np.full((4, 4), 1 / 16)
    # By drawing: the scatter of the means of 4 x 4 pixels of many frames.
    means = [
        ndimage.convolve(_frame(kernel, 64, seed), box)[2::4, 2::4].std() for seed in range(20)
    ]
    assert found.rms_of(box) == pytest.approx(np.mean(means), rel=0.05)


def test_pixels_that_are_repeated() -> None:
    # Of two neighbours, half lie in the same pixel of LR, and are equal.
    found = measure_noise(_frame(WHITE, 128).repeat(2, 0).repeat(2, 1))
    assert found.rms == pytest.approx(3, rel=0.02)
    triangle = np.pad([0.5, 1, 0.5], 5)
    np.testing.assert_allclose(found.correlation, np.outer(triangle, triangle), atol=0.055)


def test_weighted_sums_of_white_noise_add_in_quadrature() -> None:
    found = measure_noise(_frame(WHITE, 256))
    assert found.rms_of(np.ones((20, 30))) == pytest.approx(found.rms * np.sqrt(600))
    assert found.rms_of([1.0, -2.0]) == pytest.approx(found.rms * np.sqrt(5))


@pytest.mark.parametrize("kernel", [WHITE, DRIZZLED], ids=["white", "drizzled"])
def test_sources_a_gradient_and_pixels_without_a_value_do_not_count(kernel: Array) -> None:
    frame = _add_sources(_frame(kernel, 256), 40) + np.linspace(0, 20, 256)
    frame[np.random.default_rng(3).random(frame.shape) < 0.05] = np.nan
    frame[100:140, 30:90] = np.nan
    frame[7, 7] = np.inf
    found, (rms, correlation) = measure_noise(frame), _theory(kernel)
    assert np.nanstd(frame[np.isfinite(frame)]) > 3 * rms
    assert found.rms == pytest.approx(rms, rel=0.03)
    np.testing.assert_allclose(found.correlation, correlation, atol=0.06)


@pytest.mark.parametrize("kernel", [WHITE, DRIZZLED], ids=["white", "drizzled"])
def test_cutouts_that_a_source_fills(kernel: Array) -> None:
    """The light of a de Vaucouleurs galaxy, 5 sigma bright half way to the corners."""
    radius = np.hypot(*(np.mgrid[:48, :48] - 24.0)) + 0.5
    rms = _theory(kernel)[0]
    light = 5 * rms * np.exp(7.67 * ((17 / 8) ** 0.25 - (radius / 8) ** 0.25))
    frames = [_frame(kernel, 48, seed) + light for seed in range(12)]
    found = [measure_noise(frame).rms / rms for frame in frames]
    assert np.mean(found) == pytest.approx(1, abs=0.1)
    assert np.ptp(found) < 0.6


def test_an_offset_and_the_unit_do_not_matter() -> None:
    frame = _frame(DRIZZLED, 64)
    plain, other = measure_noise(frame), measure_noise(1e-18 * (frame + 500))
    assert other.rms == pytest.approx(1e-18 * plain.rms, rel=1e-6)
    np.testing.assert_allclose(other.correlation, plain.correlation, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 3), (5, 5), (17, 9)])
def test_small_images(shape: tuple[int, int]) -> None:
    frame = np.random.default_rng(0).normal(size=shape)
    found = measure_noise(frame)
    assert np.isfinite(found.rms)
    assert found.rms_of(np.ones((3, 3))) == pytest.approx(3 * found.rms, rel=0.9)


@pytest.mark.parametrize("value", [0.0, 7.0, np.nan])
def test_without_noise(value: float) -> None:
    found = measure_noise(np.full((20, 30), value))
    assert (found.rms, found.rms_of(np.ones((3, 3)))) == (0.0, 0.0)


def test_only_images_of_two_dimensions() -> None:
    with pytest.raises(ValueError, match=r"expected an image of 2 dimensions, got the shape \(3,"):
        measure_noise(np.zeros((3, 4, 5)))
