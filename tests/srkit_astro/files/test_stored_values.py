"""Blanks, marks of missing data and the range of float32 in FITS files, read whole and by rows."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from srkit_astro.files.fits import Fits

from srkit.errors import DataError
from srkit.functional import Values

HOLES = ((0, 1), (4, 5))


def _read(path: Path) -> tuple[Values, list[str]]:
    """Return the pixels and the messages of a file; those by rows have to be equal."""
    image = Fits().read(path)
    source = Fits().open_source(path)
    if source is not None:
        rows = [source.rows(top, top + 2).pixels.numpy() for top in range(0, 6, 2)]
        notes = source.outline.metadata["notes"]
        source.close()
        np.testing.assert_array_equal(np.concatenate(rows, 1), image.pixels.numpy())
        assert notes == image.metadata["notes"]
    return image.pixels.numpy(), image.metadata["notes"]


def _store(path: Path, place: str, values: Values, **cards: Any) -> Path:
    """Write an image to the primary HDU, to an extension, or to a compressed one."""
    kinds = {"primary": fits.PrimaryHDU, "extension": fits.ImageHDU, "fz": fits.CompImageHDU}
    hdu = kinds[place](values)
    hdu.header.update(cards)
    hdus = [hdu] if place == "primary" else [fits.PrimaryHDU(), hdu]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # BLANK is not meant for floats, but used
        fits.HDUList(hdus).writeto(path)
    return path


@pytest.mark.parametrize("place", ["primary", "extension", "fz"])
@pytest.mark.parametrize(
    ("dtype", "offset", "blank"),
    [
        ("u2", 2**15, -(2**15)),
        ("u2", 2**15, 0),
        ("u4", 2**31, -(2**31)),
        ("i1", -128, 128),
        ("i2", 0, -32768),
        ("i2", 0, 0),  # which astropy ignores
        ("u1", 0, 255),
        ("i4", 0, 7),
    ],
)
def test_blank_has_no_value(
    tmp_path: Path, place: str, dtype: str, offset: int, blank: int
) -> None:
    # BLANK is the stored number, and the value that it stands for is BLANK + BZERO.
    values = (np.arange(42).reshape(6, 7) + 10).astype(dtype)
    for hole in HOLES:
        values[hole] = blank + offset
    expected = values.astype(np.float32)
    for hole in HOLES:
        expected[hole] = np.nan
    path = _store(tmp_path / "a.fits", place, values, BLANK=blank)
    found, _ = _read(path)
    np.testing.assert_array_equal(found[0], expected)


def test_other_scaled_integers_keep_their_values(tmp_path: Path) -> None:
    hdu = fits.PrimaryHDU((np.arange(42).reshape(6, 7) + 0.5) * 0.25)
    hdu.scale("int16", bscale=0.125, bzero=3.0)
    hdu.writeto(tmp_path / "a.fits")
    found, notes = _read(tmp_path / "a.fits")
    np.testing.assert_array_equal(found[0], (np.arange(42).reshape(6, 7) + 0.5) * 0.25)
    assert notes == []


@pytest.mark.parametrize(
    ("mark", "cards"),
    [
        (-3.4e38, {}),
        (-3.4028235e38, {}),
        (1e20, {}),
        (-1.6375e30, {}),
        (-9999.0, {"NODATA": -9999}),
        (-9999.0, {"BLANK": -9999}),
        (-1e30, {"BADVAL": -1e30}),
    ],
)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_marks_of_missing_data_have_no_value(
    tmp_path: Path, dtype: str, mark: float, cards: dict[str, float]
) -> None:
    values = np.random.default_rng(0).normal(1, 0.1, (6, 7)).astype(dtype)
    expected = values.astype(np.float32)
    for hole in HOLES:
        values[hole], expected[hole] = mark, np.nan
    found, (note,) = _read(_store(tmp_path / "a.fits", "primary", values, **cards))
    np.testing.assert_array_equal(found[0], expected)
    assert note.startswith(f"pixels of {np.float32(mark):.6g} ")
    assert ("header says" in note) == bool(cards)


def test_the_same_number_is_a_value_if_nothing_says_otherwise(tmp_path: Path) -> None:
    values = np.full((6, 7), -9999.0, np.float32)
    values[0] = np.arange(7)
    found, notes = _read(_store(tmp_path / "a.fits", "primary", values))
    np.testing.assert_array_equal(found[0], values)
    assert notes == []


def test_values_too_small_for_float32_are_refused(tmp_path: Path) -> None:
    values = np.random.default_rng(0).uniform(1, 5, (6, 7)) * 1e-40
    path = _store(tmp_path / "a.fits", "primary", values)
    with pytest.raises(DataError) as caught:
        Fits().read(path)
    assert str(caught.value).startswith(f"{path}: its values are too small for float32, at most ")
    source = Fits().open_source(path)
    assert source is not None
    with pytest.raises(DataError, match="too small for float32"):
        source.rows(0, 2)
    source.close()


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "u4", "i8"])
def test_flags_are_exact(tmp_path: Path, dtype: str) -> None:
    flags = np.zeros((6, 7), dtype)
    flags[1, 2], flags[3, 4] = 1, np.iinfo(dtype).max
    hdus = [fits.PrimaryHDU(np.ones((6, 7))), fits.ImageHDU(flags, name="DQ")]
    fits.HDUList(hdus).writeto(tmp_path / "a.fits")
    found = Fits().read(tmp_path / "a.fits").metadata["mask"][0].numpy()
    np.testing.assert_array_equal(found, flags)


def test_missing_padding_is_added(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(6, 7)).astype(np.float32)
    path = _store(tmp_path / "a.fits", "primary", values)
    content = path.read_bytes()
    path.write_bytes(content[: 2880 + values.nbytes])
    found, _ = _read(path)
    np.testing.assert_array_equal(found[0], values)
    path.write_bytes(content[: 2880 + values.nbytes - 1])
    with pytest.raises(DataError, match="is truncated"):
        Fits().read(path)
    with pytest.raises(DataError, match="is truncated"):
        Fits().open_source(path)
