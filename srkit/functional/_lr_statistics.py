"""What LR images are like: their level, noise and values."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from srkit.interfaces.quantity import LRStatistics, Span

#: Ratio of the standard deviation of a Gaussian to the median of its absolute value.
_MAD = 1.4826


def lr_statistics(images: Tensor) -> LRStatistics:
    """Measure images by robust statistics.

    The level is the median of a channel of an image; the noise follows from the median difference
    of neighbouring pixels, in which smooth light cancels.

    Parameters
    ----------
    images
        ``(N, C, H, W)``; NaN is ignored.
    """
    images = images.detach().float().cpu()  # where medians are exact and deterministic
    planes = images.flatten(0, 1)
    steps = (planes[..., 1:] - planes[..., :-1]).abs().flatten(1)
    noise = steps.nanmedian(1).values * (_MAD / math.sqrt(2))
    level = planes.flatten(1).nanmedian(1).values
    known = images[images.isfinite()]
    values = torch.aminmax(known) if known.numel() else (torch.zeros(()), torch.zeros(()))
    return LRStatistics(
        len(images), _span(level), _span(noise), (float(values[0]), float(values[1]))
    )


def _span(measured: Tensor) -> Span:
    known = measured[measured.isfinite()]
    return (float(known.min()), float(known.max())) if known.numel() else (0.0, 0.0)
