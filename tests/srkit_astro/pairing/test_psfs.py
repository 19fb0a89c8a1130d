"""PSFs of the images of `srkit data pair`, measured and written for recipes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import galsim
import numpy as np
import pytest
from astropy.io import fits
from mosaics_setup import HSC_SCALE, write_catalogue, write_hsc, write_hst
from pydantic import TypeAdapter
from srkit_astro.instruments.psf import Psf, half_width, kernels
from srkit_astro.pairing.pair import pair
from srkit_astro.pairing.psfs import measure_psfs, write_psfs
from srkit_astro.pairing.sky_images import SkyImage, read_sky_image

FWHM = 0.7


def starry(folder: Path) -> SkyImage:
    """Replace the sources of an HSC image by 9 stars."""
    rng = np.random.default_rng(3)
    image = read_sky_image(write_hsc(folder / "hsc.fits"), None, "")
    canvas = galsim.ImageD(160, 160, scale=HSC_SCALE)
    for row in range(3):
        for column in range(3):
            x, y = 30 + 50 * np.array([column, row]) + rng.uniform(-2, 2, 2)
            star = galsim.Moffat(fwhm=FWHM, beta=3, flux=rng.uniform(1000, 4000))
            star.drawImage(canvas, center=galsim.PositionD(x, y), add_to_image=True)
    return replace(image, values=canvas.array + 0.02 * rng.standard_normal((160, 160)))


def test_recipes_take_the_psfs_that_are_written(tmp_path: Path) -> None:
    image = starry(tmp_path)
    image.bad[:] = False
    for side, pixel in (("lr", None), ("hr", HSC_SCALE)):
        (found, again) = measure_psfs([image, image], side)
        assert (found.name, again.name) == ("hsc", "hsc-2")
        write_psfs([found], tmp_path)
        # HR contains the pixel of its image already, LR does not.
        profile = galsim.Moffat(fwhm=FWHM, beta=3)
        true = profile if pixel is None else galsim.Convolve(profile, galsim.Pixel(pixel))
        psf: Any = TypeAdapter(Psf).validate_python(
            {"type": "image", "file": str(tmp_path / f"psf/{side}/hsc.fits")}
        )
        kernel = kernels(psf, 0.084, half_width(psf, 0.084))[0].numpy()
        true = galsim.Convolve(true, galsim.Pixel(0.084))
        size = {"nx": len(kernel), "ny": len(kernel), "scale": 0.084}
        drawn = true.drawImage(**size, method="no_pixel", dtype=float).array
        assert abs(kernel - drawn / drawn.sum()).max() < 0.03 * kernel.max()
        with fits.open(tmp_path / f"psf/{side}/hsc.fits") as hdus:
            header = hdus[0].header
        blurred = galsim.Convolve(profile, galsim.Pixel(HSC_SCALE))
        assert header["FWHM"] == pytest.approx(blurred.calculateFWHM(), rel=0.02)
        assert header["NSTARS"] == 9


def test_without_stars_the_report_says_why(tmp_path: Path) -> None:
    pair(
        hsc=[write_hsc(tmp_path / "hsc.fits")],
        hst=[write_hst(tmp_path / "hst.fits")],
        catalogue=write_catalogue(tmp_path / "places.csv", [(0.0, 0.0)]),
        out=tmp_path / "out",
        size=32,
    )
    page = " ".join((tmp_path / "out/report.html").read_text().split())
    assert "usable stars among" in page
    assert not (tmp_path / "out/psf/hr").exists()
    header = fits.getheader(tmp_path / "out/hr/at0.fits")
    assert "PSF of hst.fits: not measured" in str(header["HISTORY"])
