from __future__ import annotations

import numpy as np
import pytest
from mosaics_setup import HSC_PSF, HSC_SCALE, HST_PSF, render, sky_wcs
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from srkit_astro.pairing.registration import (
    FIRST_SHAPE,
    Kernel,
    RegisteredPair,
    _Model,
    fit_kernel,
    register,
)

Plane = NDArray[np.float64]


@pytest.mark.parametrize(("dy", "dx"), [(0.0, 0.0), (0.31, -0.42), (-3.3, 2.6)])
def test_offset_ratio_and_sky_are_recovered(dy: float, dx: float) -> None:
    grid = sky_wcs(64, HSC_SCALE / 2, 0.0)
    hr = render(grid, HSC_SCALE / 2, 27.0, HST_PSF)
    lr_wcs = sky_wcs(32, HSC_SCALE, 0.0)
    lr_wcs.wcs.crpix = (grid.wcs.crpix - 0.5) / 2 + 0.5 + np.array([dx, dy])
    lr = 1.5 * render(lr_wcs, HSC_SCALE, 27.0, HSC_PSF) + 0.3
    found = register(lr, hr, 2, weight=np.full(lr.shape, 50.0), search=6)
    assert found is not None
    assert (found.dy, found.dx) == pytest.approx((dy, dx), abs=0.02)
    assert found.ratio == pytest.approx(1.5, rel=0.01)
    assert found.sky == pytest.approx(0.3, abs=0.05)


def observed(
    sources: list[tuple[float, ...]], psf: list[tuple[float, float]], y0=0.0, x0=0.0
) -> Plane:
    """Render round Gaussians (flux, row, column, sigma) in 64 x 64 HR pixels."""
    y, x = np.mgrid[:64, :64]
    image = np.zeros((64, 64))
    for flux, row, column, size in sources:
        for share, sigma in psf:
            whole = size**2 + sigma**2
            radius2 = (y - row - y0) ** 2 + (x - column - x0) ** 2
            image += flux * share / (2 * np.pi * whole) * np.exp(-radius2 / 2 / whole)
    return image


def noise(rng: np.random.Generator, side: int, sigma: float, correlated: float) -> Plane:
    field = gaussian_filter(rng.normal(size=(side, side)), correlated, mode="wrap")
    return sigma * field / field.std()


@pytest.mark.slow
def test_errors_are_the_scatter_of_pairs_with_correlated_noise() -> None:
    """Noise of neighbouring LR pixels is correlated, HR has noise, and LR has wings."""
    rng, scene = np.random.default_rng(3), []
    for _ in range(28):
        sources = [(40.0, *rng.uniform(30, 33, 2), 1.5)]
        sources += [(*rng.uniform((1, 12, 12, 0.5), (20, 51, 51, 2.5)),) for _ in range(5)]
        ratio, (dy, dx) = rng.uniform(0.9, 1.1), rng.uniform(-0.3, 0.3, 2)
        sigma = 40 * np.exp(rng.uniform(-7.5, -6))
        hr = observed(sources, [(1.0, 0.9)])
        lr = ratio * observed(sources, [(0.8, 3.2), (0.2, 6.0)], 2 * dy, 2 * dx)
        lr = lr.reshape(32, 2, 32, 2).sum((1, 3)) + noise(rng, 32, sigma, 0.8)
        hr = hr + noise(rng, 64, sigma / 3, 0.6)
        weight = np.full(lr.shape, 1 / sigma)
        found = register(lr, hr, 2, weight=weight, search=4)
        assert found is not None
        scene.append((lr, hr, weight, found, (dy, dx, ratio)))
    scene.sort(key=lambda each: each[3].error)
    brightest = [RegisteredPair(*each[:3], None, each[3]) for each in scene[:16]]
    kernel = fit_kernel(brightest, 2)
    offsets, ratios = [], []
    for lr, hr, weight, _, (dy, dx, ratio) in scene:
        fit = register(lr, hr, 2, weight=weight, search=4, kernel=kernel)
        assert fit is not None
        offsets += [(fit.dy - dy) / fit.error, (fit.dx - dx) / fit.error]
        ratios.append((fit.ratio - ratio) / fit.ratio_error)
    assert abs(np.median(ratios)) < 0.7
    scatter = 1.4826 * np.median(np.abs(ratios - np.median(ratios)))
    assert scatter == pytest.approx(1, abs=0.4)
    assert 1.4826 * np.median(np.abs(offsets)) == pytest.approx(1, abs=0.35)


def test_the_model_and_its_transpose() -> None:
    rng = np.random.default_rng(1)
    hr, lr = rng.normal(size=(24, 32)), rng.normal(size=(12, 16))
    place = (0.3, -0.7, *FIRST_SHAPE[:2], 0.2, 1.6)
    model = _Model(hr, 2)
    there, back = (model(*place) * lr).sum(), (hr * model.transpose(lr, *place)).sum()
    assert there == pytest.approx(back, rel=1e-9)


def test_errors_contain_the_photon_noise_of_hr() -> None:
    """It is concentrated in the source, where the fitted flux absorbs it from the residuals."""
    rng = np.random.default_rng(2)
    true = observed([(40.0, 31.5, 31.5, 1.5)], [(1.0, 0.9)])
    lr = observed([(40.0, 31.5, 31.5, 1.5)], [(1.0, 3.2)]).reshape(32, 2, 32, 2).sum((1, 3))
    width = 2.3548 * np.sqrt(3.2**2 - 0.9**2) / 2  # of the Gaussian that blurs HR, in LR pixels
    kernel = Kernel(np.array([width, 0.004, 0.0, 1.7]), np.zeros((4, 4)))
    gain, sigma = 250.0, 0.002
    ratios, errors, without = [], [], []
    for _ in range(40):
        hr = rng.poisson(gain * true) / gain
        noisy = lr + rng.normal(0, sigma, lr.shape)
        weight = np.full(lr.shape, 1 / sigma)
        for photons, found in ((hr / gain, errors), (None, without)):
            fit = register(noisy, hr, 2, weight=weight, search=4, kernel=kernel, photons=photons)
            assert fit is not None
            found.append(fit.ratio_error)
        ratios.append(fit.ratio)
    # The Poisson noise of 10,000 electrons, and a little of LR.
    assert np.std(ratios) == pytest.approx(0.01, rel=0.3)
    assert np.median(errors) == pytest.approx(0.01, rel=0.2)
    assert np.median(without) < 0.006
