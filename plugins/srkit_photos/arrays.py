"""Between the values that picture files store and images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from srkit.errors import DataError
from srkit.interfaces import Image

Values = NDArray[Any]

#: The tag of EXIF and TIFF that says which way is up.
ORIENTATION = 274


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
    return float(finite.min(initial=0)), float(finite.max(initial=1))


def to_values(path: Path, image: Image, *, alpha: bool = True) -> Values:
    """Lay out an image as files store it: ``(H, W)`` or ``(H, W, C)`` float32, opacity last.

    Raises
    ------
    DataError
        If the image is neither grey nor RGB, or its opacity has another size.
    """
    planes = image.pixels
    if planes.ndim != 3 or len(planes) not in (1, 3):
        raise DataError(
            f"{path}: got an image of shape {tuple(planes.shape)}; a picture file holds 1 or 3 "
            "channels of pixels"
        )
    opacity = image.metadata.get("alpha") if alpha else None
    if opacity is not None:
        if opacity.shape[-2:] != planes.shape[-2:]:
            raise DataError(
                f"{path}: the opacity is {tuple(opacity.shape[-2:])} and the image "
                f"{tuple(planes.shape[-2:])}; resize metadata['alpha'] or leave it out"
            )
        low, high = image.data_range
        planes = torch.cat([planes, low + (high - low) * opacity.to(planes)])
    values: Values = planes.detach().cpu().float().movedim(0, -1).contiguous().numpy()
    return values


def to_levels(path: Path, image: Image, bits: int, *, alpha: bool = True) -> Values:
    """Round an image to integers of 8 or 16 bits; what lies outside its data range is clipped.

    Raises
    ------
    DataError
        As :func:`to_values`, and if a value is not finite.
    """
    values = to_values(path, image, alpha=alpha)
    if not np.isfinite(values).all():
        raise DataError(f"{path}: the image holds values that are not finite; integers cannot")
    low, high = image.data_range
    white = 2**bits - 1
    light = ((values - low) / (high - low)).clip(0, 1)
    levels: Values = np.floor(light * white + 0.5).astype(np.uint8 if bits == 8 else np.uint16)
    return levels[..., 0] if levels.shape[-1] == 1 else levels


def upright(values: Values, orientation: int) -> Values:
    """Turn ``(H, W, ...)`` values by an EXIF orientation, 1 to 8; 1 and unknown ones do nothing."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return values


def damaged(path: Path, error: Exception) -> DataError:
    """Word a decoder's complaint."""
    return DataError(
        f"{path}: cannot be decoded ({type(error).__name__}: {error}); it may be damaged or "
        "incomplete: copy it again, or remove it"
    )
