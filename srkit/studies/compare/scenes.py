"""Scenes: an input, a baseline and results as layers with the same scale, colours and position."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from scipy import ndimage
from torch import Tensor

from srkit.components.registry import Registry
from srkit.functional.resizing import resized_side
from srkit.images._drawing import draw, has_colour_scale
from srkit.images._levels import is_measured, rounded
from srkit.images.crops import crop_image
from srkit.interfaces import Batch, Image, Metric
from srkit.models.open import open_model
from srkit.studies.compare.results import Layer, Scene
from srkit.studies.metrics import measure_image
from srkit.upscaling.alpha import upscale_picture
from srkit.upscaling.upscaler import ImageUpscaler

INPUT, BASELINE, HR = "input", "bicubic", "HR"
#: Most pixels of all images of a page, which limits it to about 20 MB, and of a side of an image.
BUDGET, LONGEST = 8_000_000, 1536
#: LR pixels around a part that affect its baseline.
MARGIN = 8

#: Left, top, right and bottom edge in LR pixels.
Part = tuple[int, int, int, int]


def make_scene(
    name: str,
    lr: Image,
    results: Mapping[str, Image],
    scale: float,
    registry: Registry,
    *,
    reference: Image | None = None,
    metrics: Mapping[str, Metric] | None = None,
    share: float = 1.0,
    centre: tuple[float, float] | None = None,
) -> Scene:
    """Draw an image and its results as layers of a scene, and add a bicubic baseline.

    Only a part of an image that is too large is shown.

    Parameters
    ----------
    name
        Name of the image.
    lr
        The input.
    results
        SR by model, in the values of `lr`.
    scale
        Ratio of the sides of SR and LR.
    registry
        The available components.
    reference
        HR in the values of `lr` and the size of SR, if available.
    metrics
        Metrics of the whole image, which are measured if there is HR.
    share
        Share of the pixels of a page that the scene may use.
    centre
        LR pixel (x, y) at the centre of the part; by default the part with most detail is shown.

    Raises
    ------
    DataError
        If a result cannot be measured.
    """
    count = len(results) + 1 + (reference is not None)
    side = min(LONGEST, math.sqrt(BUDGET * share / count))
    part = _part(lr, max(16, int(side / scale)), centre)
    shown, restored = {INPUT: crop(lr, part, 1)}, dict(results)
    if BASELINE not in restored:
        if reference is None:
            shown[BASELINE] = _baseline(lr, part, scale, registry)
        else:  # its scores are those of the whole image
            whole = _baseline(lr, (0, 0, *_size(lr)), scale, registry)
            restored = {BASELINE: whole, **restored}
    shown |= {model: crop(sr, part, scale) for model, sr in restored.items()}
    scores = {}
    if reference is not None:
        shown[HR] = crop(reference, part, scale)
        for model, sr in restored.items():
            scores[model] = _scores(name, sr, lr, reference, metrics or {})
    height, width = next(reversed(shown.values())).pixels.shape[-2:]
    uris, bar = draw(lr, list(shown.values()))
    layers = [
        Layer(layer, uri, width / image.pixels.shape[-1], scores.get(layer, {}))
        for (layer, image), uri in zip(shown.items(), uris, strict=True)
    ]
    return Scene(name, _title(lr, scale, part), width, height, layers, bar)


def crop(image: Image, part: Part, scale: float) -> Image:
    """Crop a part of LR out of an image that is `scale` times as large as LR."""
    left, top, right, bottom = (round(edge * scale) for edge in part)
    return crop_image(image, slice(top, bottom), slice(left, right))


def restore(upscaler: ImageUpscaler, lr: Image) -> Image:
    """Restore an image with its opacity."""
    upscaled, alpha = upscale_picture(upscaler, lr)
    metadata = {"bits": lr.metadata.get("bits", 32)}
    metadata |= {} if alpha is None else {"alpha": alpha}
    return Image(upscaled.pixels, lr.data_range, metadata)


def _size(image: Image) -> tuple[int, int]:
    height, width = image.pixels.shape[-2:]
    return width, height


def _part(lr: Image, side: int, centre: tuple[float, float] | None) -> Part:
    """Choose the part to show: everything, the part with most detail, or that around a pixel."""
    width, height = _size(lr)
    columns, rows = min(width, side), min(height, side)
    x, y = centre or _most_detailed(lr.pixels, rows, columns)
    left = min(max(round(x - columns / 2), 0), width - columns)
    top = min(max(round(y - rows / 2), 0), height - rows)
    return left, top, left + columns, top + rows


def _most_detailed(pixels: Tensor, rows: int, columns: int) -> tuple[float, float]:
    """Find the centre (x, y) of the part with the largest differences between neighbours."""
    plane = np.nan_to_num(pixels.float().mean(0).numpy())
    change = np.zeros_like(plane)
    for axis, size in enumerate(plane.shape):
        if size > 1:
            change += np.abs(np.gradient(plane, axis=axis))
    limit = np.quantile(change, 0.99)  # so that a single bright star does not count as detail
    mean = ndimage.uniform_filter(np.minimum(change, limit), (rows, columns), mode="constant")
    y, x = np.unravel_index(int(mean.argmax()), mean.shape)
    return float(x), float(y)


def _baseline(lr: Image, part: Part, scale: float, registry: Registry) -> Image:
    """Enlarge a part of LR by bicubic interpolation."""
    left, top, right, bottom = part
    width, height = _size(lr)
    outer = (
        max(0, left - MARGIN),
        max(0, top - MARGIN),
        min(width, right + MARGIN),
        min(height, bottom + MARGIN),
    )
    model = open_model(BASELINE, registry, at_least=scale)
    sr = restore(ImageUpscaler(model, scale=scale, precision="fp32"), crop(lr, outer, 1))
    inner = (left - outer[0], top - outer[1], right - outer[0], bottom - outer[1])
    return crop(sr, inner, scale)


def _scores(
    name: str, sr: Image, lr: Image, hr: Image, metrics: Mapping[str, Metric]
) -> dict[str, float]:
    """Measure SR against HR, after rounding to 8 bits unless the values are measured."""
    pixels = sr.pixels if is_measured(lr) else rounded(sr.pixels, lr)
    channels = 3 if len(pixels) == 1 and not is_measured(lr) else -1
    sr_pixels, hr_pixels, lr_pixels = (
        each[None].float().expand(-1, channels, -1, -1) for each in (pixels, hr.pixels, lr.pixels)
    )
    batch = Batch([name], hr_pixels, [0], lr=lr_pixels, data_range=hr.data_range)
    return measure_image(sr_pixels, batch, metrics)


def _title(lr: Image, scale: float, part: Part) -> str:
    width, height = _size(lr)
    large = [resized_side(side, scale) for side in (width, height)]
    title = f"{width} × {height} pixels, restored to {large[0]} × {large[1]}"
    if part != (0, 0, width, height):
        left, top, right, bottom = part
        title += f"; shown: {right - left} × {bottom - top} input pixels from ({left}, {top})"
    bands = len(lr.pixels)
    if has_colour_scale(lr) and bands > 1:
        title += f"; the first of {bands} bands"
    side = lr.metadata.get("pixel_scale")
    return title + (f"; pixel scale of the input: {side:.3g}″" if side else "")
