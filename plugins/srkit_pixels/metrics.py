"""Metrics on pixels: one value per image, with a description of the protocol."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import NonNegativeInt
from torch import Tensor

from srkit.functional import check_equal_shapes, mae, metric_input, mse, psnr, ssim
from srkit.interfaces import Batch

#: Pixels to crop at each border; ``scale`` crops as many as the scale.
Crop = NonNegativeInt | Literal["scale"]
#: The values of 0 and 1: black and white of the data, the extremes of each HR image, or the latter
#: for data with a physical unit only.
Range = Literal["auto", "data", "image"]
MIN_MAX = "SR and HR normalised by the minimum and maximum of each HR image"


PEAKS = {
    "auto": f"width of the data range; 1 for images with a unit, {MIN_MAX}",
    "data": "width of the data range",
    "image": f"1, {MIN_MAX}",
}


class Protocol:
    """The protocol of PSNR and SSIM; for the parameters see :class:`PSNR`."""

    def __init__(
        self, channel: Literal["rgb", "y"], crop: Crop, quantize: bool, ends: Range
    ) -> None:
        self.channel = channel
        self.crop = crop
        self.quantize = quantize
        self.ends = ends

    def __str__(self) -> str:
        channel = "Y of BT.601 (16 to 235)" if self.channel == "y" else "all channels"
        pixels = "as many pixels as the scale" if self.crop == "scale" else f"{self.crop} pixels"
        crop = f"{pixels} cropped" if self.crop else "not cropped"
        rounding = "clipped and rounded to 8 bits" if self.quantize else "not rounded"
        peak = PEAKS[self.ends]
        return f"{channel}, {crop}, {rounding}, peak = {peak}"

    def views(self, sr: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Prepare both images according to the protocol."""
        check_equal_shapes(sr, batch.hr)
        by_image = self.ends == "image" or (self.ends == "auto" and bool(batch.unit))
        ends = extremes(batch.hr) if by_image else batch.data_range
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
    """Return the scale of a batch, rounded.

    Raises
    ------
    ValueError
        If the batch has no LR images.
    """
    if batch.lr is None:
        raise ValueError("crop 'scale' needs LR images; set a number of pixels instead")
    return round(batch.hr.shape[-1] / batch.lr.shape[-1])


def extremes(hr: Tensor) -> tuple[Tensor, Tensor]:
    """Return the smallest and the largest value of each image, ``(N, 1, 1, 1)``."""
    return hr.float().amin((1, 2, 3), keepdim=True), hr.float().amax((1, 2, 3), keepdim=True)


class PSNR:
    """Peak signal-to-noise ratio.

    Parameters
    ----------
    channel
        ``rgb`` measures all channels together, ``y`` the luma of RGB images.
    crop
        Pixels to crop at each border; ``scale`` crops as many as the scale, like many papers.
    quantize
        Whether to clip and round to 8 bits first, like a picture file.
    range
        ``data`` uses the data range, the same for all images. ``image`` normalises SR and HR by the
        minimum and maximum of each HR image, like studies that normalise each image; the numbers
        differ. Undefined for constant HR images. ``auto`` is ``image`` for data with a physical
        unit, whose range a single star can set, and ``data`` for others, such as photographs.
    """

    higher_is_better = True
    unit = "dB"

    def __init__(
        self,
        *,
        channel: Literal["rgb", "y"] = "rgb",
        crop: Crop = 0,
        quantize: bool = False,
        range: Range = "auto",
    ) -> None:
        self._protocol = Protocol(channel, crop, quantize, range)
        self.protocol = str(self._protocol)

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Compare ``(N, C, H, W)`` images with ``batch.hr``: shape ``(N,)``."""
        return psnr(*self._protocol.views(sr, batch))


class SSIM:
    """Structural similarity (Wang et al. 2004), with the conventions of the authors' MATLAB code.

    Parameters
    ----------
    channel
        ``rgb`` averages over the channels, ``y`` measures the luma of RGB images.
    crop
        Pixels to crop at each border; ``scale`` crops as many as the scale, like many papers.
    quantize
        Whether to clip and round to 8 bits first, like a picture file.
    range
        ``data`` uses the data range, the same for all images. ``image`` normalises SR and HR by the
        minimum and maximum of each HR image, like studies that normalise each image; the numbers
        differ. Undefined for constant HR images. ``auto`` is ``image`` for data with a physical
        unit, whose range a single star can set, and ``data`` for others, such as photographs.
    """

    higher_is_better = True
    unit = ""

    def __init__(
        self,
        *,
        channel: Literal["rgb", "y"] = "rgb",
        crop: Crop = 0,
        quantize: bool = False,
        range: Range = "auto",
    ) -> None:
        self._protocol = Protocol(channel, crop, quantize, range)
        self.protocol = f"{self._protocol}, Gaussian 11 x 11 window without padding"

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Compare ``(N, C, H, W)`` images with ``batch.hr``: shape ``(N,)``."""
        return ssim(*self._protocol.views(sr, batch))


def psnr_y() -> PSNR:
    """PSNR as in most papers: Y of 8-bit pictures, as many pixels cropped as the scale."""
    return PSNR(channel="y", crop="scale", quantize=True, range="data")


def psnr_rgb() -> PSNR:
    """PSNR of 8-bit pictures, all channels, as many pixels cropped as the scale."""
    return PSNR(crop="scale", quantize=True, range="data")


def ssim_y() -> SSIM:
    """SSIM as in most papers: Y of 8-bit pictures, as many pixels cropped as the scale."""
    return SSIM(channel="y", crop="scale", quantize=True, range="data")


def ssim_rgb() -> SSIM:
    """SSIM of 8-bit pictures, mean of the channels, as many pixels cropped as the scale."""
    return SSIM(crop="scale", quantize=True, range="data")


class MSE:
    """Mean squared difference, in the square of the unit of the data.

    Parameters
    ----------
    range
        ``data`` uses the unit of the data; ``image`` normalises SR and HR by the minimum and
        maximum of each HR image. Undefined for constant HR images.
    """

    higher_is_better = False
    unit = ""

    def __init__(self, *, range: Literal["data", "image"] = "data") -> None:
        self._per_image = range == "image"
        scaling = MIN_MAX if self._per_image else "in the unit of the data"
        self.protocol = f"all channels, not cropped, not rounded, {scaling}"

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Compare ``(N, C, H, W)`` images with ``batch.hr``: shape ``(N,)``."""
        error = mse(sr, batch.hr)
        if not self._per_image:
            return error
        low, high = extremes(batch.hr)
        span = (high - low).flatten()
        return error / span.where(span > 0, torch.nan).square()


class MAE:
    """Mean absolute difference, in the unit of the data."""

    higher_is_better = False
    unit = ""
    protocol = "all channels, not cropped, not rounded, in the unit of the data"

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Compare ``(N, C, H, W)`` images with ``batch.hr``: shape ``(N,)``."""
        return mae(sr, batch.hr)
