"""Simulated observations of one sky with two cameras, and data sets of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from srkit.interfaces import Sample
from srkit_astro.extra import needs
from srkit_astro.instruments.cameras import UNIT, ZERO_POINT, AcsF814W, Floats, HscI, flux_of

SPLITS = ("train", "validation", "test")
ACS, HSC = AcsF814W(), HscI()
#: Bytes that a data set caches in each process: 2,700 pairs of 64 and 128 pixels.
CACHE = 256 * 2**20


@dataclass(frozen=True, slots=True)
class CameraPair:
    """Hubble (HR) and Hyper Suprime-Cam (LR), observing the same sky.

    The sky, sampled more finely than HR, is convolved with the PSF of each camera and averaged over
    its pixels, so that HR and LR have the same flux without noise. Images are surface brightness in
    count / s per area of an LR pixel.

    Parameters
    ----------
    scale
        HR pixels per LR pixel along a side.
    size
        Side of LR in pixels.
    oversampling
        Samples of the sky per HR pixel along a side.
    hr_camera, lr_camera
        The cameras; the pixels of HR are those of LR divided by the scale.
    hr_noise, lr_noise
        Whether to add noise; without that of LR there is no variance.
    white
        Surface brightness in AB mag / arcsec² of the upper end of the data range; the lower is 0.
    with_lr
        Whether samples have LR; otherwise a degradation computes it.
    """

    scale: int
    size: int
    oversampling: int
    hr_camera: AcsF814W
    lr_camera: HscI
    hr_noise: bool
    lr_noise: bool
    white: float
    with_lr: bool

    @property
    def data_range(self) -> tuple[float, float]:
        """The values of black and white in count / s per area of an LR pixel."""
        return 0.0, flux_of(self.white) * self.lr_camera.pixel**2

    @property
    def sampling(self) -> tuple[int, float]:
        """The number of samples of the sky along a side, and their distance in arcsec."""
        fine = self.scale * self.oversampling
        return self.size * fine, self.lr_camera.pixel / fine

    def observe(self, sky: Floats) -> tuple[Floats, Floats]:
        """Return HR ``(H, W)`` and LR ``(h, w)`` of a sky in count / s / arcsec², without noise."""
        _, step = self.sampling
        light = sky * self.lr_camera.pixel**2
        hr = _block_mean(self.hr_camera.blur(light, step), self.oversampling)
        lr = _block_mean(self.lr_camera.blur(light, step), self.scale * self.oversampling)
        return hr, lr

    def sample(
        self,
        name: str,
        images: tuple[Floats, Floats],
        streams: Sequence[np.random.Generator],
    ) -> Sample:
        """Return a sample of HR and LR, with noise added from their random generators."""
        hr, lr = images[0], images[1] if self.with_lr else None
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
            data_range=self.data_range,
            unit=UNIT,
            pixel_scale=pixel / self.scale,
            variance=None if variance is None else _tensor(variance),
            zero_point=ZERO_POINT,
        )


class Simulation(ABC):
    """A data set of simulated pairs, cached up to `CACHE` bytes per process.

    Samples are never evicted. If an epoch exceeds the cache, and each has another order, the cached
    part is therefore found in every epoch; the least recently used samples would mostly be evicted
    before they are needed again.

    Parameters
    ----------
    cameras
        The cameras.
    seed
        Seed of the data set.
    split
        Split that the samples are drawn from.
    numbers
        Numbers of the samples in that split.
    """

    channels = 1
    classes: Sequence[str] | None = None
    notes: Sequence[str] = ()

    def __init__(self, cameras: CameraPair, seed: int, split: str, numbers: Sequence[int]) -> None:
        self.cameras, self.seed, self.split, self.numbers = cameras, seed, split, numbers
        self._cached: dict[int, Sample] = {}
        self._free = CACHE

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(f"no sample {index}: there are {len(self)}")
        if index in self._cached:
            return self._cached[index]
        sample = self._simulate(index)
        images = (sample.hr, sample.lr, sample.variance, sample.mask)
        size = sum(image.nbytes for image in images if image is not None)
        if size <= self._free:
            self._free -= size
            self._cached[index] = sample
        return sample

    @abstractmethod
    def observe(self, index: int) -> tuple[Floats, Floats]:
        """Return HR and LR of a sample without noise, ``(H, W)`` and ``(h, w)``."""

    def _simulate(self, index: int) -> Sample:
        name = f"{self.split}_{self.numbers[index]:06d}"
        return self.cameras.sample(name, self.observe(index), self._streams(index)[1:3])

    def _streams(self, index: int) -> list[np.random.Generator]:
        """Return the generators of a sample for the sky, noise of HR, noise of LR, source image."""
        key = [self.seed, SPLITS.index(self.split), self.numbers[index]]
        return np.random.default_rng(key).spawn(4)


def renderer() -> ModuleType:
    """Import :mod:`.sky` when it is needed: importing lenstronomy takes seconds."""
    with needs("lenstronomy"):
        return import_module("srkit_astro.simulation.sky")


def _block_mean(image: Floats, side: int) -> Floats:
    count = len(image) // side
    return np.asarray(image.reshape(count, side, count, side).mean((1, 3)))


def _tensor(image: Floats) -> Tensor:
    return torch.from_numpy(image.astype(np.float32))[None]
