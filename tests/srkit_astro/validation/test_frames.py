from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.io import fits
from srkit_astro.validation.detection import measure_background
from srkit_astro.validation.frames import SIDE, WINDOWS, read_windows


def test_parts_of_a_large_frame_with_missing_pixels(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).normal(size=(2 * SIDE, 3 * SIDE)).astype(np.float32)
    pixels[:, 200:210] = np.nan
    fits.PrimaryHDU(pixels).writeto(tmp_path / "a.fits")
    windows = read_windows([tmp_path / "a.fits"], None, None, False)
    assert len(windows) == WINDOWS
    assert windows[0].pixels.shape == (SIDE, SIDE)
    assert windows[0].bad.sum() == 10 * SIDE
    for window in windows:
        assert np.isfinite(window.pixels).all()
        found = measure_background(window.pixels, 4.0, window.bad)  # of sep, which reads no slices
        assert 0.1 < found.noise < 1


def test_the_gain_of_the_header_and_of_the_option(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).normal(size=(40, 40)).astype(np.float32)
    header = fits.Header({"BUNIT": "ELECTRONS/S", "EXPTIME": 90.0})
    fits.PrimaryHDU(pixels, header).writeto(tmp_path / "a.fits")
    for given, expected in ((None, 90.0), (7.0, 7.0)):
        (window,) = read_windows([tmp_path / "a.fits"], None, None, False, given)
        assert window.gain is not None and window.gain.electrons == expected
