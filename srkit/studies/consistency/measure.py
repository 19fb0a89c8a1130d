"""Find where SR contradicts its input: degraded again, it must agree with LR within the noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from srkit.functional.noise import Noise, measure_noise
from srkit.functional.resizing import resize_mask
from srkit.images._levels import is_measured
from srkit.interfaces import Image
from srkit.studies.consistency.forward_model import ForwardModel
from srkit.upscaling.holes import filled, unusable

#: Residuals beyond so many standard deviations of the noise, or 8-bit levels, are not supported.
SIGMAS, LEVELS = 5.0, 8.0
#: Maximum number of regions per image.
LISTED = 100
#: LR pixels with more than this share of their light from where SR has no value are not judged:
#: from outside of the frame, to a distance of so many LR pixels, and from its holes.
UNSEEN, MARGIN = 0.02, 16

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
    noise
        The noise of the background of each band, with its correlation; none for levels.
    """

    values: Tensor
    unit: str
    source: str
    threshold: float
    noise: Sequence[Noise] = ()

    def of_sum(self, shape: torch.Size) -> float:
        """Return the standard deviation of the noise of the sum of all pixels, ``(C, H, W)``."""
        known = torch.where(self.values.isfinite(), self.values, math.nan)
        variances = known.square().expand(shape).nanmean((1, 2)).nan_to_num(0.0).tolist()
        sums = [max(float(each.correlation.sum()), 0.0) for each in self.noise]
        total = sum(v * c for v, c in zip(variances, sums, strict=True))
        return math.sqrt(shape[1] * shape[2] * total)


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
        Number of all regions; None if nothing is called unsupported, since it is not stated how LR
        was made, or no pixel can be judged.
    share
        Fraction of the judged pixels that are in a region.
    peak
        The pixel of the largest residual, as a region; None if no pixel has a value.
    rms
        Root mean square of the residual, in the unit of LR.
    relative_rms
        The same in units of the yardstick.
    flux_change
        Sum of SR minus that of LR, over the sum of LR's absolute values.
    flux_error
        Standard deviation of `flux_change` by the noise of LR; 0 for levels.
    """

    residual: Tensor
    yardstick: Yardstick
    forward: ForwardModel
    regions: list[Region]
    count: int | None
    share: float | None
    peak: Region | None
    rms: float
    relative_rms: float
    flux_change: float
    flux_error: float


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
    size = (seen.shape[-2], seen.shape[-1])
    holes = ~enlarged.isfinite() | resize_mask(unusable(lr), enlarged.shape[-2:])
    again = forward.apply(filled(enlarged, holes)[None].double(), size)[0]
    usable = seen.isfinite() & ~unusable(lr)
    residual = torch.where(usable, seen.double() - again, math.nan)
    measure = yardstick(lr)
    relative = torch.where(measure.values > 0, residual / measure.values, math.nan)
    regions, count, share = list[Region](), None, None
    if forward.stated:
        judged = relative
        if is_measured(lr):
            judged = torch.where(_unseen(forward, holes, size) > UNSEEN, math.nan, relative)
        if judged.isfinite().any():
            regions, count, share = find_regions(judged, measure.threshold)
    total = float(seen.abs().nansum(dtype=torch.float64))
    return Check(
        residual=residual.float(),
        yardstick=measure,
        forward=forward,
        regions=regions,
        count=count,
        share=share,
        peak=_peak(relative),
        rms=_rms(residual),
        relative_rms=_rms(relative),
        flux_change=-float(residual.nansum()) / total if total > 0 else 0.0,
        flux_error=measure.of_sum(residual.shape) / total if measure.noise and total > 0 else 0.0,
    )


def _unseen(forward: ForwardModel, holes: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the share of each LR pixel's light that comes from where SR has no value."""
    rows, columns = (
        MARGIN * round(large / small) for large, small in zip(holes.shape[-2:], size, strict=True)
    )
    wide = functional.pad(holes.double(), (columns, columns, rows, rows), value=1.0)
    wanted = size[0] + 2 * MARGIN, size[1] + 2 * MARGIN
    return forward.apply(wide[None], wanted)[0, :, MARGIN:-MARGIN, MARGIN:-MARGIN]


def yardstick(lr: Image) -> Yardstick:
    """Choose the unit in which residuals of an image are measured.

    The noise by the variance of its file, or that of the background, which includes what is
    correlated between pixels; or, for images of 8 and 16 bits and without noise, levels: 1/255 of
    the range from black to white.
    """
    if is_measured(lr) or "variance" in lr.metadata:
        noise = [measure_noise(band.numpy()) for band in lr.pixels]
        if "variance" in lr.metadata:
            sigma = lr.metadata["variance"].double().sqrt()
            return Yardstick(sigma, "sigma", "variance of the file", SIGMAS, noise)
        if any(band.rms > 0 for band in noise):
            rms = torch.tensor([band.rms for band in noise], dtype=torch.float64)[:, None, None]
            return Yardstick(rms, "sigma", "noise of the background", SIGMAS, noise)
    low, high = lr.data_range
    level = torch.tensor((high - low) / 255, dtype=torch.float64)
    return Yardstick(level, "levels", "1/255 of the range from black to white", LEVELS)


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


def _peak(relative: Tensor) -> Region | None:
    """Return the pixel with the largest residual."""
    signed = strongest_band(relative)
    if not np.isfinite(signed).any():
        return None
    y, x = (int(i) for i in np.unravel_index(np.nanargmax(np.abs(signed)), signed.shape))
    return Region(x, y, float(signed[y, x]), 1, (x, y, x + 1, y + 1))


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
