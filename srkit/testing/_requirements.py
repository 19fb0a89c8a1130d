"""Requirements that contract checks state, and the images with which they check components."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def require(condition: bool, sentence: str) -> None:
    """Assert a condition, even if Python runs with -O."""
    if not condition:
        raise AssertionError(sentence)


def members_of(protocol: type) -> list[str]:
    """List the attributes and methods that an interface names."""
    methods = [name for name in vars(protocol) if not name.startswith("_")]
    return list(dict.fromkeys([*vars(protocol).get("__annotations__", {}), *methods]))


def require_attributes(component: object, protocol: type) -> None:
    """Require all members of a protocol."""
    for name in members_of(protocol):
        require(
            hasattr(component, name),
            f"{type(component).__name__} lacks '{name}', see srkit.interfaces.{protocol.__name__}",
        )


def require_shape(tensor: Tensor, shape: Sequence[int], what: str) -> None:
    """Require a shape."""
    require(
        tuple(tensor.shape) == tuple(shape),
        f"{what} must have the shape {tuple(shape)}, got {tuple(tensor.shape)}",
    )


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
