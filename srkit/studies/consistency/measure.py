"""Find where SR contradicts its input: degraded again, it must agree with LR within the noise."""

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
from srkit.studies.consistency.forward_model import ForwardModel
from srkit.upscaling.normalisation import filled

#: Residuals beyond so many standard deviations of the noise, or 8-bit levels, are not supported.
SIGMAS, LEVELS = 5.0, 8.0
#: Ratio of the standard deviation of a Gaussian to its median absolute deviation.
MAD = 1.4826
#: Maximum number of regions per image.
LISTED = 100

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Yardstick:
    """The unit in which residuals are measured.

    Parameters
    ----------
    values
        Its size in the unit of LR, broadcastable to ``(C, H, W)``.
    unit
        ``sigma`` or ``levels``.
    source
        Where it comes from.
    threshold
        Residual in this unit above which SR is not supported.
    """

    values: Tensor
    unit: str
    source: str
    threshold: float


@dataclass(frozen=True, slots=True)
class Region:
    """Connected LR pixels, diagonals included, where SR is not supported.

    Parameters
    ----------
    x, y
        Column and row of the worst pixel, from 0 at the first of the file.
    worst
        LR minus SR degraded again at the worst pixel, in units of the yardstick.
    pixels
        Number of pixels.
    box
        First column and row, and those after the last.
    """

    x: int
    y: int
    worst: float
    pixels: int
    box: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Check:
    """The result of comparing SR with its input.

    Parameters
    ----------
    residual
        LR minus SR degraded again, ``(C, H, W)`` in the unit of LR; NaN where LR has no value.
    yardstick
        The unit in which it is measured.
    forward
        How SR was degraded.
    regions
        Where SR is not supported, the worst first; at most `LISTED`.
    count
        Number of all regions.
    share
        Fraction of the pixels with a value that are in a region.
    rms
        Root mean square of the residual, in the unit of LR.
    relative_rms
        The same in units of the yardstick.
    flux_change
        Sum of SR minus that of LR, over the sum of LR's absolute values.
    """

    residual: Tensor
    yardstick: Yardstick
    forward: ForwardModel
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


def check(lr: Image, sr: Image, forward: ForwardModel) -> Check:
    """Degrade SR again, and find where it contradicts its input.

    Colours with an opacity are compared on black. Pixels without a value are filled in SR with the
    median of their band, as the network saw them.

    Parameters
    ----------
    lr, sr
        The input and its SR, in the same values.
    forward
        Degrades SR.
    """
    seen, enlarged = _seen(lr, sr)
    height, width = seen.shape[-2:]
    known = filled(enlarged, ~enlarged.isfinite())
    again = forward.apply(known[None].double(), (height, width))[0]
    residual = torch.where(seen.isfinite(), seen.double() - again, math.nan)
    measure = yardstick(lr)
    relative = torch.where(measure.values > 0, residual / measure.values, math.nan)
    regions, count, share = find_regions(relative, measure.threshold)
    total = float(seen.abs().nansum(dtype=torch.float64))
    return Check(
        residual=residual.float(),
        yardstick=measure,
        forward=forward,
        regions=regions,
        count=count,
        share=share,
        rms=_rms(residual),
        relative_rms=_rms(relative),
        flux_change=-float(residual.nansum()) / total if total > 0 else 0.0,
    )


def yardstick(lr: Image) -> Yardstick:
    """Choose the unit in which residuals of an image are measured.

    The noise by the variance of its file, or by :func:`measured_noise`; or, for images of 8 and 16
    bits and without noise, levels: 1/255 of the range from black to white.
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
    as after drizzling, is underestimated.

    Parameters
    ----------
    pixels
        ``(C, H, W)``, with NaN where there is no value.

    Returns
    -------
    Tensor
        ``(C, 1, 1)`` float64; 0 if it cannot be estimated.
    """
    x = pixels.double()
    wavelets = (x[..., 1:, 1:] - x[..., 1:, :-1] - x[..., :-1, 1:] + x[..., :-1, :-1]) / 2
    if not wavelets.numel():
        return x.new_zeros(len(x), 1, 1)
    return (MAD * wavelets.abs().flatten(1).nanmedian(1).values).nan_to_num(0.0).reshape(-1, 1, 1)


def find_regions(relative: Tensor, threshold: float) -> tuple[list[Region], int, float]:
    """Find connected pixels whose residual exceeds a threshold in any band.

    Parameters
    ----------
    relative
        Residual in units of the yardstick, ``(C, H, W)``; NaN where LR has no value.
    threshold
        Threshold of the absolute value.

    Returns
    -------
    regions
        The regions, the worst first, at most `LISTED`.
    count
        Number of all regions.
    share
        Fraction of the pixels with a value that are in one.
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
    """Return the signed residual of the band where it is largest, ``(H, W)``."""
    chosen = residual.abs().nan_to_num(-1.0, posinf=math.inf).argmax(0, keepdim=True)
    strongest: Array = residual.gather(0, chosen)[0].numpy()
    return strongest


def _seen(lr: Image, sr: Image) -> tuple[Tensor, Tensor]:
    """Return LR and SR as they are seen on black, or on white if SR has no opacity."""
    opacity, enlarged = lr.metadata.get("alpha"), sr.metadata.get("alpha")
    if opacity is None:
        return lr.pixels, sr.pixels
    if enlarged is None:  # the file of SR has no alpha channel
        white = lr.data_range[1]
        return white + (lr.pixels - white) * opacity, sr.pixels
    black = lr.data_range[0]
    return black + (lr.pixels - black) * opacity, black + (sr.pixels - black) * enlarged


def _rms(values: Tensor) -> float:
    return math.sqrt(float(values.square().nanmean()))
