"""Read pages of TIFF files whole or by rows."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from tifffile import TiffPage

from srkit.functional import Values
from srkit.images import StoredArray
from srkit_photos.formats.array_windows import laid_out
from srkit_photos.formats.tiff_codecs import decode_segment, lacks_codec

#: Maximum values of a strip or tile for reading by rows, since each is decoded whole.
LARGEST_SEGMENT = 2**26


def page_values(path: Path, page: TiffPage) -> Values:
    """Read a page in the layout of its axes.

    Raises
    ------
    DataError
        If it is compressed and the codec is missing.
    """
    try:
        return page.asarray()
    except ValueError as error:
        if not lacks_codec(error):
            raise
    return PageRows(path, page).read(0, page.imagelength)


class PageRows:
    """Rows of a page in the layout of its axes.

    Parameters
    ----------
    path
        Path for error messages.
    page
        The page of an open file.
    """

    def __init__(self, path: Path, page: TiffPage) -> None:
        self._path, self._page = path, page
        self._handle = cast(BinaryIO, page.parent.filehandle)
        self._planes, _, self._height, self._width, self._samples = page.shaped
        self._rows = page.tilelength if page.is_tiled else min(page.rowsperstrip, self._height)
        self._columns = page.tilewidth if page.is_tiled else self._width

    @property
    def small_enough(self) -> bool:
        """Whether its parts are small enough to be decoded one by one."""
        part = self._rows * self._columns * self._samples
        return bool(self._page.is_memmappable) or part <= LARGEST_SEGMENT

    def read(self, start: int, stop: int) -> Values:
        """Read rows.

        Raises
        ------
        DataError
            If they are compressed and the codec is missing.
        EOFError
            If the file ends before them.
        """
        page = self._page
        if page.is_memmappable:
            shape = self._planes, self._height, self._width, self._samples
            kind = np.dtype(page.dtype).newbyteorder(page.parent.byteorder)
            array = StoredArray(self._handle, page.dataoffsets[0], shape, kind)
            values = array.read(start, stop)
        else:
            values = self._decode(start, stop)
        axis = {"YX": None, "YXS": -1, "SYX": 0}[page.axes]
        return laid_out(values, axis)

    def _decode(self, start: int, stop: int) -> Values:
        """Decode the strips or tiles that contain some rows: ``(planes, rows, W, samples)``."""
        down, across = (
            -(-whole // part)
            for whole, part in ((self._height, self._rows), (self._width, self._columns))
        )
        values = np.empty(
            (self._planes, stop - start, self._width, self._samples), self._page.dtype
        )
        for plane in range(self._planes):
            for row in range(start // self._rows, -(-stop // self._rows)):
                for column in range(across):
                    self._place((plane * down + row) * across + column, start, values)
        return values

    def _place(self, index: int, start: int, values: Values) -> None:
        """Decode a strip or tile and copy the requested part."""
        page = self._page
        self._handle.seek(page.dataoffsets[index])
        count = page.databytecounts[index]
        content = self._handle.read(count) if count else None
        if content is not None and len(content) < count:
            raise EOFError("the file ends before its pixels")
        part, (plane, _, top, left, _) = decode_segment(self._path, page, content, index)
        height, width = (self._rows, self._columns) if part is None else part.shape[1:3]
        first, last = max(top, start), min(top + height, start + values.shape[1])
        right = min(left + width, self._width)
        target = values[plane, first - start : last - start, left:right]
        if part is None:
            target[:] = page.nodata
        else:
            target[:] = part[0, first - top : last - top, : right - left]
