"""Blur kernels of photographs: defocus, low-pass filters and motion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Shape = Literal["gaussian", "generalised", "plateau", "sinc", "line"]

#: Radians per pixel; below it, the first zero of a sinc lies beyond any kernel.
LEAST_CUTOFF = 1e-3
#: Pixels; a narrower Gaussian does not blur, and 0 would cause a division by zero.
LEAST_SIGMA = 0.01
#: Sampling points per pixel of a line's length.
POINTS = 32


@dataclass(frozen=True, slots=True)
class Kernel:
    """The parameters of a kernel.

    Parameters
    ----------
    shape
        ``gaussian``, exp(-q / 2); ``generalised``, exp(-q**power / 2); ``plateau``,
        1 / (1 + q**power), where q is the squared distance from the centre in units of `sigma`
        (Wang et al. 2021, Real-ESRGAN, section 3.1). ``sinc``, the circular low-pass filter
        (section 3.3, equation 4). ``line``, the path of uniform motion.
    size
        Odd side in pixels; outside the kernel is 0.
    sigma
        Standard deviations along the two axes in pixels.
    angle
        Angle of the first axis or of the line, from the x axis towards increasing y, in radians.
    power
        Beta of the generalised Gaussian and of the plateau.
    cutoff
        Cutoff frequency of the sinc in radians per pixel, at most pi.
    length
        Length of the line in pixels.
    shift
        Offset of the kernel's centre to the right of and below the pixel's, in pixels.
    """

    shape: Shape
    size: int
    sigma: tuple[float, float] = (1.0, 1.0)
    angle: float = 0.0
    power: float = 1.0
    cutoff: float = math.pi
    length: float = 0.0
    shift: float = 0.0


def draw_kernels(kernels: Sequence[Kernel], device: torch.device | None = None) -> Tensor:
    """Evaluate normalised kernels on one grid: ``(N, k, k)``, k is the largest size."""
    side = max(kernel.size for kernel in kernels)
    half = side // 2
    drawn = torch.empty(len(kernels), side, side, dtype=torch.float64)
    for place, kernel in enumerate(kernels):
        values = _evaluate(kernel)
        edge = half - kernel.size // 2
        drawn[place] = 0
        drawn[place, edge : side - edge, edge : side - edge] = values / values.sum()
    return drawn.to(device, torch.float32)


def _evaluate(kernel: Kernel) -> Tensor:
    """Return ``(size, size)`` values, not normalised; takes a few microseconds on the CPU."""
    offsets = torch.arange(kernel.size, dtype=torch.float64) - kernel.size // 2 - kernel.shift
    y, x = offsets[:, None], offsets
    if kernel.shape == "sinc":
        return _sinc(x, y, max(kernel.cutoff, LEAST_CUTOFF))
    if kernel.shape == "line":
        return _line(offsets, kernel.length, kernel.angle)
    cosine, sine = math.cos(kernel.angle), math.sin(kernel.angle)
    first, second = (max(sigma, LEAST_SIGMA) for sigma in kernel.sigma)
    q = ((x * cosine + y * sine) / first) ** 2 + ((y * cosine - x * sine) / second) ** 2
    if kernel.shape == "plateau":
        return 1 / (1 + q**kernel.power)
    return torch.exp(-(q if kernel.shape == "gaussian" else q**kernel.power) / 2)


def _sinc(x: Tensor, y: Tensor, cutoff: float) -> Tensor:
    radius = torch.hypot(x, y)
    values = cutoff * torch.special.bessel_j1(cutoff * radius) / (2 * math.pi * radius)
    return torch.where(radius == 0, cutoff**2 / (4 * math.pi), values)


def _line(offsets: Tensor, length: float, angle: float) -> Tensor:
    """Average bilinear interpolation along the path: each point contributes to four pixels."""
    count = POINTS * math.ceil(length) + 1
    path = (torch.arange(count, dtype=torch.float64) + 0.5) / count - 0.5
    rows, columns = (
        (1 - (offsets[:, None] - length * direction * path).abs()).clamp(min=0)
        for direction in (math.sin(angle), math.cos(angle))
    )
    return rows @ columns.T
