"""The limit for compressed images."""

from __future__ import annotations

from pathlib import Path

import pytest

from srkit.errors import DataError
from srkit.images.limits import MEGAPIXELS, allow, allowed_pixels, check_pixels


def test_the_limit_applies_within_its_context() -> None:
    check_pixels(Path("a.png"), 10_000, 25_000)
    with pytest.raises(DataError, match=r"^a\.png: would decompress to 25001 x 10000 pixels"):
        check_pixels(Path("a.png"), 10_000, 25_001)
    with allow(1000):
        check_pixels(Path("a.png"), 10_000, 100_000)
        assert allowed_pixels() == 1e9
    assert allowed_pixels() == MEGAPIXELS * 1e6


def test_a_limit_must_be_positive() -> None:
    message = "^the largest input must be positive, got 0 megapixels$"
    with pytest.raises(ValueError, match=message), allow(0):
        pass
