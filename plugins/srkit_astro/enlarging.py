"""A restored FITS image with all that its LR file said, brought up to date."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from astropy.io.fits import Header
from torch import Tensor

from srkit.errors import DataError
from srkit.interfaces import Image
from srkit_astro.flux import Values, per_lr_area, to_file_values, values_of
from srkit_astro.wcs import subdivided


def enlarge(
    lr: Image, sr: Tensor, scale: int, *, values: Values | None = None, history: Sequence[str] = ()
) -> Image:
    """Give SR the header of its LR file, on the same sky and in the same kind of values.

    The mask is LR's, repeated; the variance is left out, since the noise of SR is not LR's.

    Parameters
    ----------
    lr
        As :class:`srkit_astro.fits.Fits` reads it.
    sr
        ``(C, scale H, scale W)``, in flux per area of an LR pixel.
    scale
        SR pixels for each LR pixel along a side.
    values
        What the values of the file are; by default its ``BUNIT`` tells.
    history
        Lines for the header, such as recipe, version and checkpoint.

    Raises
    ------
    DataError
        If ``BUNIT`` does not tell and `values` is None, or the WCS cannot be subdivided.
    """
    header = subdivided(lr.metadata.get("header", Header()), scale)
    values = values or values_of(header)
    if values is None:
        raise DataError(
            f"BUNIT is '{header.get('BUNIT', '')}', which does not tell flux per pixel from "
            "surface brightness; say which it is"
        )
    pixels = to_file_values(sr, header, values, scale)
    for line in history:
        header.add_history(line)
    metadata: dict[str, Any] = {"header": header}
    if "mask" in lr.metadata:
        mask = lr.metadata["mask"].repeat_interleave(scale, -2).repeat_interleave(scale, -1)
        metadata |= {"mask": mask, "mask_header": lr.metadata["mask_header"]}
    low, high = (value / per_lr_area(values, scale) for value in lr.data_range)
    return Image(pixels, (low, high), metadata)
