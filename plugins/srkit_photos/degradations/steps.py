"""Steps of a degradation, and how images go through their own steps together.

What happens to an image is drawn first, as a list of steps with all their numbers; then the steps
are taken. Images differ in the order of their steps and in size, so they do not form one tensor:
those that wait for a step of the same kind take it together.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from srkit.functional import Kernel as ResizingKernel
from srkit.functional import resize
from srkit_photos.degradations import noise as photo_noise
from srkit_photos.degradations.blur_kernels import Kernel, draw_kernels
from srkit_photos.degradations.blurring import blur
from srkit_photos.degradations.jpeg_compression import compress, through_files

#: How OpenCV and torch name it, without antialiasing; `imresize` is MATLAB's antialiased bicubic.
Interpolation = Literal["area", "bilinear", "bicubic", "imresize"]


class Step(Protocol):
    """One thing that happens to an image."""

    @classmethod
    def take(cls, steps: Sequence[Self], images: Sequence[Tensor]) -> list[Tensor]:
        """Give each image ``(C, h, w)``, each of its own size, after its own step."""
        ...


@dataclass(frozen=True, slots=True)
class Blur:
    """Convolve with a kernel."""

    kernel: Kernel

    @classmethod
    def take(cls, steps: Sequence[Self], images: Sequence[Tensor]) -> list[Tensor]:
        """Blur all by one transform."""
        kernels = [step.kernel for step in steps]
        return blur(images, draw_kernels(kernels, images[0].device))


@dataclass(frozen=True, slots=True)
class Resize:
    """Bring to a height and width."""

    size: tuple[int, int]
    interpolation: Interpolation

    @classmethod
    def take(cls, steps: Sequence[Self], images: Sequence[Tensor]) -> list[Tensor]:
        """Resize one after the other: their sizes differ."""
        return [step.resized(image) for step, image in zip(steps, images, strict=True)]

    def resized(self, image: Tensor) -> Tensor:
        """Resize one image; what overshoots at edges is kept."""
        if self.size == image.shape[-2:]:
            return image
        if self.interpolation == "imresize":
            return resize(image[None], self.size)[0]
        return F.interpolate(image[None], self.size, mode=self.interpolation)[0]


@dataclass(frozen=True, slots=True)
class Shrink:
    """Shrink by a factor as :func:`srkit.functional.resize` does."""

    factor: float
    kernel: ResizingKernel
    antialias: bool

    @classmethod
    def take(cls, steps: Sequence[Self], images: Sequence[Tensor]) -> list[Tensor]:
        """Shrink one after the other."""
        return [step.shrunk(image) for step, image in zip(steps, images, strict=True)]

    def shrunk(self, image: Tensor) -> Tensor:
        """Shrink one image to ``ceil(factor * side)``; what overshoots at edges is kept."""
        factor, antialias = self.factor, self.antialias
        return resize(image[None], factor=factor, kernel=self.kernel, antialias=antialias)[0]


@dataclass(frozen=True, slots=True)
class Subsample:
    """Keep one row and column of so many, from the first on."""

    every: int

    @classmethod
    def take(cls, steps: Sequence[Self], images: Sequence[Tensor]) -> list[Tensor]:
        """Look at a part of each."""
        return [
            image[:, :: step.every, :: step.every]
            for step, image in zip(steps, images, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class GaussianNoise:
    """Add Gaussian noise of so many grey levels; channels may be one, or mixtures."""

    sigma: float
    seed: int
    grey: bool = False
    mixture: tuple[tuple[float, ...], ...] | None = None

    @classmethod
    def take(cls, steps: Sequence[Self], images: Sequence[Tensor]) -> list[Tensor]:
        """Draw for each from its own seed."""
        return [step.noisy(image) for step, image in zip(steps, images, strict=True)]

    def noisy(self, image: Tensor) -> Tensor:
        """Add the noise to one image."""
        if self.mixture is None:
            return photo_noise.gaussian(image, self.sigma, self.seed, grey=self.grey)
        return photo_noise.correlated(image, self.sigma, torch.tensor(self.mixture), self.seed)


@dataclass(frozen=True, slots=True)
class PoissonNoise:
    """Add the noise of counted light, so many times as strong as it is."""

    strength: float
    seed: int
    grey: bool = False

    @classmethod
    def take(cls, steps: Sequence[Self], images: Sequence[Tensor]) -> list[Tensor]:
        """Draw for each from its own seed."""
        return [
            photo_noise.poisson(image, step.strength, step.seed, grey=step.grey)
            for step, image in zip(steps, images, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Jpeg:
    """Compress and decompress, by libjpeg's quality."""

    quality: int

    @classmethod
    def take(cls, steps: Sequence[Self], images: Sequence[Tensor]) -> list[Tensor]:
        """Compress by Pillow, which is fastest on the CPU, or elsewhere all at once."""
        way = through_files if images[0].device.type == "cpu" else compress
        return way(images, [step.quality for step in steps])


@dataclass(frozen=True, slots=True)
class Quantise:
    """Round to 8-bit grey levels and clip to [0, 1]."""

    @classmethod
    def take(cls, steps: Sequence[Self], images: Sequence[Tensor]) -> list[Tensor]:
        """Round each."""
        return [(image * 255).round_().clamp_(0, 255).div_(255) for image in images]


def take_all(images: Tensor, programmes: Sequence[Sequence[Step]]) -> Tensor:
    """Let every image take its own steps.

    Parameters
    ----------
    images
        ``(N, C, H, W)``.
    programmes
        For each image its steps, in order. All images end with one size.

    Returns
    -------
    Tensor
        ``(N, C, h, w)``.
    """
    if images.device.type == "cpu":
        # Nothing is gained by a common canvas, which would have to be as large as the largest.
        pairs = zip(images, programmes, strict=True)
        return torch.stack([_walk([image], [steps])[0] for image, steps in pairs])
    return torch.stack(_walk(list(images), programmes))


def _walk(images: list[Tensor], programmes: Sequence[Sequence[Step]]) -> list[Tensor]:
    """Take steps until none is left, always those that most images wait for."""
    waiting = [deque(steps) for steps in programmes]
    while any(waiting):
        kinds = Counter(type(steps[0]) for steps in waiting if steps)
        kind = kinds.most_common(1)[0][0]
        chosen = [i for i, steps in enumerate(waiting) if steps and type(steps[0]) is kind]
        taken = kind.take([waiting[i].popleft() for i in chosen], [images[i] for i in chosen])
        for i, image in zip(chosen, taken, strict=True):
            images[i] = image
    return images
