"""The PSF measured from the stars of a frame that GalSim draws."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import galsim
import numpy as np
import pytest
from astropy.io import fits
from numpy.typing import NDArray
from pydantic import TypeAdapter
from srkit_astro.instruments.measured_psf import MeasuredPsf, measure_psf, psf_figure
from srkit_astro.instruments.psf import Psf, half_width, kernels

from srkit.errors import DataError

PSF: TypeAdapter[Any] = TypeAdapter(Psf)
SIDE = 420
STARS, GALAXIES = 35, 12


def profile(fwhm: float) -> galsim.GSObject:
    return galsim.Moffat(fwhm=fwhm, beta=3).shear(g1=0.05, g2=0.02)


def draw(
    fwhm: float, stars: int = STARS, galaxies: int = GALAXIES, pixel: float = 1.0
) -> NDArray[np.float64]:
    """Draw stars and galaxies at random positions, with a sky of 20 and noise of 1."""
    rng = np.random.default_rng(int(10 * fwhm))
    image = galsim.ImageD(SIDE, SIDE, scale=pixel)
    for index in range(stars + galaxies):
        source = profile(fwhm)
        if index >= stars:
            shape = galsim.Exponential(half_light_radius=rng.uniform(1, 5))
            source = galsim.Convolve(source, shape.shear(g1=0.2 * rng.standard_normal()))
        x, y = rng.uniform(2, SIDE - 1, 2)
        stamp = galsim.BoundsI(int(x) - 30, int(x) + 30, int(y) - 30, int(y) + 30) & image.bounds
        part = galsim.ImageD(stamp, scale=1.0)
        source.withFlux(np.exp(rng.uniform(8.5, 11.5))).drawImage(
            part, center=galsim.PositionD(x, y)
        )
        image[stamp] += galsim.ImageD(part.array, scale=pixel, xmin=stamp.xmin, ymin=stamp.ymin)
    return image.array + 20 + rng.normal(0, 1, (SIDE, SIDE))


def expected(fwhm: float, measured: MeasuredPsf, pixel: float) -> NDArray[np.float64]:
    """Draw the PSF, averaged over a pixel, on the grid of the measured one."""
    side, finer = len(measured.image), measured.oversampling
    blurred = galsim.Convolve(profile(fwhm), galsim.Pixel(pixel))
    image = blurred.drawImage(nx=side, ny=side, scale=1 / finer, method="no_pixel").array
    return image / image.sum()


@pytest.fixture(scope="module", params=[2.2, 4.0])
def frame(request: pytest.FixtureRequest) -> tuple[float, NDArray[np.float64]]:
    return request.param, draw(request.param)


def test_the_psf_is_that_of_the_stars(frame: tuple[float, NDArray[np.float64]]) -> None:
    fwhm, values = frame
    measured = measure_psf(values)
    count = len(measured.stars)
    assert 8 <= count <= STARS
    # With the pixel as in the frame, and without it: then with that of the finer grid only.
    for found, pixel in ((measured.observed, 1.0), (measured.image, 1 / measured.oversampling)):
        true = expected(fwhm, measured, pixel)
        assert np.sqrt(((found - true) ** 2).mean()) < 0.003 * true.max()
        assert abs(found - true).max() < 0.08 * true.max()
        ours, theirs = (galsim.hsm.FindAdaptiveMom(galsim.ImageD(each)) for each in (found, true))
        assert ours.moments_sigma == pytest.approx(theirs.moments_sigma, rel=0.01)
        middle = len(found) // 2 + 1  # GalSim counts from 1
        assert abs(ours.moments_centroid.x - middle) < 0.02 * measured.oversampling
        assert abs(ours.moments_centroid.y - middle) < 0.02 * measured.oversampling
        assert ours.observed_e1 == pytest.approx(theirs.observed_e1, abs=0.01)
    ideal = galsim.hsm.FindAdaptiveMom(galsim.ImageD(expected(fwhm, measured, 1.0)))
    assert measured.ellipticity == pytest.approx(
        np.hypot(ideal.observed_e1, ideal.observed_e2), abs=0.01
    )
    assert measured.angle == pytest.approx(np.degrees(np.arctan2(0.02, 0.05)) / 2, abs=4)
    true_fwhm = galsim.Convolve(profile(fwhm), galsim.Pixel(1)).drawImage(
        nx=201, ny=201, scale=0.1, method="no_pixel"
    )
    area = (true_fwhm.array > true_fwhm.array.max() / 2).sum() * 0.01
    assert measured.fwhm == pytest.approx(2 * np.sqrt(area / np.pi), rel=0.02)


def test_bad_pixels_and_saturated_stars_do_not_matter() -> None:
    values = draw(4.0)
    whole = measure_psf(values)
    bright = whole.stars[0]
    clipped = np.minimum(values, values[round(bright.y), round(bright.x)] / 2)
    clipped[200:203] = np.nan
    bad = np.zeros(values.shape, bool)
    bad[:, 100:102] = True
    clipped[bad] = 1e7
    found = measure_psf(clipped, bad)
    apart = [np.hypot(each.x - bright.x, each.y - bright.y) for each in found.stars]
    assert min(apart) > 1, "a saturated star is used"
    assert len(found.stars) >= 5
    assert abs(found.image - whole.image).max() < 0.03 * whole.image.max()


def test_the_unit_does_not_matter() -> None:
    values = draw(4.0)
    counts, jansky = measure_psf(values), measure_psf(1e-12 * values)
    assert np.allclose(jansky.image, counts.image, rtol=0, atol=1e-4 * counts.image.max())


def test_too_few_stars_are_an_error_that_says_what_to_do() -> None:
    with pytest.raises(DataError) as caught:
        measure_psf(draw(4.0), fewest=100)
    assert str(caught.value).endswith(
        "a PSF needs 100; use a larger frame or one of longer exposure, or state the PSF by its "
        "FWHM or an image"
    )
    assert "usable stars among" in str(caught.value)
    with pytest.raises(DataError, match="0 usable stars among 0 sources; a PSF needs 5; use"):
        measure_psf(np.random.default_rng(0).normal(size=(100, 100)))
    with pytest.raises(DataError, match="no pixel has a valid value"):
        measure_psf(np.full((50, 50), np.nan))


def test_galaxies_alone_have_no_psf() -> None:
    with pytest.raises(DataError, match=r"0 usable stars .* others, too few of one size"):
        measure_psf(draw(3.0, stars=0, galaxies=60))


def test_a_recipe_takes_the_psf_of_a_frame(tmp_path: Path) -> None:
    # Stars of 4 pixels of 0.17 arcsec, as a kernel on HR pixels of half that side.
    header = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN"})
    header["CDELT1"], header["CDELT2"] = -0.17 / 3600, 0.17 / 3600
    header["SATURATE"] = 1e9
    file = tmp_path / "frame.fits"
    fits.PrimaryHDU(draw(4.0), header).writeto(file)
    psf = PSF.validate_python({"type": "stars", "file": str(file)})
    kernel = kernels(psf, 0.085, half_width(psf, 0.085))[0].numpy()
    drawn = profile(8.0).drawImage(nx=len(kernel), ny=len(kernel), scale=1.0, dtype=float).array
    assert abs(kernel - drawn / drawn.sum()).max() < 0.02 * kernel.max()
    assert len(psf_figure(psf.measured).axes) == 3
    alike = PSF.validate_python({"type": "stars", "file": str(file)})
    assert alike.measured is psf.measured  # measured once
    missing = PSF.validate_python({"type": "stars", "file": str(tmp_path / "none.fits")})
    with pytest.raises(DataError, match=r"none\.fits: no such file"):
        half_width(missing, 0.1)
