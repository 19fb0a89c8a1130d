from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import Cutout2D
from astropy.wcs import WCS
from mosaics_setup import HST_SCALE, HST_ZERO, SOURCES, write_hsc, write_hst
from srkit_astro.pairing.pair import _files, write_pair
from srkit_astro.pairing.registration import Registration
from srkit_astro.pairing.resampling import cut, project
from srkit_astro.pairing.results import Pair, Position
from srkit_astro.pairing.sky_images import read_sky_image

from srkit.errors import DataError


def test_projection_conserves_the_flux(tmp_path: Path) -> None:
    hst = read_sky_image(write_hst(tmp_path / "hst.fits"), None, "--hst-zero-point")
    hsc = read_sky_image(write_hsc(tmp_path / "hsc.fits"), None, "--hsc-zero-point")
    hr = project(hst, cut(hsc, 48, 48, 64), 2)
    # The sources at the centre and around it, without those near the hole.
    inside = [s for s in SOURCES if abs(s[0]) < 4.5 and abs(s[1]) < 4.5]
    truth = sum(10 ** (0.4 * (27 - row[2])) for row in inside)
    noise = 5 * 0.002 * 10 ** (0.4 * (27 - HST_ZERO)) * np.sqrt(hr.values.size)
    window = hr.values[12:116, 12:116]
    assert float(window.sum()) == pytest.approx(truth, rel=2e-3, abs=noise)


#: The coordinates of the detector, and what only applies to the whole image.
DETECTOR = {"WCSNAMEA": "PHYSICAL", "CTYPE1A": "X", "CTYPE2A": "Y", "CRPIX1A": 1.0, "CRPIX2A": 1.0}
DETECTOR |= {"CRVAL1A": 1001.0, "CRVAL2A": 501.0, "CDELT1A": 1.0, "CDELT2A": 1.0}
WHOLE = {"DATASEC": "[1:160,1:160]", "DATAMEAN": 3.0, "LTV1": -1000.0, "LTV2": -500.0}


def _add(path: Path, **cards: object) -> Path:
    with fits.open(path, mode="update") as hdus:
        for hdu in hdus:
            hdu.header.update({k: v for k, v in cards.items() if hdu.data is not None})
    return path


def _written(tmp_path: Path) -> tuple[Path, Path]:
    """Write a pair whose images state what is theirs alone."""
    lr_cards = {"FILTER": "HSC-I", "INSTRUME": "HSC", "EXTTYPE": "IMAGE", "SATURATE": 5e4}
    hr_cards = {"FILTER": "F814W", "INSTRUME": "ACS", "SATURATE": 80.0, "D001SCAL": HST_SCALE}
    hsc = _add(write_hsc(tmp_path / "hsc.fits"), **WHOLE, **DETECTOR, **lr_cards)
    hst = _add(write_hst(tmp_path / "hst.fits"), LTV1=-7.0, **hr_cards)
    lr_image = read_sky_image(hsc, None, "--hsc-zero-point")
    source = read_sky_image(hst, None, "--hst-zero-point")
    lr = cut(lr_image, 40, 55, 16)
    found = Registration(0.0, 0.0, 0.01, 1.0, 0.01, 0.0, 3.0)
    made = Pair(Position("a", 150.1, 2.2), lr, project(source, lr, 2), source, found, found)
    notes = {made.lr.path: "PSF of LR", made.source.path: "PSF of HR"}
    write_pair(made, 2, tmp_path, notes)
    return tmp_path / "lr/a.fits", tmp_path / "hr/a.fits"


def test_every_extension_of_a_cutout_has_its_wcs(tmp_path: Path) -> None:
    """Cutout2D of astropy gives the WCS of LR; its pixels are pairs of those of HR."""
    lr, hr = _written(tmp_path)
    with fits.open(tmp_path / "hsc.fits") as hdus:
        versions = {key: WCS(hdus["IMAGE"].header, key=key) for key in " A"}
        cutouts = {
            key: Cutout2D(hdus["IMAGE"].data, (62.5, 47.5), 16, wcs=wcs)
            for key, wcs in versions.items()
        }
    x, y = np.meshgrid(np.arange(16.0), np.arange(16.0))
    with fits.open(lr) as hdus:
        np.testing.assert_allclose(hdus[0].data, cutouts[" "].data, rtol=1e-6)
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "MASK", "UNCERT"]
        for hdu in hdus:
            for key, cutout in cutouts.items():
                expected = cutout.wcs.all_pix2world(x, y, 0)
                found = WCS(hdu.header, key=key).all_pix2world(x, y, 0)
                np.testing.assert_allclose(found, expected, atol=1e-9)
            assert (hdu.header["LTV1"], hdu.header["LTV2"]) == (-1055.0, -540.0)
            assert not {"DATASEC", "DATAMEAN"} & set(hdu.header)
    with fits.open(hr) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "MASK"]
        for hdu in hdus:
            finer = WCS(hdu.header).all_pix2world(2 * x + 0.5, 2 * y + 0.5, 0)
            expected = cutouts[" "].wcs.all_pix2world(x, y, 0)
            np.testing.assert_allclose(finer, expected, atol=1e-9)


def test_each_image_of_a_pair_has_the_keywords_of_its_own_file(tmp_path: Path) -> None:
    lr, hr = (fits.getheader(path) for path in _written(tmp_path))
    assert (lr["FILTER"], lr["INSTRUME"], lr["EXTTYPE"], lr["SATURATE"]) == (
        *("HSC-I", "HSC", "IMAGE"),
        5e4,
    )
    assert (hr["FILTER"], hr["INSTRUME"], hr["EXPTIME"]) == ("F814W", "ACS", 2000.0)
    assert not {"EXTTYPE", "LTV1", "LTV2", "CTYPE1A", "DATASEC"} & set(hr)
    # HR pixels are 0.084 arcsec; the count of AB 27 is fainter than that of HST.
    assert hr["D001SCAL"] == pytest.approx(0.084)
    expected = 80 * 10 ** (0.4 * (27 - HST_ZERO)) * (0.084 / HST_SCALE) ** 2
    assert hr["SATURATE"] == pytest.approx(expected, rel=1e-3)


def test_surface_brightness_becomes_flux_per_pixel(tmp_path: Path) -> None:
    """1 MJy / sr is AB 24.3456 in 0.168 arcsec squared: -2.5 log10(1e6 * 6.63389e-13 / 3631)."""
    path = write_hsc(tmp_path / "hsc.fits")
    plain = read_sky_image(path, None, "").values
    _add(path, BUNIT="MJy/sr", PIXAR_SR=6.63389049124921e-13)
    with fits.open(path, mode="update") as hdus:
        del hdus[0].header["FLUXMAG0"]
    found = read_sky_image(path, None, "").values
    np.testing.assert_allclose(found, plain * 10 ** (0.4 * (27 - 24.3456)), rtol=1e-4)


def test_an_extension_is_chosen(tmp_path: Path) -> None:
    path = write_hst(tmp_path / "hst.fits")
    with fits.open(path) as hdus:
        chips = [fits.ImageHDU(hdus[0].data * v, hdus[0].header, name="SCI", ver=v) for v in (1, 2)]
        fits.HDUList([fits.PrimaryHDU(), *chips]).writeto(path, overwrite=True)
    first = read_sky_image(path, None, "", "SCI,1").values
    for given, extension in ((path, "SCI,2"), (Path(f"{path}[sci,2]"), None)):
        found = read_sky_image(given, None, "", extension)
        np.testing.assert_allclose(found.values, 2 * first)
        assert found.path == path
    message = r"SCI,1 is read, one of 2 images \(SCI,1, SCI,2\); choose with --hst-hdu$"
    with pytest.raises(DataError, match=message):
        read_sky_image(path, None, "--hst-zero-point")
    assert _files([Path(f"{tmp_path}/h*.fits[SCI,2]")]) == [Path(f"{path}[SCI,2]")]
