"""Steps of a degradation, applied to many images together.

The steps of each image are drawn first, with all their parameters, then applied. Images differ in
the order of their steps and in size, so they do not form one tensor: images whose next step is of
the same kind are processed together.
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

#: Names of OpenCV and torch, without antialiasing; `imresize` is MATLAB's antialiased bicubic.
Interpolation = Literal["area", "bilinear", "bicubic", "imresize"]


class Step(Protocol):
    """One step of a degradation."""

    @classmethod
    def take(cls, steps: Sequence[Self], images: Sequence[Tensor]) -> list[Tensor]:
        """Apply to each image ``(C, h, w)``, each of its own size, its own step."""
        ...


@dataclass(frozen=True, slots=True)
class Blur:
    """Convolve with a kernel."""

    kernel: Kernel

    @classmethod
    def take(cls, steps: Sequence[Self], images: Sequence[Tensor]) -> list[Tensor]:
        """Blur all images by one transform."""
        kernels = [step.kernel for step in steps]
        return blur(images, draw_kernels(kernels, images[0].device))


@dataclass(frozen=True, slots=True)
class Resize:
    """Resize to a height and width."""

    size: tuple[int, int]
    interpolation: Interpolation

    @classmethod
    def take(cls, steps: Sequence[Self], images: Sequence[Tensor]) -> list[Tensor]:
        """Resize one image after the other, since their sizes differ."""
        return [step.resized(image) for step, image in zip(steps, images, strict=True)]

    def resized(self, image: Tensor) -> Tensor:
        """Resize one image; overshoot at edges is kept."""
        if self.size == image.shape[-2:]:
            return image
        if self.interpolation == "imresize":
            return resize(image[None], self.size)[0]
        return F.interpolate(image[None], self.size, mode=self.interpolation)[0]


@dataclass(frozen=True, slots=True)
class Shrink:
    """Downscale by a factor, see :func:`srkit.functional.resize`."""

    factor: float
    kernel: ResizingKernel
    antialias: bool

    @classmethod
    def take(cls, steps: Sequence[Self], images: Sequence[Tensor]) -> list[Tensor]:
        """Downscale one image after the other."""
        return [step.shrunk(image) for step, image in zip(steps, images, strict=True)]

    def shrunk(self, image: Tensor) -> Tensor:
        """Downscale one image to ``ceil(factor * side)``; overshoot at edges is kept."""
        factor, antialias = self.factor, self.antialias
        return resize(image[None], factor=factor, kernel=self.kernel, antialias=antialias)[0]


@dataclass(frozen=True, slots=True)
class Subsample:
    """Keep every n-th row and column, beginning with the first."""

    every: int

    @classmethod
    def take(cls, steps: Sequence[Self], images: Sequence[Tensor]) -> list[Tensor]:
        """Subsample each image."""
        return [
            image[:, :: step.every, :: step.every]
            for step, image in zip(steps, images, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class GaussianNoise:
    """Add Gaussian noise in grey levels; channels may be equal or correlated."""

    sigma: float
    seed: int
    grey: bool = False
    mixture: tuple[tuple[float, ...], ...] | None = None

    @classmethod
    def take(cls, steps: Sequence[Self], images: Sequence[Tensor]) -> list[Tensor]:
        """Draw the noise of each image from its own seed."""
        return [step.noisy(image) for step, image in zip(steps, images, strict=True)]

    def noisy(self, image: Tensor) -> Tensor:
        """Add the noise to one image."""
        if self.mixture is None:
            return photo_noise.gaussian(image, self.sigma, self.seed, grey=self.grey)
        return photo_noise.correlated(image, self.sigma, torch.tensor(self.mixture), self.seed)


@dataclass(frozen=True, slots=True)
class PoissonNoise:
    """Add Poisson noise, multiplied by a factor."""

    strength: float
    seed: int
    grey: bool = False

    @classmethod
    def take(cls, steps: Sequence[Self], images: Sequence[Tensor]) -> list[Tensor]:
        """Draw the noise of each image from its own seed."""
        return [
            photo_noise.poisson(image, step.strength, step.seed, grey=step.grey)
            for step, image in zip(steps, images, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Jpeg:
    """Compress and decompress as JPEG, with libjpeg's quality."""

    quality: int

    @classmethod
    def take(cls, steps: Sequence[Self], images: Sequence[Tensor]) -> list[Tensor]:
        """Compress by Pillow on the CPU, where it is fastest, or elsewhere all at once."""
        way = through_files if images[0].device.type == "cpu" else compress
        return way(images, [step.quality for step in steps])


@dataclass(frozen=True, slots=True)
class Quantise:
    """Round to 8-bit grey levels and clip to [0, 1]."""

    @classmethod
    def take(cls, steps: Sequence[Self], images: Sequence[Tensor]) -> list[Tensor]:
        """Round each image."""
        return [(image * 255).round_().clamp_(0, 255).div_(255) for image in images]


def take_all(images: Tensor, programmes: Sequence[Sequence[Step]]) -> Tensor:
    """Apply to every image its own steps.

    Parameters
    ----------
    images
        ``(N, C, H, W)``.
    programmes
        The steps of each image in order. The results must have equal sizes.

    Returns
    -------
    Tensor
        ``(N, C, h, w)``.
    """
    if images.device.type == "cpu":
        # A common canvas has no advantage: it would have the size of the largest image.
        pairs = zip(images, programmes, strict=True)
        return torch.stack([_walk([image], [steps])[0] for image, steps in pairs])
    return torch.stack(_walk(list(images), programmes))


def _walk(images: list[Tensor], programmes: Sequence[Sequence[Step]]) -> list[Tensor]:
    """Apply all steps, always next the kind that most images are waiting for."""
    waiting = [deque(steps) for steps in programmes]
    while any(waiting):
        kinds = Counter(type(steps[0]) for steps in waiting if steps)
        kind = kinds.most_common(1)[0][0]
        chosen = [i for i, steps in enumerate(waiting) if steps and type(steps[0]) is kind]
        taken = kind.take([waiting[i].popleft() for i in chosen], [images[i] for i in chosen])
        for i, image in zip(chosen, taken, strict=True):
            images[i] = image
    return images
