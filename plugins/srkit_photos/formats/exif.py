"""EXIF of enlarged pictures: what is scaled, and what is removed since it is wrong then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import PIL.Image
from PIL import TiffTags
from PIL.ExifTags import IFD, Base
from PIL.TiffTags import lookup

#: Entries that count pixels of the sensor or of the picture.
SCALED = (Base.FocalPlaneXResolution, Base.FocalPlaneYResolution)
POSITIONS = (37396, 41492)  # SubjectArea and SubjectLocation
#: Entries that describe the stored file.
REMOVED = (Base.CompressedBitsPerPixel,)


def enlarged(stored: bytes, scale: float) -> bytes | None:
    """Update EXIF for a picture that was turned upright and enlarged; None if it is damaged.

    Sizes and resolution are updated when the picture is written, see :func:`.metadata.exif_of`.
    """
    exif = PIL.Image.Exif()
    try:
        exif.load(stored)
        details = exif.get_ifd(IFD.Exif)
        orientation = exif.get(Base.Orientation, 1)
        for tag in SCALED:
            _change(details, tag, lambda value: float(value) * scale)
        for tag in POSITIONS:
            if orientation == 1:
                _change(details, tag, lambda values: _scaled(values, scale))
            else:  # they refer to the picture before it was turned
                details.pop(tag, None)
        if orientation in (5, 6, 7, 8):
            across, down = (details.pop(tag, None) for tag in SCALED)
            swapped = zip(SCALED, (down, across), strict=True)
            details.update({tag: value for tag, value in swapped if value is not None})
        for tag in REMOVED:
            details.pop(tag, None)
        keep_characters(exif)
        return exif.tobytes()
    except Exception:  # Pillow raises many kinds for damaged EXIF
        return None


def keep_characters(tags: PIL.Image.Exif) -> None:
    """Replace texts by their bytes, since Pillow writes ``?`` for all characters but ASCII."""
    for tag, value in dict(tags).items():
        if isinstance(value, str) and not value.isascii() and lookup(tag).type == TiffTags.ASCII:
            tags[tag] = encoded(value)


def encoded(text: str | bytes) -> bytes:
    """Return the bytes that Pillow decoded, in whatever encoding they are."""
    if isinstance(text, bytes):
        return text
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode()


def _change(details: dict[int, Any], tag: int, change: Callable[[Any], Any]) -> None:
    if tag in details:
        details[tag] = change(details[tag])


def _scaled(values: Sequence[float], scale: float) -> tuple[int, ...]:
    """Scale positions and sizes in pixels, which are 16-bit integers."""
    return tuple(min(65535, round(value * scale)) for value in values)
