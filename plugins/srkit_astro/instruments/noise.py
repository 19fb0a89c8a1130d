"""Noise of a camera: photons and read-out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from pydantic import FiniteFloat, PositiveInt, model_validator
from torch import Tensor

from srkit.components import Options
from srkit_astro.instruments.ranges import (
    NonNegative,
    NonNegativeRange,
    Positive,
    PositiveRange,
    draw,
)


class CameraNoise(Options):
    """Poisson noise of objects and sky, and Gaussian noise of the read-out.

    The sky is subtracted, so that its noise stays and its light does not. A range is drawn from
    once for each sample.

    Parameters
    ----------
    exposure
        Seconds of all exposures together.
    gain
        Electrons for one unit of the image and second: those of a count, where the image is in
        count / s.
    read_noise
        Standard deviation of a read-out of an LR pixel in electrons.
    reads
        Number of exposures that were added up, each read out once.
    sky
        Brightness of the sky in the image's unit.
    sky_magnitude
        Instead of `sky`, in magnitudes per square arcsec; needs `zero_point`.
    zero_point
        Magnitude of an object of one unit of the image.
    """

    exposure: PositiveRange
    gain: Positive = 1.0
    read_noise: NonNegative = 0.0
    reads: PositiveInt = 1
    sky: NonNegativeRange | None = None
    sky_magnitude: PositiveRange | None = None
    zero_point: FiniteFloat | None = None

    @model_validator(mode="after")
    def _one_sky(self) -> Self:
        if self.sky is not None and self.sky_magnitude is not None:
            raise ValueError("expected either 'sky' or 'sky_magnitude', not both")
        if (self.sky_magnitude is None) != (self.zero_point is None):
            raise ValueError("'sky_magnitude' and 'zero_point' need each other; got one of them")
        return self

    @property
    def varies(self) -> bool:
        """Whether a parameter is a range."""
        return any(isinstance(value, tuple) for _, value in self)

    def observe(self, sources: Sequence[torch.Generator], pixel_scale: float) -> Observation:
        """Draw the conditions of an observation of each sample.

        Parameters
        ----------
        sources
            Random numbers on the CPU, one for each sample; may be empty if nothing varies.
        pixel_scale
            Side of an LR pixel in arcsec.
        """
        electrons = self.gain * draw(self.exposure, sources)
        if self.sky_magnitude is not None:
            assert self.zero_point is not None
            fainter = draw(self.sky_magnitude, sources) - self.zero_point
            sky = pixel_scale**2 * 10 ** (-0.4 * fainter)
        else:
            sky = draw(0.0 if self.sky is None else self.sky, sources)
        read = self.reads * self.read_noise**2
        electrons, sky = (each.float()[:, None, None, None] for each in (electrons, sky))
        return Observation(electrons, sky, read)


@dataclass(frozen=True, slots=True)
class Observation:
    """The conditions under which samples are observed.

    Parameters
    ----------
    electrons
        Electrons for one unit of the image, ``(N, 1, 1, 1)``; N may be 1 for all.
    sky
        Brightness of the sky in the image's unit, ``(N, 1, 1, 1)``.
    read
        Variance of all read-outs together in electrons squared.
    """

    electrons: Tensor
    sky: Tensor
    read: float

    def variance(self, lr: Tensor) -> Tensor:
        """Give the variance of the noise, ``((lr + sky) electrons + read) / electrons**2``.

        Parameters
        ----------
        lr
            ``(N, C, h, w)`` surface brightness without noise, or an estimate of it; pixels below
            minus the sky count as empty.

        Returns
        -------
        Tensor
            ``(N, C, h, w)`` in the image's unit squared.
        """
        electrons = self.electrons.to(lr.device)
        return self._rate(lr) / electrons**2 + self.read / electrons**2

    def expose(self, lr: Tensor, seeds: Sequence[int]) -> Tensor:
        """Add noise to ``(N, C, h, w)`` images on their device; the mean stays as it is."""
        rate = self._rate(lr)
        electrons = torch.stack(
            [_count(each, self.read, seed) for each, seed in zip(rate, seeds, strict=True)]
        )
        return lr + (electrons - rate) / self.electrons.to(lr.device)

    def _rate(self, lr: Tensor) -> Tensor:
        """Mean number of electrons, of which there cannot be less than none."""
        light = (lr + self.sky.to(lr.device)) * self.electrons.to(lr.device)
        return light.clamp(min=0)


def _count(rate: Tensor, read: float, seed: int) -> Tensor:
    """Count the electrons of a sample."""
    source = torch.Generator(rate.device).manual_seed(seed)
    counted = torch.poisson(rate, generator=source)
    if read:
        drawn = torch.randn(rate.shape, generator=source, device=rate.device, dtype=rate.dtype)
        counted += read**0.5 * drawn
    return counted


def lr_variance(
    lr: Tensor, noise: CameraNoise, pixel_scale: float, seeds: Sequence[int] | None = None
) -> Tensor:
    """Give the variance of the noise that a degradation has added.

    Parameters
    ----------
    lr
        ``(N, C, h, w)``: what the noise was added to; the noisy image is an estimate of it.
    noise
        The camera.
    pixel_scale
        Side of an LR pixel in arcsec.
    seeds
        The seeds of the samples, from which the degradation drew; needed if the camera varies.

    Returns
    -------
    Tensor
        ``(N, C, h, w)`` in the unit of `lr` squared.

    Raises
    ------
    ValueError
        If the camera varies and `seeds` is None.
    """
    if noise.varies and seeds is None:
        raise ValueError("the camera's noise has ranges; its variance needs the samples' seeds")
    sources = [torch.Generator().manual_seed(seed) for seed in seeds or ()]
    return noise.observe(sources, pixel_scale).variance(lr)
