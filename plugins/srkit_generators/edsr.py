"""Enhanced deep residual networks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from srkit.interfaces import Published
from srkit_generators.checks import check_keys, check_scale

#: Mean colour of the DIV2K training images, in [0, 1] (Lim et al. 2017).
DIV2K_MEAN = (0.4488, 0.4371, 0.4040)


class ResidualBlock(nn.Module):
    """Two convolutions within a residual, without batch normalisation."""

    def __init__(self, features: int, residual_scale: float) -> None:
        super().__init__()
        self.residual_scale = residual_scale
        self.conv1 = conv(features, features)
        self.conv2 = conv(features, features)

    def forward(self, x: Tensor) -> Tensor:
        """Refine ``(N, features, H, W)`` features."""
        branch = self.conv2(F.relu(self.conv1(x), inplace=True))
        return torch.add(x, branch, alpha=self.residual_scale)


class EDSR(nn.Module):
    """Enhanced deep residual network (Lim et al. 2017).

    The defaults are the baseline of the paper; 32 blocks of 256 features with a residual scale
    of 0.1 are its full network.

    Parameters
    ----------
    scale
        1, 2, 3, 4 or 8.
    channels
        Channels of the images.
    blocks
        Residual blocks.
    features
        Channels of the trunk.
    residual_scale
        Weight of each residual branch; 0.1 keeps wide networks stable.
    subtract_mean
        Whether to centre the images by the mean colour of DIV2K, as in the paper; for RGB
        photographs in [0, 1].

    Raises
    ------
    ValueError
        If the scale is another one, or the mean of RGB is to be taken from other channels.
    """

    channels_last = True
    published: ClassVar[Mapping[str, Published]] = {}
    mean: Tensor

    def __init__(
        self,
        *,
        scale: int,
        channels: int,
        blocks: PositiveInt = 16,
        features: PositiveInt = 64,
        residual_scale: PositiveFloat = 1.0,
        subtract_mean: bool = False,
    ) -> None:
        super().__init__()
        check_scale("edsr", scale, (1, 2, 3, 4, 8))
        if subtract_mean and channels != 3:
            raise ValueError(f"subtract_mean is for images of 3 channels; got {channels}")
        self.scale = scale
        self.channels = channels
        mean = DIV2K_MEAN if subtract_mean else (0.0,) * channels
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.head = conv(channels, features)
        self.body = nn.Sequential(*(ResidualBlock(features, residual_scale) for _ in range(blocks)))
        self.body_end = conv(features, features)
        self.upsample = upsampler(scale, features)
        self.tail = conv(features, channels)

    def forward(self, lr: Tensor) -> Tensor:
        """Restore ``(N, C, h, w)`` images to ``(N, C, scale h, scale w)``."""
        shallow = self.head(lr - self.mean)
        deep = shallow + self.body_end(self.body(shallow))
        sr: Tensor = self.tail(self.upsample(deep)) + self.mean
        return sr

    def stages(self) -> dict[str, nn.Module]:
        """Name the convolutions, the blocks and the upsampler from input to output."""
        blocks = {f"body.{i}": block for i, block in enumerate(self.body)}
        return {
            "head": self.head,
            **blocks,
            "body_end": self.body_end,
            "upsample": self.upsample,
            "tail": self.tail,
        }

    def adapt(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Take the tensors of a checkpoint of this network.

        Raises
        ------
        WeightsError
            If no name belongs to the network.
        """
        check_keys("edsr", tensors, self.state_dict())
        return dict(tensors)


def conv(inputs: int, outputs: int) -> nn.Conv2d:
    """Make a 3 x 3 convolution that keeps the size."""
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def upsampler(scale: int, features: int) -> nn.Sequential:
    """Make sub-pixel convolutions (Shi et al. 2016): one for 3, one for each factor of 2."""
    steps = [3] if scale == 3 else [2] * (scale.bit_length() - 1)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for i, step in enumerate(steps):
        layers[f"conv{i}"] = conv(features, features * step**2)
        layers[f"shuffle{i}"] = nn.PixelShuffle(step)
    return nn.Sequential(layers)
