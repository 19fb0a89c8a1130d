"""Headers with random faults lead to a file that astropy reads, or to one error, in seconds."""

from __future__ import annotations

import io
import random
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

import srkit

CARDS = {"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "CRPIX1": 3.0, "CRPIX2": 4.0}
CARDS |= {"CRVAL1": 10.0, "CRVAL2": 20.0, "CD1_1": -1e-4, "CD2_2": 1e-4, "A_ORDER": 2}
CARDS |= {"B_ORDER": 2, "A_2_0": 1e-5, "BUNIT": "ADU", "MAGZERO": 25.0, "DATASEC": "[1:8,1:8]"}
CARDS |= {"SATURATE": 600, "SECPIX": "0.3", "FWHM": 3.0, "LTV1": 3.0, "PV1_1": 1.0, "NODATA": -9}
#: Values that replace the value of a card, and keywords that replace its keyword.
VALUES = ["'abc'", "T", "NaN", "1E400", "-1", "0", "99999999999", "1.0.0", "'1'", "(1,2)", "1d3"]
VALUES += ["[1:2]", "'[5:1,8:1]'", "'mag'", "'K_CMB'", "-0.0", "'RA---XYZ'", "1 / x", "''", " "]
KEYS = ["BLANK", "BZERO", "BSCALE", "CPDIS1", "D2IMDIS1", "PS1_0", "WCSAXES", "PC1_3", "CTYPE3"]
KEYS += ["EXTNAME", "BAYERPAT", "PIXAR_SR", "XTENSION", "TFIELDS", "ZNAXIS1", "ZCMPTYPE", "PCOUNT"]
KEYS += ["GCOUNT", "EXTVER", "UTYPE", "BUNIT", "PHOTFLAM", "FLUXMAG0", "CQDIS1", "PV1_0"]


def _content(dtype: str, *, packed: bool) -> bytes:
    values = np.arange(5, 69, dtype=dtype).reshape(8, 8)
    kind = fits.CompImageHDU if packed else fits.ImageHDU
    mask = fits.ImageHDU(np.zeros((8, 8), "i2"), fits.Header({"MP_BAD": 1}), name="DQ")
    stored = io.BytesIO()
    science = kind(values, fits.Header(CARDS), name="SCI")
    fits.HDUList([fits.PrimaryHDU(), science, mask]).writeto(stored)
    return stored.getvalue()


def _damaged(content: bytes, rng: random.Random) -> bytes:
    found = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 3])):
        places = [at for at in range(0, len(found) - 80, 80) if found[at + 8 : at + 10] == b"= "]
        at, value = rng.choice(places), rng.choice(VALUES).rjust(20)
        match rng.choice("vvvkkbt"):
            case "v":
                found[at + 10 : at + 80] = value.ljust(70).encode()
            case "k":
                found[at : at + 80] = f"{rng.choice(KEYS):<8}= {value}".ljust(80).encode()
            case "b":
                found[at + rng.randrange(80)] = rng.randrange(256)
            case "t":
                return bytes(found[: rng.randrange(80, len(found))])
    return bytes(found)


@pytest.mark.parametrize("dtype", ["u2", "f4"])
@pytest.mark.parametrize("packed", [False, True])
def test_random_faults(tmp_path: Path, dtype: str, packed: bool) -> None:
    rng = random.Random(0)
    content, path = _content(dtype, packed=packed), tmp_path / "a.fits"
    upscaler = srkit.Upscaler("nearest", scale=2)
    restored = 0
    for _ in range(75):
        path.write_bytes(_damaged(content, rng))
        start = time.monotonic()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                restored += upscaler(path).shape[-1] > 0
        except srkit.SrkitError as error:
            assert str(error).startswith(f"{path}: ")
        assert time.monotonic() - start < 20
    assert restored > 10
