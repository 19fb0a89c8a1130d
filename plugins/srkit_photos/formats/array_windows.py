"""Images in files as uncompressed arrays: read by rows, written by windows."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from srkit.functional import Values
from srkit.images import StoredArray, check_magnitude, range_between
from srkit.interfaces import Image
from srkit_photos.formats.arrays import damaged, naming

Shape = tuple[int, int, int, int]


def stored_shape(shape: tuple[int, ...], axis: int | None) -> Shape:
    """Return planes, height, width and samples of an array with its channels along an axis."""
    if axis is None:
        return 1, shape[0], shape[1], 1
    if axis == 0:
        return shape[0], shape[1], shape[2], 1
    return 1, shape[0], shape[1], shape[2]


def laid_out(values: Values, axis: int | None) -> Values:
    """Arrange rows of a :class:`StoredArray` in the layout of their array."""
    if axis is None:
        return values[0, ..., 0]
    return values[..., 0] if axis == 0 else values[0]


class ArraySource:
    """Rows of an image that are stored uncompressed or decoded on demand.

    Parameters
    ----------
    path
        Path for error messages.
    file
        Open file, closed by :meth:`close`.
    read
        Returns the image of some rows.
    outline
        The image without its values.
    """

    def __init__(
        self, path: Path, file: BinaryIO, read: Callable[[int, int], Image], outline: Image
    ) -> None:
        self._path, self._file, self._read = path, file, read
        self._notes = list(outline.metadata.get("notes", []))
        self.outline = replace(outline, metadata={**outline.metadata, "notes": self._notes})

    def data_range(self, low: float, high: float) -> tuple[float, float]:
        """Return black and white: (0, 1) for integers; floats can only widen the range.

        Raises
        ------
        DataError
            If all values are too small for float32.
        """
        with naming(self._path):
            check_magnitude(np.array([low, high]))
        return range_between(low, high)

    def rows(self, start: int, stop: int) -> Image:
        """Read rows; their notes are added to those of the outline.

        Raises
        ------
        DataError
            If the file is truncated or damaged.
        """
        try:
            part = self._read(start, stop)
        except EOFError as error:
            raise damaged(self._path, error) from error
        self._notes += [n for n in part.metadata.get("notes", []) if n not in self._notes]
        return part

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class ArraySink:
    """An image that is written by windows into the uncompressed array of its file.

    Parameters
    ----------
    array
        The stored array.
    values
        Converts an image to an array: ``(H, W)``, ``(H, W, C)`` or ``(C, H, W)``.
    """

    def __init__(self, array: StoredArray, values: Callable[[Image], Values]) -> None:
        self._array, self._values = array, values

    def write(self, top: int, left: int, part: Image) -> None:
        """Write a window."""
        height, width = part.pixels.shape[-2:]
        planes, _, _, samples = self._array.shape
        values = self._values(part).reshape(planes, height, width, samples)
        self._array.write(top, left, values)

    def digest(self, start: int, stop: int) -> str:
        """Return a checksum of rows."""
        return f"{self._array.digest(start, stop):08x}"

    def finish(self, outline: Image) -> None:
        """Flush the file to disk."""
        os.fsync(self._array.file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._array.file.close()
