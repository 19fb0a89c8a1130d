"""The degradation of BSRGAN: blur, downscaling, noise and JPEG in random order.

Zhang, Liang, Van Gool & Timofte, "Designing a practical degradation model for deep blind image
super-resolution", ICCV 2021 (arXiv:2103.14006), sections 3 and 4. Numbers are those of the authors'
utils/utils_blindsr.py, `degradation_bsrgan`. Camera sensor noise requires a model of the camera's
image processing; like that function without such a model, this module omits it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from srkit_photos.degradations.blur_kernels import Kernel
from srkit_photos.degradations.drawing import DrawnToScale, Rising, odds, seed_for_noise
from srkit_photos.degradations.jpeg_compression import check_channels
from srkit_photos.degradations.steps import (
    Blur,
    GaussianNoise,
    Interpolation,
    Jpeg,
    Quantise,
    Resize,
    Step,
    Subsample,
)

Probability = Annotated[float, Field(ge=0, le=1)]
Quality = Annotated[int, Field(ge=1, le=100)]
Qualities = Annotated[tuple[Quality, Quality], Rising]
Level = Annotated[int, Field(ge=0)]
Levels = Annotated[tuple[Level, Level], Rising]

#: Kernel sizes (2 * random.randint(2, 11) + 3).
SIDES = tuple(range(7, 26, 2))
#: Interpolation (random.choice([1, 2, 3]) of OpenCV's linear, cubic and area).
INTERPOLATIONS: tuple[Interpolation, ...] = ("bilinear", "bicubic", "area")
#: Probability that the first downscaling interpolates instead of blurring and subsampling.
INTERPOLATES = 0.75
#: Probabilities of noise that is equal in all channels and independent in each; otherwise the noise
#: of the channels is correlated.
GREY, OWN = 0.4, 0.4


class Bsrgan(DrawnToScale):
    """Blur twice, downscale twice, add noise and compress in random order: BSRGAN (Zhang 2021).

    For photographs in [0, 1], grey or RGB. The second downscaling follows the first, and a JPEG
    compression is last; all other steps are in random order. LR is rounded to 8 bits. Paper:
    arXiv:2103.14006, sections 3 and 4; names in brackets are those of the authors'
    utils_blindsr.py.

    Parameters
    ----------
    halve_share
        Probability that HR is first downscaled by 2 if the scale is 4 (scale2_prob).
    jpeg_share
        Probability of the JPEG among the steps in random order (jpeg_prob); the last is certain.
    jpeg_quality
        Range of libjpeg's quality of both, drawn as integers.
    noise
        Range of the standard deviation of the noise in 8-bit grey levels, drawn as integers
        (noise_level1, noise_level2).
    """

    def __init__(
        self,
        *,
        scale: int,
        channels: int,
        halve_share: Probability = 0.25,
        jpeg_share: Probability = 0.9,
        jpeg_quality: Qualities = (30, 95),
        noise: Levels = (2, 25),
    ) -> None:
        super().__init__(scale)
        check_channels(channels)
        self.channels = channels
        self.halve_share, self.jpeg_share = halve_share, jpeg_share
        self.jpeg_quality, self.noise = jpeg_quality, noise

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> list[Step]:
        """Draw the steps for an image of this height and width."""
        lr, scale = self.lr_size(size), self.scale
        steps: list[Step] = []
        if scale == 4 and odds(rng, self.halve_share):
            scale, size = 2, (size[0] // 2, size[1] // 2)
            antialiased = odds(rng, 0.5)
            steps.append(Resize(size, "imresize" if antialiased else _interpolation(rng)))
        middle: list[Sequence[Step]] = [
            [_blur(scale, rng)],
            [_blur(scale, rng)],
            _shrink(size, scale, rng),
            [Resize(lr, _interpolation(rng))],
            [self._noise(rng)],
            [self._jpeg(rng)] if odds(rng, self.jpeg_share) else [],
        ]
        order = [int(place) for place in rng.permutation(len(middle))]
        first, second = sorted((order.index(2), order.index(3)))
        order[first], order[second] = 2, 3
        for place in order:
            steps += middle[place]
        return [*steps, self._jpeg(rng), Quantise()]

    def _jpeg(self, rng: np.random.Generator) -> Jpeg:
        return Jpeg(int(rng.integers(self.jpeg_quality[0], self.jpeg_quality[1] + 1)))

    def _noise(self, rng: np.random.Generator) -> GaussianNoise:
        sigma = float(rng.integers(self.noise[0], self.noise[1] + 1))
        chance, seed = rng.random(), seed_for_noise(rng)
        if self.channels == 1 or chance < GREY + OWN:
            return GaussianNoise(sigma, seed, grey=bool(chance < GREY))
        return GaussianNoise(sigma, seed, mixture=_mixture(self.channels, rng))


def _blur(scale: int, rng: np.random.Generator) -> Blur:
    """Draw an anisotropic or isotropic Gaussian, wider for larger scales (add_blur)."""
    side = int(rng.choice(SIDES))
    if odds(rng, 0.5):
        # The authors draw the variances along the two axes.
        first, second = (math.sqrt((4 + scale) * rng.random()) for _ in range(2))
        return Blur(Kernel("gaussian", side, (first, second), float(rng.uniform(0, math.pi))))
    sigma = (2 + 0.2 * scale) * float(rng.random())
    return Blur(Kernel("gaussian", side, (sigma, sigma)))


def _shrink(size: tuple[int, int], scale: int, rng: np.random.Generator) -> list[Step]:
    """Draw the first downscaling: by up to twice the scale, or blurring and subsampling."""
    if odds(rng, INTERPOLATES):
        factor = 1 / rng.uniform(1, 2 * scale)
        height, width = (max(1, int(side * factor)) for side in size)
        return [Resize((height, width), _interpolation(rng))]
    sigma = float(rng.uniform(0.1, 0.6 * scale))
    # The sampled pixel becomes the centre of its n x n pixels.
    kernel = Kernel("gaussian", 25, (sigma, sigma), shift=-(scale - 1) / 2)
    return [Blur(kernel), Subsample(scale)]


def _interpolation(rng: np.random.Generator) -> Interpolation:
    return INTERPOLATIONS[rng.integers(len(INTERPOLATIONS))]


def _mixture(channels: int, rng: np.random.Generator) -> tuple[tuple[float, ...], ...]:
    """Draw a mixture whose covariance has uniform eigenvalues along a random basis."""
    variances = rng.random(channels)
    basis, _ = np.linalg.qr(rng.random((channels, channels)))
    return tuple(map(tuple, (basis * np.sqrt(variances)).tolist()))
