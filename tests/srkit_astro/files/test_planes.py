"""The extensions of files as surveys lay them out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from srkit_astro.files.fits import Fits

import srkit
from srkit.errors import DataError
from srkit.interfaces import Image

#: Three pixels: the second is flagged, and the third has no weight.
SCI, FLAGS, NOISE = [5.0, 6.0, 7.0], [0, 1, 0], [4.0, 4.0, 0.0]
#: Variances if the plane above holds standard deviations, variances, or their inverses.
STD, VARIANCE, INVERSE = [16.0, 16.0, 0.0], NOISE, [0.25, 0.25, np.inf]
#: Only weights of the whole file are not variances.
NO_NOISE = None

LAYOUTS: dict[str, tuple[list[str], list[float] | None, str, list[str]]] = {
    "DES": (["SCI", "MSK", "WGT"], INVERSE, "WGT", []),
    "MUSE": (["DATA", "DQ", "STAT"], VARIANCE, "", []),
    "LSST": (["IMAGE", "MASK", "VARIANCE"], VARIANCE, "", []),
    "Euclid": (["3-4.SCI", "3-4.FLG", "3-4.RMS"], STD, "", []),
    "JWST": (
        ["SCI", "DQ", "ERR", "AREA", "VAR_POISSON", "VAR_RNOISE", "VAR_FLAT"],
        STD,
        "",
        ["ignored extensions: AREA, VAR_POISSON, VAR_RNOISE, VAR_FLAT"],
    ),
    "JWST, resampled": (["SCI", "", "ERR", "CON", "WHT"], STD, "WHT", []),
    "SDSS": (["FLUX", "MASK", "IVAR"], INVERSE, "IVAR", []),
    "HST": (["SCI", "DQ", "ERR"], STD, "", []),
    "HST, drizzled": (["SCI", "", "", "WHT", "CTX"], NO_NOISE, "WHT", []),
}


def _store(path: Path, *hdus: Any) -> Path:
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path)
    return path


def _both(path: Path, extension: str | None = None) -> list[Image]:
    """Read a file whole, and by rows."""
    reader = Fits() if extension is None else Fits().select(extension)
    source = reader.open_source(path)
    assert source is not None
    try:
        return [reader.read(path), source.rows(0, 1)]
    finally:
        source.close()


@pytest.mark.parametrize("survey", LAYOUTS)
def test_planes_of_surveys(tmp_path: Path, survey: str) -> None:
    names, variance, weight, notes = LAYOUTS[survey]
    values = [SCI, FLAGS, NOISE, *[NOISE] * len(names)]
    kinds = [np.float32, np.int16, *[np.float32] * len(names)]
    hdus = [
        fits.ImageHDU(np.array([plane], kind), name=name)
        for name, plane, kind in zip(names, values, kinds, strict=False)
        if name
    ]
    path = _store(tmp_path / "a.fits", *hdus)
    whole, rows = _both(path)
    expected = [5.0, 6.0, np.nan if weight else 7.0]
    for found in (whole, rows):
        np.testing.assert_array_equal(found.pixels[0].numpy(), [expected])
        if names[1]:
            np.testing.assert_array_equal(found.metadata["mask"][0], [FLAGS])
    if variance is None:
        assert "variance" not in whole.metadata
    else:
        np.testing.assert_array_equal(whole.metadata["variance"][0], [variance])
    said = whole.metadata["notes"]
    assert (f"pixels whose {weight} is 0 have no value" in said) == bool(weight)
    assert (f"{weight} only shows where there are no data; SR has no weights" in said) == (
        weight == "WHT"
    )
    assert set(notes) <= set(said)
    assert "guesses" not in whole.metadata


def test_extensions_of_hsc_without_a_name(tmp_path: Path) -> None:
    """The pipeline of HSC has written EXTTYPE without EXTNAME."""
    planes = {"IMAGE": SCI, "MASK": FLAGS, "VARIANCE": NOISE}
    hdus = [fits.ImageHDU(np.array([plane])) for plane in planes.values()]
    for hdu, name in zip(hdus, planes, strict=True):
        hdu.header["EXTTYPE"] = name
    path = _store(tmp_path / "a.fits", *hdus)
    image = Fits().read(path)
    assert "guesses" not in image.metadata
    np.testing.assert_array_equal(image.metadata["mask"][0], [FLAGS])
    np.testing.assert_array_equal(image.metadata["variance"][0], [VARIANCE])
    assert Fits().select("mask").read(path).pixels.tolist() == [[FLAGS]]


def test_weights_that_are_not_numbers_are_no_data(tmp_path: Path) -> None:
    weights = fits.ImageHDU(np.array([[np.nan, 2.0, 0.0]]), name="WHT")
    path = _store(tmp_path / "a.fits", fits.ImageHDU(np.array([SCI]), name="SCI"), weights)
    for found in _both(path):
        np.testing.assert_array_equal(found.pixels[0].numpy(), [[np.nan, 6.0, np.nan]])


def _chips(path: Path) -> Path:
    """Write the layout of two chips of Hubble: three planes each."""
    hdus = []
    for chip in (1, 2):
        for name, value in (("SCI", 10.0), ("ERR", 3.0), ("DQ", 1)):
            plane = np.full((1, 3), chip * value, np.int16 if name == "DQ" else np.float32)
            hdus.append(fits.ImageHDU(plane, name=name, ver=chip))
    return _store(path, *hdus, fits.BinTableHDU(name="WCSCORR"))


@pytest.mark.parametrize(
    ("extension", "value", "variance", "mask"),
    [
        (None, 10.0, 9.0, 1),
        ("SCI,2", 20.0, 36.0, 2),
        ("sci, 2", 20.0, 36.0, 2),
        ("4", 20.0, 36.0, 2),
        ("SCI", 10.0, 9.0, 1),
        ("ERR,2", 6.0, None, None),
    ],
)
def test_an_extension_is_chosen_with_its_planes(
    tmp_path: Path,
    extension: str | None,
    value: float,
    variance: float | None,
    mask: int | None,
) -> None:
    whole, rows = _both(_chips(tmp_path / "a.fits"), extension)
    for found in (whole, rows):
        assert found.pixels.unique().tolist() == [value]
        assert (found.metadata["mask"].unique().tolist() if mask else None) == (mask and [mask])
    assert ("variance" in whole.metadata) == (variance is not None)
    if variance is not None:
        assert whole.metadata["variance"].unique().tolist() == [variance]
    guess = "SCI,1 is read, one of 2 images (SCI,1, SCI,2); choose with --hdu NAME or FILE[NAME]"
    assert whole.metadata.get("guesses", []) == ([] if extension else [guess])


def test_detectors_of_euclid_have_their_own_planes(tmp_path: Path) -> None:
    hdus = [
        fits.ImageHDU(np.full((1, 3), value), name=f"{detector}.{name}")
        for detector in (1, 2)
        for name, value in (("SCI", 10.0 * detector), ("RMS", 1.0 * detector), ("FLG", detector))
    ]
    path = _store(tmp_path / "a.fits", *hdus)
    found = Fits().select("2.SCI").read(path)
    assert found.pixels.unique().tolist() == [20.0]
    assert found.metadata["variance"].unique().tolist() == [4.0]
    assert found.metadata["mask"].unique().tolist() == [2]
    (guess,) = Fits().read(path).metadata["guesses"]
    assert guess.startswith("1.SCI is read, one of 2 images (1.SCI, 2.SCI); choose with --hdu ")


@pytest.mark.parametrize(
    ("extension", "what"),
    [
        ("SCI,3", "no extension 'SCI,3'"),
        ("9", "no extension '9'"),
        ("SCIENCE", "no extension 'SCIENCE'"),
        ("WCSCORR", "the extension 'WCSCORR' is not an image"),
        ("0", "the extension '0' is not an image"),
    ],
)
def test_an_extension_that_does_not_exist_is_an_error(
    tmp_path: Path, extension: str, what: str
) -> None:
    path = _chips(tmp_path / "a.fits")
    listed = (
        "0 PRIMARY (empty); 1 SCI,1 (3 x 1); 2 ERR,1 (3 x 1); 3 DQ,1 (3 x 1); 4 SCI,2 (3 x 1); "
        "5 ERR,2 (3 x 1); 6 DQ,2 (3 x 1); 7 WCSCORR (a table)"
    )
    message = f"{path}: {what}; expected a number or a name of: {listed}"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        Fits().select(extension).read(path)


def test_python_chooses_an_extension_of_a_file(tmp_path: Path) -> None:
    path = _chips(tmp_path / "a.fits")
    with pytest.warns(UserWarning) as warned:
        sr = srkit.upscale(f"{path}[SCI,2]", "nearest", scale=2)
    np.testing.assert_array_equal(sr.data, np.full((2, 6), 20.0))
    np.testing.assert_array_equal(sr.mask, np.full((2, 6), True))
    said = [str(each.message).split(":")[1][:20] for each in warned]
    assert said == [" no unit is stated (", " the variance of LR "]
    with pytest.warns(UserWarning) as warned:
        srkit.upscale(path, "nearest", scale=2)
    assert ": SCI,1 is read, one of 2 images (SCI,1, SCI,2); " in str(warned[0].message)
