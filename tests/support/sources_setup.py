"""Sources with known fluxes, positions and shapes, for the tests of the metrics."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from srkit.interfaces import Batch

SIDE = 96
PIXEL_SCALE = 0.05
SCALE = 2


def gaussian(
    x: float,
    y: float,
    flux: float = 100.0,
    sigma: float = 3.0,
    ratio: float = 1.0,
    angle: float = 0,
) -> Tensor:
    """Draw a Gaussian, ``(SIDE, SIDE)``, of axes sigma and ratio x sigma; angle from x to y."""
    rows, columns = torch.meshgrid(
        torch.arange(SIDE, dtype=torch.float64),
        torch.arange(SIDE, dtype=torch.float64),
        indexing="ij",
    )
    along = (columns - x) * math.cos(angle) + (rows - y) * math.sin(angle)
    across = (rows - y) * math.cos(angle) - (columns - x) * math.sin(angle)
    peak = flux / (2 * math.pi * sigma**2 * ratio)
    return peak * torch.exp(-(along**2 + (across / ratio) ** 2) / (2 * sigma**2))


def noise(*shape: int, seed: int = 0, sigma: float = 1.0) -> Tensor:
    return sigma * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def images(*bands: Tensor) -> Tensor:
    """Stack single bands to a batch ``(N, 1, H, W)``."""
    return torch.stack(bands)[:, None].float()


def batch(
    hr: Tensor,
    lr: Tensor | None = None,
    variance: Tensor | None = None,
    pixel_scale: float | None = PIXEL_SCALE,
) -> Batch:
    """Return a batch; LR is by default the block mean of HR."""
    lr = torch.nn.functional.avg_pool2d(hr, SCALE) if lr is None else lr
    names = [str(index) for index in range(len(hr))]
    return Batch(
        names,
        hr,
        range(len(hr)),
        lr=lr,
        unit="count / s",
        pixel_scale=pixel_scale,
        variance=variance,
    )
