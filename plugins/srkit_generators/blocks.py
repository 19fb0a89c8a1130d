"""The blocks of a trunk, by kind and number."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Annotated

import torch
from pydantic import BeforeValidator, PositiveInt
from torch import Tensor, nn

from srkit.errors import nearest
from srkit_generators.dense_blocks import (
    ResidualDenseBlock,
    ResidualInResidual,
    shrink_initial_weights,
)
from srkit_generators.layers import Activation, conv, make_activation

#: A kind of block and the number of blocks.
ENTRY = re.compile(r"(\w+)(?: +x *([1-9]\d*))?")


class Residual(nn.Sequential):
    """Named layers as a residual branch: ``x + weight * layers(x)``."""

    def __init__(self, weight: float, **layers: nn.Module) -> None:
        super().__init__(OrderedDict(layers))
        self.weight = weight

    def forward(self, x: Tensor) -> Tensor:
        """Refine ``(N, features, H, W)`` features."""
        branch = x
        for layer in self:
            branch = layer(branch)
        return torch.add(x, branch, alpha=self.weight)


class ChannelAttention(nn.Module):
    """Weight each channel by the channel means (Zhang et al. 2018, RCAN, section 3.3).

    Parameters
    ----------
    features
        Channels of the maps.
    reduction
        Factor by which the number of channels is reduced between the two 1 x 1 convolutions.
    """

    def __init__(self, features: int, reduction: int = 16) -> None:
        super().__init__()
        squeezed = max(1, features // reduction)
        self.squeeze = conv(features, squeezed, kernel=1)
        self.excite = conv(squeezed, features, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        """Scale ``(N, features, H, W)`` features."""
        means = x.mean((2, 3), keepdim=True)
        return x * torch.sigmoid(self.excite(torch.relu(self.squeeze(means))))


def residual(features: int, activation: Activation, weight: float = 1.0) -> nn.Module:
    """Two convolutions: the block of EDSR (Lim et al. 2017)."""
    return Residual(
        weight,
        conv1=conv(features, features),
        activation=make_activation(activation, features),
        conv2=conv(features, features),
    )


def residual_bn(features: int, activation: Activation, weight: float = 1.0) -> nn.Module:
    """Two convolutions with batch normalisation: the block of SRResNet (Ledig et al. 2017)."""
    return Residual(
        weight,
        conv1=conv(features, features),
        bn1=nn.BatchNorm2d(features),
        activation=make_activation(activation, features),
        conv2=conv(features, features),
        bn2=nn.BatchNorm2d(features),
    )


def preactivation(features: int, activation: Activation, weight: float = 1.0) -> nn.Module:
    """Normalise and activate before each convolution (He et al. 2016, Identity mappings)."""
    return Residual(
        weight,
        bn1=nn.BatchNorm2d(features),
        activation1=make_activation(activation, features),
        conv1=conv(features, features),
        bn2=nn.BatchNorm2d(features),
        activation2=make_activation(activation, features),
        conv2=conv(features, features),
    )


def bottleneck(features: int, activation: Activation, weight: float = 1.0) -> nn.Module:
    """Convolve a quarter of the channels, between 1 x 1 convolutions (He et al. 2016, ResNet)."""
    narrow = max(1, features // 4)
    return Residual(
        weight,
        conv1=conv(features, narrow, kernel=1),
        activation1=make_activation(activation, narrow),
        conv2=conv(narrow, narrow),
        activation2=make_activation(activation, narrow),
        conv3=conv(narrow, features, kernel=1),
    )


def attention(
    features: int, activation: Activation, weight: float = 1.0, reduction: int = 16
) -> nn.Module:
    """Two convolutions and channel attention: the block of RCAN (Zhang et al. 2018)."""
    return Residual(
        weight,
        conv1=conv(features, features),
        activation=make_activation(activation, features),
        conv2=conv(features, features),
        attention=ChannelAttention(features, reduction),
    )


def dense(features: int, activation: Activation, weight: float = 1.0) -> nn.Module:
    """Eight dense convolutions that each add `features` channels: RDN's block as published."""
    return ResidualDenseBlock(
        features, growth=features, layers=8, activation=activation, weight=weight
    )


def rrdb(features: int, activation: Activation, weight: float = 1.0) -> nn.Module:
    """ESRGAN's block as published: growth of half the features, its own residual weights."""
    block = ResidualInResidual(features, max(1, features // 2), activation)
    shrink_initial_weights(block)
    return block


#: Factory of each kind of block, from its features, activation and residual weight.
KINDS: dict[str, Callable[[int, Activation, float], nn.Module]] = {
    make.__name__: make
    for make in (attention, bottleneck, dense, preactivation, residual, residual_bn, rrdb)
}


def read_blocks(spec: BlockSpec) -> Iterator[tuple[str | None, int]]:
    """Parse an option for blocks: kinds (None is the network's own block) and their numbers.

    Raises
    ------
    ValueError
        If it is empty, or an entry has an unknown kind or format.
    """
    entries = spec if isinstance(spec, list) else [spec]
    if not entries:
        raise ValueError("got an empty list; expected at least one block")
    for entry in entries:
        if type(entry) is int and entry > 0:
            yield None, entry
            continue
        form = ENTRY.fullmatch(entry) if isinstance(entry, str) else None
        if form is None:
            raise ValueError(
                f"got {entry!r}; expected a number of the network's own blocks, a kind and a "
                "number such as 'dense x8', or a list of these"
            )
        if form[1] not in KINDS:
            raise ValueError(f"unknown block '{form[1]}'; {nearest(form[1], KINDS)}")
        yield form[1], int(form[2] or 1)


def _readable(spec: BlockSpec) -> BlockSpec:
    """Validate the option; pydantic's own message would list an error for each type."""
    list(read_blocks(spec))
    return spec


BlockSpec = PositiveInt | str | list[PositiveInt | str]
#: Option of a network: a number of its own blocks, a kind and a number such as ``dense x8``, or a
#: list of these from input to output.
Blocks = Annotated[BlockSpec, BeforeValidator(_readable)]


def make_blocks(
    spec: BlockSpec,
    own: Callable[[], nn.Module],
    *,
    features: int,
    activation: Activation,
    weight: float = 1.0,
) -> nn.Sequential:
    """Make the blocks of a trunk, one after the other.

    Parameters
    ----------
    spec
        See :data:`Blocks`.
    own
        Factory of the network's own block.
    features, activation, weight
        Of the blocks of other kinds: channels, activation, weight of the residual branch.

    Raises
    ------
    ValueError
        If `spec` names an unknown kind.
    """
    return nn.Sequential(
        *(
            own() if kind is None else KINDS[kind](features, activation, weight)
            for kind, count in read_blocks(spec)
            for _ in range(count)
        )
    )
