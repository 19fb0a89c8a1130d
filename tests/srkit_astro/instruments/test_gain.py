"""The gain that a variance implies, against the gain with which photons were drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from scipy.ndimage import gaussian_filter
from srkit_astro.instruments.gain import Gain, gain_of_variance
from srkit_astro.pairing.sky_images import read_sky_image
from srkit_astro.validation.command import _photon_noise
from srkit_astro.validation.frames import read_windows

GAIN, SKY, READ = 4.0, 300.0, 5.0
Planes = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


def observe(seed: int = 0, side: int = 300, count: int = 200) -> Planes:
    """Draw the electrons of stars on a sky, which is subtracted; return values and variance."""
    rng = np.random.default_rng(seed)
    true = np.zeros((side, side))
    places = rng.integers(10, side - 10, (2, count))
    true[places[0], places[1]] = 10 ** rng.uniform(3, 5.5, count)
    electrons = rng.poisson(GAIN * (gaussian_filter(true, 2) + SKY))
    values = (electrons + rng.normal(0, READ, true.shape)) / GAIN - SKY
    return values, (electrons + READ**2) / GAIN**2


def gain(values: Any, variance: Any, bad: Any = None) -> float | None:
    return gain_of_variance(values, variance, np.zeros(values.shape, bool) if bad is None else bad)


@pytest.mark.parametrize("unit", [1.0, 1e-7, 1e6])
def test_it_is_that_of_the_photons(unit: float) -> None:
    values, variance = observe()
    bad = np.zeros(values.shape, bool)
    bad[:40], values[:40], variance[10:20] = True, 1e9, np.inf
    found = gain(unit * values, unit**2 * variance, bad)
    assert found == pytest.approx(GAIN / unit, rel=0.01)


def test_a_variance_that_states_none() -> None:
    values, variance = observe()
    assert gain(values, np.full_like(variance, np.median(variance))) is None  # of the sky alone
    assert gain(values, variance + (0.05 * values) ** 2) is None  # not linear
    assert gain(values, variance - 2 * values.clip(0, 100)) is None
    assert gain(*(plane[:20, :20] for plane in (values, variance))) is None  # few pixels
    assert gain(values, np.full_like(variance, np.nan)) is None
    assert gain(np.zeros((50, 50)), np.ones((50, 50))) is None


def write_coadd(path: Path, **keys: Any) -> Path:
    """Write a coadd in the layout of HSC, whose zero point is 27."""
    header = fits.Header({"FLUXMAG0": 10 ** (0.4 * 27.0), **keys})
    for axis, (kind, sign) in enumerate((("RA---TAN", -1), ("DEC--TAN", 1)), 1):
        header[f"CTYPE{axis}"], header[f"CRVAL{axis}"] = kind, 2.0
        header[f"CRPIX{axis}"], header[f"CDELT{axis}"] = 150.0, sign * 0.168 / 3600
    values, variance = observe()
    hdus = [fits.ImageHDU(values.astype(np.float32), header, "IMAGE")]
    hdus += [fits.ImageHDU(variance.astype(np.float32), None, "VARIANCE")]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path)
    return path


def test_a_coadd_of_hsc(tmp_path: Path) -> None:
    path = write_coadd(tmp_path / "coadd.fits")
    windows = read_windows([path], None, None, False)
    found = windows[0].gain
    assert found is not None and found.electrons == pytest.approx(GAIN, rel=0.01)
    text = f"{found.electrons:.4g} electrons per unit of the values (variance of bright pixels)"
    assert _photon_noise(windows) == text
    # One unit becomes 10**(0.4 * (zero point - 27)) of what `srkit data pair` writes.
    (one, other) = (read_sky_image(path, point, "--hst-zero-point").gain for point in (27.0, 29.5))
    assert one is not None and other is not None
    assert other.electrons == pytest.approx(10 * one.electrons)


def test_the_header_and_the_option_come_first(tmp_path: Path) -> None:
    path = write_coadd(tmp_path / "a.fits", BUNIT="adu", GAIN=2.5)
    for given, expected in ((None, Gain(2.5, "header")), (7.0, Gain(7.0, "--gain"))):
        assert read_windows([path], None, None, False, given)[0].gain == expected
