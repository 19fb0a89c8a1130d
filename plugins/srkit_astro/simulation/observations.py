"""One sky, seen by two cameras: the pairs of every simulation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from srkit.interfaces import Sample
from srkit_astro.instruments.cameras import UNIT, ZERO_POINT, AcsF814W, HscI, flux_of

Floats = NDArray[Any]
SPLITS = ("train", "validation", "test")
ACS, HSC = AcsF814W(), HscI()


def random_streams(seed: int, split: str, index: int, count: int) -> list[np.random.Generator]:
    """Give independent random numbers of a sample; more of them leave the first as they are."""
    return np.random.default_rng([seed, SPLITS.index(split), index]).spawn(count)


@dataclass(frozen=True, slots=True)
class TwoCameras:
    """Hubble (HR) and Hyper Suprime-Cam (LR), pointed at one sky.

    The sky, sampled finer than HR, is convolved with either camera's PSF and averaged over its
    pixels, so that HR and LR hold the same flux before noise. Images are surface brightness: count
    / s per area of an LR pixel.

    Parameters
    ----------
    scale
        HR pixels along an LR pixel.
    size
        Side of LR in pixels.
    oversampling
        Samples of the sky along an HR pixel.
    hr_camera, lr_camera
        The cameras; HR is drizzled to LR's pixel over the scale.
    hr_noise, lr_noise
        Whether to add noise; there is no variance without LR's.
    white
        Surface brightness in AB mag / arcsec² of the data range's upper end; the lower is 0.
    with_lr
        Whether samples have LR; else a degradation makes it.
    """

    scale: int
    size: int
    oversampling: int
    hr_camera: AcsF814W
    lr_camera: HscI
    hr_noise: bool
    lr_noise: bool
    white: float
    with_lr: bool = True

    @property
    def data_range(self) -> tuple[float, float]:
        """The values of black and white."""
        return 0.0, flux_of(self.white) * self.lr_camera.pixel**2

    @property
    def samples(self) -> tuple[int, float]:
        """How many samples of the sky there are along a side, and their distance in arcsec."""
        fine = self.scale * self.oversampling
        return self.size * fine, self.lr_camera.pixel / fine

    def observe(self, sky: Floats) -> tuple[Floats, Floats]:
        """Give HR ``(H, W)`` and LR ``(h, w)`` without noise of a sky in count / s / arcsec²."""
        _, step = self.samples
        light = sky * self.lr_camera.pixel**2
        hr = _block_mean(self.hr_camera.blur(light, step), self.oversampling)
        lr = _block_mean(self.lr_camera.blur(light, step), self.scale * self.oversampling)
        return hr, lr

    def sample(
        self,
        name: str,
        images: tuple[Floats, Floats],
        streams: tuple[np.random.Generator, np.random.Generator],
        label: int | None = None,
    ) -> Sample:
        """Add noise to HR and LR, each from its random numbers."""
        hr, seen = images
        lr = seen if self.with_lr else None
        pixel, area = self.lr_camera.pixel, self.scale**2
        variance = None
        if self.hr_noise:
            hr = self.hr_camera.expose(hr / area, pixel / self.scale, streams[0])[0] * area
        if lr is not None and self.lr_noise:
            lr, variance = self.lr_camera.expose(lr, pixel, streams[1])
        return Sample(
            name,
            _tensor(hr),
            None if lr is None else _tensor(lr),
            label=label,
            data_range=self.data_range,
            unit=UNIT,
            pixel_scale=pixel / self.scale,
            variance=None if variance is None else _tensor(variance),
            zero_point=ZERO_POINT,
        )


def _block_mean(image: Floats, side: int) -> Floats:
    count = len(image) // side
    return np.asarray(image.reshape(count, side, count, side).mean((1, 3)))


def _tensor(image: Floats) -> Tensor:
    return torch.from_numpy(image.astype(np.float32))[None]
