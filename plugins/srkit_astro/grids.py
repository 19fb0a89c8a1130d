"""The pixel grids of a batch: LR, its scale and the pixel scale on the sky."""

from __future__ import annotations

from torch import Tensor

from srkit.interfaces import Batch


def lr_of(batch: Batch) -> tuple[Tensor, int]:
    """Return the LR images, and the number of HR pixels per LR pixel along a side.

    Raises
    ------
    ValueError
        If there is no LR, or HR does not subdivide it exactly.
    """
    if batch.lr is None:
        raise ValueError("there is no LR; set a degradation, or use a data set of pairs")
    high, low = tuple(batch.hr.shape[-2:]), tuple(batch.lr.shape[-2:])
    scale = int(high[0] // low[0])
    if high != (scale * low[0], scale * low[1]):
        raise ValueError(
            f"HR of {high[0]} x {high[1]} pixels does not subdivide LR of {low[0]} x {low[1]} "
            "pixels; expected sides that are an integer times those of LR"
        )
    return batch.lr, scale


def pixel_scale_of(batch: Batch) -> float:
    """Return the side of an HR pixel in arcsec.

    Raises
    ------
    ValueError
        If the data set does not provide it.
    """
    return known_pixel_scale(batch.pixel_scale)


def known_pixel_scale(pixel_scale: float | None) -> float:
    """Return a pixel scale, unless it is unknown.

    Raises
    ------
    ValueError
        If it is None.
    """
    if pixel_scale is None:
        raise ValueError(
            "the data set has no pixel scale, which PSFs and metrics in arcsec need; set it in the "
            "data set, or remove them"
        )
    return pixel_scale
