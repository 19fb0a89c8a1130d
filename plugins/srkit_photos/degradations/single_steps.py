"""Single steps of a photograph's degradation, which a recipe can list in any order."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from pydantic import Field

from srkit.functional import Kernel
from srkit_photos.degradations.blur_kernels import Kernel as BlurKernel
from srkit_photos.degradations.drawing import Drawn, Rising, seed_for_noise
from srkit_photos.degradations.jpeg_compression import check_channels
from srkit_photos.degradations.steps import (
    Blur,
    GaussianNoise,
    Jpeg,
    PoissonNoise,
    Shrink,
    Step,
)

NonNegative = Annotated[float, Field(ge=0)]
Amounts = Annotated[tuple[NonNegative, NonNegative], Rising]
Degrees = Annotated[tuple[float, float], Rising]
Quality = Annotated[int, Field(ge=1, le=100)]
Qualities = Annotated[tuple[Quality, Quality], Rising]
Factor = Annotated[float, Field(gt=0, le=1)]

#: Radius of a Gaussian kernel in standard deviations.
REACH = 4


class GaussianBlur(Drawn):
    """Gaussian blur with a random width per image; keeps the size.

    Parameters
    ----------
    sigma
        Range of the standard deviation in pixels.
    anisotropic
        Draw two widths along perpendicular axes of random direction.
    """

    factor = 1.0

    def __init__(self, *, sigma: Amounts = (0.2, 3.0), anisotropic: bool = False) -> None:
        self.sigma, self.anisotropic = sigma, anisotropic

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> list[Step]:
        """Draw the kernel."""
        first = second = float(rng.uniform(*self.sigma))
        angle = 0.0
        if self.anisotropic:
            second, angle = float(rng.uniform(*self.sigma)), float(rng.uniform(0, math.pi))
        side = 2 * math.ceil(REACH * max(first, second, 0.25)) + 1
        return [Blur(BlurKernel("gaussian", side, (first, second), angle))]


class MotionBlur(Drawn):
    """Motion blur of a camera that moves uniformly along a line; keeps the size.

    Every point becomes a line centred on it, sampled by bilinear interpolation.

    Parameters
    ----------
    length
        Range of the line's length in pixels.
    angle
        Range of its direction in degrees, from the x axis to the right towards the y axis down.
    """

    factor = 1.0

    def __init__(self, *, length: Amounts = (0.0, 15.0), angle: Degrees = (0.0, 180.0)) -> None:
        self.length, self.angle = length, angle

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> list[Step]:
        """Draw the line."""
        length, angle = float(rng.uniform(*self.length)), math.radians(rng.uniform(*self.angle))
        side = 2 * (math.ceil(length / 2) + 1) + 1
        return [Blur(BlurKernel("line", side, length=length, angle=angle))]


class Noise(Drawn):
    """Add Gaussian noise with a random strength per image; clipped to [0, 1].

    Parameters
    ----------
    sigma
        Range of the standard deviation in 8-bit grey levels, 1 / 255 of white.
    grey
        Add the same noise to all channels.
    """

    factor = 1.0

    def __init__(self, *, sigma: Amounts = (1.0, 30.0), grey: bool = False) -> None:
        self.sigma, self.grey = sigma, grey

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> list[Step]:
        """Draw the strength."""
        return [GaussianNoise(float(rng.uniform(*self.sigma)), seed_for_noise(rng), self.grey)]


class ShotNoise(Drawn):
    """Add Poisson noise with a random strength per image.

    White corresponds to at most 256 photons, and fewer for an image with fewer grey levels, as in
    Real-ESRGAN (Wang et al. 2021); the result is clipped to [0, 1].

    Parameters
    ----------
    strength
        Range of the factor of the noise.
    grey
        Draw from the luminance and add the same noise to all channels.
    """

    factor = 1.0

    def __init__(self, *, strength: Amounts = (0.05, 3.0), grey: bool = False) -> None:
        self.strength, self.grey = strength, grey

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> list[Step]:
        """Draw the strength."""
        return [PoissonNoise(float(rng.uniform(*self.strength)), seed_for_noise(rng), self.grey)]


class JpegCompression(Drawn):
    """Compress and decompress as JPEG with a random quality per image; keeps the size.

    For photographs in [0, 1], grey or RGB, rounded to 8 bits. Chroma is subsampled (4:2:0); tables
    and rounding are libjpeg's.

    Parameters
    ----------
    quality
        Range of libjpeg's quality, drawn as integers.
    """

    factor = 1.0

    def __init__(self, *, channels: int, quality: Qualities = (30, 95)) -> None:
        check_channels(channels)
        self.quality = quality

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> list[Step]:
        """Draw the quality."""
        return [Jpeg(int(rng.integers(self.quality[0], self.quality[1] + 1)))]


class Downscale(Drawn):
    """Downscale by any factor with a random kernel per image; overshoot at edges is kept.

    Parameters
    ----------
    factor
        Side of the LR image over the side of the HR image; 1 / scale by default.
    kernels
        Kernels to draw from, with equal probability.
    antialias
        Widen the kernels by 1 / factor to avoid aliasing.
    """

    def __init__(
        self,
        *,
        scale: int,
        factor: Factor | None = None,
        kernels: tuple[Kernel, ...] = ("area", "bilinear", "bicubic"),
        antialias: bool = True,
    ) -> None:
        self.factor = 1 / scale if factor is None else factor
        if not kernels:
            raise ValueError("kernels: empty; expected at least one kernel")
        self.kernels, self.antialias = kernels, antialias

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> list[Step]:
        """Draw the kernel."""
        kernel = self.kernels[rng.integers(len(self.kernels))]
        return [Shrink(self.factor, kernel, self.antialias)]
