"""Images cut out of larger ones, or resampled to finer pixels, together with their WCS."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_area

from srkit_astro.extra import needs
from srkit_astro.files.keywords import update
from srkit_astro.files.wcs import (
    celestial,
    cut_out,
    pixel_scale_of,
    primary_only,
    subdivided,
    with_wcs_of,
)
from srkit_astro.pairing.sky_images import SkyImage

with needs("reproject"):
    from reproject import reproject_exact


def cut(image: SkyImage, top: int, left: int, size: int) -> SkyImage:
    """Cut a square out of an image and shift its WCS.

    :class:`astropy.nddata.Cutout2D` would shift the WCS alone, not the keywords of the header.
    """
    inside = (slice(top, top + size), slice(left, left + size))
    header = cut_out(image.header, left, top)
    wcs = celestial(header)
    assert wcs is not None
    return replace(
        image,
        values=image.values[inside],
        bad=image.bad[inside],
        variance=None if image.variance is None else image.variance[inside],
        mask=None if image.mask is None else (image.mask[0][inside], image.mask[1]),
        header=header,
        wcs=wcs,
    )


def project(
    source: SkyImage, lr: SkyImage, scale: int, offset: tuple[float, float] = (0.0, 0.0)
) -> SkyImage:
    """Resample an HR image to the grid that subdivides the pixels of an LR image.

    Values are averaged over the area that pixels share on the sphere (``reproject_exact``) and
    multiplied by the ratio of the pixel areas, so that flux per pixel is conserved.

    Parameters
    ----------
    source, lr
        The images.
    scale
        HR pixels per LR pixel along a side.
    offset
        Position of sources in `lr` minus their position according to the WCS of `source`: rows
        and columns in LR pixels. The resampling corrects it.

    Returns
    -------
    SkyImage
        ``(scale h, scale w)``; pixels of which any part is bad or outside `source` are bad. The
        header is that of `source`, with the WCS of the grid.
    """
    height, width = (scale * side for side in lr.values.shape)
    grid = primary_only(subdivided(lr.header, scale))
    wcs = celestial(grid)
    assert wcs is not None
    header = with_wcs_of(grid, source.header)
    update(header, source.pixel_scale / pixel_scale_of(wcs), flux=True)
    shifted = wcs.deepcopy()
    # Sample the source at its own coordinates, which are wrong by the offset.
    shifted.wcs.crpix += scale * np.array([offset[1], offset[0]])
    part = _around(source, shifted, (height, width))
    if part is None:
        nothing = np.ones((height, width), bool)
        return SkyImage(source.path, np.zeros((height, width)), nothing, None, None, header, wcs)
    planes = np.stack([part.values, part.bad.astype(float)])
    (values, bad), (footprint, _) = reproject_exact(
        (planes, part.wcs), shifted, shape_out=(height, width)
    )
    missing = ~(footprint > 1 - 1e-6) | ~(bad < 1e-6)
    area = float(proj_plane_pixel_area(wcs) / proj_plane_pixel_area(part.wcs))
    values = np.where(missing, 0.0, area * values)
    return SkyImage(source.path, values, missing, None, None, header, wcs, source.gain)


def _around(source: SkyImage, wcs: WCS, shape: tuple[int, int]) -> SkyImage | None:
    """Cut out the part of an image that a grid covers, so that the rest is not resampled."""
    edge = [np.linspace(-1, side, 9) for side in shape]
    y, x = (axis.ravel() for axis in np.meshgrid(*edge, indexing="ij"))
    columns, rows = source.wcs.all_world2pix(*wcs.all_pix2world(x, y, 0), 0, quiet=True)
    limits = []
    for places, side in ((rows, source.values.shape[0]), (columns, source.values.shape[1])):
        start = max(math.floor(places.min()) - 2, 0)
        stop = min(math.ceil(places.max()) + 3, side)
        if start >= stop:
            return None
        limits.append(slice(start, stop))
    part = tuple(limits)
    return replace(
        source,
        values=source.values[part],
        bad=source.bad[part],
        variance=None,
        mask=None,
        wcs=source.wcs.slice(part),
    )
