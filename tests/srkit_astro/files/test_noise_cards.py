from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.io.fits import Header
from srkit_astro.files.noise_cards import CARDS, describe, reserve

from srkit import Upscaler


def _restored(tmp_path: Path, model: str, side: int = 100, bands: int = 1) -> Header:
    pixels = np.random.default_rng(0).normal(50, 2, (bands, side, side)).astype(np.float32)
    header = Header({"BUNIT": "adu", "NOISERMS": 7.0})
    path = tmp_path / "lr.fits"
    fits.writeto(path, pixels if bands > 1 else pixels[0], header)
    found: Header = Upscaler(model, scale=2)(path).header
    return found


def test_the_noise_of_repeated_pixels(tmp_path: Path) -> None:
    header = _restored(tmp_path, "nearest")
    # The flux of a pixel is divided among four, and half of the neighbours are equal. A large sum
    # has the noise of LR, that of independent pixels half of it.
    assert header["NOISERMS"] == pytest.approx(2 / 4, rel=0.03)
    assert header["NOISECOR"] == pytest.approx(0.5, abs=0.03)
    assert header["NOISEFAC"] == pytest.approx(2, rel=0.06)
    assert header.comments["NOISECOR"] == "correlation of the noise of adjacent pixels"


def test_the_noise_of_an_interpolation(tmp_path: Path) -> None:
    header = _restored(tmp_path, "bilinear")
    # Weights 3/4 and 1/4 along each axis: the variance is that of LR times (5/8)**2, and the
    # covariance of neighbours 3/8 in a pixel or 5/16 + 1/8 + ... across it.
    weights = np.zeros((6, 3))
    for k in range(6):
        centre = (k + 0.5) / 2 - 0.5
        weights[k] = np.clip(1 - abs(np.arange(3) - centre), 0, None)
    products = weights @ weights.T
    assert header["NOISERMS"] == pytest.approx(0.5 * 5 / 8, rel=0.03)
    neighbours = (products[2, 3] + products[1, 2]) / 2 / products[2, 2]
    assert header["NOISECOR"] == pytest.approx(neighbours, abs=0.03)


def test_bands_count_together(tmp_path: Path) -> None:
    assert _restored(tmp_path, "nearest", bands=3)["NOISERMS"] == pytest.approx(0.5, rel=0.03)


def test_small_images_have_no_cards(tmp_path: Path) -> None:
    assert not set(CARDS) & set(_restored(tmp_path, "nearest", side=30))


def test_an_image_without_noise_has_no_cards() -> None:
    header = Header({"NOISEFAC": 1.0, "EXPTIME": 1})
    reserve(header, (1, 200, 200))
    describe(header, np.ones((1, 200, 200)))
    assert list(header) == ["EXPTIME"]


def test_without_reserved_cards_nothing_is_added() -> None:
    header = Header()
    describe(header, np.random.default_rng(0).normal(size=(1, 200, 200)))
    assert not header
