"""Objects of astropy are super-resolved like the same image in a FITS file."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import (
    CCDData,
    Cutout2D,
    InverseVariance,
    NDData,
    NDDataRef,
    StdDevUncertainty,
    UnknownUncertainty,
)
from astropy.utils.masked import Masked
from astropy.wcs import WCS
from scipy.ndimage import maximum_filter
from srkit_astro.files.objects import image_of
from upscale_setup import upscale_file

import srkit
from srkit.assembly.variance_head import VarianceHead
from srkit.components.registry import Registry
from srkit.errors import DataError
from srkit.images.formats import Formats
from srkit.models.open import Model, fresh_model
from srkit.upscaling.upscaler import ImageUpscaler

LOST = "the variance of LR does not apply to SR and is left out"


@pytest.fixture(scope="module")
def plain() -> Model:
    return fresh_model("edsr", Registry.discover(), ["blocks=1", "features=4"], scale=2, channels=1)


@pytest.fixture(scope="module")
def model(plain: Model) -> Model:
    """A model that predicts the variance."""
    return replace(plain, head=VarianceHead(channels=1, features=4))


def _grown(mask: Any, upscaler: ImageUpscaler) -> Any:
    """Enlarge a mask after growing it by what SR mainly depends on."""
    side = 2 * upscaler.network.core_radius + 1
    assert side > 1
    return maximum_filter(mask, side).repeat(2, 0).repeat(2, 1)


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
    with pytest.warns(UserWarning, match=LOST):
        found = srkit.upscale(frame, model)
    frame.write(tmp_path / "a.fits")
    upscale_file(tmp_path / "a.fits", tmp_path / "b.fits", ImageUpscaler(model), formats)
    expected = formats.read(tmp_path / "b.fits")
    assert isinstance(found, CCDData)
    assert found.unit == unit
    np.testing.assert_array_equal(found.data, expected.pixels[0])
    np.testing.assert_array_equal(found.mask, _grown(frame.mask, ImageUpscaler(model)))
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


def test_a_spread_is_no_uncertainty(plain: Model, tmp_path: Path) -> None:
    """Of a model without a prediction, SR and the spread of its self-ensemble are a pair."""
    frame = _frame(u.nJy)
    frame.uncertainty = None
    sr, spread = srkit.upscale(frame, plain, uncertainty=True)
    assert (type(sr), type(spread)) == (CCDData, CCDData)
    assert (sr.uncertainty, spread.uncertainty) == (None, None)
    assert (sr.unit, spread.unit) == (u.nJy, u.nJy)
    assert spread.wcs.wcs.compare(sr.wcs.wcs)
    expected = ImageUpscaler(plain, uncertainty=True)(image_of(frame))
    assert expected.sigma is not None
    np.testing.assert_allclose(sr.data, expected.pixels[0] / 4, rtol=1e-6)
    np.testing.assert_allclose(spread.data, expected.sigma[0] / 4, rtol=1e-5)
    header = fits.Header({"BUNIT": "nJy"})
    hdu, other = srkit.upscale(
        fits.ImageHDU(frame.data, header, name="SCI"), plain, uncertainty=True
    )
    assert (hdu.name, other.name) == ("SCI", "SPREAD")
    listed = srkit.upscale(frame.to_hdu(), plain, uncertainty=True)
    assert [each.name for each in listed] == ["PRIMARY", "MASK", "SPREAD"]
    assert listed["SPREAD"].header["BUNIT"] == "nJy"
    assert "UTYPE" not in listed["SPREAD"].header
    listed.writeto(tmp_path / "a.fits")
    assert CCDData.read(tmp_path / "a.fits").uncertainty is None
    assert "variance" not in Formats.of(Registry.discover()).read(tmp_path / "a.fits").metadata


def test_the_path_of_a_fits_file_gives_ccd_data(tmp_path: Path, model: Model) -> None:
    _frame().write(tmp_path / "a.fits")
    with pytest.warns(UserWarning, match=r"a\.fits: " + LOST):
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


@pytest.mark.filterwarnings("ignore:.*the variance of LR")
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


def _wcs() -> WCS:
    return _frame().wcs


def _same_sky(before: WCS, after: WCS) -> None:
    """SR pixel x' = (x + 0.5) 2 - 0.5."""
    for x, y in ((0.0, 0.0), (12.3, 7.7)):
        sky = before.pixel_to_world(x, y)
        again = after.pixel_to_world((x + 0.5) * 2 - 0.5, (y + 0.5) * 2 - 0.5)
        assert sky.separation(again).arcsec < 1e-6


def _twice(values: Any) -> Any:
    return np.asarray(values).repeat(2, -2).repeat(2, -1)


VALUES = np.random.default_rng(1).normal(5, 1, (16, 20))


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int16])
@pytest.mark.parametrize(
    ("unit", "area"), [(u.nJy, 4), (u.adu, 4), (u.MJy / u.sr, 1), (u.K, 1), (u.Jy / u.beam, 1)]
)
def test_the_unit_of_a_quantity_decides(unit: u.UnitBase, area: int, dtype: type) -> None:
    """Flux per pixel keeps its sum, and all else its level."""
    values = VALUES.astype(dtype)
    found = srkit.upscale(values * unit, "nearest", scale=2)
    assert type(found) is u.Quantity
    assert found.unit == unit
    np.testing.assert_allclose(found.value, _twice(values) / area, rtol=1e-3)
    level = srkit.upscale(values * unit, "nearest", scale=2, values="surface_brightness")
    np.testing.assert_allclose(level.value, _twice(values), rtol=1e-3)


@pytest.mark.parametrize("shape", [(16, 20), (16, 20, 3), (3, 16, 20), (2, 3, 16, 20)])
def test_layouts_of_quantities(model: Model, shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(1).normal(5, 1, shape)
    found, sigma = srkit.upscale(values * u.nJy, model, uncertainty=True)
    assert found.unit == sigma.unit == u.nJy
    assert found.shape == sigma.shape
    nearest = srkit.upscale(values * u.nJy, "nearest", scale=2)
    expected = srkit.upscale(values, "nearest", scale=2, values="flux")
    assert (nearest.dtype, nearest.shape) == (np.float64, found.shape)
    np.testing.assert_allclose(nearest.value, expected, rtol=1e-5)


def test_magnitudes_are_refused() -> None:
    with pytest.raises(DataError, match=r"BUNIT is 'mag'; expected a linear unit, not magnitudes$"):
        srkit.upscale(VALUES * u.mag, "nearest", scale=2)


@pytest.mark.parametrize("unit", [None, u.nJy])
def test_masked_arrays_of_astropy(unit: u.UnitBase | None) -> None:
    mask = VALUES > 6
    given = Masked(VALUES if unit is None else VALUES * unit, mask)
    found = srkit.upscale(given, "nearest", scale=2)
    assert type(found) is type(given)
    np.testing.assert_array_equal(found.mask, _twice(mask))
    assert getattr(found, "unit", None) == unit
    known = np.asarray(found.unmasked)[~found.mask]
    np.testing.assert_allclose(known, _twice(VALUES)[~found.mask] / (4 if unit else 1), rtol=1e-6)


@pytest.mark.parametrize("kind", [NDData, NDDataRef, CCDData])
@pytest.mark.parametrize("shape", [(16, 20), (2, 16, 20), (2, 3, 16, 20)])
def test_every_part_of_nddata(model: Model, kind: type, shape: tuple[int, ...]) -> None:
    """Flags keep their bits; the uncertainty of SR is a variance in the square of the unit."""
    values = np.random.default_rng(1).normal(5, 1, shape)
    mask = np.where(values > 6, 512, 0)
    noise = InverseVariance(np.full(shape, 4.0))
    given = kind(values, unit=u.nJy, mask=mask, wcs=_wcs(), uncertainty=noise, meta={"A": 1})
    with pytest.warns(UserWarning, match=LOST):
        found = srkit.upscale(given, "nearest", scale=2)
    assert (type(found), found.unit, found.uncertainty) == (kind, u.nJy, None)
    good = _twice(mask) == 0
    np.testing.assert_allclose(found.data[good], _twice(values)[good] / 4, rtol=1e-6)
    own = found.mask if kind is CCDData else found.mask & 1023  # CCDData has no bits
    np.testing.assert_array_equal(own, _twice(given.mask))
    assert found.data.dtype == np.float64
    assert found.meta["A"] == 1
    _same_sky(given.wcs, found.wcs)
    sr = srkit.upscale(given, model, uncertainty=True)
    assert sr.uncertainty.uncertainty_type == "var"
    assert sr.uncertainty.array.shape == sr.data.shape


def test_an_uncertainty_in_another_unit_is_converted() -> None:
    given = NDData(VALUES, unit=u.nJy, uncertainty=StdDevUncertainty(VALUES, unit=u.uJy))
    image = image_of(given)
    np.testing.assert_allclose(image.metadata["variance"][0], (1000 * VALUES) ** 2, rtol=1e-6)


@pytest.mark.filterwarnings("ignore:no unit is stated")
def test_what_cannot_be_kept_is_reported() -> None:
    unknown = NDData(VALUES, unit=u.nJy, uncertainty=UnknownUncertainty(VALUES))
    with pytest.warns(UserWarning, match="the UnknownUncertainty is left out"):
        assert srkit.upscale(unknown, "nearest", scale=2).uncertainty is None
    with pytest.warns(UserWarning, match="the PSF of LR does not apply to SR and is left out"):
        srkit.upscale(NDData(VALUES, unit=u.nJy, psf=np.ones((3, 3))), "nearest", scale=2)
    sliced = NDDataRef(VALUES, wcs=_wcs())[2:, 3:]
    sliced_wcs = type(sliced.wcs).__name__
    message = f"the object: its WCS is a {sliced_wcs}, which a FITS header cannot hold; use an"
    with pytest.raises(DataError, match=f"^{re.escape(message)}"):
        srkit.upscale(sliced, "nearest", scale=2)


def test_values_without_a_unit_are_a_level_with_a_warning() -> None:
    with pytest.warns(
        UserWarning, match=r"^no unit is stated \(BUNIT\); values are taken as a lev"
    ):
        found = srkit.upscale(NDData(VALUES), "nearest", scale=2)
    assert found.unit is None
    np.testing.assert_allclose(found.data, _twice(VALUES), rtol=1e-6)
    flux = srkit.upscale(NDData(VALUES), "nearest", scale=2, values="flux")
    np.testing.assert_allclose(flux.data, _twice(VALUES) / 4, rtol=1e-6)


@pytest.mark.parametrize("unit", [1, u.nJy])
def test_a_cutout(unit: Any) -> None:
    cutout = Cutout2D(VALUES * unit, (9, 7), (6, 8), wcs=_wcs())
    found = srkit.upscale(cutout, "nearest", scale=2, values="flux" if unit == 1 else None)
    assert type(found) is Cutout2D
    assert isinstance(found.data, u.Quantity) == (unit != 1)
    plain = np.asarray(getattr(cutout.data, "value", cutout.data))
    np.testing.assert_allclose(np.asarray(found.data), _twice(plain) / 4, rtol=1e-6)
    _same_sky(cutout.wcs, found.wcs)


@pytest.mark.parametrize("kind", [fits.PrimaryHDU, fits.ImageHDU, fits.CompImageHDU])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint16])
def test_an_hdu(kind: type, dtype: type, model: Model) -> None:
    header = _wcs().to_header()
    header.update(BUNIT="adu", OBSERVER="A")
    given = kind((100 * VALUES).astype(dtype), header)
    if kind is not fits.PrimaryHDU:
        given.name = "SCI"
    found = srkit.upscale(given, "nearest", scale=2)
    assert (type(found), found.name) == (kind, given.name)
    np.testing.assert_allclose(found.data, _twice(given.data) / 4, rtol=1e-6)
    assert (found.header["BUNIT"], found.header["OBSERVER"]) == ("adu", "A")
    _same_sky(WCS(given.header), WCS(found.header))
    sr, noise = srkit.upscale(given, model, uncertainty=True)
    assert (type(sr), noise.name, noise.data.shape) == (kind, "UNCERT", sr.data.shape)
    assert noise.header["UTYPE"] == "VarianceUncertainty"


def test_a_list_of_hdus(tmp_path: Path) -> None:
    hdus = _frame().to_hdu()
    with pytest.warns(UserWarning, match=LOST):
        found = srkit.upscale(hdus, "nearest", scale=2)
    assert [hdu.name for hdu in found] == ["PRIMARY", "MASK"]
    good = ~_twice(_frame().mask)
    np.testing.assert_allclose(found[0].data[good], _twice(_frame().data)[good] / 4, rtol=1e-6)
    np.testing.assert_array_equal(found["MASK"].data != 0, ~good)


def test_astropy_finds_mask_and_uncertainty_in_an_output(
    tmp_path: Path, model: Model, formats: Formats
) -> None:
    _frame(u.nJy).write(tmp_path / "a.fits")
    upscaler = ImageUpscaler(model, uncertainty=True)
    upscale_file(tmp_path / "a.fits", tmp_path / "b.fits", upscaler, formats)
    found = CCDData.read(tmp_path / "b.fits")
    np.testing.assert_array_equal(found.mask, _grown(_frame().mask, upscaler))
    assert found.uncertainty.uncertainty_type == "var"
    expected = srkit.upscale(_frame(u.nJy), model, uncertainty=True)
    np.testing.assert_allclose(found.uncertainty.array, expected.uncertainty.array, rtol=1e-5)
