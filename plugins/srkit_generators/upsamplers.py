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


class DySample(nn.Module):
    """Enlarge by sampling the features at positions that depend on them (Liu et al. 2023, ICCV).

    From features ``(N, channels scale^2, h, w)`` to images ``(N, channels, scale h, scale w)``.
    The channels are sampled in groups: 4 at even scales, otherwise as many as there are channels.

    Parameters
    ----------
    scale
        Side of the SR image over the side of the LR image.
    channels
        Channels of the images.
    """

    start: Tensor

    def __init__(self, scale: int, channels: int) -> None:
        super().__init__()
        self.scale = scale
        self.groups = channels if scale % 2 else 4
        features, offsets = channels * scale**2, 2 * self.groups * scale**2
        self.offset = nn.Conv2d(features, offsets, 1)
        self.scope = nn.Conv2d(features, offsets, 1, bias=False)
        self.end_conv = nn.Identity() if scale == 1 else nn.Conv2d(features, channels, 1)
        nn.init.normal_(self.offset.weight, std=0.001)
        nn.init.zeros_(self.scope.weight)
        # Centres of the SR pixels of a cell, from the centre of their LR pixel, along x and y.
        centres = (torch.arange(scale) - (scale - 1) / 2) / scale
        cell = torch.stack(torch.meshgrid(centres, centres, indexing="xy")).flatten(1)
        start = cell[:, None].expand(-1, self.groups, -1).reshape(1, -1, 1, 1)
        self.register_buffer("start", start, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Sample the features, and convert them to images."""
        count, features, height, width = x.shape
        offset = self.offset(x) * torch.sigmoid(self.scope(x)) / 2 + self.start
        moved = F.pixel_shuffle(offset, self.scale)  # (N, 2 groups, scale h, scale w)
        moved = moved.unflatten(1, (2, self.groups)).float()
        rows, columns = (
            (torch.arange(side, device=x.device) + 0.5).repeat_interleave(self.scale)
            for side in (height, width)
        )
        # Positions as fractions of the image, from -1 to 1.
        across = 2 * (columns + moved[:, 0]) / width - 1
        down = 2 * (rows[:, None] + moved[:, 1]) / height - 1
        grid = torch.stack((across, down), -1).flatten(0, 1)
        grouped = x.reshape(count * self.groups, features // self.groups, height, width)
        sampled = F.grid_sample(
            grouped, grid.to(x.dtype), padding_mode="border", align_corners=False
        )
        sr: Tensor = self.end_conv(sampled.reshape(count, features, *sampled.shape[-2:]))
        return sr


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
