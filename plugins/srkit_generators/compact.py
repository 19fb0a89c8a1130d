"""The compact network of Real-ESRGAN."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from srkit.interfaces import Published
from srkit_generators.layers import (
    Activation,
    Network,
    Rules,
    check_scale,
    conv,
    make_activation,
    renamed,
)
from srkit_generators.rrdb import RELEASES

#: Slope below 0 of a new PReLU of torch.
PRELU_SLOPE = 0.25


class Compact(Network):
    """SRVGGNetCompact, the small network of Real-ESRGAN (Wang et al. 2021, ICCVW).

    Plain convolutions at LR's size, whose output is added to the nearest-neighbour enlargement of
    LR. The defaults are the network for animation videos: 621,424 parameters at x4, 600,652 at x2.
    32 blocks are the network for general pictures: 1,213,296 at x4.

    Parameters
    ----------
    scale
        1, 2, 3, 4 or 8.
    channels
        Channels of the images.
    blocks
        Number of convolutions between the first and the last.
    features
        Channels of the trunk.
    activation
        Activation after each convolution but the last.

    Raises
    ------
    ValueError
        If the scale is not supported.
    """

    name = "compact"
    parts = ("head", "body", "tail")
    published: ClassVar[Mapping[str, Published]] = {
        "realesr_general_x4v3": Published(
            f"{RELEASES}/v0.2.5.0/realesr-general-x4v3.pth",
            "8dc7edb9ac80ccdc30c3a5dca6616509367f05fbc184ad95b731f05bece96292",
            "BSD-3-Clause",
            {"scale": 4, "channels": 3, "blocks": 32},
        ),
        "realesr_general_wdn_x4v3": Published(
            f"{RELEASES}/v0.2.5.0/realesr-general-wdn-x4v3.pth",
            "1641f8c4464b9f097c9fdda5589273713f67cf59f3d909e0bd688f0cee269dca",
            "BSD-3-Clause",
            {"scale": 4, "channels": 3, "blocks": 32},
        ),
        "realesr_animevideov3": Published(
            f"{RELEASES}/v0.2.5.0/realesr-animevideov3.pth",
            "b8a8376811077954d82ca3fcf476f1ac3da3e8a68a4f4d71363008000a18b75d",
            "BSD-3-Clause",
            {"scale": 4, "channels": 3},
        ),
    }

    def __init__(
        self,
        *,
        scale: int,
        channels: int,
        blocks: PositiveInt = 16,
        features: PositiveInt = 64,
        activation: Activation = "prelu",
    ) -> None:
        super().__init__()
        check_scale("compact", scale, (1, 2, 3, 4, 8))
        self.scale = scale
        self.channels = channels

        def activated(inputs: int) -> nn.Sequential:
            return nn.Sequential(
                OrderedDict(
                    conv=conv(inputs, features), activation=make_activation(activation, features)
                )
            )

        self.head = activated(channels)
        self.body = nn.Sequential(*(activated(features) for _ in range(blocks)))
        self.tail = conv(features, channels * scale**2)
        self._initialise()

    def _initialise(self) -> None:
        """Draw weights that keep the size of the features from layer to layer (He et al. 2015).

        torch's own halve it in each layer. Beside their biases, what is left of LR after 17 layers
        is lost in bf16, and the network never learns more than a constant.
        """
        for part in (self.head, *self.body):
            nn.init.kaiming_normal_(part.conv.weight, a=PRELU_SLOPE)
            nn.init.zeros_(part.conv.bias)
        with torch.no_grad():
            self.tail.weight.mul_(0.1)  # SR begins near the nearest-neighbour enlargement
        nn.init.zeros_(self.tail.bias)

    def forward(self, lr: Tensor) -> Tensor:
        """Restore ``(N, C, h, w)`` images to ``(N, C, scale h, scale w)``."""
        detail = F.pixel_shuffle(self.tail(self.body(self.head(lr))), self.scale)
        return detail + F.interpolate(lr, scale_factor=self.scale, mode="nearest")

    def adapt(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Convert the tensors of a checkpoint of this network or of the authors' code.

        Raises
        ------
        WeightsError
            If no key belongs to the network.
        """
        last = 2 * len(self.body) + 2
        rules: Rules = (
            (rf"^body\.{last}\.(weight|bias)$", r"tail.\1"),
            (r"^body\.(\d+)\.(weight|bias)$", place),
        )
        return super().adapt(renamed(tensors, rules))


def place(match: re.Match[str]) -> str:
    """Translate the name of a layer of the authors' code, which numbers all layers alike."""
    block, layer = divmod(int(match[1]), 2)
    part = f"body.{block - 1}" if block else "head"
    return f"{part}.{('conv', 'activation')[layer]}.{match[2]}"
