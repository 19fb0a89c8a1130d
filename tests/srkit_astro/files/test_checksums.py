from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from srkit_astro.files.checksums import encoded, sum_words


@pytest.mark.parametrize("seed", range(20))
def test_checksums_equal_those_of_astropy(seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(40, 18)).astype(">f4")  # one block
    hdu = fits.PrimaryHDU(values)
    hdu.add_checksum(when="then")
    data = values.tobytes()
    parts = [data[:7], data[7:8], b"", data[8:1001], data[1001:]]
    found = sum_words(parts)
    assert str(found) == hdu.header["DATASUM"]
    stated = hdu.header["CHECKSUM"]
    hdu.header["CHECKSUM"] = "0" * 16
    assert encoded(sum_words([hdu.header.tostring().encode()], found)) == stated


def test_incomplete_words_are_padded() -> None:
    assert sum_words([b"\0\0\0\1", b"\1"]) == 1 + 2**24
    assert sum_words([b"\xff\xff\xff\xff"] * 3, 5) == 5
    assert encoded(0xFFFFFFFF) == "0" * 16
