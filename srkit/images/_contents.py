"""Recognise files that srkit cannot read, to say what they are."""

from __future__ import annotations

import re

#: Bytes of a file that are enough to recognise it.
START = 128
#: Patterns of the first bytes of files that are often taken for readable images.
_KINDS = {
    rb"\s*(?:<!DOCTYPE html|<html)": "an HTML page, perhaps of a failed download",
    rb"\s*<svg|\s*<\?xml": "XML, such as a drawing in SVG",
    rb"version https://git-lfs": "a pointer of Git LFS, not the file itself",
    rb"%PDF": "a PDF document",
    rb"8BPS": "a Photoshop picture",
    rb"\xff\x0a|\0\0\0\x0cJXL ": "a JPEG XL picture",
    rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51": "a JPEG 2000 picture",
    rb"v/1\x01": "an OpenEXR picture",
    rb"#\?RADIANCE|#\?RGBE": "a Radiance picture",
    rb"qoif": "a QOI picture",
    rb"\0\0[\x01\x02]\0": "an icon",
    rb"FUJIFILMCCD-RAW|IIR[OS]|II\x55\0|II\*\0....CR": "the raw file of a camera",
    rb"\x89HDF": "an HDF5 file",
    rb"CDF[\x01\x02\x05]": "a NetCDF file",
    rb"....ftyp": "a video, or a picture of a kind that is not known",
    rb"\x1aE\xdf\xa3|RIFF....AVI ": "a video",
    rb"7z\xbc\xaf|Rar!|\xfd7zXZ|BZh|\x28\xb5\x2f\xfd": "a compressed archive",
}


def kind_of_content(start: bytes) -> str | None:
    """Return in words what a file is that begins with some bytes, as far as it is known."""
    matching = (kind for pattern, kind in _KINDS.items() if re.match(pattern, start, re.DOTALL))
    return next(matching, None)
