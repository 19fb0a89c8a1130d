"""Header cards that break the standard are fixed or left out, with a message."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from srkit_astro.files.fits import Fits

import srkit
from srkit.errors import DataError
from srkit.interfaces import Image

FIXED = "header cards that break the FITS standard are fixed: "
LEFT_OUT = "header cards that break the FITS standard are left out: "


def _store(path: Path, *cards: str) -> Path:
    """Write an image whose header has some cards as they are."""
    stated = ("SIMPLE  = T", "BITPIX  = -32", "NAXIS   = 2", "NAXIS1  = 4", "NAXIS2  = 3")
    header = "".join(card.ljust(80) for card in (*stated, "BUNIT   = 'adu'", *cards, "END"))
    values = np.arange(12, dtype=">f4").tobytes()
    path.write_bytes(header.ljust(2880).encode("ascii") + values.ljust(2880, b"\0"))
    return path


def _round_trip(path: Path) -> tuple[Image, fits.Header]:
    """Read a file, write it, and return the image and the header that astropy reads."""
    image = Fits().read(path)
    written = path.with_name("written.fits")
    Fits().write(written, image)
    np.testing.assert_array_equal(fits.getdata(written), np.arange(12).reshape(3, 4))
    return image, fits.getheader(written)


@pytest.mark.parametrize(
    ("card", "key", "value"),
    [
        ("MAGZPT  = NaN", "MAGZPT", "NaN"),
        ("EXPTIME = 1.0.0", "EXPTIME", "1.0.0"),
        ("DATE-OBS= 2020-01-01", "DATE-OBS", "2020-01-01"),
        ("OBJECT  = 'unterminated", "OBJECT", "'unterminated"),
        ("FLAG    = True", "FLAG", "True"),
        ("CRPIX1  = '2.5'", "CRPIX1", 2.5),
        ("CD1_1   = ' -1.5E-4 '", "CD1_1", -1.5e-4),
    ],
)
def test_fixed_cards(tmp_path: Path, card: str, key: str, value: object) -> None:
    image, header = _round_trip(_store(tmp_path / "a.fits", card, "OBSERVER= 'A'"))
    assert image.metadata["notes"] == [FIXED + key]
    assert (header[key], header["OBSERVER"]) == (value, "A")


@pytest.mark.parametrize("card", ["EXPTIME = 1.5d3", "EXPTIME = +1.5e3", "exptime = 1500"])
def test_numbers_in_other_forms_are_written(tmp_path: Path, card: str) -> None:
    _, header = _round_trip(_store(tmp_path / "a.fits", card))
    assert header["EXPTIME"] == 1500
    found = srkit.upscale(tmp_path / "a.fits", "nearest", scale=2)
    assert found.header["EXPTIME"] == 1500


@pytest.mark.parametrize("card", ["IRAF-B/P= 16 / x", "P.I.    = 'Latham  '", "A B C   = 1"])
def test_cards_with_illegal_keywords_are_left_out(tmp_path: Path, card: str) -> None:
    image, header = _round_trip(_store(tmp_path / "a.fits", card, "OBSERVER= 'A'"))
    key = card.partition("=")[0].strip()
    assert image.metadata["notes"] == [LEFT_OUT + key]
    assert header["OBSERVER"] == "A"
    assert key not in header


def test_zero_points_that_are_no_numbers_are_only_refused_if_needed(tmp_path: Path) -> None:
    image = Fits().read(_store(tmp_path / "a.fits", "MAGZPT  = NaN"))
    known = Fits().calibrate(image).metadata
    assert "zero_point" not in known
    assert known["zero_point_error"] == "MAGZPT is 'NaN'; expected a number"


@pytest.mark.parametrize(
    ("cards", "message"),
    [
        (("CTYPE1  = 'RA---TAN'", "CRPIX1  = 'a'"), "CRPIX1 is 'a'; expected a number; "),
        (("A_ORDER = 1000000000",), "A_ORDER is 1000000000; expected 0 to 9; "),
        (("WCSAXES = 99999999",), "WCSAXES is 99999999; expected 0 to 9; "),
        (("CDELT1  = T",), "CDELT1 is True; expected a number; "),
    ],
)
def test_a_wcs_that_is_not_of_numbers_is_refused(
    tmp_path: Path, cards: tuple[str, ...], message: str
) -> None:
    image = Fits().read(_store(tmp_path / "a.fits", *cards))
    with pytest.raises(DataError) as caught:
        Fits().calibrate(image)
    assert str(caught.value) == f"{message}correct or remove it"


def test_another_kind_of_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    path.write_bytes(b"\x89PNG\r\n\x1a\n")
    for read in (Fits().read, Fits().open_source):
        with pytest.raises(DataError) as caught:
            read(path)
        assert str(caught.value) == (
            f"{path}: is not a FITS file: it begins with the bytes 89 50 4e 47 0d 0a 1a 0a, "
            "not with SIMPLE"
        )


@pytest.mark.parametrize("key", ["NAXIS", "TFIELDS", "ZNAXIS", "NAXIS1"])
@pytest.mark.parametrize("value", ["99999999999999999999", "-1", "'x'"])
def test_absurd_sizes_are_refused_at_once(tmp_path: Path, key: str, value: str) -> None:
    path = _store(tmp_path / "a.fits", f"{'TFIELDS':<8}= 0", f"{'ZNAXIS':<8}= 0")
    content = path.read_bytes().decode("latin1")
    card = next(content[at : at + 80] for at in range(0, 2880, 80) if content[at:].startswith(key))
    path.write_bytes(content.replace(card, f"{key:<8}= {value}".ljust(80)).encode("latin1"))
    for read in (Fits().read, Fits().open_source):
        with pytest.raises(DataError, match=f"{key} is {value}"):
            read(path)


@pytest.mark.parametrize("blank", [b"\0", b" "])
def test_blank_blocks_after_the_end_are_ignored(tmp_path: Path, blank: bytes) -> None:
    path = _store(tmp_path / "a.fits")
    content = path.read_bytes()
    path.write_bytes(content + blank * 5760)
    _round_trip(path)
    path.write_bytes(content + b"junk" * 720)
    with pytest.raises(DataError, match="it may be damaged"):
        Fits().read(path)
