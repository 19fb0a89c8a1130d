"""Networks with partial large kernels."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from itertools import count
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from srkit_generators.blocks import Residual
from srkit_generators.layers import ChannelNorm, Network, Rules, check_scale, conv, renamed
from srkit_generators.upsamplers import DySample

#: Kernels of the two convolutions of a channel mixer.
MIXERS = {"dccm": (3, 3), "ccm": (3, 1), "iccm": (1, 3)}
#: Keys of the authors' code inside the blocks. The published networks misspell the mixer.
OFFICIAL: Rules = (
    (r"\.channe_mixer\.|\.channel_mixer\.", ".mixer."),
    (r"\.mixer\.0\.", ".mixer.conv1."),
    (r"\.mixer\.2\.", ".mixer.conv2."),
    (r"\.lk\.", ".large."),
    (r"\.attn\.f\.0\.", ".attention.conv."),
    (r"\.layer_norm\.", ".norm."),
    (r"^to_img\.", "upsample."),
)

#: Largest width of a kernel whose gradient oneDNN computes in its fast code.
WIDEST = 14
#: Share of the channels that the large kernels see.
Share = Annotated[float, Field(gt=0, le=1)]


class _Chain(Network):
    """Blocks at LR's size, whose output is added to the nearest-neighbour enlargement of LR."""

    parts = ("head", "body", "tail", "upsample")
    #: Layers of the authors' code without parameters, between the blocks and the last convolution.
    gap: ClassVar[int]

    def __init__(
        self,
        scale: int,
        channels: int,
        features: int,
        blocks: Iterable[nn.Module],
        upsample: nn.Module,
    ) -> None:
        super().__init__()
        check_scale(self.name, scale, (1, 2, 3, 4, 8))
        self.scale = scale
        self.channels = channels
        self.head = conv(channels, features)
        self.body = nn.Sequential(*blocks)
        self.tail = conv(features, channels * scale**2)
        self.upsample = upsample
        start_small(self.head)
        start_small(self.tail)

    def forward(self, lr: Tensor) -> Tensor:
        """Restore ``(N, C, h, w)`` images to ``(N, C, scale h, scale w)``."""
        repeated = lr.repeat_interleave(self.scale**2, dim=1)
        sr: Tensor = self.upsample(self.tail(self.body(self.head(lr))) + repeated)
        return sr

    def adapt(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Convert the tensors of a checkpoint of this network or of the authors' code.

        Raises
        ------
        WeightsError
            If no key belongs to the network.
        """
        rules: Rules = (
            (r"^feats\.0\.", "head."),
            (rf"^feats\.{len(self.body) + 1 + self.gap}\.", "tail."),
            (r"^feats\.(\d+)\.", lambda match: f"body.{int(match[1]) - 1}."),
            *OFFICIAL,
        )
        tensors = {name: each for name, each in tensors.items() if name != "to_img.init_pos"}
        return super().adapt(renamed(tensors, rules))


class PLKSR(_Chain):
    """Partial large kernel network (Lee et al. 2024, arXiv:2404.11848).

    The defaults are the network of the paper: 7,365,324 parameters at x2, 7,373,979 at x3,
    7,386,096 at x4. Its PLKSR-tiny has 12 blocks, kernels of 13 and no attention: 2,370,544 at x4.

    Parameters
    ----------
    scale
        1, 2, 3, 4 or 8.
    channels
        Channels of the images.
    blocks
        Number of blocks.
    features
        Channels of the trunk.
    kernel
        Side of the large kernels, odd.
    share
        Share of the channels that the large kernels see.
    mixer
        The convolutions that mix the channels: ``dccm``, two of 3 x 3, as published; ``ccm``,
        3 x 3 and 1 x 1; ``iccm``, 1 x 1 and 3 x 3.
    attention
        Whether to weight each value by a sigmoid of a convolution.

    Raises
    ------
    ValueError
        If the scale is not supported, the kernel is even, or the share contains no channel.
    """

    name = "plksr"
    gap = 0

    def __init__(
        self,
        *,
        scale: int,
        channels: int,
        blocks: PositiveInt = 28,
        features: PositiveInt = 64,
        kernel: PositiveInt = 17,
        share: Share = 0.25,
        mixer: Literal["dccm", "ccm", "iccm"] = "dccm",
        attention: bool = True,
    ) -> None:
        super().__init__(
            scale,
            channels,
            features,
            (
                make_block(features, kernel, share, MIXERS[mixer], nn.GELU(), attention=attention)
                for _ in range(blocks)
            ),
            nn.PixelShuffle(scale),
        )


class RealPLKSR(_Chain):
    """PLKSR for photographs with noise and artefacts, as in neosr and traiNNer-redux.

    A variant by the users of PLKSR (Lee et al. 2024, arXiv:2404.11848) whose training with
    discriminators is stable: Mish instead of GELU, and normalised blocks. The defaults have
    7,389,680 parameters at x4. ``group`` normalises by statistics of the whole image, so that an
    image changes slightly if it is restored in tiles.

    Parameters
    ----------
    scale
        1, 2, 3, 4 or 8.
    channels
        Channels of the images.
    blocks
        Number of blocks.
    features
        Channels of the trunk, a multiple of 4.
    kernel
        Side of the large kernels, odd.
    share
        Share of the channels that the large kernels see.
    attention
        Whether to weight each value by a sigmoid of a convolution.
    norm
        ``group``: at the end of each block, over all pixels of four groups of channels. ``layer``:
        at its beginning, over the channels of each pixel.
    upsampler
        ``pixel_shuffle``, or ``dysample``, which samples the features where the network chooses
        (Liu et al. 2023, ICCV).

    Raises
    ------
    ValueError
        If the scale is not supported, the kernel is even, the share contains no channel, or the
        features are not a multiple of 4.
    """

    name = "realplksr"
    gap = 1

    def __init__(
        self,
        *,
        scale: int,
        channels: int,
        blocks: PositiveInt = 28,
        features: Annotated[int, Field(gt=0, multiple_of=4)] = 64,
        kernel: PositiveInt = 17,
        share: Share = 0.25,
        attention: bool = True,
        norm: Literal["group", "layer"] = "group",
        upsampler: Literal["pixel_shuffle", "dysample"] = "pixel_shuffle",
    ) -> None:
        super().__init__(
            scale,
            channels,
            features,
            (
                make_block(
                    features, kernel, share, (3, 3), nn.Mish(), attention=attention, norm=norm
                )
                for _ in range(blocks)
            ),
            DySample(scale, channels) if upsampler == "dysample" else nn.PixelShuffle(scale),
        )


def make_block(
    features: int,
    kernel: int,
    share: float,
    mixer: tuple[int, int],
    activation: nn.Module,
    *,
    attention: bool,
    norm: Literal["group", "layer"] | None = None,
) -> Residual:
    """Make a residual block: mix channels, convolve some with a large kernel, weight, refine."""
    partial = int(features * share)
    if not partial:
        raise ValueError(f"share={share:g} of {features} features is less than one channel")
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if norm == "layer":
        layers["norm"] = ChannelNorm(features, eps=1e-6)
    layers["mixer"] = nn.Sequential(
        OrderedDict(
            conv1=conv(features, 2 * features, mixer[0]),
            activation=activation,
            conv2=conv(2 * features, features, mixer[1]),
        )
    )
    layers["large"] = PartialConv(partial, kernel)
    if attention:
        layers["attention"] = ElementAttention(features)
    layers["refine"] = conv(features, features, kernel=1)
    block = Residual(1.0, **layers)
    for name, layer in block.named_modules():
        if isinstance(layer, nn.Conv2d) and name != "mixer.conv1":
            start_small(layer)
    if norm == "group":
        block.add_module("norm", nn.GroupNorm(4, features))
    return block


def start_small(layer: nn.Conv2d) -> None:
    """Initialise a convolution as in the authors' code."""
    nn.init.trunc_normal_(layer.weight, std=0.02)


class PartialConv(nn.Module):
    """Convolve the first channels with a large kernel, and keep the others.

    Parameters
    ----------
    channels
        Number of convolved channels.
    kernel
        Side of the kernel, odd.
    """

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"the kernel must be odd; got {kernel}")
        self.conv = conv(channels, channels, kernel)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``(N, features, H, W)`` features."""
        channels = self.conv.in_channels
        changed = x[:, :channels]
        slow = x.device.type == "cpu" and torch.is_grad_enabled()
        changed = convolve_in_strips(changed, self.conv) if slow else self.conv(changed)
        return torch.cat((changed, x[:, channels:]), 1)


def convolve_in_strips(x: Tensor, layer: nn.Conv2d) -> Tensor:
    """Convolve with strips of a kernel, and add the results, which equal those of the layer.

    On processors, torch computes the gradient of wider kernels up to 300 times slower.
    """
    side, width = layer.kernel_size[0] // 2, x.shape[-1]
    padded = F.pad(x, (side, side, side, side))
    strips = layer.weight.split(WIDEST, dim=-1)
    convolved = [
        F.conv2d(padded[..., left : left + width + strip.shape[-1] - 1], strip)
        for left, strip in zip(count(0, WIDEST), strips, strict=False)
    ]
    assert layer.bias is not None
    return sum(convolved[1:], convolved[0]) + layer.bias[:, None, None]


class ElementAttention(nn.Module):
    """Weight each value by a sigmoid of a convolution (Lee et al. 2024, section 3)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv = conv(features, features)

    def forward(self, x: Tensor) -> Tensor:
        """Weight ``(N, features, H, W)`` features."""
        return x * torch.sigmoid(self.conv(x))
