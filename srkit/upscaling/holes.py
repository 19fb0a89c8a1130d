"""Pixels of LR that a network does not receive: missing, saturated or flagged ones."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d

from srkit.functional.resizing import resize_mask
from srkit.interfaces import Image, ImageSource

#: Standard deviations in pixels of the Gaussians that interpolate, the next one where no pixel
#: within `WIDTH` of them has a value; and the largest distance of a pixel that contributes.
SIGMAS, WIDTH = (1.0, 4.0), 4
REACH = int(WIDTH * max(SIGMAS))
#: What is known of finite values that no network receives.
_UNUSABLE = {"unusable", "unusable_notes"}


def unusable(image: Image) -> Tensor:
    """Return which pixels have no usable value, ``(C, H, W)`` bool.

    These are NaN or infinite, or ``unusable`` among the metadata.
    """
    holes = ~image.pixels.isfinite()
    marked = image.metadata.get("unusable")
    return holes if marked is None else holes | marked


def with_all_values(image: Image) -> Image:
    """Return an image for an interpolation, which receives saturated and flagged values as well."""
    left = {key: image.metadata[key] for key in image.metadata.keys() - _UNUSABLE}
    return replace(image, metadata=left)


class AllValues:
    """A frame for an interpolation, see :func:`with_all_values`; an `ImageSource`."""

    def __init__(self, source: ImageSource) -> None:
        self._source, self.outline = source, with_all_values(source.outline)
        self.data_range, self.close = source.data_range, source.close

    def rows(self, start: int, stop: int) -> Image:
        """Read rows; a format may complete the outline when the first are read."""
        part = with_all_values(self._source.rows(start, stop))
        self.outline = with_all_values(self._source.outline)
        return part


def interpolated(pixels: Tensor, bad: Tensor, medians: Tensor | None = None) -> Tensor:
    """Replace bad pixels by the mean of the others, weighted by a Gaussian of their distance.

    This is normalised convolution, as in astropy's ``interpolate_replace_nans``. Pixels farther
    than `REACH` from any other get the median of their band.

    Parameters
    ----------
    pixels, bad
        ``(C, H, W)``.
    medians
        Median of each band, ``(C,)``; by default it is computed.
    """
    if not bad.any():
        return pixels
    full = filled(pixels, bad, medians)
    rows, columns = (_span(bad.any(0).any(axis)) for axis in (1, 0))
    full[:, rows, columns] = _blurred(
        pixels[:, rows, columns], bad[:, rows, columns], full[:, rows, columns]
    )
    return full


def _span(along: Tensor) -> slice:
    """Return the part of an axis that bad pixels depend on."""
    places = along.nonzero()
    return slice(max(0, int(places[0]) - REACH), int(places[-1]) + 1 + REACH)


def _blurred(pixels: Tensor, bad: Tensor, full: Tensor) -> Tensor:
    known, left = (~bad).to(pixels), bad
    values, full = pixels.masked_fill(bad, 0), full.clone()
    for sigma in SIGMAS:
        weight = _gaussian(known, sigma)
        near = left & (weight > 1e-12)
        full = torch.where(near, _gaussian(values, sigma) / weight.clamp(min=1e-12), full)
        left = left & ~near
        if not left.any():
            break
    return full


def _gaussian(planes: Tensor, sigma: float) -> Tensor:
    """Convolve ``(C, H, W)`` with a Gaussian of the sum 1; there is nothing beyond the edges."""
    radius = int(WIDTH * sigma)
    places = torch.arange(-radius, radius + 1, dtype=planes.dtype, device=planes.device)
    kernel = torch.exp(-((places / sigma) ** 2) / 2) / (math.sqrt(2 * math.pi) * sigma)
    rows = conv2d(planes[:, None], kernel[None, None, :, None], padding=(radius, 0))
    return conv2d(rows, kernel[None, None, None], padding=(0, radius))[:, 0]


def filled(pixels: Tensor, holes: Tensor, medians: Tensor | None = None) -> Tensor:
    """Fill pixels without a value with the median of their band; 0 in a band without values."""
    if not holes.any():
        return pixels
    full = pixels.clone()
    for index, (band, bad) in enumerate(zip(full, holes, strict=True)):
        if medians is not None:
            band[bad] = medians[index]
        else:
            band[bad] = band[~bad].median() if not bad.all() else 0.0
    return full


def marks(bad: Tensor, radius: int) -> Tensor:
    """Mark bad pixels by 1, and those up to so many pixels around them by 2; uint8."""
    plain = bad.to(torch.uint8)
    if not radius or plain.is_meta:
        return plain
    near = max_pool2d(bad.float(), 2 * radius + 1, 1, radius) > 0
    return torch.where(near & ~bad, 2, plain)


def resized_marks(bad: Tensor, radius: int, size: tuple[int, ...]) -> Tensor:
    """Return :func:`marks` at the size of SR."""
    return resize_mask(marks(bad, radius), size)


def note_on_holes(count: int) -> str:
    """Describe that some pixels have no value."""
    counted = "1 pixel has" if count == 1 else f"{count} pixels have"
    return f"{counted} no value, and none in SR either"
