"""A restored FITS image with all that its LR file said, brought up to date."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from astropy.io.fits import Header
from torch import Tensor

from srkit.functional import resize_mask
from srkit.interfaces import Image
from srkit_astro.files.calibration import Values, per_lr_area, to_file_values, values_of
from srkit_astro.files.wcs import subdivided

#: Share of the flux whose change is told; interpolation changes less at the borders.
NOTICED = 0.01


def enlarge(
    lr: Image,
    sr: Tensor,
    scale: float,
    *,
    sigma: Tensor | None = None,
    change: float | None = None,
    values: Values | None = None,
    history: Sequence[str] = (),
) -> Image:
    """Give SR the header of its LR file, on the same sky and in the same kind of values.

    The mask is LR's, enlarged. The variance is that of SR where `sigma` is given, else left out:
    the noise of SR is not LR's.

    Parameters
    ----------
    lr
        As :class:`srkit_astro.files.fits.Fits` reads it.
    sr
        ``(C, scale H, scale W)``, in flux per area of an LR pixel.
    scale
        SR pixels for each LR pixel along a side.
    sigma
        Standard deviation of `sr`, in its shape and unit.
    change
        Of the flux, see :func:`flux_change`; where it is not told, it is measured.
    values
        What the values of the file are; by default its ``BUNIT`` tells, and where it does not, they
        are taken to be flux per pixel, as counts are.
    history
        Lines for the header, such as recipe, version and checkpoint.

    Raises
    ------
    DataError
        If the WCS cannot be subdivided, or the values are magnitudes.
    """
    header = subdivided(lr.metadata.get("header", Header()), scale)
    values = values or values_of(header)
    if values is None:
        unit = header.get("BUNIT", "")
        header.add_history(f"BUNIT '{unit}' does not say what the values are; taken as flux.")
        values = "flux"
    pixels = to_file_values(sr, header, values, scale)
    for line in history:
        header.add_history(line)
    metadata: dict[str, Any] = {"header": header, "bits": 32}
    change = flux_change(lr.pixels, sr) if change is None else change
    if abs(change) > NOTICED:
        header.add_history(f"Total flux changed by {change:+.1%} of the sum of |flux|.")
        text = f"the model changes the total flux by {change:+.1%} of the sum of |flux|"
        metadata["notes"] = [f"{text}; one with the constraint 'flux' keeps it"]
    if "variance" in lr.metadata and sigma is None:
        lost = "LR's variance is left out: the noise of SR is another (--uncertainty)"
        metadata["notes"] = [*metadata.get("notes", []), lost]
    if "mask" in lr.metadata:
        mask = resize_mask(lr.metadata["mask"], sr.shape[-2:])
        metadata |= {"mask": mask, "mask_header": lr.metadata["mask_header"]}
    area = per_lr_area(values, scale)
    if sigma is not None:
        metadata["variance"] = (sigma / area) ** 2
    low, high = (value / area for value in lr.data_range)
    return Image(pixels, (low, high), metadata)


def flux_change(lr: Tensor, sr: Tensor) -> float:
    """Give the total flux of SR less that of LR, over the sum of LR's absolute values.

    Both are ``(C, H, W)`` in flux per the same area; pixels that are NaN are left out. The absolute
    values keep a frame whose sky is subtracted, and whose total is near 0, from any share.
    """
    scatter, *means = (each.nanmean(dtype=torch.float64) for each in (lr.abs(), sr, lr))
    return float((means[0] - means[1]) / scatter) if scatter > 0 else 0.0
