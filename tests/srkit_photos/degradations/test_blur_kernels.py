"""Each kernel compared with the formula of SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.ndimage
import scipy.special
import scipy.stats
from srkit_photos.degradations.blur_kernels import Kernel, Shape, draw_kernels

SIZE = 15


def drawn(kernel: Kernel) -> np.ndarray:
    (values,) = draw_kernels([kernel])
    return values.numpy()


def grid() -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE // 2
    return x.astype(float), y.astype(float)


def covariance(sigma: tuple[float, float], angle: float) -> np.ndarray:
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return turn @ np.diag(np.square(sigma)) @ turn.T


@pytest.mark.parametrize(
    ("sigma", "angle", "shift"), [((1.5, 1.5), 0, 0), ((3.0, 0.8), 0.7, 0), ((1.1, 2.2), -2, -1.5)]
)
def test_gaussian_equals_scipy(sigma: tuple[float, float], angle: float, shift: float) -> None:
    points = np.stack(grid(), -1)
    density = scipy.stats.multivariate_normal((shift, shift), covariance(sigma, angle)).pdf(points)
    kernel = drawn(Kernel("gaussian", SIZE, sigma, angle, shift=shift))
    np.testing.assert_allclose(kernel, density / density.sum(), atol=1e-7)


@pytest.mark.parametrize("shape", ["generalised", "plateau"])
@pytest.mark.parametrize("power", [0.5, 1.0, 3.0])
def test_generalised_and_plateau_follow_the_paper(shape: Shape, power: float) -> None:
    sigma, angle = (2.0, 1.0), 0.4
    points = np.stack(grid(), -1)
    inverse = np.linalg.inv(covariance(sigma, angle))
    q = np.einsum("yxi,ij,yxj->yx", points, inverse, points)
    expected = np.exp(-0.5 * q**power) if shape == "generalised" else 1 / (q**power + 1)
    kernel = drawn(Kernel(shape, SIZE, sigma, angle, power=power))
    np.testing.assert_allclose(kernel, expected / expected.sum(), atol=1e-7)


@pytest.mark.parametrize("cutoff", [math.pi / 5, math.pi / 3, math.pi])
def test_sinc_equals_the_bessel_function_of_scipy(cutoff: float) -> None:
    radius = np.hypot(*grid())
    radius[SIZE // 2, SIZE // 2] = 1e-9
    expected = cutoff * scipy.special.j1(cutoff * radius) / (2 * math.pi * radius)
    kernel = drawn(Kernel("sinc", SIZE, cutoff=cutoff))
    np.testing.assert_allclose(kernel, expected / expected.sum(), atol=1e-7)


def test_a_large_sinc_passes_frequencies_below_its_cutoff() -> None:
    kernel = drawn(Kernel("sinc", 151, cutoff=1.0))
    response = np.abs(np.fft.fft2(kernel))[0]
    frequencies = 2 * math.pi * np.arange(151) / 151
    assert np.abs(response[frequencies < 0.9] - 1).max() < 0.1
    assert response[(frequencies > 1.1) & (frequencies < math.pi)].max() < 0.1


@pytest.mark.parametrize(("length", "angle"), [(0.0, 0.0), (6.0, 0.0), (7.3, 0.6), (9.0, 2.5)])
def test_line_is_the_mean_of_shifted_points(length: float, angle: float) -> None:
    point = np.zeros((SIZE, SIZE))
    point[SIZE // 2, SIZE // 2] = 1
    steps = (np.arange(2000) + 0.5) / 2000 - 0.5
    moved = [
        scipy.ndimage.shift(
            point, length * t * np.array([math.sin(angle), math.cos(angle)]), order=1
        )
        for t in steps
    ]
    kernel = drawn(Kernel("line", SIZE, length=length, angle=angle))
    np.testing.assert_allclose(kernel, np.mean(moved, 0), atol=2e-4)


def test_smaller_kernels_are_centred_in_the_largest() -> None:
    small, large = Kernel("gaussian", 7, (2.0, 2.0)), Kernel("sinc", 11, cutoff=1.2)
    both = draw_kernels([small, large]).numpy()
    assert both.shape == (2, 11, 11)
    np.testing.assert_array_equal(both[0, 2:-2, 2:-2], drawn(small))
    assert np.count_nonzero(both[0]) == 49
    np.testing.assert_allclose(both.sum((1, 2)), 1, atol=1e-6)


def test_zero_width_does_not_blur() -> None:
    kernel = drawn(Kernel("gaussian", 7, (0.0, 0.0)))
    assert kernel[3, 3] == 1
    assert kernel.sum() == 1
