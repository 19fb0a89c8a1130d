"""CCDData is super-resolved like the same image in a FITS file."""

from __future__ import annotations

from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty
from astropy.wcs import WCS
from upscale_setup import upscale_file

import srkit
from srkit.components.registry import Registry
from srkit.errors import DataError
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


@pytest.mark.parametrize(
    ("text", "unit"),
    [("COUNTS/SEC", u.ct / u.s), ("JY/BEAM", u.Jy / u.beam), ("ADU/S", u.adu / u.s)],
)
def test_units_in_capitals_are_understood(
    tmp_path: Path, model: Model, text: str, unit: u.UnitBase
) -> None:
    fits.PrimaryHDU(np.ones((8, 8)), fits.Header({"BUNIT": text})).writeto(tmp_path / "a.fits")
    found = srkit.upscale(tmp_path / "a.fits", "nearest", scale=2)
    assert (1 * found.unit).to_value(unit) == pytest.approx(1)
    assert found.meta["BUNIT"] == text
    assert found.data.sum() == pytest.approx(256 if "BEAM" in text else 64)


def test_a_unit_that_is_not_understood_keeps_its_name(tmp_path: Path) -> None:
    header = fits.Header({"BUNIT": "lumps"})
    fits.PrimaryHDU(np.ones((8, 8)), header).writeto(tmp_path / "a.fits")
    with pytest.warns(UserWarning, match=r"a\.fits: the unit 'lumps' is unknown; "):
        found = srkit.upscale(tmp_path / "a.fits", "nearest", scale=2)
    assert str(found.unit) == "lumps"
    np.testing.assert_array_equal(found.data, 1)


def test_errors_name_the_file(tmp_path: Path, model: Model) -> None:
    good, bad = tmp_path / "a.fits", tmp_path / "b.fits"
    _frame().write(good)
    header = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "RA---TAN"})
    fits.PrimaryHDU(np.ones((16, 20)), header).writeto(bad)
    with pytest.raises(DataError, match="the WCS cannot be read") as caught:
        srkit.upscale([good, bad], model)
    assert str(caught.value).startswith(f"{bad}: ")


def test_blanks_and_tables_of_the_wcs(tmp_path: Path) -> None:
    header = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 9.0, "CRPIX2": 7.0})
    header.update(CDELT1=-1e-4, CDELT2=1e-4, CPDIS1="LOOKUP", CPDIS2="LOOKUP", BUNIT="adu")
    for key in ("DP1", "DP2"):
        for field, value in (("EXTVER", 1), ("NAXES", 2), ("AXIS.1", 1), ("AXIS.2", 2)):
            header[key] = f"{field}: {value:.1f}"
    offsets = np.random.default_rng(0).normal(0, 0.5, (5, 5)).astype(np.float32)
    table = fits.ImageHDU(offsets, name="WCSDVARR")
    table.header.update(CRPIX1=1.0, CRPIX2=1.0, CRVAL1=1.0, CRVAL2=1.0, CDELT1=4.0, CDELT2=4.0)
    values = np.arange(16 * 20, dtype=np.uint16).reshape(16, 20)
    image = fits.PrimaryHDU(values, header)
    image.header["BLANK"] = -32768
    fits.HDUList([image, table]).writeto(tmp_path / "a.fits")
    found = srkit.upscale(tmp_path / "a.fits", "nearest", scale=2)
    assert np.isnan(found.data[:2, :2]).all()
    assert found.data[2:].sum() == pytest.approx(values[1:].sum())
    with fits.open(tmp_path / "a.fits") as hdus:
        wcs = WCS(header, hdus)
    before, plain = wcs.all_pix2world(7.3, 5.1, 0), wcs.wcs_pix2world(7.3, 5.1, 0)
    assert abs(before[0] - plain[0]) > 1e-6
    np.testing.assert_allclose(found.wcs.all_pix2world(15.1, 10.7, 0), before, atol=1e-10)
    again = srkit.upscale(found, "nearest", scale=2)
    np.testing.assert_allclose(again.wcs.all_pix2world(30.7, 21.9, 0), before, atol=1e-10)
