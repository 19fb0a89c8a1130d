"""VDSR, a very deep network whose weights serve several scales."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, PositiveInt
from torch import Tensor, nn

from srkit.functional import luma, resize
from srkit_generators.layers import (
    Activation,
    Network,
    change_luminance,
    check_luminance,
    check_scale,
    conv,
    make_activation,
)


class VDSR(Network):
    """Very deep network on a bicubically enlarged image, for all scales at once (Kim et al. 2016).

    It predicts the residual of the enlarged image. With `luminance`, the defaults have the 664,704
    weights of 20 layers of 64 filters and 1,217 biases; with all channels of RGB 667,008 weights.
    The scale only decides how much the image is enlarged first.

    Parameters
    ----------
    scales
        Of 1, 2, 3, 4 and 8; the recipe's ``scale``.
    channels
        Channels of the images.
    depth
        Number of convolutions.
    features
        Channels between them.
    luminance
        Whether to restore only the Y of RGB photographs in [0, 1], as in the paper; the chroma
        is the bicubically enlarged one.
    activation
        Activation after all convolutions except the last.

    Raises
    ------
    ValueError
        If a scale is not supported, or `luminance` is set for other than RGB images.
    """

    name = "vdsr"
    parts = ("head", "body", "tail")

    def __init__(
        self,
        *,
        scales: Sequence[int],
        channels: int,
        depth: Annotated[int, Field(ge=2)] = 20,
        features: PositiveInt = 64,
        luminance: bool = False,
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        for scale in scales:
            check_scale("vdsr", scale, (1, 2, 3, 4, 8))
        if luminance:
            check_luminance(channels)
        self.scales = tuple(scales)
        self.scale = self.scales[0]
        self.channels = channels
        self.luminance = luminance
        seen = 1 if luminance else channels
        self.head = layer(seen, features, activation)
        self.body = nn.Sequential(
            *(layer(features, features, activation) for _ in range(depth - 2))
        )
        self.tail = he_conv(features, seen)

    def forward(self, lr: Tensor) -> Tensor:
        """Restore ``(N, C, h, w)`` images to ``(N, C, scale h, scale w)``."""
        enlarged = resize(lr, factor=self.scale)
        seen = luma(enlarged) if self.luminance else enlarged
        residual: Tensor = self.tail(self.body(self.head(seen)))
        return change_luminance(enlarged, residual) if self.luminance else enlarged + residual


def layer(inputs: int, outputs: int, activation: Activation) -> nn.Sequential:
    """Make a convolution followed by an activation."""
    return nn.Sequential(
        OrderedDict(conv=he_conv(inputs, outputs), activation=make_activation(activation, outputs))
    )


def he_conv(inputs: int, outputs: int) -> nn.Conv2d:
    """Make a convolution with the initialisation of He et al. (2015), as in the paper."""
    made = conv(inputs, outputs)
    assert made.bias is not None
    nn.init.kaiming_normal_(made.weight)
    nn.init.zeros_(made.bias)
    return made
