"""Where SR is not supported by its input: degraded again, it has to be LR within the noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from srkit.images._levels import is_measured
from srkit.interfaces import Image
from srkit.studies.consistency.degradation import Redegradation
from srkit.upscaling.normalisation import filled

#: Residuals beyond so many standard deviations of the noise, or levels of 8 bits, are not
#: supported.
SIGMAS, LEVELS = 5.0, 8.0
#: A Gaussian's standard deviation over its median absolute deviation.
MAD = 1.4826
#: Regions of one image that are listed.
LISTED = 100

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Yardstick:
    """What residuals are measured by.

    Parameters
    ----------
    values
        Of a size that spreads over ``(C, H, W)``, in the unit of LR.
    unit
        ``sigma`` or ``levels``.
    source
        Where it comes from.
    threshold
        Above how many of them SR is not supported.
    """

    values: Tensor
    unit: str
    source: str
    threshold: float


@dataclass(frozen=True, slots=True)
class Region:
    """Neighbouring LR pixels, diagonally too, where SR is not supported.

    Parameters
    ----------
    x, y
        Column and row of the worst pixel, counted from 0 at the first of the file.
    worst
        LR less SR degraded again there, in units of the yardstick.
    pixels
        How many.
    box
        First column and row, and those behind the last.
    """

    x: int
    y: int
    worst: float
    pixels: int
    box: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Check:
    """What came of comparing SR with its input.

    Parameters
    ----------
    residual
        LR less SR degraded again, ``(C, H, W)`` in the unit of LR; NaN where LR has no value.
    yardstick
        What it is measured by.
    degraded
        How SR was degraded.
    regions
        Where SR is not supported, the worst first; at most `LISTED`.
    count
        How many regions there are.
    share
        Of the pixels that have a value, how many are in them.
    rms
        Root mean square of the residual, in the unit of LR.
    relative_rms
        The same in units of the yardstick.
    flux_change
        Sum of SR less that of LR, over the sum of LR's absolute values.
    """

    residual: Tensor
    yardstick: Yardstick
    degraded: Redegradation
    regions: list[Region]
    count: int
    share: float
    rms: float
    relative_rms: float
    flux_change: float

    @property
    def worst(self) -> Region | None:
        """The region with the largest residual, if there is one."""
        return self.regions[0] if self.regions else None


def check(lr: Image, sr: Image, degraded: Redegradation) -> Check:
    """Degrade SR again, and find where it contradicts its input.

    Where colours have an opacity they are compared as on black. What has no value in LR is filled
    with the band's median in SR, as the network saw it.

    Parameters
    ----------
    lr, sr
        The input and its SR, in the same values.
    degraded
        How SR becomes LR again.
    """
    seen, enlarged = _seen(lr, sr)
    height, width = seen.shape[-2:]
    known = filled(enlarged, ~enlarged.isfinite())
    again = degraded.apply(known[None].double(), (height, width))[0]
    residual = torch.where(seen.isfinite(), seen.double() - again, math.nan)
    measure = yardstick(lr)
    relative = torch.where(measure.values > 0, residual / measure.values, math.nan)
    regions, count, share = find_regions(relative, measure.threshold)
    total = float(seen.abs().nansum(dtype=torch.float64))
    return Check(
        residual=residual.float(),
        yardstick=measure,
        degraded=degraded,
        regions=regions,
        count=count,
        share=share,
        rms=_rms(residual),
        relative_rms=_rms(relative),
        flux_change=-float(residual.nansum()) / total if total > 0 else 0.0,
    )


def yardstick(lr: Image) -> Yardstick:
    """Choose what residuals of an image are measured by.

    The noise of its file's variance; or what :func:`measured_noise` finds; or, for pictures and
    where there is no noise, levels: 1/255 of the range from black to white.
    """
    if "variance" in lr.metadata:
        noise = lr.metadata["variance"].double().sqrt()
        return Yardstick(noise, "sigma", "variance of the file", SIGMAS)
    if is_measured(lr):
        noise = measured_noise(lr.pixels)
        if bool((noise > 0).any()):
            return Yardstick(noise, "sigma", "noise of neighbouring pixels", SIGMAS)
    low, high = lr.data_range
    level = torch.tensor((high - low) / 255, dtype=torch.float64)
    return Yardstick(level, "levels", "1/255 of the range from black to white", LEVELS)


def measured_noise(pixels: Tensor) -> Tensor:
    """Estimate the standard deviation of white noise of each band.

    By the median absolute value of the finest diagonal Haar wavelets (Donoho & Johnstone 1994,
    Biometrika 81, 425), in which smooth light cancels. Noise that is correlated between neighbours,
    as after drizzling, is larger.

    Parameters
    ----------
    pixels
        ``(C, H, W)``; NaN where there is no value.

    Returns
    -------
    Tensor
        ``(C, 1, 1)`` float64, 0 where it cannot be told.
    """
    x = pixels.double()
    wavelets = (x[..., 1:, 1:] - x[..., 1:, :-1] - x[..., :-1, 1:] + x[..., :-1, :-1]) / 2
    if not wavelets.numel():
        return x.new_zeros(len(x), 1, 1)
    return (MAD * wavelets.abs().flatten(1).nanmedian(1).values).nan_to_num(0.0).reshape(-1, 1, 1)


def find_regions(relative: Tensor, threshold: float) -> tuple[list[Region], int, float]:
    """Find connected pixels whose residual is beyond a threshold in any band.

    Parameters
    ----------
    relative
        Residual in units of the yardstick, ``(C, H, W)``; NaN where there is none.
    threshold
        Of its absolute value.

    Returns
    -------
    regions
        The worst first, at most `LISTED`.
    count
        How many there are.
    share
        Of the pixels with a value that are in one.
    """
    signed = strongest_band(relative)
    strength = np.abs(np.nan_to_num(signed))
    labels, count = ndimage.label(strength > threshold, np.ones((3, 3)))
    if not count:
        return [], 0, 0.0
    indices = np.arange(1, count + 1)
    peaks: Any = ndimage.maximum_position(strength, labels, indices)
    sizes = np.bincount(labels.ravel())[1:]
    boxes = ndimage.find_objects(labels)
    order = np.argsort([-strength[peak] for peak in peaks], kind="stable")[:LISTED]
    regions = []
    for k in order:
        (rows, columns), (y, x) = boxes[k], peaks[k]
        box = (columns.start, rows.start, columns.stop, rows.stop)
        regions.append(Region(int(x), int(y), float(signed[y, x]), int(sizes[k]), box))
    return regions, count, float(sizes.sum() / np.isfinite(signed).sum())


def strongest_band(residual: Tensor) -> Array:
    """Give a residual ``(C, H, W)`` in the band in which it is largest, ``(H, W)``, signed."""
    chosen = residual.abs().nan_to_num(-1.0, posinf=math.inf).argmax(0, keepdim=True)
    strongest: Array = residual.gather(0, chosen)[0].numpy()
    return strongest


def _seen(lr: Image, sr: Image) -> tuple[Tensor, Tensor]:
    """Give colours as they are seen where they have an opacity."""
    opacity, enlarged = lr.metadata.get("alpha"), sr.metadata.get("alpha")
    if opacity is None:
        return lr.pixels, sr.pixels
    if enlarged is None:  # the output has no room for it: on white
        white = lr.data_range[1]
        return white + (lr.pixels - white) * opacity, sr.pixels
    black = lr.data_range[0]
    return black + (lr.pixels - black) * opacity, black + (sr.pixels - black) * enlarged


def _rms(values: Tensor) -> float:
    return math.sqrt(float(values.square().nanmean()))
