"""Decode JPEG files that lie in memory to bytes: the fastest way that gives the same pixels.

simplejpeg is libjpeg-turbo, as in Pillow, without Pillow's copies: the same levels in a third of
the time. Very large pictures that are to become very small ones are decoded at a quarter or an
eighth of their size, from fewer coefficients of each block.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.JpegImagePlugin
import torch
from simplejpeg import decode_jpeg, decode_jpeg_header
from torch import Tensor

from srkit.functional import Values
from srkit.images import check_pixels
from srkit_photos.formats.arrays import ORIENTATION, upright

#: How a JPEG file begins.
SIGNATURE = b"\xff\xd8\xff"
#: Colours that become grey or RGB as they are.
COLOURS = ("Gray", "YCbCr", "RGB")
#: How the segment with EXIF data begins, and what its marker is; that before the pixels.
EXIF, APP1, SOS = b"Exif\0\0", b"\xff\xe1", b"\xff\xda"
#: A picture is decoded at a fraction of its size only if that leaves so many times the pixels of
#: the wanted side: of 120 photographs none came below 45 dB, measured against the whole picture
#: shrunk by the same antialiased kernel, and their mean is 53 dB.
DETAIL = 4
#: The fractions at which that is faster than decoding all.
FRACTIONS = (8, 4)


def jpeg_levels(path: Path, content: bytes, short_side: int | None) -> Tensor | None:
    """Decode a JPEG file, turned upright by its EXIF data.

    Parameters
    ----------
    path
        For errors.
    content
        The file.
    short_side
        Pixels to which the picture's short side will be brought next; None if it stays whole. One
        of 16 times that or more comes already so small, from a quarter of its size; one of 32
        times, from an eighth.

    Returns
    -------
    Tensor or None
        ``(C, H, W)`` uint8, grey or RGB; None if the file is no JPEG, has other colours, or is not
        quite in order: Pillow is to say whether it can be used.

    Raises
    ------
    DataError
        If it is too large.
    """
    if not content.startswith(SIGNATURE):
        return None
    try:
        height, width, colours, _ = decode_jpeg_header(content)
        check_pixels(path, height, width)
        if colours not in COLOURS:
            return None
        fraction = _fraction(min(height, width), short_side)
        if short_side is not None and fraction is not None:
            values = _at_fraction(content, fraction, short_side)
        else:
            values = decode_jpeg(content, "GRAY" if colours == "Gray" else "RGB")
        turned = np.ascontiguousarray(np.atleast_3d(upright(values, _orientation(content))))
    except (OSError, SyntaxError, ValueError):
        return None
    return torch.from_numpy(turned).movedim(-1, 0)  # channels side by side are shrunk faster


def _orientation(content: bytes) -> int:
    """Read which way is up, if the file tells."""
    if not _has_exif(content):
        return 1
    with PIL.JpegImagePlugin.JpegImageFile(io.BytesIO(content)) as picture:
        told: int = picture.getexif().get(ORIENTATION, 1)
    return told


def _has_exif(content: bytes) -> bool:
    """Look through the segments before the pixels, which is faster than opening the file."""
    place = len(SIGNATURE) - 1
    while content.startswith(b"\xff", place):
        if content.startswith(b"\xff\xff", place):
            place += 1  # bytes to fill up with
            continue
        if content.startswith(APP1, place) and content.startswith(EXIF, place + 4):
            return True
        if content.startswith(SOS, place):
            return False
        place += 2 + int.from_bytes(content[place + 2 : place + 4])
    return False


def _fraction(side: int, short_side: int | None) -> int | None:
    """Choose by what a picture is decoded smaller; None for all of it."""
    if short_side is None:
        return None
    return next((each for each in FRACTIONS if side >= each * DETAIL * short_side), None)


def _at_fraction(content: bytes, fraction: int, short_side: int) -> Values:
    """Decode at a fraction of the size and shrink the rest of the way, as the whole would be."""
    with PIL.JpegImagePlugin.JpegImageFile(io.BytesIO(content)) as picture:
        sides = picture.size
        width, height = (short_side * side // min(sides) for side in sides)
        picture.draft(None, (sides[0] // fraction, sides[1] // fraction))
        # What was decoded is rounded up to whole pixels, and ends behind the picture.
        box = (0, 0, sides[0] / fraction, sides[1] / fraction)
        return np.array(picture.resize((width, height), PIL.Image.Resampling.BICUBIC, box=box))
