"""Requirements that contract checks state, and the images with which they check components."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from srkit.interfaces._contract import require


def require_finite(tensor: Tensor, what: str) -> None:
    """Require that no value is NaN or infinite."""
    bad = int((~tensor.isfinite()).sum())
    require(bad == 0, f"{what}: {bad} of {tensor.numel()} values are not finite")


def require_gradient(gradient: Tensor | None, what: str) -> None:
    """Require that a gradient exists and is finite."""
    if gradient is None:
        raise AssertionError(f"no gradient reaches {what}")
    require_finite(gradient, f"the gradient of {what}")


def require_close(found: Tensor, expected: Tensor, sentence: str) -> None:
    """Require equality except for rounding."""
    require(torch.allclose(found, expected, rtol=1e-3, atol=1e-5), sentence)


def noise(*shape: int, seed: int = 0) -> Tensor:
    """Draw values in [0, 1) without changing the state of the global generator."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def smooth(channels: int, height: int, width: int) -> Tensor:
    """Draw a smooth random image in [0, 1], which lossy compression changes little."""
    coarse = noise(1, channels, 4, 4)
    size = (height, width)
    return nn.functional.interpolate(coarse, size, mode="bilinear", align_corners=True)[0]
