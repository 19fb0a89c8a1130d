"""The receptive field of a network, measured by gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from srkit.models.costs import count_multiply_adds

#: Side in LR pixels of the image on which a field is measured first, and width of the strips on
#: which it is measured if it is larger.
SIDE, STRIP = 64, 32
#: Lengths of the strips, and the maximum of multiply-adds for one: seconds on a CPU.
LENGTHS, BUDGET = (128, 256, 512), 1e11


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """The LR pixels on which the centre pixel of SR depends.

    Parameters
    ----------
    height, width
        Of the bounding box of all LR pixels with a gradient other than 0.
    bounded
        Whether the box ends inside the image; otherwise the field is at least as large.
    core
        Side of the smallest square about the centre that contains 95 % of the absolute gradient
        within 64 x 64 pixels.
    """

    height: int
    width: int
    bounded: bool
    core: int


def receptive_field(network: nn.Module, channels: int) -> ReceptiveField:
    """Measure which LR pixels change the centre pixel of SR: those with a gradient.

    The input is noise: an image of 64 x 64 pixels, then longer strips until the field ends inside
    one of them or they become too expensive.

    Parameters
    ----------
    network
        A network in evaluation mode.
    channels
        Channels of its images.
    """
    gradient = _gradient(network, channels, SIDE, SIDE)
    if not gradient.any():
        return ReceptiveField(0, 0, True, 0)
    lengths = _affordable_lengths(network, channels)
    height, width = (
        _extent(gradient.sum(1 - axis)) or _extent_on_strips(network, channels, axis, lengths)
        for axis in (0, 1)
    )
    at_least = max([SIDE, *lengths])
    bounded = height is not None and width is not None
    return ReceptiveField(height or at_least, width or at_least, bounded, _core(gradient))


def core_side(network: nn.Module, channels: int, device: torch.device, share: float) -> int:
    """Return the side of the square about the centre with a share of the absolute gradient."""
    with torch.enable_grad():
        return _core(_gradient(network, channels, SIDE, SIDE, device), share)


def _extent_on_strips(
    network: nn.Module, channels: int, axis: int, lengths: Sequence[int]
) -> int | None:
    """Measure the field on the first strip that contains it; None if no strip does."""
    for length in lengths:
        sides = (length, STRIP) if axis == 0 else (STRIP, length)
        found = _extent(_gradient(network, channels, *sides).sum(1 - axis))
        if found is not None:
            return found
    return None


def _affordable_lengths(network: nn.Module, channels: int) -> list[int]:
    small = torch.zeros(1, channels, STRIP, STRIP)
    cost = count_multiply_adds(network, small)[""] / STRIP
    return [length for length in LENGTHS if length * cost <= BUDGET]


def _extent(profile: Tensor) -> int | None:
    """Return the distance of the first from the last value other than 0; None if at an end."""
    places = profile.nonzero().flatten().tolist()
    if places[0] == 0 or places[-1] == len(profile) - 1:
        return None
    return int(places[-1] - places[0] + 1)


def _gradient(
    network: nn.Module,
    channels: int,
    height: int,
    width: int,
    device: torch.device | None = None,
) -> Tensor:
    """Return the absolute gradient of the centre pixel of SR with respect to each LR pixel."""
    noise = torch.rand(1, channels, height, width, generator=torch.Generator().manual_seed(0))
    lr = noise.to(device).requires_grad_()
    sr = network(lr)
    centre = sr[..., sr.shape[-2] // 2, sr.shape[-1] // 2].sum()
    # Scaled up, so that small gradients at the edge of a deep network are not rounded to 0.
    (gradient,) = torch.autograd.grad(centre * 2.0**80, lr)
    return gradient.cpu().abs().double().sum((0, 1))


def _core(gradient: Tensor, share: float = 0.95) -> int:
    """Return the side of the smallest square about the centre with this share of the gradient."""
    centre = gradient.shape[-1] // 2
    reach = torch.arange(gradient.shape[-1]).sub(centre).abs()
    distance = torch.maximum(reach[:, None], reach[None])
    cumulative = torch.bincount(distance.flatten(), gradient.flatten()).cumsum(0)
    return 2 * int((cumulative < share * cumulative[-1]).sum()) + 1
