"""Residual channel attention networks."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import PositiveInt
from torch import Tensor, nn

from srkit_generators.blocks import Blocks, Residual, attention, make_blocks
from srkit_generators.edsr import OFFICIAL_RANGE, take_official
from srkit_generators.layers import (
    Activation,
    Network,
    Rules,
    check_scale,
    conv,
    mean_colour,
    rename,
    renamed,
)
from srkit_generators.upsamplers import Upsampler, make_upsampler

#: Keys of the authors' code.
OFFICIAL: Rules = (
    (r"^head\.0\.", "head."),
    (r"^tail\.0\.(\d)\.", lambda match: f"upsample.conv{int(match[1]) // 2}."),
    (r"^tail\.1\.", "tail."),
    (r"^body\.(\d+)\.body\.(\d+)\.body\.0\.", r"body.\1.blocks.\2.conv1."),
    (r"^body\.(\d+)\.body\.(\d+)\.body\.2\.", r"body.\1.blocks.\2.conv2."),
    (r"^body\.(\d+)\.body\.(\d+)\.body\.3\.", r"body.\1.blocks.\2.attention."),
    (r"\.conv_du\.0\.", ".squeeze."),
    (r"\.conv_du\.2\.", ".excite."),
    (r"^body\.(\d+)\.body\.\d+\.", r"body.\1.end."),
    (r"^body\.\d+\.(weight|bias)$", r"body_end.\1"),
)


class RCAN(Network):
    """Residual channel attention network (Zhang et al. 2018, ECCV).

    The defaults are the network of the paper, about 400 layers: 15,444,643 parameters at x2,
    15,629,283 at x3, 15,592,355 at x4. Since channels are weighted by their means over the whole
    image, an image changes slightly if it is restored in tiles.

    Parameters
    ----------
    scale
        1, 2, 3, 4 or 8.
    channels
        Channels of the images.
    groups
        Number of residual groups.
    blocks
        Blocks of each group: a number of residual blocks with channel attention, or a list from
        input to output such as ``[10, dense x2]``.
    features
        Channels of the trunk.
    reduction
        Factor by which the channel attention of the network's own blocks reduces the channels.
    subtract_mean
        Whether to centre the images by the mean colour of DIV2K, as in the authors' code; for RGB
        photographs in [0, 1].
    activation
        Activation in the blocks.
    upsampler
        How features are enlarged.

    Raises
    ------
    ValueError
        If the scale is not supported, the mean of RGB is requested for other than 3 channels, or
        a block is unknown.
    """

    name = "rcan"
    parts = ("head", "body", "body_end", "upsample", "tail")
    mean: Tensor

    def __init__(
        self,
        *,
        scale: int,
        channels: int,
        groups: PositiveInt = 10,
        blocks: Blocks = 20,
        features: PositiveInt = 64,
        reduction: PositiveInt = 16,
        subtract_mean: bool = False,
        activation: Activation = "relu",
        upsampler: Upsampler = "pixel_shuffle",
    ) -> None:
        super().__init__()
        check_scale("rcan", scale, (1, 2, 3, 4, 8))
        self.scale = scale
        self.channels = channels
        self.register_buffer("mean", mean_colour(channels, subtract=subtract_mean), False)

        def group() -> nn.Module:
            own = make_blocks(
                blocks,
                lambda: attention(features, activation, reduction=reduction),
                features=features,
                activation=activation,
            )
            return Residual(1.0, blocks=own, end=conv(features, features))

        self.head = conv(channels, features)
        self.body = nn.Sequential(*(group() for _ in range(groups)))
        self.body_end = conv(features, features)
        self.upsample = make_upsampler(scale, features, upsampler)
        self.tail = conv(features, channels)

    def forward(self, lr: Tensor) -> Tensor:
        """Restore ``(N, C, h, w)`` images to ``(N, C, scale h, scale w)``."""
        shallow = self.head(lr - self.mean)
        deep = shallow + self.body_end(self.body(shallow))
        sr: Tensor = self.tail(self.upsample(deep))
        return sr + self.mean

    def adapt(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Convert the tensors of a checkpoint of this network or of the authors' code.

        Those of the authors that centre images work on values up to 255, and are rescaled.

        Raises
        ------
        WeightsError
            If no name belongs to the network, or it was trained on centred images and this one
            does not centre them.
        """
        if "head.0.weight" in tensors:
            if "sub_mean.weight" in tensors:
                tensors = take_official(
                    tensors, lambda name: rename(name, OFFICIAL), self.mean, factor_of
                )
            else:
                tensors = renamed(tensors, OFFICIAL)
        return super().adapt(tensors)


def factor_of(name: str) -> float:
    """Return the factor of a tensor if features are divided by 255; attention stays the same."""
    if ".attention." in name:
        return OFFICIAL_RANGE if name.endswith("squeeze.weight") else 1
    return 1 / OFFICIAL_RANGE if name.endswith(".bias") else 1
