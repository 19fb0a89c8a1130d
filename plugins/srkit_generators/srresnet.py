"""The residual network of SRGAN."""

from __future__ import annotations

from collections import OrderedDict

from pydantic import PositiveInt
from torch import Tensor, nn

from srkit_generators.blocks import Blocks, make_blocks, residual_bn
from srkit_generators.layers import (
    Activation,
    Network,
    check_scale,
    conv,
    make_activation,
)
from srkit_generators.upsamplers import Upsampler, add_enlarged, make_upsampler


class SRResNet(Network):
    """The generator of SRGAN (Ledig et al. 2017, figure 4).

    The defaults are the network of the paper: 1,550,659 parameters at x4, with a PReLU for each
    channel, as in krasserm/super-resolution (the authors' code is not public). SR has the range
    of LR; in the paper it is -1 to 1.

    Parameters
    ----------
    scale
        1, 2, 3, 4 or 8.
    channels
        Channels of the images.
    blocks
        Number of residual blocks with batch normalisation, or a list from input to output such as
        ``[8, dense x8]``.
    features
        Channels of the trunk.
    activation
        Activation after the first convolution, in the blocks and after each enlargement.
    upsampler
        How features are enlarged.
    global_residual
        Whether to add the bicubic enlargement of LR to the output (VDSR, Kim et al. 2016).

    Raises
    ------
    ValueError
        If the scale is not supported, or a block is unknown.
    """

    name = "srresnet"
    parts = ("head", "body", "body_end", "upsample", "tail")

    def __init__(
        self,
        *,
        scale: int,
        channels: int,
        blocks: Blocks = 16,
        features: PositiveInt = 64,
        activation: Activation = "prelu",
        upsampler: Upsampler = "pixel_shuffle",
        global_residual: bool = False,
    ) -> None:
        super().__init__()
        check_scale("srresnet", scale, (1, 2, 3, 4, 8))
        self.scale = scale
        self.channels = channels
        self.global_residual = global_residual
        self.head = nn.Sequential(
            OrderedDict(
                conv=conv(channels, features, kernel=9),
                activation=make_activation(activation, features),
            )
        )
        self.body = make_blocks(
            blocks,
            lambda: residual_bn(features, activation),
            features=features,
            activation=activation,
        )
        self.body_end = nn.Sequential(
            OrderedDict(conv=conv(features, features), bn=nn.BatchNorm2d(features))
        )
        self.upsample = make_upsampler(scale, features, upsampler, activation)
        self.tail = conv(features, channels, kernel=9)

    def forward(self, lr: Tensor) -> Tensor:
        """Restore ``(N, C, h, w)`` images to ``(N, C, scale h, scale w)``."""
        shallow = self.head(lr)
        deep = shallow + self.body_end(self.body(shallow))
        sr: Tensor = self.tail(self.upsample(deep))
        return add_enlarged(sr, lr) if self.global_residual else sr
