"""The pixel grids of a batch: LR, its scale and the pixel scale on the sky."""

from __future__ import annotations

from torch import Tensor

from srkit.interfaces import Batch


def lr_of(batch: Batch) -> tuple[Tensor, int]:
    """Give the LR images, and how many HR pixels a side of an LR pixel has.

    Raises
    ------
    ValueError
        If there is no LR, or HR does not subdivide it exactly.
    """
    if batch.lr is None:
        raise ValueError("there is no LR; name a degradation, or take a data set of pairs")
    high, low = tuple(batch.hr.shape[-2:]), tuple(batch.lr.shape[-2:])
    scale = int(high[0] // low[0])
    if high != (scale * low[0], scale * low[1]):
        raise ValueError(
            f"HR of {high[0]} x {high[1]} does not subdivide LR of {low[0]} x {low[1]} pixels; "
            "expected sides that are the scale times those of LR"
        )
    return batch.lr, scale


def pixel_scale_of(batch: Batch) -> float:
    """Give the side of an HR pixel in arcsec.

    Raises
    ------
    ValueError
        If the data set does not state it.
    """
    if batch.pixel_scale is None:
        raise ValueError(
            "the data set states no pixel scale, which a metric in arcsec needs; give it to the "
            "data set, or leave the metric out"
        )
    return batch.pixel_scale
