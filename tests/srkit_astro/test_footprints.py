"""Footprints on the sky, compared with areas that are known."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.wcs import WCS
from srkit_astro.footprints import (
    Footprint,
    footprint_around,
    footprint_of,
    note_on_groups,
    representatives,
    shared_sky,
)

SIDE = 8.0


def around(ra: float, dec: float, side: float = SIDE) -> Footprint:
    found = footprint_around(ra, dec, (side, side))
    assert found is not None
    return found


@pytest.mark.parametrize("dec", [0.0, 60.0, -89.0])
@pytest.mark.parametrize("ra", [0.0, 359.9999, 150.0])
def test_shares_are_those_of_shifted_squares(ra: float, dec: float) -> None:
    """Also across RA = 0 and near a pole: a shift by a quarter leaves three quarters."""
    east = (ra + SIDE / 4 / 3600 / np.cos(np.radians(dec))) % 360
    north, far = dec + SIDE / 2 / 3600, dec + 1.001 * SIDE / 3600
    others = [around(east, dec), around(ra, north), around(ra, far), around(ra, dec, SIDE / 2)]
    found = list(shared_sky([around(ra, dec)], others))
    assert [(i, j) for i, j, _ in found] == [(0, 0), (0, 1), (0, 3)]
    assert [share for *_, share in found] == pytest.approx([0.75, 0.5, 1.0], abs=2e-4)


def test_images_around_a_pole_overlap() -> None:
    """Two squares on a pole, turned by 45 degrees: an octagon remains."""
    (found,) = shared_sky([around(0, 90)], [around(45, 90)])
    assert found[2] == pytest.approx(2 * (np.sqrt(2) - 1), abs=1e-4)


def test_a_turned_image_is_clipped() -> None:
    """The footprint follows the WCS: here with x and y turned by 45 degrees, and mirrored."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], [10.0, 20.0]
    wcs.wcs.crpix = [20.5, 20.5]
    wcs.wcs.cd = 0.2 / 3600 * np.array([[1, 1], [-1, 1]]) / np.sqrt(2)
    turned = footprint_of(wcs, (40, 40))
    (found,) = shared_sky([turned], [around(10.0, 20.0)])
    assert found[2] == pytest.approx(2 * (np.sqrt(2) - 1), abs=1e-4)


def test_tiles_that_touch_share_nothing() -> None:
    """Tiles of a mosaic, each with a WCS of its own, at 60 degrees of latitude."""
    step = SIDE / 3600
    tiles = [
        around(i * step / np.cos(np.radians(60)), 60 + j * step) for i in range(5) for j in (0, 1)
    ]
    names = [f"t{i}" for i in range(10)]
    assert representatives(names, tiles) == names


def test_friends_of_friends_are_represented_by_their_first_name() -> None:
    step = 0.6 * SIDE / 3600
    chain = [around(359.999 + i * step, 0.0) for i in range(4)]
    apart = [around(40.0, 0.0), None, None]
    names = ["d", "b", "c", "e", "a", "f", "g"]
    found = representatives(names, [*chain, *apart])
    assert found == ["b", "b", "b", "b", "a", "f", "g"]
    backwards = representatives(names[::-1], [*chain, *apart][::-1])
    assert backwards == found[::-1]
    assert note_on_groups(found) == (
        "4 of 7 pairs share sky with others; they form 1 group of up to 4 pairs, each in one split"
    )
    assert note_on_groups(["a", "b"]) == ""


def test_an_image_of_the_whole_sky_has_no_footprint() -> None:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---AIT", "DEC--AIT"], [0, 0], [90, 45]
    wcs.wcs.cdelt = [-2, 2]
    assert footprint_of(wcs, (90, 180)) is None
    assert list(shared_sky([None], [around(0, 0)])) == []
