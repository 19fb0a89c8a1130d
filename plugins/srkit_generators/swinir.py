"""Image restoration with shifted windows."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from srkit_generators.layers import (
    SLOPE,
    ChannelNorm,
    Network,
    Rules,
    check_scale,
    conv,
    list_stages,
    mean_colour,
    pad,
    renamed,
)
from srkit_generators.upsamplers import make_upsampler, shuffle_directly
from srkit_generators.windows import WindowBlock

#: Channels at SR's size.
WIDTH = 64
#: Keys of the authors' code.
OFFICIAL: Rules = (
    (r"^conv_first\.", "head."),
    (r"^patch_embed\.norm\.", "start."),
    (r"^layers\.(\d+)\.residual_group\.blocks\.(\d+)\.", r"body.\1.blocks.\2."),
    (r"\.attn\.relative_position_bias_table$", ".attention.bias"),
    (r"\.attn\.", ".attention."),
    (r"^layers\.(\d+)\.conv\.", r"body.\1.end."),
    (r"^conv_after_body\.", "body_end."),
    (r"^conv_before_upsample\.0\.", "narrow.conv."),
    (r"^upsample\.(\d)\.", lambda match: f"upsample.conv{int(match[1]) // 2}."),
    (r"^conv_up(\d)\.", lambda match: f"upsample.conv{int(match[1]) - 1}."),
    (r"^conv_hr\.", "refine.conv."),
    (r"^conv_last\.", "tail."),
)
#: Tensors of the authors' code that follow from the options.
DERIVED = (".attn_mask", ".relative_position_index")

Connection = Literal["plain", "bottleneck"]
Reconstruction = Literal["pixel_shuffle", "direct", "nearest"]


class SwinIR(Network):
    """Restoration by transformers with shifted windows (Liang et al. 2021, ICCVW).

    The defaults are the network for classical SR: 11,752,487 parameters at x2, 11,937,127 at x3,
    11,900,199 at x4. For lightweight SR, ``groups: 4, features: 60, upsampler: direct`` has 910,152
    at x2, 918,267 at x3 and 929,628 at x4, of which the paper does not count the 32,400 biases of
    attention. For photographs, there is ``upsampler: nearest``; the large network has 9 groups, 240
    features, 8 heads and ``connection: bottleneck``: 28,013,059 parameters at x4. Images are padded
    to a multiple of the window by reflection. Stochastic depth, which the authors' code has, but
    the paper does not mention, is left out.

    Parameters
    ----------
    scale
        1, 2, 3, 4 or 8; with ``nearest``, 2, 4 or 8.
    channels
        Channels of the images. RGB images are centred by the mean colour of DIV2K.
    groups
        Number of residual groups.
    blocks
        Transformer layers in each group; every other one has shifted windows.
    features
        Channels of the trunk, a multiple of the heads.
    heads
        Attention heads.
    window
        Side of the windows in LR pixels.
    mlp_ratio
        Channels inside the perceptrons over those of the trunk.
    connection
        End of each group: one convolution, or ``bottleneck``, three with a quarter of the channels.
    upsampler
        ``pixel_shuffle``; ``direct``, which converts features into the pixels of SR at once; or
        ``nearest``, nearest-neighbour enlargements and convolutions.

    Raises
    ------
    ValueError
        If the scale is not supported, or the features are not a multiple of the heads.
    """

    name = "swinir"
    mean: Tensor

    def __init__(
        self,
        *,
        scale: int,
        channels: int,
        groups: PositiveInt = 6,
        blocks: PositiveInt = 6,
        features: PositiveInt = 180,
        heads: PositiveInt = 6,
        window: PositiveInt = 8,
        mlp_ratio: PositiveFloat = 2.0,
        connection: Connection = "plain",
        upsampler: Reconstruction = "pixel_shuffle",
    ) -> None:
        super().__init__()
        scales = (2, 4, 8) if upsampler == "nearest" else (1, 2, 3, 4, 8)
        check_scale(f"swinir with {upsampler}", scale, scales)
        if features % heads:
            raise ValueError(f"features={features} is not a multiple of heads={heads}")
        self.scale = scale
        self.channels = channels
        self.grid = window
        self.register_buffer("mean", mean_colour(channels, subtract=channels == 3), False)
        self.head = conv(channels, features)
        self.start = ChannelNorm(features)
        hidden = int(features * mlp_ratio)
        self.body = nn.Sequential(
            *(Group(blocks, features, heads, window, hidden, connection) for _ in range(groups))
        )
        self.norm = ChannelNorm(features)
        self.body_end = make_end(features, connection)
        self.reconstruction = tuple(reconstructing(scale, features, channels, upsampler))
        for name, layer in self.reconstruction:
            self.add_module(name, layer)

    def forward(self, lr: Tensor) -> Tensor:
        """Restore ``(N, C, h, w)`` images to ``(N, C, scale h, scale w)``."""
        height, width = lr.shape[-2:]
        # Written so that a graph for any size knows that the padded sides are multiples.
        below, right = (
            (side + self.grid - 1) // self.grid * self.grid - side for side in (height, width)
        )
        x = pad(lr, right, below)
        shallow = self.head(x - self.mean)
        x = shallow + self.body_end(self.norm(self.body(self.start(shallow))))
        for name, _ in self.reconstruction:
            x = self.get_submodule(name)(x)
        return (x + self.mean)[..., : height * self.scale, : width * self.scale]

    def stages(self) -> dict[str, nn.Module]:
        """Return the parts from input to output; each group of ``body`` is a separate stage."""
        return list_stages(self, [name for name, _ in self.named_children()])

    def adapt(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Convert the tensors of a checkpoint of this network or of the authors' code.

        Raises
        ------
        WeightsError
            If no key belongs to the network.
        """
        own = {name: each for name, each in tensors.items() if not name.endswith(DERIVED)}
        return super().adapt(renamed(own, OFFICIAL) if "conv_first.weight" in own else own)


class Group(nn.Module):
    """Transformer layers and a convolution as a residual branch (Liang et al. 2021, RSTB)."""

    def __init__(
        self,
        blocks: int,
        features: int,
        heads: int,
        window: int,
        hidden: int,
        connection: Connection,
    ) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            *(
                WindowBlock(features, heads, window, number % 2 * (window // 2), hidden)
                for number in range(blocks)
            )
        )
        self.end = make_end(features, connection)

    def forward(self, x: Tensor) -> Tensor:
        """Refine ``(N, features, H, W)`` features; the sides are multiples of the window."""
        refined: Tensor = self.end(self.blocks(x.movedim(1, -1)).movedim(-1, 1))
        return x + refined


def make_end(features: int, connection: Connection) -> nn.Module:
    """Make the convolutions at the end of a residual branch."""
    if connection == "plain":
        return conv(features, features)
    narrow = features // 4
    return nn.Sequential(
        conv(features, narrow),
        nn.LeakyReLU(SLOPE, inplace=True),
        conv(narrow, narrow, kernel=1),
        nn.LeakyReLU(SLOPE, inplace=True),
        conv(narrow, features),
    )


def reconstructing(
    scale: int, features: int, channels: int, upsampler: Reconstruction
) -> Iterator[tuple[str, nn.Module]]:
    """Make the named layers from features to SR."""
    if upsampler == "direct":
        expanding, shuffle = shuffle_directly(scale, features, channels)
        yield from (("upsample", expanding), ("tail", shuffle))
        return
    yield "narrow", activated(features, nn.LeakyReLU(inplace=True))
    if upsampler == "nearest":
        yield "upsample", make_upsampler(scale, WIDTH, "nearest", "leaky_relu")
        yield "refine", activated(WIDTH, nn.LeakyReLU(SLOPE, inplace=True))
    else:
        yield "upsample", make_upsampler(scale, WIDTH)
    yield "tail", conv(WIDTH, channels)


def activated(inputs: int, activation: nn.Module) -> nn.Sequential:
    """Make a convolution and its activation."""
    return nn.Sequential(OrderedDict(conv=conv(inputs, WIDTH), activation=activation))
