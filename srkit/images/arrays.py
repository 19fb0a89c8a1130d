"""Between NumPy's arrays and images."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from srkit.errors import DataError
from srkit.functional.types import Values
from srkit.interfaces import Image

#: Up to so many channels are expected where the shape alone does not tell.
FEW = 4


def image_of_array(array: Values) -> Image:
    """Make an image of an array.

    Parameters
    ----------
    array
        ``(H, W)``, ``(H, W, C)`` or ``(C, H, W)``; see :func:`channel_axis`. Bytes and unsigned
        16-bit integers are levels of grey between black and white, and four channels of them at
        the end are RGB and opacity. All other numbers are values.

    Returns
    -------
    Image
        With ``bits`` and ``channel_axis`` among its metadata, and ``notes`` where its numbers
        cannot stay of their type.

    Raises
    ------
    DataError
        If the array is no image.
    """
    return image_of_values(array, channel_axis(array.shape))


def image_of_values(values: Values, axis: int | None) -> Image:
    """Make an image of an array whose channels are known to be the first or last axis, or none."""
    values, notes = to_depth(values)
    if axis is not None:
        values = np.moveaxis(values, axis, -1)
    image = to_image(values, alpha=has_opacity(values, axis))
    told = {"channel_axis": axis, **({"notes": notes} if notes else {})}
    return Image(image.pixels, image.data_range, {**image.metadata, **told})


def has_opacity(values: Values, axis: int | None) -> bool:
    """Tell whether the last of four channels is opacity: only of levels of grey, at the end."""
    return axis == -1 and values.shape[-1] == 4 and values.dtype.kind == "u"


def array_of_image(image: Image) -> Values:
    """Lay an image out as the array that it came from, or ``(H, W[, C])``, in its depth.

    Returns
    -------
    ndarray
        uint8 or uint16 where the metadata say ``bits: 8`` or 16, else float32.

    Raises
    ------
    DataError
        If integers are to hold a value that is not finite.
    """
    planes, alpha = image.pixels, image.metadata.get("alpha")
    if alpha is not None:
        low, high = image.data_range
        planes = torch.cat([planes, low + (high - low) * alpha.to(planes)])
    return lay_out(planes, image)


def lay_out(planes: Tensor, image: Image) -> Values:
    """Lay ``(C, H, W)`` out as :func:`array_of_image` does its image."""
    values: Values = planes.detach().cpu().float().movedim(0, -1).contiguous().numpy()
    bits = image.metadata.get("bits")
    if bits in (8, 16):
        values = to_levels(values, image.data_range, bits)
    axis = image.metadata.get("channel_axis", -1 if values.shape[-1] > 1 else None)
    return values[..., 0] if axis is None else np.moveaxis(values, -1, axis)


def channel_axis(shape: tuple[int, ...]) -> int | None:
    """Find the channels of an array: the first or the last axis, 0 or -1; None if it has none.

    That one of them is taken which is shorter than both other axes; else the last and then the
    first that has up to 4 entries.

    Raises
    ------
    DataError
        If the array has no pixels, is no image, or its shape does not tell.
    """
    if len(shape) not in (2, 3) or 0 in shape:
        raise DataError(
            f"an array of the shape {shape}; expected an image, (H, W), (H, W, C) or (C, H, W)"
        )
    if len(shape) == 2:
        return None
    for axis, others in ((-1, shape[:-1]), (0, shape[1:])):
        if shape[axis] < min(others):
            return axis
    for axis in (-1, 0):
        if shape[axis] <= FEW:
            return axis
    raise DataError(
        f"an array of the shape {shape}: cannot tell its channels; expected the first or the last "
        "axis to be the shortest: give images one by one"
    )


def to_image(values: Values, *, alpha: bool) -> Image:
    """Make an image of stored values.

    Parameters
    ----------
    values
        ``(H, W)`` or ``(H, W, C)``, uint8, uint16 or float32. Integers are divided by their
        largest value; the data range of floats is (0, 1), widened to hold them all.
    alpha
        Whether the last channel is opacity; it goes to ``metadata["alpha"]``, ``(1, H, W)``, and
        the colours stay as they are. ``metadata["bits"]`` is the depth in the file.
    """
    stacked = values if values.ndim == 3 else values[..., None]
    whole = np.issubdtype(values.dtype, np.integer)
    planes = np.ascontiguousarray(np.moveaxis(stacked, -1, 0)).astype(np.float32)
    if whole:
        planes /= np.iinfo(values.dtype).max
    pixels = torch.from_numpy(planes)
    metadata: dict[str, Any] = {"bits": values.dtype.itemsize * 8}
    if alpha:
        pixels, metadata["alpha"] = pixels[:-1], pixels[-1:]
    return Image(pixels, (0.0, 1.0) if whole else _range(planes), metadata)


def _range(planes: Values) -> tuple[float, float]:
    finite = planes[np.isfinite(planes)]
    return range_between(float(finite.min(initial=0)), float(finite.max(initial=1)))


def range_between(low: float, high: float) -> tuple[float, float]:
    """Give the data range of floats between these: (0, 1), widened to hold them all."""
    return min(low, 0.0), max(high, 1.0)


def outline_of(part: Image, height: int, width: int) -> Image:
    """Give an image of another size, without values, of a part of it."""
    pixels = torch.empty(len(part.pixels), height, width, device="meta")
    planes = {"alpha": pixels[:1]} if "alpha" in part.metadata else {}
    return Image(pixels, part.data_range, {**part.metadata, **planes})


def to_depth(values: Values) -> tuple[Values, list[str]]:
    """Bring stored numbers to uint8, uint16 or float32.

    Truth values become black and white; other integers, which are measured values rather than
    levels of grey, become floats of the same value, as do floats of other precisions.

    Returns
    -------
    values
        Of the shape that was given.
    notes
        What the user should know of it.

    Raises
    ------
    DataError
        If they are no real numbers, or too large.
    """
    native = values.dtype.newbyteorder("=")
    if native in (np.uint8, np.uint16, np.float32):
        return np.asarray(values, native), []
    if values.dtype == bool:
        return values.astype(np.uint8) * np.uint8(255), []
    if values.dtype.kind not in "iuf":
        raise DataError(f"its values are {values.dtype}; expected integers or floats")
    with np.errstate(over="ignore"):
        floats = values.astype(np.float32)
    if np.isinf(floats).sum() > np.isinf(values).sum():
        raise DataError("its values do not fit in float32; scale them to another unit")
    return floats, [f"{values.dtype.name} values become float32"]


def to_levels(values: Values, data_range: tuple[float, float], bits: int) -> Values:
    """Round values to integers of 8 or 16 bits; what lies outside the data range is clipped.

    Raises
    ------
    DataError
        If a value is not finite.
    """
    if not np.isfinite(values).all():
        raise DataError(
            "the image holds values that are not finite; integers cannot: write .tif, .npy or .fits"
        )
    low, high = data_range
    white = 2**bits - 1
    light = ((values - low) / (high - low)).clip(0, 1)
    levels: Values = np.floor(light * white + 0.5).astype(np.uint8 if bits == 8 else np.uint16)
    return levels
