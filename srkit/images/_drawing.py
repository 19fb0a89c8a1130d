"""Images as PNG for pages, several on the same scale."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
import PIL.Image
from matplotlib.colors import Normalize
from numpy.typing import NDArray

from srkit.images._levels import is_measured
from srkit.interfaces import Image
from srkit.report.colour_scales import VALUES, brightness_scale, round_ticks
from srkit.report.pages import data_uri

#: Limit of the colour scale beyond the range of LR, as a multiple of that range.
BEYOND = 3.0
#: Number of colours of measured values; the last of 256 is for pixels without a value.
COLOURS = 255

Levels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ColourBar:
    """The values of the colours.

    Parameters
    ----------
    colours
        CSS colours from the lowest value to the highest.
    ticks
        Position in percent, and value.
    unit
        Unit of the values.
    """

    colours: list[str]
    ticks: list[tuple[float, str]]
    unit: str


def has_colour_scale(image: Image) -> bool:
    """Return whether an image is shown with a colour scale, unlike photographs."""
    channels = len(image.pixels)
    is_photograph = channels == 3 and "unit" not in image.metadata
    return channels not in (1, 3) or (is_measured(image) and not is_photograph)


def draw(lr: Image, images: Sequence[Image]) -> tuple[list[str], ColourBar | None]:
    """Draw images on the same scale, as data URIs.

    Photographs are drawn within the data range of LR. Of measured values, the first band is drawn
    with an asinh stretch. FITS frames are drawn with the first row at the bottom.

    Parameters
    ----------
    lr
        The input, which determines the way in which all images are drawn.
    images
        The images, the input among them and first.

    Returns
    -------
    uris, bar
        The images, and the colour bar of measured values.
    """
    bar = None
    if has_colour_scale(lr):
        norm = _colour_scale(images)
        bar = _bar(norm, str(lr.metadata.get("unit", "")))
        pictures = [_in_colours(image, norm) for image in images]
    else:
        pictures = [_photograph(image, lr.data_range) for image in images]
    if lr.metadata.get("frame"):
        pictures = [each.transpose(PIL.Image.Transpose.FLIP_TOP_BOTTOM) for each in pictures]
    return [_uri(each) for each in pictures], bar


def _uri(picture: PIL.Image.Image) -> str:
    data = io.BytesIO()
    picture.save(data, "PNG")
    return data_uri(data.getvalue())


def _photograph(image: Image, data_range: tuple[float, float]) -> PIL.Image.Image:
    low, high = data_range
    planes = [*np.nan_to_num((image.pixels.float().numpy() - low) / (high - low))]
    if "alpha" in image.metadata:
        planes += [*image.metadata["alpha"].numpy()]
    levels: Levels = (np.stack(planes, -1).clip(0, 1) * 255).round().astype(np.uint8)
    return PIL.Image.fromarray(levels.squeeze(-1) if len(planes) == 1 else levels)


def _colour_scale(images: Sequence[Image]) -> Normalize:
    first = images[0].pixels[0].numpy()
    if not np.isfinite(first).any():
        first = np.nan_to_num(first, nan=0.0)
    low, high = float(np.nanmin(first)), float(np.nanmax(first))
    # Diverged values of one model must not hide the other models.
    limit = BEYOND * (high - low)
    others = [image.pixels[0].numpy().clip(low - limit, high + limit) for image in images[1:]]
    return brightness_scale(first, *others)


def _in_colours(image: Image, norm: Normalize) -> PIL.Image.Image:
    values = image.pixels[0].float().numpy()
    known = np.isfinite(values)
    index: Levels = np.full(values.shape, COLOURS, np.uint8)
    index[known] = (norm(values[known]).clip(0, 1) * (COLOURS - 1)).round()
    picture = PIL.Image.fromarray(index)
    picture.putpalette([*_colours(COLOURS).ravel().tolist(), 0, 0, 0])
    picture.info["transparency"] = COLOURS
    return picture


def _colours(count: int) -> Levels:
    shades = matplotlib.colormaps[VALUES](np.linspace(0, 1, count))[:, :3]
    levels: Levels = (shades * 255).round().astype(np.uint8)
    return levels


def _bar(norm: Normalize, unit: str) -> ColourBar:
    colours = ["#{:02x}{:02x}{:02x}".format(*shade) for shade in _colours(24)]
    ticks = [
        (100 * float(norm(value)), f"{value:g}".replace("-", "−")) for value in round_ticks(norm)
    ]
    return ColourBar(colours, ticks, unit or "value")
