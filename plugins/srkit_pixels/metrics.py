"""Metrics on pixels: one number for each image, with the protocol it was measured by."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import NonNegativeInt
from torch import Tensor

from srkit.functional import check_equal_shapes, mae, metric_input, mse, psnr, ssim
from srkit.interfaces import Batch

#: Pixels to leave out at each border; ``scale``: as many as an LR pixel has along its side.
Crop = NonNegativeInt | Literal["scale"]
#: What is 0 and 1: the values of black and white of the data, or the extremes of each HR image.
Range = Literal["data", "image"]
MIN_MAX = "SR and HR by the minimum and maximum of each HR image"


class Protocol:
    """What PSNR and SSIM look at; see :class:`PSNR` for the parameters."""

    def __init__(
        self, channel: Literal["rgb", "y"], crop: Crop, quantize: bool, ends: Range
    ) -> None:
        self.channel = channel
        self.crop = crop
        self.quantize = quantize
        self.ends = ends

    def __str__(self) -> str:
        seen = "Y of BT.601 (16 to 235)" if self.channel == "y" else "all channels"
        pixels = "as many pixels as the scale" if self.crop == "scale" else f"{self.crop} pixels"
        crop = f"{pixels} cropped" if self.crop else "not cropped"
        rounding = "clipped and rounded to 8 bits" if self.quantize else "not rounded"
        peak = "width of the data range" if self.ends == "data" else f"1, {MIN_MAX}"
        return f"{seen}, {crop}, {rounding}, peak = {peak}"

    def views(self, sr: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Bring both images to what is measured."""
        check_equal_shapes(sr, batch.hr)
        ends = batch.data_range if self.ends == "data" else extremes(batch.hr)
        crop = scale_of(batch) if self.crop == "scale" else self.crop
        first, second = (
            metric_input(
                images,
                data_range=ends,
                channel=self.channel,
                crop=crop,
                quantize=self.quantize,
            )
            for images in (sr, batch.hr)
        )
        return first, second


def scale_of(batch: Batch) -> int:
    """Round the side of an LR pixel to HR pixels.

    Raises
    ------
    ValueError
        If the batch has no LR images.
    """
    if batch.lr is None:
        raise ValueError("crop 'scale' needs LR images to tell the scale; give a number of pixels")
    return round(batch.hr.shape[-1] / batch.lr.shape[-1])


def extremes(hr: Tensor) -> tuple[Tensor, Tensor]:
    """Give the smallest and the largest value of each image, ``(N, 1, 1, 1)``."""
    return hr.float().amin((1, 2, 3), keepdim=True), hr.float().amax((1, 2, 3), keepdim=True)


class PSNR:
    """Peak signal-to-noise ratio.

    Parameters
    ----------
    channel
        ``rgb``: all channels together; ``y``: the luma of RGB images.
    crop
        Pixels to leave out at each border; ``scale``: as many as the scale, as many papers do.
    quantize
        Whether to clip and round to 8 bits first, as a picture file would.
    range
        ``data``: of the data, the same for all images; ``image``: the minimum and maximum of each
        HR image become 0 and 1, as where images are normalised one by one, which gives other
        numbers. Undefined for an HR image that is constant.
    """

    higher_is_better = True
    unit = "dB"

    def __init__(
        self,
        *,
        channel: Literal["rgb", "y"] = "rgb",
        crop: Crop = 0,
        quantize: bool = False,
        range: Range = "data",
    ) -> None:
        self._protocol = Protocol(channel, crop, quantize, range)
        self.protocol = str(self._protocol)

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Measure ``(N, C, H, W)`` images against ``batch.hr``: shape ``(N,)``."""
        return psnr(*self._protocol.views(sr, batch))


class SSIM:
    """Structural similarity (Wang et al. 2004), with the conventions of its MATLAB code.

    Parameters
    ----------
    channel
        ``rgb``: the mean over the channels; ``y``: the luma of RGB images.
    crop
        Pixels to leave out at each border; ``scale``: as many as the scale, as many papers do.
    quantize
        Whether to clip and round to 8 bits first, as a picture file would.
    range
        ``data``: of the data, the same for all images; ``image``: the minimum and maximum of each
        HR image become 0 and 1, as where images are normalised one by one, which gives other
        numbers. Undefined for an HR image that is constant.
    """

    higher_is_better = True
    unit = ""

    def __init__(
        self,
        *,
        channel: Literal["rgb", "y"] = "rgb",
        crop: Crop = 0,
        quantize: bool = False,
        range: Range = "data",
    ) -> None:
        self._protocol = Protocol(channel, crop, quantize, range)
        self.protocol = f"{self._protocol}, Gaussian 11 x 11 window without padding"

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Measure ``(N, C, H, W)`` images against ``batch.hr``: shape ``(N,)``."""
        return ssim(*self._protocol.views(sr, batch))


def psnr_y() -> PSNR:
    """PSNR of the field's tables: Y of 8-bit pictures, as many pixels cropped as the scale."""
    return PSNR(channel="y", crop="scale", quantize=True)


def psnr_rgb() -> PSNR:
    """PSNR of 8-bit pictures, all channels, as many pixels cropped as the scale."""
    return PSNR(crop="scale", quantize=True)


def ssim_y() -> SSIM:
    """SSIM of the field's tables: Y of 8-bit pictures, as many pixels cropped as the scale."""
    return SSIM(channel="y", crop="scale", quantize=True)


def ssim_rgb() -> SSIM:
    """SSIM of 8-bit pictures, mean of the channels, as many pixels cropped as the scale."""
    return SSIM(crop="scale", quantize=True)


class MSE:
    """Mean squared difference, in the square of the data's unit.

    Parameters
    ----------
    range
        ``data``: the data's own unit; ``image``: the minimum and maximum of each HR image become
        0 and 1. Undefined for an HR image that is constant.
    """

    higher_is_better = False
    unit = ""

    def __init__(self, *, range: Range = "data") -> None:
        self._per_image = range == "image"
        scaling = MIN_MAX if self._per_image else "in the data's own unit"
        self.protocol = f"all channels, not cropped, not rounded, {scaling}"

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Measure ``(N, C, H, W)`` images against ``batch.hr``: shape ``(N,)``."""
        error = mse(sr, batch.hr)
        if not self._per_image:
            return error
        low, high = extremes(batch.hr)
        span = (high - low).flatten()
        return error / span.where(span > 0, torch.nan).square()


class MAE:
    """Mean absolute difference, in the data's unit."""

    higher_is_better = False
    unit = ""
    protocol = "all channels, not cropped, not rounded, in the data's own unit"

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Measure ``(N, C, H, W)`` images against ``batch.hr``: shape ``(N,)``."""
        return mae(sr, batch.hr)
