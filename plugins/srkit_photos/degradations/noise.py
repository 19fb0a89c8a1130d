"""Noise of photographs in 8-bit grey levels: Gaussian, correlated Gaussian and Poisson."""

from __future__ import annotations

import torch
from torch import Tensor

from srkit.functional import capable_device


def gaussian(image: Tensor, sigma: float, seed: int, *, grey: bool = False) -> Tensor:
    """Add Gaussian noise; the result is clipped to [0, 1].

    Parameters
    ----------
    image
        ``(C, h, w)`` in [0, 1].
    sigma
        Standard deviation in grey levels, 1 / 255.
    seed
        Seed of the noise.
    grey
        Add the same noise to all channels.
    """
    shape = (1, *image.shape[1:]) if grey else image.shape
    return (image + _normal(shape, seed, image) * (sigma / 255)).clamp_(0, 1)


def correlated(image: Tensor, sigma: float, mixture: Tensor, seed: int) -> Tensor:
    """Add Gaussian noise with correlated channels; the result is clipped to [0, 1].

    Parameters
    ----------
    image
        ``(C, h, w)`` in [0, 1].
    sigma
        Standard deviation of the independent components in grey levels, 1 / 255.
    mixture
        ``(C, C)``; its product with its transpose is the covariance in units of `sigma` squared.
    seed
        Seed of the noise.
    """
    drawn = _normal(image.shape, seed, image).flatten(1)
    noise = (mixture.to(drawn) @ drawn).view(image.shape)
    return (image + noise * (sigma / 255)).clamp_(0, 1)


def poisson(image: Tensor, strength: float, seed: int, *, grey: bool = False) -> Tensor:
    """Add Poisson noise like Real-ESRGAN; the result is clipped to [0, 1].

    White corresponds to ``2 ** ceil(log2(n))`` photons, n is the number of distinct grey levels of
    the image; the deviation from the expected count is multiplied by `strength`.

    Parameters
    ----------
    image
        ``(C, h, w)`` in [0, 1].
    strength
        Factor of the noise.
    seed
        Seed of the noise.
    grey
        Draw from the luminance, and add the same noise to all channels.
    """
    seen = _luminance(image) if grey else image
    levels = (seen * 255).round().clamp(0, 255)
    # Unlike counting distinct levels, marking them keeps the number on the device.
    marks = torch.zeros(256, device=image.device).scatter_(0, levels.flatten().long(), 1.0)
    # Slightly less, since a device's logarithm of a power of 2 may be rounded up.
    white = torch.exp2((marks.sum().log2() - 1e-4).ceil())
    expected = levels / 255
    rate = (expected * white).to(capable_device(image.device))
    counted = torch.poisson(rate, generator=_source(seed, rate.device)).to(image.device)
    return (image + (counted / white - expected) * strength).clamp_(0, 1)


def _luminance(image: Tensor) -> Tensor:
    """Return the luminance of RGB (ITU-R BT.601), or the mean of other channels."""
    if len(image) != 3:
        return image.mean(0, keepdim=True)
    weights = torch.tensor([0.2989, 0.587, 0.114], device=image.device)
    return (weights[:, None, None] * image).sum(0, keepdim=True)


def _normal(shape: tuple[int, ...], seed: int, like: Tensor) -> Tensor:
    generator = _source(seed, like.device)
    return torch.randn(shape, generator=generator, device=like.device, dtype=like.dtype)


def _source(seed: int, device: torch.device) -> torch.Generator:
    return torch.Generator(device).manual_seed(seed)
