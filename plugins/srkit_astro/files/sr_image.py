"""SR images with the header and mask of their LR file, updated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from astropy.io.fits import Header
from torch import Tensor

from srkit.functional import resize_mask
from srkit.interfaces import Image
from srkit_astro.files.calibration import PhysicalType, per_lr_area, physical_type, to_file_values
from srkit_astro.files.wcs import subdivided

#: Smallest relative change of the flux that is reported; interpolation changes less at the borders.
NOTICED = 0.01


def enlarge(
    lr: Image,
    sr: Tensor,
    scale: float,
    *,
    sigma: Tensor | None = None,
    change: float | None = None,
    values: PhysicalType | None = None,
    history: Sequence[str] = (),
) -> Image:
    """Return SR as an image with the WCS, the mask and the kind of values of its LR file.

    The mask is that of LR, enlarged. The variance is that of SR if `sigma` is given, and is
    otherwise left out, since the noise of SR differs from that of LR.

    Parameters
    ----------
    lr
        The LR image as read by :class:`srkit_astro.files.fits.Fits`.
    sr
        ``(C, scale H, scale W)``, in flux per area of an LR pixel.
    scale
        SR pixels per LR pixel along a side.
    sigma
        Standard deviation of `sr`, in its shape and unit.
    change
        Relative change of the flux, see :func:`flux_change`; by default it is measured.
    values
        Whether the values of the file are flux or surface brightness; by default according to
        ``BUNIT``, and flux per pixel if that is unknown.
    history
        Lines for the header, such as recipe, version and checkpoint.

    Raises
    ------
    DataError
        If the WCS cannot be subdivided, or the values are magnitudes.
    """
    header = subdivided(lr.metadata.get("header", Header()), scale)
    values = values or physical_type(header)
    if values is None:
        unit = header.get("BUNIT", "")
        header.add_history(f"BUNIT '{unit}' is unknown; values assumed to be flux per pixel.")
        values = "flux"
    pixels = to_file_values(sr, header, values, scale)
    for line in history:
        header.add_history(line)
    metadata: dict[str, Any] = {"header": header, "bits": 32}
    change = flux_change(lr.pixels, sr) if change is None else change
    if abs(change) > NOTICED:
        header.add_history(f"Total flux changed by {change:+.1%} of the sum of |flux|.")
        text = f"the model changes the total flux by {change:+.1%} of the sum of |flux|"
        metadata["notes"] = [f"{text}; a model with the constraint 'flux' conserves it"]
    if "variance" in lr.metadata and sigma is None:
        lost = "the variance of LR does not apply to SR and is left out (see --uncertainty)"
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
    """Return the total flux of SR minus that of LR, over the sum of the absolute values of LR.

    Both are ``(C, H, W)`` in flux per the same area; NaN is ignored. Absolute values are used
    because the total flux of a sky-subtracted image can be close to 0.
    """
    scatter, *means = (each.nanmean(dtype=torch.float64) for each in (lr.abs(), sr, lr))
    return float((means[0] - means[1]) / scatter) if scatter > 0 else 0.0
