"""Single steps of a photograph's degradation, which a recipe lists in the order that it wants."""

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

#: Standard deviations from the centre to the edge of a Gaussian kernel.
REACH = 4


class GaussianBlur(Drawn):
    """Blur by a Gaussian whose width each image draws; the size stays.

    Parameters
    ----------
    sigma
        Range of the standard deviation in pixels.
    anisotropic
        Draw two widths, along two axes of any direction.
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
    """Blur as a camera does that moves evenly along a line while it exposes; the size stays.

    Every point becomes a line, sampled by bilinear interpolation, centred where the point was.

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
    """Add Gaussian noise whose strength each image draws; clipped to [0, 1].

    Parameters
    ----------
    sigma
        Range of the standard deviation in 8-bit grey levels, 1 / 255 of white.
    grey
        The same noise in all channels.
    """

    factor = 1.0

    def __init__(self, *, sigma: Amounts = (1.0, 30.0), grey: bool = False) -> None:
        self.sigma, self.grey = sigma, grey

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> list[Step]:
        """Draw the strength."""
        return [GaussianNoise(float(rng.uniform(*self.sigma)), seed_for_noise(rng), self.grey)]


class ShotNoise(Drawn):
    """Add the noise of counted light (Poisson), whose strength each image draws.

    White counts at most 256, fewer for an image of fewer grey levels, as in Real-ESRGAN (Wang et
    al. 2021); the result is clipped to [0, 1].

    Parameters
    ----------
    strength
        Range of the factor of the noise.
    grey
        Count the luminance: the same noise in all channels.
    """

    factor = 1.0

    def __init__(self, *, strength: Amounts = (0.05, 3.0), grey: bool = False) -> None:
        self.strength, self.grey = strength, grey

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> list[Step]:
        """Draw the strength."""
        return [PoissonNoise(float(rng.uniform(*self.strength)), seed_for_noise(rng), self.grey)]


class JpegCompression(Drawn):
    """Compress as a JPEG file and decompress, by a quality that each image draws; the size stays.

    Photographs in [0, 1], grey or RGB, rounded to 8 bits. Chroma is halved (4:2:0), tables and
    rounding are libjpeg's.

    Parameters
    ----------
    quality
        Range of libjpeg's quality, drawn in whole numbers.
    """

    factor = 1.0

    def __init__(self, *, channels: int, quality: Qualities = (30, 95)) -> None:
        check_channels(channels)
        self.quality = quality

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> list[Step]:
        """Draw the quality."""
        return [Jpeg(int(rng.integers(self.quality[0], self.quality[1] + 1)))]


class Downscale(Drawn):
    """Shrink by any factor, by a kernel that each image draws; overshoot at edges is kept.

    Parameters
    ----------
    factor
        Side of the LR image over the side of the HR image; 1 / scale by default.
    kernels
        What each image draws from, at even odds.
    antialias
        Widen the kernels by 1 / factor, so that fine detail does not alias.
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
            raise ValueError("kernels: got none; expected at least one")
        self.kernels, self.antialias = kernels, antialias

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> list[Step]:
        """Draw the kernel."""
        kernel = self.kernels[rng.integers(len(self.kernels))]
        return [Shrink(self.factor, kernel, self.antialias)]
