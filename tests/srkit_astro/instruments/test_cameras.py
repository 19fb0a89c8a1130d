"""PSFs and noise of cameras."""

from __future__ import annotations

import math

import numpy as np
import pytest
from astropy.convolution import convolve_fft
from astropy.modeling.models import Moffat2D
from srkit_astro.instruments.cameras import AcsF814W, Camera, HscI, flux_of


def psf(camera: Camera, count: int, pixel: float) -> np.ndarray:
    """Return the image of a star of flux 1 at the centre of an odd frame."""
    star = np.zeros((count, count))
    star[count // 2, count // 2] = 1
    return camera.blur(star, pixel)


@pytest.mark.parametrize("camera", [AcsF814W(), HscI(), HscI(fwhm=0.9, beta=4.7)])
def test_psf_is_a_moffat_function(camera: Camera) -> None:
    count, pixel = 801, camera.fwhm / 12
    found = psf(camera, count, pixel)
    gamma = camera.fwhm / 2 / math.sqrt(2 ** (1 / camera.beta) - 1) / pixel
    middle = count // 2
    moffat = Moffat2D(1.0, middle, middle, gamma, camera.beta)
    y, x = np.indices(found.shape)
    expected = moffat(x, y) * (camera.beta - 1) / (math.pi * gamma**2)
    # Since the blur is periodic, the wings of beta = 2 wrap around.
    np.testing.assert_allclose(found, expected, atol=3e-4 * expected.max())


@pytest.mark.parametrize("camera", [AcsF814W(), HscI()])
def test_psf_has_the_given_fwhm(camera: Camera) -> None:
    pixel = camera.fwhm / 40
    profile = psf(camera, 601, pixel)[300, 300:]
    half = np.interp(-profile[0] / 2, -profile, np.arange(301)) * pixel
    assert 2 * half == pytest.approx(camera.fwhm, rel=2e-3)


def test_blur_agrees_with_astropy() -> None:
    camera = HscI()
    image = np.random.default_rng(0).random((65, 65))
    kernel = psf(camera, 65, 0.1)
    expected = convolve_fft(image, kernel, boundary="wrap", normalize_kernel=False)
    np.testing.assert_allclose(camera.blur(image, 0.1), expected, atol=1e-9)


@pytest.mark.parametrize("count", [64, 65])
@pytest.mark.parametrize("camera", [AcsF814W(), HscI()])
def test_blur_conserves_the_flux(camera: Camera, count: int) -> None:
    image = np.random.default_rng(0).random((count, count))
    assert camera.blur(image, 0.084).sum() == pytest.approx(image.sum(), rel=1e-12)


def test_noise_agrees_with_the_formula() -> None:
    camera = HscI(exposure=300, frames=3, sky=21.0, read_noise=20)
    pixel, flux = 0.2, 1.5
    gain = 300 * 10 ** (0.4 * (28.5 - 27.0))  # electrons per count / s
    sky = 10 ** (0.4 * (27.0 - 21.0)) * 0.2**2
    read = 3 * 20**2 * (0.2 / 0.17) ** 2  # electrons squared, for the area of a pixel
    expected = ((flux + sky) * gain + read) / gain**2
    shape = (400, 400)
    image, variance = camera.expose(np.full(shape, flux), pixel, np.random.default_rng(1))
    np.testing.assert_allclose(variance, expected, rtol=1e-12)
    assert image.mean() == pytest.approx(flux, abs=4 * math.sqrt(expected) / 400)
    assert image.var() == pytest.approx(expected, rel=4 * math.sqrt(2) / 400)


def test_sky_noise_is_symmetric_about_zero() -> None:
    image, _ = HscI().expose(np.zeros((50, 50)), 0.168, np.random.default_rng(0))
    assert 0.4 < (image < 0).mean() < 0.6


def test_depth_of_hsc_wide() -> None:
    camera = HscI()
    star = psf(camera, 65, camera.pixel)
    _, variance = camera.expose(np.zeros((1, 1)), camera.pixel, np.random.default_rng(0))
    limit = 5 * math.sqrt(variance.item() / (star**2).sum())  # with optimal weights
    assert 27 - 2.5 * math.log10(limit) == pytest.approx(26.2, abs=0.1)


def test_depth_of_acs() -> None:
    """The documented depths: of the noise, and of a star, part of which lies outside."""
    camera = AcsF814W()
    side = math.sqrt(math.pi * 0.12**2)  # a pixel with the area of the aperture
    _, variance = camera.expose(np.zeros((1, 1)), side, np.random.default_rng(0))
    limit = 5 * math.sqrt(variance.item())
    assert 27 - 2.5 * math.log10(limit) == pytest.approx(27.8, abs=0.1)
    star = psf(camera, 401, 0.01)
    y, x = np.indices(star.shape) - 200
    assert star[np.hypot(x, y) <= 10].sum() == pytest.approx(0.62, abs=0.01)
    inside = star[np.hypot(x, y) <= 12].sum()
    assert 27 - 2.5 * math.log10(limit / inside) == pytest.approx(27.5, abs=0.05)


def test_throughput_of_hsc() -> None:
    """Photons of a source of magnitude 0 on an 8.2 m mirror, from 0.695 to 0.845 um."""
    photons = 3631e-26 / 6.626e-34 * math.log(0.845 / 0.695) * math.pi * 4.1**2
    assert 10 ** (0.4 * HscI().zero_point) / photons == pytest.approx(0.45, abs=0.02)


def test_zero_point() -> None:
    assert flux_of(27.0) == 1
    assert flux_of(22.0) == pytest.approx(100)
