"""Layers, stages and checks that the networks share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from srkit.errors import WeightsError
from srkit.functional import LUMA
from srkit.interfaces import Published

Activation = Literal["relu", "leaky_relu", "prelu", "gelu", "silu"]

#: Slope of the leaky ReLU below zero, as in ESRGAN (Wang et al. 2018).
SLOPE = 0.2


class Network(nn.Module):
    """Base of the networks: their parts as stages, and checkpoints with their own keys.

    Attributes
    ----------
    name
        Name of the network, for error messages.
    parts
        Names of its modules from input to output.
    """

    channels_last = True
    published: ClassVar[Mapping[str, Published]] = {}
    name: ClassVar[str]
    parts: ClassVar[Sequence[str]]

    def stages(self) -> dict[str, nn.Module]:
        """Return the parts from input to output; each block of ``body`` is a separate stage."""
        return list_stages(self, self.parts)

    def adapt(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Convert the tensors of a checkpoint of this network.

        Raises
        ------
        WeightsError
            If no key belongs to the network.
        """
        check_keys(self.name, tensors, self.state_dict())
        return dict(tensors)


def make_activation(name: Activation, features: int) -> nn.Module:
    """Make an activation for ``(N, features, H, W)`` maps.

    The ReLUs work in place, since the gradient of a convolution or normalisation does not need its
    output. PReLU learns a slope per channel (He et al. 2015).
    """
    if name == "relu":
        return nn.ReLU(inplace=True)
    if name == "leaky_relu":
        return nn.LeakyReLU(SLOPE, inplace=True)
    if name == "prelu":
        return nn.PReLU(features)
    return nn.GELU() if name == "gelu" else nn.SiLU()


def conv(inputs: int, outputs: int, kernel: int = 3) -> nn.Conv2d:
    """Make a convolution with an odd kernel and zero padding."""
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)


class ChannelNorm(nn.LayerNorm):
    """Normalise the channels of each pixel of ``(N, features, H, W)`` features."""

    def __init__(self, features: int, eps: float = 1e-5) -> None:
        super().__init__(features, eps)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the features."""
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


def pad(images: Tensor, right: int, below: int) -> Tensor:
    """Pad by reflection as far as the image allows, then by repeating its border."""
    # Written so that it becomes a graph for any size.
    for axis, more in ((-2, below), (-1, right)):
        side = images.shape[axis]
        places = torch.arange(side + more, device=images.device)
        images = images.index_select(axis, (side - 1 - (places - side + 1).abs()).clamp(min=0))
    return images


#: Mean colour of the DIV2K training images, RGB in [0, 1] (Lim et al. 2017).
DIV2K_MEAN = (0.4488, 0.4371, 0.4040)


def mean_colour(channels: int, *, subtract: bool) -> Tensor:
    """Return the colour subtracted from LR and added to SR, ``(1, C, 1, 1)``: DIV2K's mean or 0.

    Raises
    ------
    ValueError
        If the mean of RGB is requested for other than 3 channels.
    """
    if subtract and channels != 3:
        raise ValueError(f"subtract_mean requires images of 3 channels; got {channels}")
    mean = DIV2K_MEAN if subtract else (0.0,) * channels
    return torch.tensor(mean).view(1, -1, 1, 1)


def check_luminance(channels: int) -> None:
    """Check that images have a luminance.

    Raises
    ------
    ValueError
        If they are not RGB.
    """
    if channels != 3:
        raise ValueError(f"luminance requires images of 3 channels; got {channels}")


def change_luminance(images: Tensor, change: Tensor) -> Tensor:
    """Add to the Y of RGB images and keep their chroma.

    Parameters
    ----------
    images
        ``(N, 3, H, W)`` in [0, 1].
    change
        ``(N, 1, H, W)``, on the scale of :func:`srkit.functional.luma`.
    """
    # The inverse of the conversion adds Y equally to R, G and B.
    return images + change / sum(LUMA)


def check_scale(name: str, scale: int, known: Sequence[int]) -> None:
    """Check that the network supports a scale.

    Raises
    ------
    ValueError
        If `scale` is not in `known`.
    """
    if scale not in known:
        listed = f"{', '.join(map(str, known[:-1]))} and {known[-1]}"
        raise ValueError(f"{name} supports the scales {listed}; got {scale}")


def check_keys(name: str, found: Iterable[str], own: Iterable[str]) -> None:
    """Check that at least one key of a checkpoint belongs to the network.

    The core reports which keys are missing or superfluous.

    Raises
    ------
    WeightsError
        If the two have no key in common; the message lists the first keys of each.
    """
    found, own = list(found), list(own)
    if not set(found) & set(own):
        raise WeightsError(
            f"these are not weights of {name}: their first keys are {', '.join(found[:3])}; "
            f"expected keys such as {', '.join(own[:3])}"
        )


#: Patterns in the keys of other code, in the order in which they are replaced.
Rules = Sequence[tuple[str, str | Callable[[re.Match[str]], str]]]


def renamed(tensors: Mapping[str, Tensor], rules: Rules) -> dict[str, Tensor]:
    """Translate the keys of other code; keys that match no pattern are unchanged."""
    return {rename(name, rules): tensor for name, tensor in tensors.items()}


def rename(name: str, rules: Rules) -> str:
    """Translate a key of other code."""
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def list_stages(network: nn.Module, names: Sequence[str]) -> dict[str, nn.Module]:
    """Return the named parts from input to output; each block of ``body`` is a separate stage."""
    stages: dict[str, nn.Module] = {}
    for name in names:
        part = network.get_submodule(name)
        if name == "body":
            stages |= {f"body.{number}": block for number, block in part.named_children()}
        else:
            stages[name] = part
    return stages
