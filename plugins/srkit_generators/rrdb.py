"""The generator of ESRGAN and Real-ESRGAN."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from srkit.interfaces import Published
from srkit_generators.checks import check_keys, check_scale

RELEASES = "https://github.com/xinntao/Real-ESRGAN/releases/download"

#: Weight of each residual branch, and of its initial weights.
RESIDUAL = 0.2
INITIAL = 0.1

#: Names outside the trunk in the first ESRGAN release.
OLD_NAMES = {
    "model.0": "conv_first",
    "model.3": "conv_up1",
    "model.6": "conv_up2",
    "model.8": "conv_hr",
    "model.10": "conv_last",
}
OLD_BLOCK = re.compile(r"model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0\.(weight|bias)")
OLD_TRUNK_END = re.compile(r"model\.1\.sub\.\d+\.(weight|bias)")


class DenseBlock(nn.Module):
    """Five convolutions, each seeing the input and the outputs of all before it."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.conv1 = conv(features, growth)
        self.conv2 = conv(features + growth, growth)
        self.conv3 = conv(features + 2 * growth, growth)
        self.conv4 = conv(features + 3 * growth, growth)
        self.conv5 = conv(features + 4 * growth, features)

    def forward(self, x: Tensor) -> Tensor:
        """Refine ``(N, features, H, W)`` features."""
        seen = x
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            seen = torch.cat((seen, activate(layer(seen))), 1)
        return torch.add(x, self.conv5(seen), alpha=RESIDUAL)


class ResidualBlock(nn.Module):
    """Residual-in-residual dense block: three dense blocks within a residual."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.rdb1 = DenseBlock(features, growth)
        self.rdb2 = DenseBlock(features, growth)
        self.rdb3 = DenseBlock(features, growth)

    def forward(self, x: Tensor) -> Tensor:
        """Refine ``(N, features, H, W)`` features."""
        return torch.add(x, self.rdb3(self.rdb2(self.rdb1(x))), alpha=RESIDUAL)


class RRDB(nn.Module):
    """Residual-in-residual dense blocks: the generator of ESRGAN (Wang et al. 2018).

    The scales 1 and 2 work on pixel-unshuffled images, as in Real-ESRGAN (Wang et al. 2021):
    sides that are no multiple of 4 or 2 are padded by repeating the border, and the answer is
    cropped.

    Parameters
    ----------
    scale
        1, 2 or 4.
    channels
        Channels of the images.
    blocks
        Residual-in-residual dense blocks.
    features
        Channels of the trunk.
    growth
        Channels that each dense convolution adds.

    Raises
    ------
    ValueError
        If the scale is another one.
    """

    channels_last = True
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
        blocks: PositiveInt = 23,
        features: PositiveInt = 64,
        growth: PositiveInt = 32,
    ) -> None:
        super().__init__()
        check_scale("rrdb", scale, (1, 2, 4))
        self.scale = scale
        self.channels = channels
        self.shrink = 4 // scale
        self.conv_first = conv(channels * self.shrink**2, features)
        self.body = nn.Sequential(*(ResidualBlock(features, growth) for _ in range(blocks)))
        self.conv_body = conv(features, features)
        self.conv_up1 = conv(features, features)
        self.conv_up2 = conv(features, features)
        self.conv_hr = conv(features, features)
        self.conv_last = conv(features, channels)
        for layer in self.body.modules():
            if isinstance(layer, nn.Conv2d):
                initialise(layer)

    def forward(self, lr: Tensor) -> Tensor:
        """Restore ``(N, C, h, w)`` images to ``(N, C, scale h, scale w)``."""
        height, width = lr.shape[-2:]
        if self.shrink > 1:
            pad = (0, -width % self.shrink, 0, -height % self.shrink)
            lr = F.pixel_unshuffle(F.pad(lr, pad, "replicate"), self.shrink)
        shallow = self.conv_first(lr)
        x = shallow + self.conv_body(self.body(shallow))
        for layer in (self.conv_up1, self.conv_up2):
            x = activate(layer(F.interpolate(x, scale_factor=2, mode="nearest")))
        sr: Tensor = self.conv_last(activate(self.conv_hr(x)))
        return sr[..., : height * self.scale, : width * self.scale]

    def stages(self) -> dict[str, nn.Module]:
        """Name the convolutions and the blocks from input to output."""
        blocks = {f"body.{i}": block for i, block in enumerate(self.body)}
        names = ("conv_body", "conv_up1", "conv_up2", "conv_hr", "conv_last")
        tail = {name: self.get_submodule(name) for name in names}
        return {"conv_first": self.conv_first, **blocks, **tail}

    def adapt(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rename the tensors of a checkpoint with the present or the first ESRGAN names.

        Raises
        ------
        WeightsError
            If the names are of neither kind.
        """
        renamed = {new_name(name): tensor for name, tensor in tensors.items()}
        check_keys("rrdb", renamed, self.state_dict())
        return renamed


def conv(inputs: int, outputs: int) -> nn.Conv2d:
    """Make a 3 x 3 convolution that keeps the size."""
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def activate(x: Tensor) -> Tensor:
    """Apply the leaky ReLU in place; a convolution needs no output of its own for its gradient."""
    return F.leaky_relu(x, 0.2, inplace=True)


def initialise(layer: nn.Conv2d) -> None:
    """Draw small weights, which keep deep residual networks stable (Wang et al. 2018, sec. 3.1)."""
    nn.init.kaiming_normal_(layer.weight)
    assert layer.bias is not None
    with torch.no_grad():
        layer.weight.mul_(INITIAL)
        layer.bias.zero_()


def new_name(name: str) -> str:
    """Translate a name of the first ESRGAN release; others stay."""
    if match := OLD_BLOCK.fullmatch(name):
        block, dense, layer, kind = match.groups()
        return f"body.{block}.rdb{dense}.conv{layer}.{kind}"
    if match := OLD_TRUNK_END.fullmatch(name):
        return f"conv_body.{match[1]}"
    stem, _, kind = name.rpartition(".")
    return f"{OLD_NAMES[stem]}.{kind}" if stem in OLD_NAMES else name
