"""The second-order degradation of Real-ESRGAN: photographs that were processed twice.

Wang, Xie, Dong & Shan, "Real-ESRGAN: Training real-world blind super-resolution with pure synthetic
data", ICCVW 2021 (arXiv:2107.10833), sections 3.1 to 3.3. Numbers that the paper does not state
are those of the authors' options/train_realesrgan_x4plus.yml and
realesrgan/data/realesrgan_dataset.py, which agree with the paper where both state one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from srkit_photos.degradations.blur_kernels import Kernel, Shape
from srkit_photos.degradations.drawing import DrawnToScale, Rising, odds, seed_for_noise
from srkit_photos.degradations.jpeg_compression import check_channels
from srkit_photos.degradations.steps import (
    Blur,
    GaussianNoise,
    Interpolation,
    Jpeg,
    PoissonNoise,
    Quantise,
    Resize,
    Step,
)

Probability = Annotated[float, Field(ge=0, le=1)]
Shares = tuple[Probability, Probability, Probability]
Quality = Annotated[int, Field(ge=1, le=100)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Sizes = Annotated[tuple[Positive, Positive], Rising]
Levels = Annotated[tuple[NonNegative, NonNegative], Rising]
Qualities = Annotated[tuple[Quality, Quality], Rising]

#: Kinds of kernels with their probabilities, and whether they are anisotropic (kernel_list,
#: kernel_prob).
KERNELS: tuple[tuple[Shape, bool, float], ...] = (
    ("gaussian", False, 0.45),
    ("gaussian", True, 0.25),
    ("generalised", False, 0.12),
    ("generalised", True, 0.03),
    ("plateau", False, 0.12),
    ("plateau", True, 0.03),
)
#: Kernel sizes (kernel_range): odd, up to blur_kernel_size.
SIDES = tuple(range(7, 22, 2))
#: Beta of the generalised Gaussian and of the plateau (betag_range, betap_range).
POWERS: dict[Shape, tuple[float, float]] = {"generalised": (0.5, 4.0), "plateau": (1.0, 2.0)}
INTERPOLATIONS: tuple[Interpolation, ...] = ("area", "bilinear", "bicubic")


@dataclass(frozen=True, slots=True)
class Round:
    """One round of blur, resizing, noise and JPEG: probabilities and ranges."""

    blur_share: float
    sinc_share: float
    sigma: tuple[float, float]
    resize_shares: tuple[float, float, float]
    resize_range: tuple[float, float]
    gaussian_share: float
    gaussian_sigma: tuple[float, float]
    poisson_strength: tuple[float, float]
    grey_share: float


class SecondOrder(DrawnToScale):
    """Blur, resize, add noise and compress twice, like Real-ESRGAN (Wang et al. 2021).

    For photographs in [0, 1], grey or RGB. Kernels are isotropic and anisotropic Gaussians,
    generalised Gaussians and plateaus, or sincs; noise is Gaussian or Poisson, in colour or grey;
    the second JPEG compression precedes or follows the last resizing and a sinc filter. LR is
    rounded to 8 bits. Everything without an option is as published. HR is not sharpened, unlike in
    Real-ESRGAN+.

    Paper: arXiv:2107.10833, sections 3.1 to 3.3 and 4.1; option names in brackets are those of the
    authors' train_realesrgan_x4plus.yml.

    Parameters
    ----------
    blur_sigma, blur_sigma2
        Range of the kernel widths in pixels in the first and the second round (blur_sigma).
    sinc_share, sinc_share2
        Probability that the kernel of a round is a sinc (sinc_prob).
    second_blur_share
        Probability that the second round blurs (second_blur_prob).
    resize_shares, resize_shares2
        Probabilities that a round enlarges, reduces and keeps the size (resize_prob).
    resize_range, resize_range2
        Smallest and largest resizing factor of a round, around 1 (resize_range).
    gaussian_share, gaussian_share2
        Probability that the noise of a round is Gaussian, not Poisson (gaussian_noise_prob).
    gaussian_sigma, gaussian_sigma2
        Range of the standard deviation of Gaussian noise in 8-bit grey levels (noise_range).
    poisson_strength, poisson_strength2
        Range of the factor of Poisson noise (poisson_scale_range).
    grey_share, grey_share2
        Probability that the noise is equal in all channels (gray_noise_prob).
    jpeg_quality, jpeg_quality2
        Range of libjpeg's quality, drawn as integers (jpeg_range).
    final_sinc_share
        Probability of the final sinc filter (final_sinc_prob).
    """

    def __init__(
        self,
        *,
        scale: int,
        channels: int,
        blur_sigma: Sizes = (0.2, 3.0),
        sinc_share: Probability = 0.1,
        resize_shares: Shares = (0.2, 0.7, 0.1),
        resize_range: Sizes = (0.15, 1.5),
        gaussian_share: Probability = 0.5,
        gaussian_sigma: Levels = (1.0, 30.0),
        poisson_strength: Levels = (0.05, 3.0),
        grey_share: Probability = 0.4,
        jpeg_quality: Qualities = (30, 95),
        second_blur_share: Probability = 0.8,
        blur_sigma2: Sizes = (0.2, 1.5),
        sinc_share2: Probability = 0.1,
        resize_shares2: Shares = (0.3, 0.4, 0.3),
        resize_range2: Sizes = (0.3, 1.2),
        gaussian_share2: Probability = 0.5,
        gaussian_sigma2: Levels = (1.0, 25.0),
        poisson_strength2: Levels = (0.05, 2.5),
        grey_share2: Probability = 0.4,
        jpeg_quality2: Qualities = (30, 95),
        final_sinc_share: Probability = 0.8,
    ) -> None:
        super().__init__(scale)
        check_channels(channels)
        for name, shares in (("resize_shares", resize_shares), ("resize_shares2", resize_shares2)):
            if not math.isclose(sum(shares), 1):
                raise ValueError(f"{name}: {list(shares)} add up to {sum(shares):g}; expected 1")
        for name, factors in (("resize_range", resize_range), ("resize_range2", resize_range2)):
            if not factors[0] <= 1 <= factors[1]:
                raise ValueError(f"{name}: got {list(factors)}; expected a range that contains 1")
        self.first = Round(
            blur_share=1.0,
            sinc_share=sinc_share,
            sigma=blur_sigma,
            resize_shares=resize_shares,
            resize_range=resize_range,
            gaussian_share=gaussian_share,
            gaussian_sigma=gaussian_sigma,
            poisson_strength=poisson_strength,
            grey_share=grey_share,
        )
        self.second = Round(
            blur_share=second_blur_share,
            sinc_share=sinc_share2,
            sigma=blur_sigma2,
            resize_shares=resize_shares2,
            resize_range=resize_range2,
            gaussian_share=gaussian_share2,
            gaussian_sigma=gaussian_sigma2,
            poisson_strength=poisson_strength2,
            grey_share=grey_share2,
        )
        self.jpeg_quality, self.jpeg_quality2 = jpeg_quality, jpeg_quality2
        self.final_sinc_share = final_sinc_share

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> list[Step]:
        """Draw the steps for an image of this height and width."""
        lr = self.lr_size(size)
        steps = [*_round(self.first, rng, size), _jpeg(self.jpeg_quality, rng)]
        steps += _round(self.second, rng, lr)
        last: list[Step] = [Resize(lr, _interpolation(rng))]
        if odds(rng, self.final_sinc_share):
            last.append(Blur(_sinc(rng, int(rng.choice(SIDES)), math.pi / 3)))
        jpeg = _jpeg(self.jpeg_quality2, rng)
        steps += [*last, jpeg] if odds(rng, 0.5) else [jpeg, *last]
        return [*steps, Quantise()]


def _round(options: Round, rng: np.random.Generator, size: tuple[int, int]) -> Iterator[Step]:
    """Draw blur, resizing to about `size`, and noise."""
    if odds(rng, options.blur_share):
        yield Blur(_kernel(options, rng))
    factor = _factor(options, rng)
    height, width = (max(1, int(side * factor)) for side in size)
    yield Resize((height, width), _interpolation(rng))
    grey, seed = odds(rng, options.grey_share), seed_for_noise(rng)
    if odds(rng, options.gaussian_share):
        yield GaussianNoise(float(rng.uniform(*options.gaussian_sigma)), seed, grey)
    else:
        yield PoissonNoise(float(rng.uniform(*options.poisson_strength)), seed, grey)


def _kernel(options: Round, rng: np.random.Generator) -> Kernel:
    side = int(rng.choice(SIDES))
    if odds(rng, options.sinc_share):
        # Small kernels cannot contain the rings of a low cutoff (realesrgan_dataset.py).
        return _sinc(rng, side, math.pi / 3 if side < 13 else math.pi / 5)
    kind = rng.choice(len(KERNELS), p=[share for _, _, share in KERNELS])
    shape, directed, _ = KERNELS[kind]
    first = second = float(rng.uniform(*options.sigma))
    angle = 0.0
    if directed:
        second = float(rng.uniform(*options.sigma))
        angle = float(rng.uniform(-math.pi, math.pi))
    return Kernel(shape, side, (first, second), angle, _power(shape, rng))


def _power(shape: Shape, rng: np.random.Generator) -> float:
    """Draw beta, below or above 1 with equal probability."""
    if shape not in POWERS:
        return 1.0
    low, high = POWERS[shape]
    return float(rng.uniform(low, 1) if odds(rng, 0.5) else rng.uniform(1, high))


def _sinc(rng: np.random.Generator, side: int, lowest: float) -> Kernel:
    return Kernel("sinc", side, cutoff=float(rng.uniform(lowest, math.pi)))


def _factor(options: Round, rng: np.random.Generator) -> float:
    enlarges, shrinks, _ = options.resize_shares
    chance = rng.random()
    if chance < enlarges:
        return float(rng.uniform(1, options.resize_range[1]))
    return float(rng.uniform(options.resize_range[0], 1)) if chance < enlarges + shrinks else 1.0


def _interpolation(rng: np.random.Generator) -> Interpolation:
    return INTERPOLATIONS[rng.integers(len(INTERPOLATIONS))]


def _jpeg(qualities: tuple[int, int], rng: np.random.Generator) -> Jpeg:
    return Jpeg(int(rng.integers(qualities[0], qualities[1] + 1)))
