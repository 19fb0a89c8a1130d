"""CCDData is super-resolved like the same image in a FITS file."""

from __future__ import annotations

from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import CCDData, StdDevUncertainty
from astropy.wcs import WCS
from upscale_setup import upscale_file

import srkit
from srkit.components.registry import Registry
from srkit.images.formats import Formats
from srkit.models.open import Model, fresh_model
from srkit.upscaling.upscaler import ImageUpscaler


@pytest.fixture(scope="module")
def model() -> Model:
    return fresh_model("edsr", Registry.discover(), ["blocks=1", "features=4"], scale=2, channels=1)


def _frame(unit: u.UnitBase = u.adu) -> CCDData:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = (150, 2), (10, 8), (-5e-5, 5e-5)
    values = np.random.default_rng(0).normal(100, 10, (16, 20))
    mask = values > 115
    noise = StdDevUncertainty(np.full(values.shape, 10.0))
    return CCDData(values, unit=unit, wcs=wcs, mask=mask, uncertainty=noise, meta={"OBSERVER": "A"})


@pytest.mark.parametrize("unit", [u.adu, u.nJy, u.dimensionless_unscaled])
def test_the_result_equals_that_of_a_file(
    tmp_path: Path, formats: Formats, model: Model, unit: u.UnitBase
) -> None:
    frame = _frame(unit)
    found = srkit.upscale(frame, model)
    frame.write(tmp_path / "a.fits")
    upscale_file(tmp_path / "a.fits", tmp_path / "b.fits", ImageUpscaler(model), formats)
    expected = formats.read(tmp_path / "b.fits")
    assert isinstance(found, CCDData)
    assert found.unit == unit
    np.testing.assert_array_equal(found.data, expected.pixels[0])
    np.testing.assert_array_equal(found.mask, frame.mask.repeat(2, 0).repeat(2, 1))
    assert found.uncertainty is None  # the noise of SR is not that of LR
    assert found.meta["OBSERVER"] == "A"
    for x, y in ((0.0, 0.0), (12.3, 7.7)):
        sky = frame.wcs.pixel_to_world(x, y)
        again = found.wcs.pixel_to_world((x + 0.5) * 2 - 0.5, (y + 0.5) * 2 - 0.5)
        assert sky.separation(again).arcsec < 1e-6


def test_uncertainty_is_a_variance(model: Model) -> None:
    found = srkit.upscale([_frame(), _frame()], model, uncertainty=True)
    for each in found:
        assert each.uncertainty.uncertainty_type == "var"
        assert each.uncertainty.array.shape == (32, 40)


def test_the_path_of_a_fits_file_gives_ccd_data(tmp_path: Path, model: Model) -> None:
    _frame().write(tmp_path / "a.fits")
    found = srkit.upscale(tmp_path / "a.fits", model)
    assert (found.shape, found.unit) == ((32, 40), u.adu)
