"""Enhanced deep residual networks."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import ClassVar, Literal

from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from srkit.errors import WeightsError
from srkit.interfaces import Published
from srkit_generators.blocks import Blocks, make_blocks, residual
from srkit_generators.layers import (
    Activation,
    Network,
    check_scale,
    conv,
    mean_colour,
)
from srkit_generators.shipped import SHIPPED
from srkit_generators.upsamplers import (
    Upsampler,
    add_enlarged,
    make_upsampler,
    shuffle_directly,
)

#: Parameter names of the authors' PyTorch code, and its range of values.
OFFICIAL_BLOCK = re.compile(r"body\.(\d+)\.body\.([02])\.(weight|bias)")
OFFICIAL_OUTER = re.compile(r"(head\.0|body\.\d+|tail\.0\.\d|tail\.1)\.(weight|bias)")
OFFICIAL_RANGE = 255


class EDSR(Network):
    """Enhanced deep residual network (Lim et al. 2017).

    The defaults are the baseline of the paper: 1,369,859 parameters at x2, 1,554,499 at x3,
    1,517,571 at x4. 32 blocks of 256 features with a residual scale of 0.1 are its full network:
    40,729,603, 43,680,003 and 43,089,923. The numbers are those of the authors' code.

    Parameters
    ----------
    scale
        1, 2, 3, 4 or 8.
    channels
        Channels of the images.
    blocks
        Number of residual blocks, or a list from input to output such as ``[8, dense x8]``.
    features
        Channels of the trunk.
    residual_scale
        Weight of each residual branch; 0.1 keeps wide networks stable.
    subtract_mean
        Whether to centre the images by the mean colour of DIV2K, as in the paper; for RGB
        photographs in [0, 1].
    activation
        Activation in the blocks.
    upsampler
        How features are enlarged; ``direct`` converts them into the pixels of SR at once, without a
        layer at SR's size.
    global_residual
        Whether to add the bicubic enlargement of LR to the output (VDSR, Kim et al. 2016).

    Raises
    ------
    ValueError
        If the scale is not supported, the mean of RGB is requested for other than 3 channels, or
        a block is unknown.
    """

    name = "edsr"
    parts = ("head", "body", "body_end", "upsample", "tail")
    published: ClassVar[Mapping[str, Published]] = SHIPPED
    mean: Tensor

    def __init__(
        self,
        *,
        scale: int,
        channels: int,
        blocks: Blocks = 16,
        features: PositiveInt = 64,
        residual_scale: PositiveFloat = 1.0,
        subtract_mean: bool = False,
        activation: Activation = "relu",
        upsampler: Upsampler | Literal["direct"] = "pixel_shuffle",
        global_residual: bool = False,
    ) -> None:
        super().__init__()
        check_scale("edsr", scale, (1, 2, 3, 4, 8))
        self.scale = scale
        self.channels = channels
        self.global_residual = global_residual
        mean = mean_colour(channels, subtract=subtract_mean)
        self.register_buffer("mean", mean, persistent=False)
        self.head = conv(channels, features)
        self.body = make_blocks(
            blocks,
            lambda: residual(features, activation, residual_scale),
            features=features,
            activation=activation,
            weight=residual_scale,
        )
        self.body_end = conv(features, features)
        self.upsample: nn.Module
        self.tail: nn.Module
        if upsampler == "direct":
            self.upsample, self.tail = shuffle_directly(scale, features, channels)
        else:
            self.upsample = make_upsampler(scale, features, upsampler)
            self.tail = conv(features, channels)

    def forward(self, lr: Tensor) -> Tensor:
        """Restore ``(N, C, h, w)`` images to ``(N, C, scale h, scale w)``."""
        shallow = self.head(lr - self.mean)
        deep = shallow + self.body_end(self.body(shallow))
        sr: Tensor = self.tail(self.upsample(deep))
        return add_enlarged(sr, lr) if self.global_residual else sr + self.mean

    def adapt(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Convert the tensors of a checkpoint of this network or of the authors' PyTorch code.

        The authors' networks work on values up to 255. Since all of their layers are homogeneous,
        they are the same in [0, 1] once their biases are divided by 255.

        Raises
        ------
        WeightsError
            If no name belongs to the network, or it was trained on centred images and this one
            does not centre them.
        """
        if "head.0.weight" in tensors:
            tensors = take_official(tensors, official_name, self.mean)
        return super().adapt(tensors)


def factor_of(name: str) -> float:
    """Return the factor of a tensor if features are divided by 255."""
    return 1 / OFFICIAL_RANGE if name.endswith(".bias") else 1


def take_official(
    tensors: Mapping[str, Tensor],
    rename: Callable[[str], str],
    mean: Tensor,
    factor: Callable[[str], float] = factor_of,
) -> dict[str, Tensor]:
    """Rename and rescale the tensors of the authors' code for images in [0, 1].

    Parameters
    ----------
    tensors, rename
        The tensors, and the translation of their names.
    mean
        The colour that the network subtracts from images.
    factor
        The factor by which a tensor is multiplied, by its new name.

    Raises
    ------
    WeightsError
        If the weights were trained on centred images and the network does not centre them.
    """
    if "sub_mean.weight" in tensors and not mean.any():
        raise WeightsError(
            "these weights were trained on centred images; set generator.subtract_mean=true"
        )
    renamed = {}
    for name, tensor in tensors.items():
        if name.startswith(("sub_mean.", "add_mean.")):
            continue
        new = rename(name)
        renamed[new] = tensor * factor(new)
    return renamed


def official_name(name: str) -> str:
    """Translate a parameter name of the authors' code; other names are unchanged."""
    if match := OFFICIAL_BLOCK.fullmatch(name):
        block, layer, kind = match.groups()
        return f"body.{block}.conv{int(layer) // 2 + 1}.{kind}"
    if match := OFFICIAL_OUTER.fullmatch(name):
        part, kind = match.groups()
        if part.startswith("tail.0."):
            return f"upsample.conv{int(part[-1]) // 2}.{kind}"
        outer = {"head.0": "head", "tail.1": "tail"}
        return f"{outer.get(part, 'body_end')}.{kind}"
    return name
