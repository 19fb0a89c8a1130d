from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mosaics_setup import HST_ZERO, SOURCES, write_hsc, write_hst
from srkit_astro.pairing.resampling import cut, project
from srkit_astro.pairing.sky_images import read_sky_image


def test_projection_conserves_the_flux(tmp_path: Path) -> None:
    hst = read_sky_image(write_hst(tmp_path / "hst.fits"), None, "--hst-zero-point")
    hsc = read_sky_image(write_hsc(tmp_path / "hsc.fits"), None, "--hsc-zero-point")
    hr = project(hst, cut(hsc, 48, 48, 64), 2)
    # The sources at the centre and around it, without those near the hole.
    inside = [s for s in SOURCES if abs(s[0]) < 4.5 and abs(s[1]) < 4.5]
    truth = sum(10 ** (0.4 * (27 - row[2])) for row in inside)
    noise = 5 * 0.002 * 10 ** (0.4 * (27 - HST_ZERO)) * np.sqrt(hr.values.size)
    window = hr.values[12:116, 12:116]
    assert float(window.sum()) == pytest.approx(truth, rel=2e-3, abs=noise)
