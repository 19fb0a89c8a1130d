"""Activations by name."""

from __future__ import annotations

from typing import Literal

from torch import nn

Activation = Literal["relu", "leaky_relu", "prelu", "gelu", "silu"]

#: Slope of the leaky ReLU below zero, as in ESRGAN (Wang et al. 2018).
SLOPE = 0.2


def make_activation(name: Activation, features: int) -> nn.Module:
    """Make an activation for ``(N, features, H, W)`` maps.

    The ReLUs work in place: a convolution or a normalisation needs no output of its own for its
    gradient. PReLU learns a slope for each channel (He et al. 2015).
    """
    if name == "relu":
        return nn.ReLU(inplace=True)
    if name == "leaky_relu":
        return nn.LeakyReLU(SLOPE, inplace=True)
    if name == "prelu":
        return nn.PReLU(features)
    return nn.GELU() if name == "gelu" else nn.SiLU()
