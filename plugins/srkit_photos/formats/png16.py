"""16-bit PNG, which Pillow reads and writes with 8 bits if there are several channels."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import PIL.ImageFile

from srkit.functional import Values
from srkit_photos.formats.opening import open_picture
from srkit_photos.formats.png_chunks import SIGNATURE, chunk

#: Colour type of the standard by number of channels.
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}


def is_deep(path: Path) -> bool:
    """Return whether a file is a 16-bit PNG, according to its header."""
    with path.open("rb") as file:
        header = file.read(25)
    return header.startswith(SIGNATURE) and header[24:] == b"\x10"


def decode(path: Path) -> Values:
    """Read ``(H, W)`` or ``(H, W, C)`` uint16 values, opacity last."""
    with open_picture(path) as picture:
        values, hidden = _stored(path, picture), picture.info.get("transparency")
    if hidden is None:
        return values
    colours = values if values.ndim == 3 else values[..., None]
    opaque = (colours != np.array(hidden)).any(-1, keepdims=True)
    return np.concatenate([colours, np.uint16(65535) * opaque], -1)


def _stored(path: Path, picture: PIL.ImageFile.ImageFile) -> Values:
    layout = picture.tile[0].args
    if layout not in ("LA;16B", "RGB;16B", "RGBA;16B"):
        return np.array(picture)  # grey, which Pillow supports in 16 bits
    if layout == "LA;16B":
        # Four bytes per pixel, as in 8-bit RGBA.
        return _decode_as(path, "RGBA").view(">u2").astype(np.uint16)
    # Pillow keeps one byte of each pair: the first or, with little-endian order, the second.
    high, low = (_decode_as(path, layout[:-1] + end).astype(np.uint16) for end in "BL")
    return high << 8 | low


def _decode_as(path: Path, layout: str) -> Values:
    with open_picture(path) as picture:
        picture.tile = [picture.tile[0]._replace(args=layout)]
        return np.array(picture)


def encode(values: Values) -> bytes:
    """Encode ``(H, W)`` or ``(H, W, C)`` uint16 values, opacity last."""
    height, width = values.shape[:2]
    channels = 1 if values.ndim == 2 else values.shape[2]
    rows = np.ascontiguousarray(values, ">u2").reshape(height, -1).view(np.uint8)
    filtered = np.empty((height, rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = 2  # the filter "up": each row minus the row above, modulo 256
    filtered[:, 1:] = np.diff(rows, axis=0, prepend=np.zeros_like(rows[:1]))
    header = struct.pack(">IIBBBBB", width, height, 16, _COLOUR_TYPES[channels], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(filtered.tobytes())), (b"IEND", b""))
    return SIGNATURE + b"".join(chunk(name, data) for name, data in chunks)
