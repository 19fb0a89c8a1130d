"""Arrays in files, of which rows are read and windows written; nothing is mapped into memory."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from srkit.functional.types import Values

#: Bytes that are read at once where only a sum of them is wanted.
CHUNK = 2**24


@dataclass(frozen=True, slots=True)
class StoredArray:
    """Numbers of an image in a file, uncompressed and without gaps.

    Parameters
    ----------
    file
        Open for reading or writing, without a buffer of its own.
    offset
        Of the first byte.
    shape
        ``(planes, H, W, samples)``: planes lie one behind the other, samples side by side.
    dtype
        With its byte order.
    """

    file: BinaryIO
    offset: int
    shape: tuple[int, int, int, int]
    dtype: np.dtype[np.generic]

    @property
    def row_bytes(self) -> int:
        """Bytes of a row of a plane."""
        return self.shape[2] * self.shape[3] * self.dtype.itemsize

    @property
    def end(self) -> int:
        """Offset behind the last byte."""
        return self.offset + self.shape[0] * self.shape[1] * self.row_bytes

    def read(self, start: int, stop: int) -> Values:
        """Read the rows from `start` up to `stop`: ``(planes, rows, W, samples)``.

        Raises
        ------
        EOFError
            If the file ends before.
        """
        planes, _, width, samples = self.shape
        values = np.empty((planes, stop - start, width, samples), self.dtype)
        for plane in range(planes):
            self.file.seek(self._place(plane, start, 0))
            _fill(self.file, memoryview(values[plane]).cast("B"))
        return values

    def write(self, top: int, left: int, values: Values) -> None:
        """Write a window, ``(planes, rows, columns, samples)``, where it belongs."""
        stored = np.ascontiguousarray(values, self.dtype)
        whole = stored.shape[2] == self.shape[2]
        for plane, rows in enumerate(stored):
            for row, piece in enumerate([rows] if whole else rows):
                self.file.seek(self._place(plane, top + row, left))
                _put(self.file, memoryview(piece).cast("B"))

    def digest(self, start: int, stop: int, before: int = 0) -> int:
        """Give the CRC-32 of rows as they are stored, going on from that of others.

        Raises
        ------
        EOFError
            If the file ends before.
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
    """Read the bytes of a file from `start` up to `stop`, some at a time.

    Raises
    ------
    EOFError
        If the file ends before.
    """
    file.seek(start)
    while start < stop:
        chunk = file.read(min(CHUNK, stop - start))
        if not chunk:
            raise EOFError("it ends before its pixels do")
        start += len(chunk)
        yield chunk


def _fill(file: BinaryIO, view: memoryview) -> None:
    while view:
        count = file.readinto(view)  # type: ignore[attr-defined]
        if not count:
            raise EOFError("it ends before its pixels do")
        view = view[count:]


def _put(file: BinaryIO, view: memoryview) -> None:
    while view:
        view = view[file.write(view) :]
