"""PSFs as they are given to `srkit upscale --check --psf`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from astropy.io import fits
from scipy.ndimage import gaussian_filter
from srkit_astro.instruments.forward_model import ForwardModel
from srkit_astro.instruments.given_psf import observation
from srkit_astro.instruments.psf import GaussianPsf
from srkit_astro.observed_fits import ObservedFits

from srkit.errors import DataError
from srkit.interfaces import Image

SKY = torch.rand((1, 1, 40, 40), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
PATH = Path("a.fits")


def _frame(pixel_scale: float | None = 0.2) -> Image:
    known = {} if pixel_scale is None else {"pixel_scale": pixel_scale}
    return Image(torch.zeros(1, 20, 20), metadata=known)


def _expected(fwhm: float) -> torch.Tensor:
    return ForwardModel(GaussianPsf(type="gaussian", fwhm=fwhm), None)(SKY, 2, 0.1)


@pytest.mark.parametrize("text", ["0.7", "0.7arcsec", '0.7"', "3.5px", "3.5 pix", "7e-1"])
def test_a_width(text: str) -> None:
    found = observation(_frame(), PATH, text, None)
    assert found.name == "gaussian PSF (fwhm 0.7)"
    torch.testing.assert_close(found(SKY, 2, 0.1), _expected(0.7))


def test_pixels_need_no_pixel_scale() -> None:
    found = observation(_frame(None), PATH, "3.5px", None)
    torch.testing.assert_close(found(SKY, 2, None), _expected(0.7))
    message = r"^a.fits: its pixel scale is unknown; give --psf in LR pixels, such as 3.5px$"
    with pytest.raises(DataError, match=message):
        observation(_frame(None), PATH, "3.5", None)


def test_a_psf_as_in_recipes() -> None:
    found = observation(_frame(), PATH, "{type: gaussian, fwhm: 0.7}", None)
    torch.testing.assert_close(found(SKY, 2, 0.1), _expected(0.7))


@pytest.mark.parametrize("stated", [None, 0.05])
def test_an_image(tmp_path: Path, stated: float | None) -> None:
    """Its pixels are those of LR, unless its header states another scale."""
    side = 0.2 if stated is None else stated
    point = np.zeros((101, 101))
    point[50, 50] = 1
    sigma = 1.2 / side / np.sqrt(8 * np.log(2))
    cards = {} if stated is None else {"PIXELSCL": stated}
    fits.writeto(tmp_path / "psf.fits", gaussian_filter(point, sigma), fits.Header(cards))
    found = observation(_frame(), PATH, str(tmp_path / "psf.fits"), None)
    # A pixel of the image is a square, over which the filter of SciPy does not average.
    torch.testing.assert_close(found(SKY, 2, 0.1), _expected(1.2), atol=3e-3, rtol=0)


def test_stars_of_the_frame(tmp_path: Path) -> None:
    y, x = np.mgrid[:200, :200]
    frame = np.random.default_rng(0).normal(0, 1, (200, 200))
    for column in range(20, 200, 40):
        for row in range(20, 200, 40):
            radius2 = (y - row - 0.3) ** 2 + (x - column + 0.2) ** 2
            frame += 3000 * np.exp(-radius2 / (2 * 1.7**2))
    blank = fits.ImageHDU(np.zeros((200, 200), np.float32), name="SCI")
    stars = fits.ImageHDU(frame.astype(np.float32), name="SCI", ver=2)
    fits.HDUList([fits.PrimaryHDU(), blank, stars]).writeto(tmp_path / "a.fits")
    chosen = ObservedFits().select("SCI,2")
    assert isinstance(chosen, ObservedFits)
    found = chosen.observation(_frame(None), tmp_path / "a.fits", "stars", None)
    # The PSF and a pixel together have a sigma of 1.7 pixels.
    width = np.sqrt(1.7**2 - 1 / 12) * np.sqrt(8 * np.log(2))
    expected = observation(_frame(None), PATH, f"{width}px", None)
    torch.testing.assert_close(found(SKY, 2, None), expected(SKY, 2, None), atol=0.01, rtol=0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("psf.fits", "no such file; expected the FWHM of a Gaussian in arcsec (0.6) or LR pixels"),
        ("wide", "no such file; expected the FWHM"),
        ("{type: moffat, fwhm: 0.6}", "beta: Field required; expected the FWHM"),
        ("{type: disc}", "a PSF whose type is one of gaussian"),
        ("{type: [", "not valid YAML; expected the FWHM"),
        ("{type: gaussian, fwhm: [0.5, 0.6]}", "got a range; expected a PSF with fixed parameters"),
        ("0", "fwhm: "),
    ],
)
def test_what_is_not_a_psf(text: str, message: str) -> None:
    with pytest.raises(DataError) as raised:
        observation(_frame(), PATH, text, None)
    assert str(raised.value).startswith(f"--psf {text}: ")
    assert message in str(raised.value)
