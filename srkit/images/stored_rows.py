"""Read rows and write windows of arrays in files, without mapping them into memory."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from srkit.functional.types import Values

#: Bytes that are read at once for a checksum.
CHUNK = 2**24


@dataclass(frozen=True, slots=True)
class StoredArray:
    """The uncompressed, contiguous pixels of an image in a file.

    Parameters
    ----------
    file
        Open for reading or writing, unbuffered.
    offset
        Position of the first byte.
    shape
        ``(planes, H, W, samples)``: planes follow each other, the samples of a pixel are adjacent.
    dtype
        Data type with byte order.
    """

    file: BinaryIO
    offset: int
    shape: tuple[int, int, int, int]
    dtype: np.dtype[np.generic]

    @property
    def row_bytes(self) -> int:
        """Number of bytes of a row of a plane."""
        return self.shape[2] * self.shape[3] * self.dtype.itemsize

    @property
    def end(self) -> int:
        """Offset after the last byte."""
        return self.offset + self.shape[0] * self.shape[1] * self.row_bytes

    def read(self, start: int, stop: int) -> Values:
        """Read the rows from `start` to `stop`: ``(planes, rows, W, samples)``.

        Raises
        ------
        EOFError
            If the file ends before that.
        """
        planes, _, width, samples = self.shape
        values = np.empty((planes, stop - start, width, samples), self.dtype)
        for plane in range(planes):
            self.file.seek(self._place(plane, start, 0))
            _fill(self.file, memoryview(values[plane]).cast("B"))
        return values

    def write(self, top: int, left: int, values: Values) -> None:
        """Write a window, ``(planes, rows, columns, samples)``, at row `top` and column `left`."""
        stored = np.ascontiguousarray(values, self.dtype)
        whole = stored.shape[2] == self.shape[2]
        for plane, rows in enumerate(stored):
            for row, piece in enumerate([rows] if whole else rows):
                self.file.seek(self._place(plane, top + row, left))
                _put(self.file, memoryview(piece).cast("B"))

    def digest(self, start: int, stop: int, before: int = 0) -> int:
        """Return the CRC-32 of stored rows, continued from that of other bytes.

        Raises
        ------
        EOFError
            If the file ends before that.
        """
        for plane in range(self.shape[0]):
            first = self._place(plane, start, 0)
            for chunk in chunks(self.file, first, first + (stop - start) * self.row_bytes):
                before = zlib.crc32(chunk, before)
        return before

    def _place(self, plane: int, row: int, column: int) -> int:
        _, height, _, samples = self.shape
        start = self.offset + (plane * height + row) * self.row_bytes
        return start + column * samples * self.dtype.itemsize


def chunks(file: BinaryIO, start: int, stop: int) -> Iterator[bytes]:
    """Iterate over the bytes of a file from `start` to `stop`, in chunks.

    Raises
    ------
    EOFError
        If the file ends before that.
    """
    file.seek(start)
    while start < stop:
        chunk = file.read(min(CHUNK, stop - start))
        if not chunk:
            raise EOFError("the file ends before its pixels")
        start += len(chunk)
        yield chunk


def _fill(file: BinaryIO, view: memoryview) -> None:
    while view:
        count = file.readinto(view)  # type: ignore[attr-defined]
        if not count:
            raise EOFError("the file ends before its pixels")
        view = view[count:]


def _put(file: BinaryIO, view: memoryview) -> None:
    while view:
        view = view[file.write(view) :]
