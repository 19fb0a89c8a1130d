"""A data set, an augmentation, a degradation, a stretch and a constraint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor
from torch.nn import functional as F

from srkit.interfaces import Batch, Sample


class Gradients:
    """Images whose brightness rises to the right or downwards: two classes.

    Parameters
    ----------
    count
        Images.
    size
        Side of the images in pixels.
    """

    classes = ("right", "down")
    notes = ("the images are artificial",)

    def __init__(self, *, channels: int, count: PositiveInt = 8, size: PositiveInt = 32) -> None:
        self.channels = channels
        self.count = count
        self.size = size

    def __len__(self) -> int:
        """Return the number of images."""
        return self.count

    def __getitem__(self, index: int) -> Sample:
        """Return an image; those with odd indices belong to the class ``down``."""
        if not 0 <= index < self.count:
            raise IndexError(index)
        ramp = torch.linspace(0, (index + 1) / self.count, self.size)
        image = ramp.expand(self.channels, self.size, self.size)
        label = index % 2
        hr = image.transpose(1, 2) if label else image
        return Sample(f"gradient {index}", hr.contiguous(), label=label)


class ChannelShuffle:
    """A random order of the channels."""

    keeps_flux = False
    keeps_truth = True

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Change the order of HR and, of a real pair, of LR."""
        order = rng.permutation(len(sample.hr)).tolist()
        lr = None if sample.lr is None else sample.lr[order]
        return replace(sample, hr=sample.hr[order], lr=lr)


class NoisyBox:
    """Mean of the HR pixels within each LR pixel, with Gaussian noise.

    Parameters
    ----------
    noise
        Standard deviation of the noise, in units of the data.
    """

    def __init__(self, *, scale: int, noise: NonNegativeFloat = 0.01) -> None:
        self.factor = 1 / scale
        self.scale = scale
        self.noise = noise

    def __call__(self, hr: Tensor, seeds: Sequence[int]) -> Tensor:
        """Degrade ``(N, C, H, W)`` images; incomplete LR pixels are averaged, too."""
        lr = F.avg_pool2d(hr, self.scale, ceil_mode=True)
        return lr + self.noise * torch.stack([_normal(lr[0], seed) for seed in seeds])


class Root:
    """The square root of the flux, with its sign.

    Parameters
    ----------
    peak
        Flux that becomes 1.
    """

    unitless = False  # the peak is a flux

    def __init__(self, *, peak: PositiveFloat = 1.0) -> None:
        self.peak = peak

    def fit(self, images: Tensor) -> Tensor:
        """Return no parameters, since the map is fixed."""
        return images.new_empty(len(images), 0)

    def __call__(self, flux: Tensor, fitted: Tensor) -> Tensor:
        """Stretch ``(N, C, H, W)`` images."""
        return flux.sign() * (flux.abs() / self.peak).sqrt()

    def inverse(self, stretched: Tensor, fitted: Tensor) -> Tensor:
        """Convert stretched images to flux."""
        return stretched * stretched.abs() * self.peak


class SameMean:
    """SR gets the mean of LR, channel by channel."""

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Add a constant to each channel of ``(N, C, H, W)`` images."""
        assert batch.lr is not None
        return sr + batch.lr.mean((2, 3), keepdim=True) - sr.mean((2, 3), keepdim=True)


def _normal(like: Tensor, seed: int) -> Tensor:
    """Draw on the CPU, so that a seed has the same result on every device."""
    noise = torch.randn(like.shape, generator=torch.Generator().manual_seed(seed))
    return noise.to(like.device, like.dtype)
