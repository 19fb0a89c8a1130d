"""Footprints of images on the sky, and the parts of the sky that they share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from astropy.wcs import WCS
from numpy.typing import NDArray
from scipy.cluster.hierarchy import DisjointSet
from scipy.spatial import cKDTree

Points = NDArray[np.float64]

#: Images that share less of the area of the smaller one only touch: tiles of a mosaic, each with a
#: WCS of its own, overlap by slivers.
LEAST_SHARE = 1e-3


@dataclass(frozen=True, slots=True)
class Footprint:
    """The quadrilateral of an image on the sky.

    Parameters
    ----------
    corners
        Unit vectors of the corners, in their order around the image, ``(4, 3)``.
    """

    corners: Points

    @property
    def centre(self) -> Points:
        """Unit vector of the centre, ``(3,)``."""
        total: Points = self.corners.sum(0)
        return total / np.linalg.norm(total)

    @property
    def radius(self) -> float:
        """Largest distance of a corner from the centre, as a chord of the unit sphere."""
        return float(np.linalg.norm(self.corners - self.centre, axis=1).max())


def footprint_of(wcs: WCS, shape: tuple[int, int]) -> Footprint | None:
    """Return the footprint of an image; None if a corner is not on the sky.

    Parameters
    ----------
    wcs
        The celestial WCS, with RA and Dec or other spherical coordinates in degrees.
    shape
        Rows and columns of the image.
    """
    height, width = shape
    x, y = np.array([-0.5, width - 0.5, width - 0.5, -0.5]), np.repeat([-0.5, height - 0.5], 2)
    longitude, latitude = np.radians(wcs.all_pix2world(x, y, 0))
    level = np.cos(latitude)
    corners = np.stack(
        [level * np.cos(longitude), level * np.sin(longitude), np.sin(latitude)], axis=1
    )
    # Beyond a hemisphere there is no tangent plane to compare areas on.
    if not np.isfinite(corners).all() or not (corners @ corners.sum(0) > 0).all():
        return None
    return Footprint(corners)


def footprint_around(ra: float, dec: float, sides: tuple[float, float]) -> Footprint | None:
    """Return the footprint of an image with north up around a position.

    Parameters
    ----------
    ra, dec
        The position in degrees.
    sides
        Height and width in arcsec.
    """
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = [ra, dec], [1, 1]
    wcs.wcs.cdelt = [-sides[1] / 3600, sides[0] / 3600]
    return footprint_of(wcs, (1, 1))


def shared_sky(
    first: Sequence[Footprint | None], second: Sequence[Footprint | None]
) -> Iterator[tuple[int, int, float]]:
    """Find the images that share a part of the sky.

    Parameters
    ----------
    first, second
        Footprints of two sets of images; None for an image whose place is unknown.

    Yields
    ------
    tuple of int, int and float
        Indices of an image of each set, and the share of the area of the smaller one that is also
        in the other; shares below :data:`LEAST_SHARE` are left out.
    """
    sides = [[(i, each) for i, each in enumerate(side) if each] for side in (first, second)]
    if not all(sides):
        return
    trees = [cKDTree(np.array([each.centre for _, each in side])) for side in sides]
    reach = sum(max(each.radius for _, each in side) for side in sides)
    for row, near in enumerate(trees[0].query_ball_tree(trees[1], reach)):
        i, one = sides[0][row]
        for j, other in (sides[1][column] for column in sorted(near)):
            if (share := _share(one, other)) >= LEAST_SHARE:
                yield i, j, share


def representatives(names: Sequence[str], footprints: Sequence[Footprint | None]) -> list[str]:
    """Return for each image the first name, in alphabetical order, of its group.

    Images that share a part of the sky belong to one group, as do those that are linked by others
    (friends of friends). An image that shares nothing is represented by its own name.
    """
    groups = DisjointSet(range(len(names)))
    for i, j, _ in shared_sky(footprints, footprints):
        groups.merge(i, j)
    return [min(names[member] for member in groups.subset(i)) for i in range(len(names))]


def note_on_groups(first: Sequence[str]) -> str:
    """Return a note on pairs that share sky, by their :func:`representatives`; empty if none do."""
    sizes = [size for size in Counter(first).values() if size > 1]
    if not sizes:
        return ""
    groups = f"{len(sizes)} group{'' if len(sizes) == 1 else 's'}"
    return (
        f"{sum(sizes)} of {len(first)} pairs share sky with others; they form {groups} of up to "
        f"{max(sizes)} pairs, each in one split"
    )


def _share(one: Footprint, other: Footprint) -> float:
    """Return the area that two images share over the area of the smaller one."""
    centre = one.centre
    if not (other.corners @ centre > 0).all():
        return 0.0
    a, b = (_projected(each.corners, centre) for each in (one, other))
    smaller = min(_area(a), _area(b))
    return max(_area(_clipped(a, b)), 0.0) / smaller if smaller > 0 else 0.0


def _projected(corners: Points, centre: Points) -> Points:
    """Project unit vectors onto the tangent plane at `centre`, counterclockwise.

    Great circles become straight lines.
    """
    axis = np.eye(3)[np.abs(centre).argmin()]
    east = np.cross(axis, centre)
    east /= np.linalg.norm(east)
    north = np.cross(centre, east)
    plane = np.stack([corners @ east, corners @ north], axis=1) / (corners @ centre)[:, None]
    return plane if _area(plane) >= 0 else plane[::-1]


def _area(polygon: Points) -> float:
    """Return the area of a polygon, positive if its corners are counterclockwise."""
    following = np.roll(polygon, -1, axis=0)
    return float((polygon[:, 0] * following[:, 1] - polygon[:, 1] * following[:, 0]).sum() / 2)


def _clipped(polygon: Points, window: Points) -> Points:
    """Return the part of a polygon inside a convex one (Sutherland and Hodgman 1974).

    The corners of `window` are counterclockwise.
    """
    for start, end in zip(window, np.roll(window, -1, axis=0), strict=True):
        edge = end - start
        left = edge[0] * (polygon[:, 1] - start[1]) - edge[1] * (polygon[:, 0] - start[0])
        kept: list[Points] = []
        for i in range(len(polygon)):
            if left[i] >= 0:
                kept.append(polygon[i])
            j = (i + 1) % len(polygon)
            if (left[i] >= 0) != (left[j] >= 0):
                kept.append(polygon[i] + left[i] / (left[i] - left[j]) * (polygon[j] - polygon[i]))
        polygon = np.array(kept).reshape(-1, 2)
        if not len(polygon):
            break
    return polygon
