"""Subdivided headers, compared with astropy.wcs and wcslib."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io.fits import BinTableHDU, Column, HDUList, Header, ImageHDU, PrimaryHDU
from astropy.wcs import WCS
from astropy.wcs.utils import skycoord_to_pixel
from srkit_astro.files.wcs import (
    celestial,
    pixel_scale,
    radec,
    subdivided,
    subdivided_tables,
    tables_of,
)

from srkit.errors import DataError

SIDE = 0.168 / 3600
MOVED = r"^the WCS cannot be scaled: positions would shift by [\d.e+]+ pixels; reproject the "


def _tan(**cards: object) -> Header:
    plain = {
        "NAXIS": 2,
        "NAXIS1": 64,
        "NAXIS2": 48,
        "CTYPE1": "RA---TAN",
        "CTYPE2": "DEC--TAN",
        "CRVAL1": 150.1,
        "CRVAL2": 2.2,
        "CRPIX1": 31.7,
        "CRPIX2": 20.2,
        "CUNIT1": "deg",
    }
    return Header({**plain, "CUNIT2": "deg", **cards})


def _cd() -> Header:
    c, s = (SIDE * f(0.4) for f in (math.cos, math.sin))
    return _tan(CD1_1=-c, CD1_2=s, CD2_1=s, CD2_2=c)


def _cdelt() -> Header:
    return _tan(CDELT1=-SIDE, CDELT2=SIDE)


def _pc() -> Header:
    c, s = math.cos(1.0), math.sin(1.0)
    return _tan(CDELT1=-SIDE, CDELT2=SIDE, PC1_1=c, PC1_2=-s, PC2_1=s, PC2_2=c)


def _pc_alone() -> Header:
    return _tan(PC1_1=-SIDE, PC1_2=0.0, PC2_1=0.0, PC2_2=SIDE)


def _crota() -> Header:
    return _tan(CDELT1=-SIDE, CDELT2=1.1 * SIDE, CROTA2=30.0)


def _pole() -> Header:
    return _tan(CDELT1=-SIDE, CDELT2=SIDE, CRVAL2=90.0, LONPOLE=180.0)


def _swapped() -> Header:
    return _tan(
        CTYPE1="DEC--TAN", CTYPE2="RA---TAN", CRVAL1=2.2, CRVAL2=150.1, CDELT1=SIDE, CDELT2=-SIDE
    )


def _cube() -> Header:
    header = _cdelt()
    header.update(NAXIS=3, NAXIS3=5, CTYPE3="FREQ", CRVAL3=1e9, CDELT3=1e6, CRPIX3=1.0)
    header["CUNIT3"] = "Hz"
    return header


def _sip() -> Header:
    header = _cd()
    header.update(CTYPE1="RA---TAN-SIP", CTYPE2="DEC--TAN-SIP", A_ORDER=3, B_ORDER=2)
    header.update(A_0_2=3e-5, A_1_1=-2e-5, A_2_0=4e-5, A_3_0=5e-8, A_0_3=-4e-8, A_DMAX=1.2)
    header.update(B_0_2=-3e-5, B_1_1=1e-5, B_2_0=2e-5, AP_ORDER=2, BP_ORDER=2)
    header.update(AP_1_0=1e-6, AP_0_2=-3e-5, AP_2_0=-4e-5, BP_0_2=3e-5, BP_1_1=-1e-5)
    return header


def _tpv() -> Header:
    header = _cd()
    header.update(CTYPE1="RA---TPV", CTYPE2="DEC--TPV")
    header.update(PV1_0=1e-6, PV1_1=1.0, PV1_4=2.0, PV1_7=30.0, PV2_1=1.0, PV2_5=-3.0)
    return header


ALL = [_cd, _cdelt, _pc, _pc_alone, _crota, _pole, _swapped, _cube, _sip, _tpv]


def _wcs(header: Header) -> WCS:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return WCS(header).celestial


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)
def test_sources_keep_their_coordinates(make: Callable[[], Header], scale: int) -> None:
    header = make()
    given = header.copy()
    old, new = _wcs(header), _wcs(subdivided(header, scale))
    assert header == given
    rng = np.random.default_rng(scale)
    x, y = rng.uniform(-0.5, 63.5, 200), rng.uniform(-0.5, 47.5, 200)
    sky = old.all_pix2world(np.stack([x, y], 1), 0)
    expected = np.stack([(x + 0.5) * scale - 0.5, (y + 0.5) * scale - 0.5], 1)
    # Inverted by wcslib and astropy's iteration, in pixels of the original image.
    found = new.all_world2pix(sky, 0, tolerance=1e-9, quiet=True)
    assert np.abs(found - expected).max() / scale < 1e-6


@pytest.mark.parametrize("make", [_cd, _sip, _tpv], ids=lambda make: make.__name__)
def test_corners_keep_their_coordinates(make: Callable[[], Header]) -> None:
    header = make()
    new = subdivided(header, 3)
    assert (new["NAXIS1"], new["NAXIS2"]) == (3 * 64, 3 * 48)
    assert (new["CRPIX1"], new["CRPIX2"]) == pytest.approx((31.2 * 3 + 0.5, 19.7 * 3 + 0.5))
    kept = _wcs(header).calc_footprint(axes=(64, 48), center=False)
    found = _wcs(new).calc_footprint(axes=(192, 144), center=False)
    np.testing.assert_allclose(found, kept, rtol=0, atol=1e-6 * SIDE)


def test_sip_and_its_inverse_are_scaled() -> None:
    header = _sip()
    plain = _cd()
    away = np.array([[0.0, 0.0], [60.0, 40.0]])
    moved = _wcs(header).all_pix2world(away, 0) - _wcs(plain).all_pix2world(away, 0)
    assert np.abs(moved).max() > 0.01 * SIDE
    new = subdivided(header, 2)
    assert new["A_1_1"] == header["A_1_1"] / 2
    assert new["A_3_0"] == header["A_3_0"] / 4
    assert new["AP_1_0"] == header["AP_1_0"]
    assert new["A_DMAX"] == 2 * header["A_DMAX"]
    # The inverse polynomials, from the corrected offset to the pixel.
    offset = np.array([[10.0, 15.0]])
    old, finer = _wcs(header), _wcs(new)
    away_from = [
        wcs.sip.foc2pix(k * offset, 1) - wcs.wcs.crpix for wcs, k in ((old, 1), (finer, 2))
    ]
    np.testing.assert_allclose(away_from[1], 2 * away_from[0], rtol=1e-9)
    assert np.abs(away_from[0] - offset).max() > 0.001


def test_every_wcs_of_a_header_is_converted() -> None:
    header = _cdelt()
    header.update(CTYPE1A="XPIXEL", CTYPE2A="YPIXEL", CRPIX1A=5.0, CRPIX2A=6.0, CRVAL1P=101.0)
    new = subdivided(header, 2)
    assert (new["CRPIX1A"], new["CDELT1A"], new["CDELT1P"]) == (9.5, 0.5, 0.5)
    for letter in "AP":
        old_wcs, new_wcs = WCS(header, key=letter), WCS(new, key=letter)
        np.testing.assert_allclose(
            new_wcs.wcs_pix2world([[8.5, 2.5]], 0), old_wcs.wcs_pix2world([[4.0, 1.0]], 0)
        )


@pytest.mark.parametrize("matrix", [{}, {"LTM1_1": 0.5, "LTM1_2": 0.1, "LTM2_2": 2.0}])
def test_physical_pixels_of_iraf(matrix: dict[str, float]) -> None:
    header = Header({"LTV1": -10.0, "LTV2": 3.0, **matrix})
    new = subdivided(header, 2)
    physical = np.array([33.0, 7.0])

    def image_pixel(header: Header) -> np.ndarray:
        rows = [[header.get(f"LTM{i}_{j}", float(i == j)) for j in (1, 2)] for i in (1, 2)]
        return np.array(rows) @ physical + [header["LTV1"], header["LTV2"]]

    np.testing.assert_allclose(image_pixel(new), (image_pixel(header) - 0.5) * 2 + 0.5)


def test_a_header_without_wcs_is_unchanged() -> None:
    header = Header({"OBJECT": "lens", "EXPTIME": 3.0})
    assert subdivided(header, 2) == header
    assert celestial(header) is None
    assert pixel_scale(header) is None


@pytest.mark.parametrize("make", [_cd, _cdelt, _pc, _swapped, _cube, _sip])
def test_pixel_scale(make: Callable[[], Header]) -> None:
    header = make()
    assert pixel_scale(header) == pytest.approx(0.168, rel=1e-6)
    assert pixel_scale(subdivided(header, 2)) == pytest.approx(0.084, rel=1e-6)


def test_sky_coordinates_agree_with_skycoord_to_pixel() -> None:
    header = _cd()
    source = SkyCoord(150.101, 2.201, unit="deg")
    old = np.array(skycoord_to_pixel(source, _wcs(header)))
    new = np.array(skycoord_to_pixel(source, _wcs(subdivided(header, 2))))
    np.testing.assert_allclose(new, (old + 0.5) * 2 - 0.5, atol=1e-6)


@pytest.mark.parametrize("key", ["CPDIS1", "CQDIS2", "D2IMDIS1", "AXISCORR"])
def test_distortion_by_tables_is_refused(key: str) -> None:
    header = _cd()
    header[key] = 1 if key == "AXISCORR" else "LOOKUP"
    with pytest.raises(DataError) as caught:
        subdivided(header, 2)
    assert str(caught.value) == (
        f"the WCS has a distortion by table or record ({key}), which is only valid for the "
        "original pixels; drizzle or reproject the image first"
    )


def test_an_image_coupled_with_another_axis_is_refused() -> None:
    header = _cube()
    header["PC1_3"] = 0.25
    with pytest.raises(DataError) as caught:
        subdivided(header, 2)
    assert str(caught.value) == (
        "the WCS couples the image with another axis (PC1_3 = 0.25); "
        "write the transformation as a CD matrix"
    )


def test_a_wcs_that_cannot_be_scaled_is_refused() -> None:
    # Keywords of an old draft of the standard, which wcslib still reads.
    header = _tan(CD001001=-SIDE, CD001002=0.0, CD002001=0.0, CD002002=SIDE)
    with pytest.raises(DataError, match=MOVED):
        subdivided(header, 2)


def test_a_contradictory_wcs_is_refused() -> None:
    header = _cd()
    header["CTYPE2"] = "RA---TAN"
    with pytest.raises(DataError, match=r"^the WCS cannot be read \(\w+: .*\)$"):
        celestial(header)


def test_radec_is_icrs_for_galactic_coordinates() -> None:
    galactic = _tan(CTYPE1="GLON-TAN", CTYPE2="GLAT-TAN", CDELT1=-SIDE, CDELT2=SIDE)
    found = radec(galactic, [(30.7, 19.2), (3.0, 4.0)])
    assert found is not None
    centre = SkyCoord(150.1, 2.2, unit="deg", frame="galactic").icrs
    assert found[0] == pytest.approx((centre.ra.deg, centre.dec.deg), abs=1e-9)
    x, y = skycoord_to_pixel(SkyCoord(*found[1], unit="deg"), WCS(galactic))
    assert (float(x), float(y)) == pytest.approx((3, 4), abs=1e-6)


def test_radec_needs_equatorial_or_galactic_coordinates() -> None:
    assert radec(Header(), [(1.0, 2.0)]) is None
    assert radec(_tan(CTYPE1="MALN-TAN", CTYPE2="MALT-TAN"), [(1.0, 2.0)]) is None
    assert radec(_tan(), []) == []


@pytest.mark.parametrize("projection", ["AIT", "MOL", "SFL", "ZEA", "CAR", "HPX"])
def test_an_image_of_the_whole_sky_keeps_its_coordinates(projection: str) -> None:
    header = Header({"NAXIS": 2, "NAXIS1": 90, "NAXIS2": 45, "CRPIX1": 45.5, "CRPIX2": 23.0})
    header.update(CTYPE1=f"GLON-{projection}", CTYPE2=f"GLAT-{projection}", CDELT1=-4.5, CDELT2=4.5)
    old, new = _wcs(header), _wcs(subdivided(header, 2))
    x, y = (each.ravel() for each in np.mgrid[0:90, 0:45].astype(float))
    before = np.array(old.all_pix2world(x, y, 0))
    after = np.array(new.all_pix2world(2 * x + 0.5, 2 * y + 0.5, 0))
    on_sky = np.isfinite(before).all(0)
    assert on_sky.sum() > 1000
    np.testing.assert_allclose(after[:, on_sky], before[:, on_sky], atol=1e-9)


def test_the_wrong_order_of_axes_is_named() -> None:
    header = Header({"NAXIS": 3, "CTYPE1": "VELO-LSR", "CTYPE2": "RA---TAN", "CTYPE3": "DEC--TAN"})
    header.update(CDELT1=1000.0, CDELT2=-0.001, CDELT3=0.001, CRVAL2=150.0, CRVAL3=2.0)
    with pytest.raises(DataError) as caught:
        celestial(header)
    assert str(caught.value) == (
        "axis 1 is VELO-LSR (of VELO-LSR, RA---TAN, DEC--TAN), but the axes of the sky have to be "
        "the first two; reorder them, as SpectralCube.read(FILE).write(NEW) does"
    )


def _lookup() -> HDUList:
    """Return an image with a table of distortions of either kind for each axis."""
    header = _cd()
    tables = []
    rng = np.random.default_rng(0)
    for kind, name, record in (("CPDIS", "WCSDVARR", "DP"), ("D2IMDIS", "D2IMARR", "D2IM")):
        for axis in (1, 2):
            header[f"{kind}{axis}"] = "LOOKUP"
            for field, value in (("EXTVER", axis), ("NAXES", 2), ("AXIS.1", 1), ("AXIS.2", 2)):
                header[f"{record}{axis}"] = f"{field}: {value:.1f}"
            table = ImageHDU(rng.normal(0, 0.3, (7, 9)).astype(np.float32), name=name, ver=axis)
            table.header.update(CRPIX1=1.0, CRPIX2=1.0, CRVAL1=1.0, CRVAL2=1.0)
            table.header.update(CDELT1=8.0, CDELT2=8.0)
            tables.append(table)
    return HDUList([PrimaryHDU(np.zeros((48, 64), np.float32), header), *tables])


@pytest.mark.parametrize("scale", [2, 3])
def test_distortions_by_tables_are_converted(scale: int) -> None:
    hdus = _lookup()
    header = hdus[0].header
    tables = tables_of(header, hdus)
    assert len(tables) == 4
    new_tables = subdivided_tables(tables, scale)
    finer = HDUList([PrimaryHDU(), *new_tables])
    old, new = WCS(header, hdus), WCS(subdivided(header, scale, tables), finer)
    x, y = np.random.default_rng(1).uniform(2, 40, (2, 200))
    before = np.array(old.all_pix2world(x, y, 0))
    undistorted = np.array(old.wcs_pix2world(x, y, 0))
    assert np.abs(before - undistorted).max() > 0.1 * SIDE
    after = np.array(new.all_pix2world((x + 0.5) * scale - 0.5, (y + 0.5) * scale - 0.5, 0))
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-5 * SIDE)


def test_tables_of_another_axis_are_kept() -> None:
    header = _cube()
    header.update(CTYPE3="WAVE-TAB", CUNIT3="m", PS3_0="WCS-TABLE", PS3_1="WAVE", PV3_3=1)
    header.update(CRPIX3=1.0, CRVAL3=1.0, CDELT3=1.0)
    waves = np.linspace(4e-7, 7e-7, 5).reshape(1, 5, 1)
    table = BinTableHDU.from_columns([Column("WAVE", "5D", dim="(1,5)", array=waves)])
    table.name = "WCS-TABLE"
    hdus = HDUList([PrimaryHDU(np.zeros((5, 48, 64), np.float32), header), table])
    tables = tables_of(header, hdus)
    assert [each.name for each in tables] == ["WCS-TABLE"]
    new = subdivided(header, 2, tables)
    assert pixel_scale(new, tables) == pytest.approx(0.084)
    wcs = WCS(new, HDUList([PrimaryHDU(), *subdivided_tables(tables, 2)]))
    assert wcs.all_pix2world(10, 10, 3, 0)[2] == pytest.approx(waves[0, 3, 0])
