"""Convolutions that keep the size of the image."""

from __future__ import annotations

from torch import nn


def conv(inputs: int, outputs: int, kernel: int = 3) -> nn.Conv2d:
    """Make a convolution with an odd kernel that pads by zeros."""
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
