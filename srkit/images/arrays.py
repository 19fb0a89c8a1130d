"""Convert between NumPy arrays and images."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from srkit.errors import DataError
from srkit.functional.types import Values
from srkit.interfaces import Image

#: Largest number of channels that is assumed if the shape alone is ambiguous.
FEW = 4
#: Values by which floats mark pixels without a value although no tag says so, of either sign, with
#: their tolerance: the largest float32 (often written as -3.4e38) and float64, and the fill values
#: of CF and netCDF, of HEALPix and of IRAF (INDEF).
SENTINELS = {
    3.4028235e38: 1e-3,
    1.7976931e308: 1e-6,
    1e20: 1e-6,
    9.969209968386869e36: 1e-6,
    1.6375e30: 1e-6,
    1.6e38: 1e-6,
    1.6e308: 1e-6,
}
#: Below this, float32 loses digits.
_SMALLEST = float(np.finfo(np.float32).tiny)


def image_of_array(array: Values) -> Image:
    """Convert an array to an image.

    Parameters
    ----------
    array
        ``(H, W)``, ``(H, W, C)`` or ``(C, H, W)``; see :func:`channel_axis`. uint8 and uint16 are
        levels between black and white, and four channels of them in the last axis are RGB and
        opacity. All other numbers are measured values.

    Returns
    -------
    Image
        Its metadata contain ``bits`` and ``channel_axis``, and ``notes`` if the type of the
        numbers was changed.

    Raises
    ------
    DataError
        If the array is not an image, or its values are too small for float32.
    """
    axis = channel_axis(array.shape)
    check_magnitude(array)
    return image_of_values(array, axis)


def image_of_values(values: Values, axis: int | None) -> Image:
    """Convert an array to an image, as :func:`image_of_array` does.

    Parameters
    ----------
    values
        The array.
    axis
        The axis of the channels: 0, -1, or None if there is none.
    """
    values, notes = to_depth(values)
    if axis is not None:
        values = np.moveaxis(values, axis, -1)
    alpha = axis == -1 and values.shape[-1] == 4 and values.dtype.kind == "u"
    image = to_image(values, alpha=alpha)
    added = {"channel_axis": axis, **({"notes": notes} if notes else {})}
    return Image(image.pixels, image.data_range, {**image.metadata, **added})


def array_of_image(image: Image) -> Values:
    """Convert an image to an array of its original layout, else ``(H, W[, C])``.

    Returns
    -------
    ndarray
        uint8 or uint16 if the metadata contain ``bits: 8`` or 16, else float32.

    Raises
    ------
    DataError
        If a value is not finite, which integers cannot represent.
    """
    planes, alpha = image.pixels, image.metadata.get("alpha")
    if alpha is not None:
        low, high = image.data_range
        planes = torch.cat([planes, low + (high - low) * alpha.to(planes)])
    return lay_out(planes, image)


def lay_out(planes: Tensor, image: Image) -> Values:
    """Convert ``(C, H, W)`` planes to an array in the layout and depth of an image."""
    values: Values = planes.detach().cpu().float().movedim(0, -1).contiguous().numpy()
    bits = image.metadata.get("bits")
    if bits in (8, 16):
        values = to_levels(values, image.data_range, bits)
    axis = image.metadata.get("channel_axis", -1 if values.shape[-1] > 1 else None)
    return values[..., 0] if axis is None else np.moveaxis(values, -1, axis)


def channel_axis(shape: tuple[int, ...]) -> int | None:
    """Find the axis of the channels of an array.

    It is the last or the first axis, whichever is shorter than both others; otherwise the last or
    the first that has at most 4 entries.

    Returns
    -------
    int or None
        -1 or 0; None if the array has no such axis.

    Raises
    ------
    DataError
        If the array has no pixels, is not an image, or its shape is ambiguous.
    """
    if len(shape) not in (2, 3) or 0 in shape:
        raise DataError(
            f"an array of shape {shape}; expected an image, (H, W), (H, W, C) or (C, H, W)"
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
        f"an array of shape {shape}: the axis of the channels is ambiguous; put the channels "
        "on the last or first axis, shorter than both others, or state the axes in Python, such as "
        "axes='NHW' for a stack of images"
    )


def to_image(values: Values, *, alpha: bool) -> Image:
    """Convert stored values to an image.

    Parameters
    ----------
    values
        ``(H, W)`` or ``(H, W, C)``, uint8, uint16 or float32. Integers are divided by the largest
        value of their type; the data range of floats is (0, 1), extended to contain them all.
    alpha
        Whether the last channel is opacity, which becomes ``metadata["alpha"]``, ``(1, H, W)``;
        the colours are not changed by it.

    Returns
    -------
    Image
        ``metadata["bits"]`` is the depth of the stored values.
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
    """Return the data range of floats between two values: (0, 1), extended to contain them."""
    return min(low, 0.0), max(high, 1.0)


def outline_of(part: Image, height: int, width: int) -> Image:
    """Return an image of another size, without values, that is otherwise like a part of it."""
    pixels = torch.empty(len(part.pixels), height, width, device="meta")
    planes = {"alpha": pixels[:1]} if "alpha" in part.metadata else {}
    return Image(pixels, part.data_range, {**part.metadata, **planes})


def to_depth(values: Values) -> tuple[Values, list[str]]:
    """Convert stored numbers to uint8, uint16 or float32.

    Booleans become black and white. Other integers, which are measured values rather than levels,
    become floats of the same value, as do floats of other precisions. Sentinels become NaN.

    Returns
    -------
    values
        Array of the same shape.
    notes
        Notes for the user on the conversion.

    Raises
    ------
    DataError
        If they are not real numbers, or too large.
    """
    native = values.dtype.newbyteorder("=")
    if native in (np.uint8, np.uint16):
        return np.asarray(values, native), []
    if values.dtype == bool:
        return values.astype(np.uint8) * np.uint8(255), []
    if values.dtype.kind not in "iuf":
        raise DataError(f"its values are {values.dtype}; expected integers or floats")
    known, notes = without_sentinels(values) if values.dtype.kind == "f" else (values, [])
    if native == np.float32:
        return np.asarray(known, native), notes
    with np.errstate(over="ignore"):
        floats = known.astype(np.float32)
    if np.isinf(floats).sum() > np.isinf(known).sum():
        raise DataError("its values do not fit in float32; scale them to another unit")
    return floats, [f"{values.dtype.name} values become float32", *notes]


def without_sentinels(values: Values) -> tuple[Values, list[str]]:
    """Replace the sentinels of floats by NaN.

    Returns
    -------
    values
        The same array if there are none, else a copy.
    notes
        A line for the user that names the sentinels, since their meaning is guessed.
    """
    least = min(SENTINELS) * 0.9
    if float(np.finfo(values.dtype).max) < least:
        return values, []
    large = np.unique(values[np.isfinite(values) & (np.abs(values) > least)])
    found = [
        value
        for value in large
        if any(abs(abs(float(value)) / each - 1) < most for each, most in SENTINELS.items())
    ]
    if not found:
        return values, []
    listed = ", ".join(f"{value:.6g}" for value in found)
    marked = np.where(np.isin(values, found), values.dtype.type(np.nan), values)
    return marked, [f"pixels of {listed} are taken to have no value, though no tag says so"]


def check_magnitude(values: Values) -> None:
    """Check that not all values of an image vanish in float32.

    Raises
    ------
    DataError
        If even the largest has fewer digits in float32 than other numbers.
    """
    if values.dtype.kind == "f":
        sizes = np.abs(values)
        largest = float(np.max(sizes, where=np.isfinite(sizes), initial=0))
        if 0 < largest < _SMALLEST:
            raise DataError(
                f"its values are too small for float32, at most {largest:.3g}; scale them to "
                "another unit"
            )


def to_levels(values: Values, data_range: tuple[float, float], bits: int) -> Values:
    """Convert values to integers of 8 or 16 bits; values outside the data range are clipped.

    Raises
    ------
    DataError
        If a value is not finite.
    """
    if not np.isfinite(values).all():
        raise DataError(
            "the image contains values that are not finite, which integers cannot represent; write "
            ".tif, .npy or .fits"
        )
    low, high = data_range
    white = 2**bits - 1
    light = ((values - low) / (high - low)).clip(0, 1)
    levels: Values = np.floor(light * white + 0.5).astype(np.uint8 if bits == 8 else np.uint16)
    return levels
