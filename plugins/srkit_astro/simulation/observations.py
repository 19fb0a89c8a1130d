"""Simulated observations of one sky with two cameras, as pairs of HR and LR."""

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
    """Return independent random generators of a sample; the first do not depend on their number."""
    return np.random.default_rng([seed, SPLITS.index(split), index]).spawn(count)


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
    with_lr: bool = True

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
        streams: tuple[np.random.Generator, np.random.Generator],
        label: int | None = None,
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
