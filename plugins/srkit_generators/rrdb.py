"""The generator of ESRGAN and Real-ESRGAN."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from srkit.interfaces import Published
from srkit_generators.blocks import Blocks, make_blocks
from srkit_generators.dense_blocks import ResidualInResidual, shrink_initial_weights
from srkit_generators.layers import SLOPE, Activation, Network, check_scale, conv, list_stages

RELEASES = "https://github.com/xinntao/Real-ESRGAN/releases/download"

#: Parameter names outside the trunk in the first release of ESRGAN.
OLD_NAMES = {
    "model.0": "conv_first",
    "model.3": "conv_up1",
    "model.6": "conv_up2",
    "model.8": "conv_hr",
    "model.10": "conv_last",
}
OLD_BLOCK = re.compile(r"model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0\.(weight|bias)")
OLD_TRUNK_END = re.compile(r"model\.1\.sub\.\d+\.(weight|bias)")


class RRDB(Network):
    """Residual-in-residual dense blocks: the generator of ESRGAN (Wang et al. 2018).

    The defaults are the published network: 16,697,987 parameters at x4, as in the authors' code.
    The scales 1 and 2 work on pixel-unshuffled images, as in Real-ESRGAN (Wang et al. 2021):
    sides that are not a multiple of 4 or 2 are padded by repeating the border, and the output is
    cropped. Scale 3 enlarges once, as in the first release of ESRGAN.

    Parameters
    ----------
    scale
        1, 2, 3 or 4.
    channels
        Channels of the images.
    blocks
        Number of residual-in-residual dense blocks, or a list from input to output such as
        ``[16, attention x7]``.
    features
        Channels of the trunk.
    growth
        Channels that each dense convolution appends.
    activation
        Activation in the blocks.

    Raises
    ------
    ValueError
        If the scale is not supported, or a block is unknown.
    """

    name = "rrdb"
    published: ClassVar[Mapping[str, Published]] = {
        "realesrgan_x4plus": Published(
            f"{RELEASES}/v0.1.0/RealESRGAN_x4plus.pth",
            "4fa0d38905f75ac06eb49a7951b426670021be3018265fd191d2125df9d682f1",
            "BSD-3-Clause",
            {"scale": 4, "channels": 3},
        ),
        "realesrgan_x2plus": Published(
            f"{RELEASES}/v0.2.1/RealESRGAN_x2plus.pth",
            "49fafd45f8fd7aa8d31ab2a22d14d91b536c34494a5cfe31eb5d89c2fa266abb",
            "BSD-3-Clause",
            {"scale": 2, "channels": 3},
        ),
        "esrgan_x4": Published(
            f"{RELEASES}/v0.1.1/ESRGAN_SRx4_DF2KOST_official-ff704c30.pth",
            "ff704c30ff560305e48ed1f4db895e525ab6bc81a46fafe80c0094a271c806d9",
            "Apache-2.0",
            {"scale": 4, "channels": 3},
        ),
        "rrdb_small_x4": Published(
            "package:srkit_generators/weights/rrdb_small_x4.safetensors",
            "2040e41affeb56f5c49b8307de4d3478f06789ea36b85052c5bf7bef8c9e0b04",
            "Apache-2.0",
            {"scale": 4, "channels": 3, "blocks": 4, "features": 32, "growth": 16},
        ),
    }

    def __init__(
        self,
        *,
        scale: int,
        channels: int,
        blocks: Blocks = 23,
        features: PositiveInt = 64,
        growth: PositiveInt = 32,
        activation: Activation = "leaky_relu",
    ) -> None:
        super().__init__()
        check_scale("rrdb", scale, (1, 2, 3, 4))
        self.scale = scale
        self.channels = channels
        self.shrink = self.grid = 4 // scale  # 1 at x3 too
        self.steps = (3,) if scale == 3 else (2, 2)
        self.conv_first = conv(channels * self.shrink**2, features)
        self.body = make_blocks(
            blocks,
            lambda: ResidualInResidual(features, growth, activation),
            features=features,
            activation=activation,
        )
        self.conv_body = conv(features, features)
        for name in self.enlarging():
            self.add_module(name, conv(features, features))
        self.conv_hr = conv(features, features)
        self.conv_last = conv(features, channels)
        shrink_initial_weights(self.body)

    def forward(self, lr: Tensor) -> Tensor:
        """Restore ``(N, C, h, w)`` images to ``(N, C, scale h, scale w)``."""
        height, width = lr.shape[-2:]
        if self.shrink > 1:
            # Written so that a graph for any size knows that the padded sides are multiples.
            below, right = (
                (side + self.shrink - 1) // self.shrink * self.shrink - side
                for side in (height, width)
            )
            lr = F.pixel_unshuffle(F.pad(lr, (0, right, 0, below), "replicate"), self.shrink)
        shallow = self.conv_first(lr)
        x = shallow + self.conv_body(self.body(shallow))
        for name, step in zip(self.enlarging(), self.steps, strict=True):
            layer = self.get_submodule(name)
            x = activate(layer(F.interpolate(x, scale_factor=step, mode="nearest")))
        sr: Tensor = self.conv_last(activate(self.conv_hr(x)))
        return sr[..., : height * self.scale, : width * self.scale]

    def stages(self) -> dict[str, nn.Module]:
        """Name the convolutions and the blocks from input to output."""
        tail = ("conv_body", *self.enlarging(), "conv_hr", "conv_last")
        return list_stages(self, ("conv_first", "body", *tail))

    def enlarging(self) -> list[str]:
        """Name the convolutions that follow the enlargements."""
        return [f"conv_up{number}" for number in range(1, len(self.steps) + 1)]

    def adapt(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Convert the tensors of a checkpoint with the current or the first ESRGAN names.

        Raises
        ------
        WeightsError
            If the names are of neither kind.
        """
        return super().adapt({new_name(name): tensor for name, tensor in tensors.items()})


def activate(x: Tensor) -> Tensor:
    """Apply the leaky ReLU in place; a convolution needs no output of its own for its gradient."""
    return F.leaky_relu(x, SLOPE, inplace=True)


def new_name(name: str) -> str:
    """Translate a parameter name of the first ESRGAN release; other names are unchanged."""
    if match := OLD_BLOCK.fullmatch(name):
        block, dense, layer, kind = match.groups()
        return f"body.{block}.rdb{dense}.conv{layer}.{kind}"
    if match := OLD_TRUNK_END.fullmatch(name):
        return f"conv_body.{match[1]}"
    stem, _, kind = name.rpartition(".")
    return f"{OLD_NAMES[stem]}.{kind}" if stem in OLD_NAMES else name
