"""Values as levels of 8 or 16 bits."""

from __future__ import annotations

from torch import Tensor

from srkit.interfaces import Image


def is_measured(image: Image) -> bool:
    """Return whether the values of an image are measured: floats, not levels of grey."""
    return bool(image.metadata.get("bits", 32) == 32)


def rounded(pixels: Tensor, image: Image) -> Tensor:
    """Clip and round to the 256 levels of a picture of 8 bits, as its file would."""
    low, high = image.data_range
    unit = ((pixels - low) / (high - low)).clamp(0, 1)
    return (unit * 255).round() / 255 * (high - low) + low
