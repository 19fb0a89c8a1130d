"""Keywords that a change of the pixel size makes wrong, against values computed by hand."""

from __future__ import annotations

import pytest
from astropy.io.fits import Header
from srkit_astro.files.keywords import mosaic_of, update

#: Keyword, value, and its values at scale 2 for flux per pixel and for a level; None: removed.
CARDS = [
    ("PIXSCALE", 1.94, 0.97, 0.97),
    ("PIXSCAL1", 0.168, 0.084, 0.084),
    ("SECPIX", "1.94    ", 0.97, 0.97),
    ("SECPIX2", "unknown", "unknown", "unknown"),
    ("SCALE", 1.94, 0.97, 0.97),
    ("D001SCAL", 0.05, 0.025, 0.025),
    ("IDCSCALE", 0.05, 0.025, 0.025),
    ("XPIXSZ", 3.76, 1.88, 1.88),
    ("YPIXSZ", 3.76, 1.88, 1.88),
    ("PIXSIZE", 15.0, 7.5, 7.5),
    ("PIXSIZE1", 15.0, 7.5, 7.5),
    ("XPIXELSZ", 25.0, 12.5, 12.5),
    ("CDELTX", -0.002, -0.001, -0.001),
    ("PIXAR_A2", 0.04, 0.01, 0.01),
    ("PIXAR_SR", 6e-13, 1.5e-13, 1.5e-13),
    ("XREFPIX", 10.0, 19.5, 19.5),
    ("CNPIX1", 400, 800, 800),
    ("XORGSUBF", 100, 200, 200),
    ("DATASEC", "[1:64,1:48]", "[1:128,1:96]", "[1:128,1:96]"),
    ("TRIMSEC", "[3:60,3:40]", "[5:120,5:80]", "[5:120,5:80]"),
    ("BIASSEC", "[65:68,1:48]", "[129:136,1:96]", "[129:136,1:96]"),
    ("DATASECA", "[ 1 : 32 , 1 : 48 ]", "[1:64,1:96]", "[1:64,1:96]"),
    ("STATSEC", "all", None, None),
    ("CCDSEC", "[101:164,201:248]", None, None),
    ("DETSEC", "[101:164,201:248]", None, None),
    ("AMPSEC", "[64:1,1:48]", None, None),
    ("SATURATE", 60000, 15000, 60000),
    ("MAXLIN", 50000.0, 12500.0, 50000.0),
    ("SKYLEVEL", 100.0, 25.0, 100.0),
    ("SKY", "dark", "dark", "dark"),
    ("MDRIZSKY", 8.0, 2.0, 8.0),
    ("BACKGRND", 12.0, 3.0, 12.0),
    ("PEDESTAL", -100, -25, -100),
    ("CBLACK", 40, 10, 40),
    ("SKYSIGMA", 8.0, 4.0, 8.0),
    ("RDNOISE", 5.0, 2.5, 5.0),
    ("READNOIS", 5.0, 2.5, 5.0),
    ("DATAMEAN", 11.0, None, None),
    ("GOODMAX", 900.0, None, None),
    ("MEAN", 11.0, None, None),
    ("MODE", "imaging", "imaging", "imaging"),
    ("BAYERPAT", "RGGB", None, None),
    ("XBAYROFF", 0, None, None),
    ("XBINNING", 1, None, None),
    ("CCDXBIN", 2, None, None),
    ("CCDSUM", "1 1", None, None),
    # Valid for any pixels.
    ("EXPTIME", 300.0, 300.0, 300.0),
    ("GAIN", 2.0, 2.0, 2.0),
    ("MAGZERO", 27.0, 27.0, 27.0),
    ("FOCALLEN", 400.0, 400.0, 400.0),
    ("ROWORDER", "TOP-DOWN", "TOP-DOWN", "TOP-DOWN"),
    ("BUNIT", "adu", "adu", "adu"),
    ("PHOTFLAM", 7e-20, 7e-20, 7e-20),
    ("ORIENTAT", 12.0, 12.0, 12.0),
]


@pytest.mark.parametrize(("key", "given", "flux", "level"), CARDS, ids=[card[0] for card in CARDS])
def test_each_keyword(key: str, given: object, flux: object, level: object) -> None:
    for is_flux, expected in ((True, flux), (False, level)):
        header = Header([(key, given)])
        notes = update(header, 2, flux=is_flux)
        found = header.get(key)
        assert found == (pytest.approx(expected) if isinstance(expected, float) else expected)
        assert bool(notes) == (expected is None)
        assert ("HISTORY" in header) == (found != Header([(key, given)])[key])


@pytest.mark.parametrize("key", ["FWHM", "SEEING", "IMFWHM"])
@pytest.mark.parametrize(
    ("comment", "expected"),
    [("[pixels]", 7.2), ("mean of stars (pix)", 7.2), ("[arcsec] of stars", 3.6), ("", None)],
)
def test_a_width_depends_on_its_unit(key: str, comment: str, expected: float | None) -> None:
    header = Header([(key, 3.6, comment)])
    notes = update(header, 2, flux=True)
    assert header.get(key) == expected
    assert bool(notes) == (expected is None)
    assert comment == (header.comments[key] if key in header else "")


def test_removed_keywords_are_reported_once_with_the_reason() -> None:
    header = Header({"CCDSUM": "1 1", "XBINNING": 1, "CCDSEC": "[1:4,1:4]", "SATURATE": 400})
    listed = "CCDSUM, XBINNING (no binning in SR); CCDSEC (in pixels of the detector)"
    assert update(header, 2, flux=True) == [
        f"header keywords that are not valid for SR are removed: {listed}"
    ]
    assert list(header["HISTORY"]) == [
        "Changed for the new pixels: SATURATE.",
        *_lines(f"Removed, not valid for the new pixels: {listed}."),
    ]


def _lines(text: str) -> list[str]:
    return [text[start : start + 72].rstrip() for start in range(0, len(text), 72)]


def test_nothing_changes_at_scale_one() -> None:
    header = Header({"SECPIX": "1.94", "BAYERPAT": "RGGB"})
    assert update(header, 1, flux=True) == []
    assert header == Header({"SECPIX": "1.94", "BAYERPAT": "RGGB"})


def test_a_fractional_scale() -> None:
    header = Header({"DATASEC": "[3:60,1:48]", "SATURATE": 900.0})
    update(header, 1.5, flux=True)
    # Pixels 3 to 60 reach from 2 to 60 pixel sides, so from 3 to 90 new ones.
    assert (header["DATASEC"], header["SATURATE"]) == ("[4:90,1:72]", 400.0)


@pytest.mark.parametrize(
    ("cards", "pattern"),
    [({"BAYERPAT": "RGGB"}, "RGGB"), ({"COLORTYP": "MONO"}, ""), ({"COLORTYP": "GBRG"}, "GBRG")],
)
def test_colour_mosaics(cards: dict[str, str], pattern: str) -> None:
    assert mosaic_of(Header(cards)) == pattern
