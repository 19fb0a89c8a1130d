"""Metrics on pixels: one number for each image, with the protocol it was measured by."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeInt
from torch import Tensor

from srkit import metrics
from srkit.interfaces import Batch


class Protocol:
    """What PSNR and SSIM look at; see :class:`PSNR` for the parameters."""

    def __init__(self, channel: Literal["rgb", "y"], crop: int, quantize: bool) -> None:
        self.channel = channel
        self.crop = crop
        self.quantize = quantize

    def __str__(self) -> str:
        seen = "Y of BT.601 (16 to 235)" if self.channel == "y" else "all channels"
        crop = f"{self.crop} pixels cropped" if self.crop else "not cropped"
        rounding = "clipped and rounded to 8 bits" if self.quantize else "not rounded"
        return f"{seen}, {crop}, {rounding}, peak = width of the data range"

    def views(self, sr: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Bring both images to what is measured."""
        metrics.check_shapes(sr, batch.hr)
        first, second = (
            metrics.view(
                images,
                data_range=batch.data_range,
                channel=self.channel,
                crop=self.crop,
                quantize=self.quantize,
            )
            for images in (sr, batch.hr)
        )
        return first, second


class PSNR:
    """Peak signal-to-noise ratio.

    Parameters
    ----------
    channel
        ``rgb``: all channels together; ``y``: the luma of RGB images.
    crop
        Pixels to leave out at each border; many papers leave out as many as the scale.
    quantize
        Whether to clip and round to 8 bits first, as a picture file would.
    """

    higher_is_better = True
    unit = "dB"

    def __init__(
        self,
        *,
        channel: Literal["rgb", "y"] = "rgb",
        crop: NonNegativeInt = 0,
        quantize: bool = False,
    ) -> None:
        self._protocol = Protocol(channel, crop, quantize)
        self.protocol = str(self._protocol)

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Measure ``(N, C, H, W)`` images against ``batch.hr``: shape ``(N,)``."""
        return metrics.psnr(*self._protocol.views(sr, batch))


class SSIM:
    """Structural similarity (Wang et al. 2004), with the conventions of its MATLAB code.

    Parameters
    ----------
    channel
        ``rgb``: the mean over the channels; ``y``: the luma of RGB images.
    crop
        Pixels to leave out at each border; many papers leave out as many as the scale.
    quantize
        Whether to clip and round to 8 bits first, as a picture file would.
    """

    higher_is_better = True
    unit = ""

    def __init__(
        self,
        *,
        channel: Literal["rgb", "y"] = "rgb",
        crop: NonNegativeInt = 0,
        quantize: bool = False,
    ) -> None:
        self._protocol = Protocol(channel, crop, quantize)
        self.protocol = f"{self._protocol}, Gaussian 11 x 11 window without padding"

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Measure ``(N, C, H, W)`` images against ``batch.hr``: shape ``(N,)``."""
        return metrics.ssim(*self._protocol.views(sr, batch))


class MSE:
    """Mean squared difference, in the square of the data's unit."""

    higher_is_better = False
    unit = ""
    protocol = "all channels, not cropped, not rounded, in the data's own unit"

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Measure ``(N, C, H, W)`` images against ``batch.hr``: shape ``(N,)``."""
        return metrics.mse(sr, batch.hr)


class MAE:
    """Mean absolute difference, in the data's unit."""

    higher_is_better = False
    unit = ""
    protocol = "all channels, not cropped, not rounded, in the data's own unit"

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Measure ``(N, C, H, W)`` images against ``batch.hr``: shape ``(N,)``."""
        return metrics.mae(sr, batch.hr)
