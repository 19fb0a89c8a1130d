"""Images as figures show them: pictures in [0, 1], and rows of measured values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from srkit.interfaces import Batch, Stretch
from srkit.interfaces.view import View

#: An image, ``(H, W, C)``.
Pixels = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ImageRow:
    """One image of a data set with its restorations, as a figure shows them.

    Parameters
    ----------
    images
        ``original``, ``LR`` and the SR image of each model, by name. Photographs, ``(H, W, 1)`` or
        ``(H, W, 3)``, are in [0, 1]; measured values, ``(H, W, 1)``, are in `unit`.
    measured
        Whether these are measured values, which are shown on a colour scale.
    unit
        Unit of the values; may be empty.
    pixel_scale
        Side of a pixel of ``original`` in arcsec, if known.
    maps
        The map of each metric for each model, ``(H, W, 1)`` in [0, 1].
    """

    images: Mapping[str, Pixels]
    measured: bool = False
    unit: str = ""
    pixel_scale: float | None = None
    maps: Mapping[str, Mapping[str, Pixels]] = field(default_factory=dict)


def is_photograph(batch: Batch) -> bool:
    """Return whether images are photographs: RGB, or grey in [0, 1] without a unit."""
    channels = batch.hr.shape[1]
    plain = batch.data_range == (0.0, 1.0) and not batch.unit
    return channels == 3 or (channels == 1 and plain)


def to_picture(images: Tensor, batch: Batch, stretch: Stretch | None = None) -> Pixels:
    """Return the first of ``(N, C, H, W)`` images of a batch as ``(H, W, C)`` in [0, 1].

    0 and 1 are the limits of the stretch, or of the data range.
    """
    if stretch is None:
        scaled = (images - batch.data_range[0]) / batch.span
    else:
        scaled = View.of(batch, stretch).to_stretched(images)
    return _channels_last(scaled.clamp(0, 1))


def to_row(
    images: Mapping[str, Tensor],
    batch: Batch,
    stretch: Stretch | None,
    maps: Mapping[str, Mapping[str, Tensor]],
) -> ImageRow:
    """Return the first image of a batch as a row; only the first channel of measured values."""
    shown_maps = {
        metric: {name: _channels_last(each) for name, each in of_models.items()}
        for metric, of_models in maps.items()
    }
    if is_photograph(batch):
        pictures = {name: to_picture(image, batch, stretch) for name, image in images.items()}
        return ImageRow(pictures, maps=shown_maps)
    values = {name: _channels_last(image[:, :1]) for name, image in images.items()}
    return ImageRow(values, True, batch.unit, batch.pixel_scale, shown_maps)


def _channels_last(images: Tensor) -> Pixels:
    picture: Pixels = images[0].detach().float().cpu().permute(1, 2, 0).numpy()
    return picture
