"""The noise of a camera: photon noise and read noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from pydantic import FiniteFloat, PositiveInt, model_validator
from torch import Tensor

from srkit.components import Options
from srkit.functional import capable_device
from srkit_astro.instruments.ranges import (
    NonNegative,
    NonNegativeRange,
    Positive,
    PositiveRange,
    draw,
)


class CameraNoise(Options):
    """Poisson noise of sources and sky, and Gaussian read noise.

    The sky level is subtracted, which leaves its noise. From a range, a value is drawn for each
    sample.

    Parameters
    ----------
    exposure
        Total exposure time in seconds.
    gain
        Electrons per second for one unit of the image: electrons per count, if the image is in
        count / s.
    read_noise
        Standard deviation of one read-out of an LR pixel, in electrons.
    reads
        Number of co-added exposures, each read out once.
    sky
        Brightness of the sky in the unit of the image.
    sky_magnitude
        Brightness of the sky in magnitudes per square arcsec, instead of `sky`; needs `zero_point`.
    zero_point
        Magnitude of one unit of the image.
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
            raise ValueError("'sky' and 'sky_magnitude' cannot be combined; remove one")
        if (self.sky_magnitude is None) != (self.zero_point is None):
            raise ValueError("'sky_magnitude' and 'zero_point' must be set together")
        return self

    @property
    def varies(self) -> bool:
        """Whether a parameter is a range."""
        return any(isinstance(value, tuple) for _, value in self)

    def draw(self, sources: Sequence[torch.Generator], pixel_scale: float) -> ObservingConditions:
        """Draw the observing conditions of each sample.

        Parameters
        ----------
        sources
            Random generators on the CPU, one per sample; may be empty if nothing varies.
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
        return ObservingConditions(electrons, sky, read)


@dataclass(frozen=True, slots=True)
class ObservingConditions:
    """The conditions under which samples are observed.

    Parameters
    ----------
    electrons
        Electrons for one unit of the image, ``(N, 1, 1, 1)``; N may be 1.
    sky
        Brightness of the sky in the unit of the image, ``(N, 1, 1, 1)``.
    read
        Total variance of the read-outs in electrons squared.
    """

    electrons: Tensor
    sky: Tensor
    read: float

    def variance(self, lr: Tensor) -> Tensor:
        """Return the variance of the noise, ``((lr + sky) electrons + read) / electrons**2``.

        Parameters
        ----------
        lr
            ``(N, C, h, w)`` surface brightness without noise, or an estimate of it; values below
            minus the sky count as no light.

        Returns
        -------
        Tensor
            ``(N, C, h, w)`` in the unit of the image squared.
        """
        electrons = self.electrons.to(lr.device)
        return self._rate(lr) / electrons**2 + self.read / electrons**2

    def add_noise(self, lr: Tensor, seeds: Sequence[int]) -> Tensor:
        """Add noise of mean zero to ``(N, C, h, w)`` images on their device."""
        rate = self._rate(lr)
        electrons = torch.stack(
            [_count(each, self.read, seed) for each, seed in zip(rate, seeds, strict=True)]
        )
        return lr + (electrons - rate) / self.electrons.to(lr.device)

    def _rate(self, lr: Tensor) -> Tensor:
        """Return the mean number of electrons, at least 0."""
        light = (lr + self.sky.to(lr.device)) * self.electrons.to(lr.device)
        return light.clamp(min=0)


def _count(rate: Tensor, read: float, seed: int) -> Tensor:
    """Draw the number of electrons in each pixel of a sample."""
    device = capable_device(rate.device)
    source = torch.Generator(device).manual_seed(seed)
    counted = torch.poisson(rate.to(device), generator=source)
    if read:
        drawn = torch.randn(rate.shape, generator=source, device=device, dtype=rate.dtype)
        counted += read**0.5 * drawn
    return counted.to(rate.device)


def lr_variance(
    lr: Tensor, noise: CameraNoise, pixel_scale: float, seeds: Sequence[int] | None = None
) -> Tensor:
    """Return the variance of the noise that a degradation has added.

    Parameters
    ----------
    lr
        ``(N, C, h, w)``, without noise; the noisy image is an estimate of it.
    noise
        The noise of the camera.
    pixel_scale
        Side of an LR pixel in arcsec.
    seeds
        The seeds of the samples with which the degradation was called; needed if `noise` varies.

    Returns
    -------
    Tensor
        ``(N, C, h, w)`` in the unit of `lr` squared.

    Raises
    ------
    ValueError
        If `noise` varies and `seeds` is None.
    """
    if noise.varies and seeds is None:
        raise ValueError("the noise has ranges; its variance depends on the seeds of the samples")
    sources = [torch.Generator().manual_seed(seed) for seed in seeds or ()]
    return noise.draw(sources, pixel_scale).variance(lr)
