"""Noise of photographs, in 8-bit grey levels: Gaussian, of one or correlated colours, and shot."""

from __future__ import annotations

import torch
from torch import Tensor


def gaussian(image: Tensor, sigma: float, seed: int, *, grey: bool = False) -> Tensor:
    """Add Gaussian noise; the result is clipped to [0, 1].

    Parameters
    ----------
    image
        ``(C, h, w)`` in [0, 1].
    sigma
        Standard deviation in grey levels, 1 / 255.
    seed
        Of the noise.
    grey
        The same noise in all channels.
    """
    shape = (1, *image.shape[1:]) if grey else image.shape
    return (image + _normal(shape, seed, image) * (sigma / 255)).clamp_(0, 1)


def correlated(image: Tensor, sigma: float, mixture: Tensor, seed: int) -> Tensor:
    """Add Gaussian noise whose channels are mixtures of independent ones; clipped to [0, 1].

    Parameters
    ----------
    image
        ``(C, h, w)`` in [0, 1].
    sigma
        Standard deviation of the independent ones in grey levels, 1 / 255.
    mixture
        ``(C, C)``; its product with its transpose is the covariance in units of `sigma` squared.
    seed
        Of the noise.
    """
    drawn = _normal(image.shape, seed, image).flatten(1)
    noise = (mixture.to(drawn) @ drawn).view(image.shape)
    return (image + noise * (sigma / 255)).clamp_(0, 1)


def poisson(image: Tensor, strength: float, seed: int, *, grey: bool = False) -> Tensor:
    """Add the noise of counted light, as Real-ESRGAN does; the result is clipped to [0, 1].

    White counts ``2 ** ceil(log2(n))``, n the number of different grey levels in the image; the
    difference from what was expected is multiplied by `strength`.

    Parameters
    ----------
    image
        ``(C, h, w)`` in [0, 1].
    strength
        Factor of the noise.
    seed
        Of the noise.
    grey
        Count the luminance, and add the same noise to all channels.
    """
    seen = _luminance(image) if grey else image
    levels = (seen * 255).round().clamp(0, 255)
    # Marking levels, unlike counting them, leaves the number on the device.
    marks = torch.zeros(256, device=image.device).scatter_(0, levels.flatten().long(), 1.0)
    # A little less, since a device's logarithm of a power of 2 may lie above it.
    white = torch.exp2((marks.sum().log2() - 1e-4).ceil())
    expected = levels / 255
    counted = torch.poisson(expected * white, generator=_source(seed, image.device))
    return (image + (counted / white - expected) * strength).clamp_(0, 1)


def _luminance(image: Tensor) -> Tensor:
    """Weight RGB as ITU-R BT.601; of any other number of channels take the mean."""
    if len(image) != 3:
        return image.mean(0, keepdim=True)
    weights = torch.tensor([0.2989, 0.587, 0.114], device=image.device)
    return (weights[:, None, None] * image).sum(0, keepdim=True)


def _normal(shape: tuple[int, ...], seed: int, like: Tensor) -> Tensor:
    generator = _source(seed, like.device)
    return torch.randn(shape, generator=generator, device=like.device, dtype=like.dtype)


def _source(seed: int, device: torch.device) -> torch.Generator:
    return torch.Generator(device).manual_seed(seed)
