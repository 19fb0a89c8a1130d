"""Layers that enlarge feature maps."""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srkit_generators.layers import Activation, conv, make_activation

Upsampler = Literal["pixel_shuffle", "icnr", "nearest", "bilinear", "transposed"]


def make_upsampler(
    scale: int,
    features: int,
    kind: Upsampler = "pixel_shuffle",
    activation: Activation | None = None,
) -> nn.Sequential:
    """Make layers from ``(N, features, h, w)`` to ``(N, features, scale h, scale w)``.

    Parameters
    ----------
    scale
        A power of two, reached by repeated doubling, or 3.
    features
        Channels.
    kind
        ``pixel_shuffle``: sub-pixel convolutions (Shi et al. 2016). ``icnr``: the same with an
        initialisation free of checkerboards (Aitken et al. 2017). ``nearest``: nearest-neighbour
        enlargement and a convolution (Odena et al. 2016). ``bilinear``: bilinear enlargement and a
        convolution, which leaves no blocks. ``transposed``: a transposed convolution that sees the
        same 3 x 3 pixels as a sub-pixel convolution and has as many weights.
    activation
        Activation after each enlargement, if any.
    """
    steps = [3] if scale == 3 else [2] * (scale.bit_length() - 1)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for i, step in enumerate(steps):
        if kind in ("nearest", "bilinear"):
            layers[f"{kind}{i}"] = nn.Upsample(scale_factor=step, mode=kind)
            layers[f"conv{i}"] = conv(features, features)
        elif kind == "transposed":
            layers[f"conv{i}"] = nn.ConvTranspose2d(
                features, features, 3 * step, stride=step, padding=step
            )
        else:
            layers[f"conv{i}"] = expanding = conv(features, features * step**2)
            layers[f"shuffle{i}"] = nn.PixelShuffle(step)
            if kind == "icnr":
                start_as_nearest(expanding, step)
        if activation is not None:
            layers[f"activation{i}"] = make_activation(activation, features)
    return nn.Sequential(layers)


def shuffle_directly(
    scale: int, features: int, channels: int
) -> tuple[nn.Sequential, nn.PixelShuffle]:
    """Make an upsampler and a tail that convert features directly into the pixels of SR.

    No layer works at SR's size, which makes small networks fast (ESPCN, Shi et al. 2016).

    Parameters
    ----------
    scale
        Side of the SR image over the side of the LR image.
    features, channels
        Channels of the features, and of the images.
    """
    expanding = nn.Sequential(OrderedDict(conv0=conv(features, channels * scale**2)))
    return expanding, nn.PixelShuffle(scale)


def add_enlarged(detail: Tensor, lr: Tensor) -> Tensor:
    """Add the bicubic enlargement of LR to the output of a network (VDSR, Kim et al. 2016).

    Under autocast, the sum has the precision of LR.

    Parameters
    ----------
    detail
        ``(N, C, scale h, scale w)``.
    lr
        ``(N, C, h, w)``.
    """
    return detail + F.interpolate(lr, size=detail.shape[-2:], mode="bicubic", align_corners=False)


def start_as_nearest(layer: nn.Conv2d, step: int) -> None:
    """Initialise a sub-pixel convolution like nearest-neighbour enlargement of a convolution: ICNR.

    The filters of all sub-pixels are equal (Aitken et al. 2017, equation 9), so that no pattern
    has the period `step`.
    """
    assert layer.bias is not None
    with torch.no_grad():
        for parameter in (layer.weight, layer.bias):
            parameter.copy_(parameter[:: step**2].repeat_interleave(step**2, dim=0))
