"""The multi-scale variant of EDSR."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from srkit_generators.blocks import Blocks, Residual, make_blocks, residual
from srkit_generators.edsr import official_name, take_official
from srkit_generators.layers import (
    Activation,
    Network,
    check_scale,
    conv,
    list_stages,
    make_activation,
    mean_colour,
)
from srkit_generators.upsamplers import Upsampler, make_upsampler

#: The scales of the authors' weights, in the order of their numbers in parameter names.
OFFICIAL_SCALES = (2, 3, 4)
OFFICIAL_PRE = re.compile(r"pre_process\.([012])\.([01])\.body\.([02])\.(weight|bias)")
OFFICIAL_UPSAMPLE = re.compile(r"upsample\.([012])\.([02])\.(weight|bias)")


class MDSR(Network):
    """EDSR's multi-scale network (Lim et al. 2017, figure 5).

    The scales share head and body; each scale has two residual blocks with 5 x 5 kernels before the
    body and its own upsampler. The defaults are the network of the paper for x2,
    x3 and x4: 7,953,987 parameters, the paper's 8.0 million and those of the authors' PyTorch code;
    their baseline of 16 blocks has 3,227,203.

    Parameters
    ----------
    scales
        Of 1, 2, 3, 4 and 8; the recipe's ``scale``.
    channels
        Channels of the images.
    blocks
        Number of residual blocks of the body, or a list from input to output such as
        ``[40, dense x4]``.
    features
        Channels of the trunk.
    residual_scale
        Weight of each residual branch.
    subtract_mean
        Whether to centre the images by the mean colour of DIV2K, as in the paper; for RGB
        photographs in [0, 1].
    activation
        Activation in the blocks.
    upsampler
        How features are enlarged.

    Raises
    ------
    ValueError
        If a scale is not supported, the mean of RGB is requested for other than 3 channels, or a
        block is unknown.
    """

    name = "mdsr"
    mean: Tensor

    def __init__(
        self,
        *,
        scales: Sequence[int],
        channels: int,
        blocks: Blocks = 80,
        features: PositiveInt = 64,
        residual_scale: PositiveFloat = 1.0,
        subtract_mean: bool = False,
        activation: Activation = "relu",
        upsampler: Upsampler = "pixel_shuffle",
    ) -> None:
        super().__init__()
        for scale in scales:
            check_scale("mdsr", scale, (1, 2, 3, 4, 8))
        self.scales = tuple(scales)
        self.scale = self.scales[0]
        self.channels = channels
        mean = mean_colour(channels, subtract=subtract_mean)
        self.register_buffer("mean", mean, persistent=False)
        self.head = conv(channels, features)
        self.pre = nn.ModuleDict(
            {
                f"x{scale}": nn.Sequential(
                    *(wide(features, activation, residual_scale) for _ in range(2))
                )
                for scale in scales
            }
        )
        self.body = make_blocks(
            blocks,
            lambda: residual(features, activation, residual_scale),
            features=features,
            activation=activation,
            weight=residual_scale,
        )
        self.body_end = conv(features, features)
        self.upsample = nn.ModuleDict(
            {f"x{scale}": make_upsampler(scale, features, upsampler) for scale in scales}
        )
        self.tail = conv(features, channels)

    def forward(self, lr: Tensor) -> Tensor:
        """Restore ``(N, C, h, w)`` images to ``(N, C, scale h, scale w)``."""
        name = f"x{self.scale}"
        shallow = self.pre[name](self.head(lr - self.mean))
        deep = shallow + self.body_end(self.body(shallow))
        sr: Tensor = self.tail(self.upsample[name](deep)) + self.mean
        return sr

    def stages(self) -> dict[str, nn.Module]:
        """Name the convolutions, the blocks and each scale's parts from input to output."""
        pre, upsample = ([f"{part}.x{scale}" for scale in self.scales]
                         for part in ("pre", "upsample"))  # fmt: skip
        return list_stages(self, ("head", *pre, "body", "body_end", *upsample, "tail"))

    def adapt(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Convert the tensors of a checkpoint of this network or of the authors' PyTorch code.

        Raises
        ------
        WeightsError
            If no name belongs to the network, or it was trained on centred images and this one
            does not centre them.
        """
        if "head.0.weight" in tensors:
            tensors = take_official(tensors, official_name_of_mdsr, self.mean)
        return super().adapt(tensors)


def wide(features: int, activation: Activation, weight: float) -> nn.Module:
    """Residual block of two 5 x 5 convolutions, which give a scale more context."""
    return Residual(
        weight,
        conv1=conv(features, features, kernel=5),
        activation=make_activation(activation, features),
        conv2=conv(features, features, kernel=5),
    )


def official_name_of_mdsr(name: str) -> str:
    """Translate a parameter name of the authors' code; other names are unchanged."""
    if match := OFFICIAL_PRE.fullmatch(name):
        number, block, layer, kind = match.groups()
        return f"pre.x{OFFICIAL_SCALES[int(number)]}.{block}.conv{int(layer) // 2 + 1}.{kind}"
    if match := OFFICIAL_UPSAMPLE.fullmatch(name):
        number, layer, kind = match.groups()
        return f"upsample.x{OFFICIAL_SCALES[int(number)]}.conv{int(layer) // 2}.{kind}"
    if name.startswith("tail.0."):
        return name.replace("tail.0.", "tail.")
    return official_name(name)
