from __future__ import annotations

import numpy as np
import pytest
from mosaics_setup import HSC_PSF, HSC_SCALE, HST_PSF, render, sky_wcs
from srkit_astro.pairing.registration import register


@pytest.mark.parametrize(("dy", "dx"), [(0.0, 0.0), (0.31, -0.42), (-3.3, 2.6)])
def test_offset_ratio_and_sky_are_recovered(dy: float, dx: float) -> None:
    grid = sky_wcs(64, HSC_SCALE / 2, 0.0)
    hr = render(grid, HSC_SCALE / 2, 27.0, HST_PSF)
    lr_wcs = sky_wcs(32, HSC_SCALE, 0.0)
    lr_wcs.wcs.crpix = (grid.wcs.crpix - 0.5) / 2 + 0.5 + np.array([dx, dy])
    lr = 1.5 * render(lr_wcs, HSC_SCALE, 27.0, HSC_PSF) + 0.3
    found = register(lr, hr, 2, weight=np.full(lr.shape, 50.0), search=6)
    assert found is not None
    assert (found.dy, found.dx) == pytest.approx((dy, dx), abs=0.02)
    assert found.ratio == pytest.approx(1.5, rel=0.01)
    assert found.sky == pytest.approx(0.3, abs=0.05)
