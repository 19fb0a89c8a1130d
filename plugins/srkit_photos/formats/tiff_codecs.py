"""Decode strips and tiles of TIFF files: by tifffile, and by Pillow without imagecodecs."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.JpegImagePlugin
import PIL.TiffImagePlugin
import PIL.WebPImagePlugin
from tifffile import COMPRESSION, PHOTOMETRIC, PREDICTOR, TiffPage

from srkit.errors import DataError
from srkit.functional import Values

#: Compressions of bytes, which Pillow's libtiff knows, too.
_BYTES = (COMPRESSION.LZW, COMPRESSION.ZSTD, COMPRESSION.LZMA, COMPRESSION.PACKBITS)
_BYTES += (COMPRESSION.ADOBE_DEFLATE, COMPRESSION.DEFLATE)
#: Compressions of black and white pixels, and the tags with their options.
_FAX = (COMPRESSION.CCITTRLE, COMPRESSION.CCITT_T4, COMPRESSION.CCITT_T6)
_FAX_OPTIONS = (266, 292, 293)
#: TIFF types of the tags that are written: 16 and 32 bits.
_LONG = 4

#: A decoded strip or tile ``(1, rows, columns, samples)``, and the place of its first pixel.
Segment = tuple[Values | None, tuple[int, ...]]


def decode_segment(path: Path, page: TiffPage, content: bytes | None, index: int) -> Segment:
    """Decode a strip or tile.

    Parameters
    ----------
    path
        Path for error messages.
    page
        Its page.
    content
        Its bytes; None if it is not stored.
    index
        Its number in the page.

    Raises
    ------
    DataError
        If its compression requires the package ``imagecodecs``, which is not installed.
    """
    try:
        values, place, _ = page.decode(content, index, jpegtables=page.jpegtables)
    except ValueError as error:
        if not lacks_codec(error):
            raise
        return _decode_by_pillow(path, page, content, index, error)
    return values, place


def lacks_codec(error: ValueError) -> bool:
    """Return whether tifffile cannot decode a page without the package ``imagecodecs``."""
    return "imagecodecs" in str(error)


def _decode_by_pillow(
    path: Path, page: TiffPage, content: bytes | None, index: int, error: ValueError
) -> Segment:
    """Decode a strip or tile without imagecodecs, as far as Pillow can."""
    place = _place(page, index)
    if content is None:
        return None, place
    rows = page.tilelength if page.is_tiled else min(page.rowsperstrip, page.imagelength - place[2])
    columns = page.tilewidth if page.is_tiled else page.imagewidth
    samples = page.samplesperpixel if page.planarconfig == 1 else 1
    shape = rows, columns, samples
    if page.compression == COMPRESSION.JPEG and page.bitspersample == 8:
        values = _jpeg(page, content)
    elif page.compression == COMPRESSION.WEBP:
        with PIL.WebPImagePlugin.WebPImageFile(io.BytesIO(content)) as picture:
            values = np.array(picture.convert("RGBA" if samples == 4 else "RGB"))
    elif page.compression in _FAX and page.bitspersample == 1:
        values = _by_libtiff(page, content, columns, rows, bits=1)
    elif page.compression in _BYTES and page.bitspersample in (8, 16, 32, 64):
        kind = np.dtype(page.dtype)
        stored = _by_libtiff(page, content, columns * samples * kind.itemsize, rows, bits=8)
        values = _unpredicted(page, np.ascontiguousarray(stored), shape)
    else:
        raise DataError(
            f"{path}: its compression {COMPRESSION(page.compression).name} is decoded by the "
            'package imagecodecs, which is not installed; pip install "srkit[tiff]"'
        ) from error
    return values.reshape(1, *values.shape[:2], samples), place


def _place(page: TiffPage, index: int) -> tuple[int, ...]:
    """Return plane, depth, row, column and sample of the first pixel of a strip or tile."""
    height, width = page.imagelength, page.imagewidth
    down = page.tilelength if page.is_tiled else page.rowsperstrip
    across = page.tilewidth if page.is_tiled else width
    columns = -(-width // across)
    plane, inside = divmod(index, columns * -(-height // down))
    return plane, 0, inside // columns * down, inside % columns * across, 0


def _jpeg(page: TiffPage, content: bytes) -> Values:
    """Decode a JPEG stream whose tables and colours are stated by the page."""
    tables = page.jpegtables[2:-2] if page.jpegtables else b""
    # The marker of Adobe states whether the colours are YCbCr; else libjpeg guesses it.
    is_ycbcr = page.photometric == PHOTOMETRIC.YCBCR
    adobe = b"\xff\xee\x00\x0eAdobe\x00\x64\0\0\0\0" + bytes([is_ycbcr])
    stream = content[:2] + adobe + tables + content[2:]
    with PIL.JpegImagePlugin.JpegImageFile(io.BytesIO(stream)) as picture:
        values = np.array(picture)
    # Pillow takes the inks of a file with that marker for inverted.
    return 255 - values if page.photometric == PHOTOMETRIC.SEPARATED else values


def _by_libtiff(page: TiffPage, content: bytes, width: int, rows: int, bits: int) -> Values:
    """Decompress a strip or tile as a grey picture of its own: ``(rows, width)``."""
    options = {tag: page.tags.valueof(tag) for tag in _FAX_OPTIONS if bits == 1}
    start = 8
    tags = {
        256: width,
        257: rows,
        258: bits,
        259: int(page.compression),
        262: int(PHOTOMETRIC.MINISBLACK),
        **{tag: int(value) for tag, value in options.items() if value is not None},
        273: start,
        277: 1,
        278: rows,
        279: len(content),
    }
    entries = b"".join(struct.pack("<HHLL", tag, _LONG, 1, tags[tag]) for tag in sorted(tags))
    padded = content + b"\0" * (len(content) % 2)
    directory = struct.pack("<H", len(tags)) + entries + b"\0\0\0\0"
    header = b"II*\0" + struct.pack("<L", start + len(padded))
    with PIL.TiffImagePlugin.TiffImageFile(io.BytesIO(header + padded + directory)) as picture:
        return np.array(picture)


def _unpredicted(page: TiffPage, stored: Values, shape: tuple[int, int, int]) -> Values:
    """Undo the prediction of values from their left neighbours (TIFF 6 and Technical Note 3)."""
    rows, columns, samples = shape
    order: Any = page.parent.byteorder
    kind = np.dtype(page.dtype)
    if page.predictor == PREDICTOR.FLOATINGPOINT:
        parts = stored.reshape(rows, -1, samples).cumsum(1, np.uint8)
        planes = parts.reshape(rows, kind.itemsize, columns * samples)
        together = np.ascontiguousarray(planes.swapaxes(1, 2))
        return together.view(kind.newbyteorder(">")).reshape(shape).astype(kind)
    values = stored.view(kind.newbyteorder(order)).reshape(shape).astype(kind)
    if page.predictor == PREDICTOR.HORIZONTAL:
        whole = values.view(f"u{kind.itemsize}")
        values = whole.cumsum(1, whole.dtype).view(kind)
    return values
