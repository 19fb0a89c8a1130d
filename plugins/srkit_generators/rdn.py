"""Residual dense networks."""

from __future__ import annotations

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from srkit_generators.blocks import Blocks, make_blocks
from srkit_generators.dense_blocks import ResidualDenseBlock
from srkit_generators.layers import Activation, Network, check_scale, conv
from srkit_generators.upsamplers import Upsampler, make_upsampler


class RDN(Network):
    """Residual dense network (Zhang et al. 2018, CVPR).

    The defaults are the network of the paper's tables, D = 16, C = 8, G = 64: 22,123,395
    parameters at x2, 22,308,035 at x3, 22,271,107 at x4, which follow from the paper's equations.

    Parameters
    ----------
    scale
        1, 2, 3, 4 or 8.
    channels
        Channels of the images.
    blocks
        Number of residual dense blocks (the paper's D), or a list from input to output such as
        ``[8, residual x8]``. The outputs of all blocks are fused.
    layers
        Dense convolutions in each of the network's own blocks (C).
    growth
        Channels that each of them appends (G).
    features
        Channels of the trunk (G0).
    activation
        Activation in the blocks.
    upsampler
        How features are enlarged.

    Raises
    ------
    ValueError
        If the scale is not supported, or a block is unknown.
    """

    name = "rdn"
    parts = ("head", "shallow", "body", "fuse", "upsample", "tail")

    def __init__(
        self,
        *,
        scale: int,
        channels: int,
        blocks: Blocks = 16,
        layers: PositiveInt = 8,
        growth: PositiveInt = 64,
        features: PositiveInt = 64,
        activation: Activation = "relu",
        upsampler: Upsampler = "pixel_shuffle",
    ) -> None:
        super().__init__()
        check_scale("rdn", scale, (1, 2, 3, 4, 8))
        self.scale = scale
        self.channels = channels
        self.head = conv(channels, features)
        self.shallow = conv(features, features)
        self.body = make_blocks(
            blocks,
            lambda: ResidualDenseBlock(
                features, growth=growth, layers=layers, activation=activation
            ),
            features=features,
            activation=activation,
        )
        self.fuse = nn.Sequential(
            conv(len(self.body) * features, features, kernel=1), conv(features, features)
        )
        self.upsample = make_upsampler(scale, features, upsampler)
        self.tail = conv(features, channels)

    def forward(self, lr: Tensor) -> Tensor:
        """Restore ``(N, C, h, w)`` images to ``(N, C, scale h, scale w)``."""
        first = self.head(lr)
        x = self.shallow(first)
        outputs = []
        for block in self.body:
            x = block(x)
            outputs.append(x)
        deep = first + self.fuse(torch.cat(outputs, 1))
        sr: Tensor = self.tail(self.upsample(deep))
        return sr
