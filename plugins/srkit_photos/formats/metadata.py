"""Metadata of picture files that is kept for SR: profile, resolution, EXIF and XMP."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import PIL.Image
from PIL.ExifTags import IFD, Base

from srkit.interfaces import Image

if TYPE_CHECKING:
    from srkit.interfaces import Upscaled

#: Required colour space of a profile by number of channels (ICC.1:2022, table 19).
_SPACES = {1: b"GRAY", 3: b"RGB "}
#: Number of Photoshop's block with IPTC data.
_IPTC = 0x0404
#: The highest resolution that JFIF can store, in pixels per inch.
_FINEST = 65535


def describe(picture: PIL.Image.Image) -> dict[str, Any]:
    """Return the metadata of a Pillow picture.

    Returns
    -------
    dict
        ``icc`` (profile, bytes), ``dpi`` (pixels per inch along x and y), ``exif``, ``xmp`` (bytes)
        and ``notes`` (lines for the user), if present.
    """
    known = picture.info
    stated = {
        "icc": known.get("icc_profile"),
        "dpi": _stated_dpi(picture),
        "exif": known.get("exif"),
        "xmp": known.get("xmp"),
    }
    found = {name: value for name, value in stated.items() if value}
    notes = []
    frames = getattr(picture, "n_frames", 1)
    if frames > 1 and picture.format != "MPO":  # whose other frames are previews
        notes.append(f"the first of {frames} frames")
    if _IPTC in known.get("photoshop", {}):
        notes.append("its IPTC is dropped")
    return {**found, **({"notes": notes} if notes else {})}


def _stated_dpi(picture: PIL.Image.Image) -> tuple[float, float] | None:
    """Return the pixels per inch, if stated; Pillow assumes 72 for JPEG with EXIF."""
    supposed = picture.format in ("JPEG", "MPO") and not picture.info.get("jfif_unit")
    if supposed and Base.XResolution not in picture.getexif():
        return None
    return picture.info.get("dpi")


def enlarge_picture(lr: Image, upscaled: Upscaled, scale: float) -> Image:
    """Copy the metadata of the LR file to SR, which has the same size in inches."""
    metadata = {key: value for key, value in lr.metadata.items() if key not in ("alpha", "notes")}
    if "dpi" in metadata:
        metadata["dpi"] = tuple(scale * float(each) for each in metadata["dpi"])
    if "exif" in metadata and not _whole(metadata["exif"]):
        del metadata["exif"]
        metadata["notes"] = ["its EXIF is damaged and dropped"]
    if upscaled.sigma is not None:
        metadata["variance"] = upscaled.sigma**2
    return replace(lr, pixels=upscaled.pixels, metadata=metadata)


def xmp_of(image: Image) -> bytes | None:
    """Return the XMP of an upright image, with its size and resolution."""
    stored = image.metadata.get("xmp")
    if stored is None:
        return None
    height, width = image.pixels.shape[-2:]
    dpi = resolution(image)
    values: dict[bytes, object] = {
        b"tiff:Orientation": 1,
        b"tiff:ImageWidth": width,
        b"tiff:ImageLength": height,
        b"exif:PixelXDimension": width,
        b"exif:PixelYDimension": height,
    }
    if dpi is not None:
        x, y = (f"{round(10_000 * each)}/10000" for each in dpi)
        values |= {b"tiff:XResolution": x, b"tiff:YResolution": y, b"tiff:ResolutionUnit": 2}
    xmp = bytes(stored)
    for name, value in values.items():
        # A property is an attribute or an element; both are updated in place.
        replacement = rb"\g<1>" + str(value).encode() + rb"\g<2>"
        for begins, ends in ((rb"\s*=\s*[\"']", rb"[\"']"), (rb"\s*>\s*", rb"\s*</" + name)):
            xmp = re.sub(rb"(\b" + name + begins + rb")[\d/]*(" + ends + rb")", replacement, xmp)
    return xmp


def _whole(stored: bytes) -> bool:
    """Return whether EXIF can be written."""
    exif = PIL.Image.Exif()
    try:
        exif.load(stored)
        exif.get_ifd(IFD.Exif)
        exif.tobytes()
    except Exception:  # Pillow raises many kinds for damaged EXIF
        return False
    return True


def profile(image: Image) -> bytes | None:
    """Return the colour profile of an image, if it matches the channels."""
    icc: bytes | None = image.metadata.get("icc")
    return icc if icc and icc[16:20] == _SPACES.get(len(image.pixels)) else None


def resolution(image: Image) -> tuple[float, float] | None:
    """Return the pixels per inch along x and y, if files can store them."""
    dpi = image.metadata.get("dpi")
    if dpi is None or not all(1 <= each <= _FINEST for each in dpi):
        return None
    return float(dpi[0]), float(dpi[1])


def exif_of(image: Image) -> PIL.Image.Exif | None:
    """Return the EXIF of an upright image, with its size and resolution."""
    stored = image.metadata.get("exif")
    if stored is None:
        return None
    exif = PIL.Image.Exif()
    exif.load(stored)
    if Base.Orientation in exif:
        exif[Base.Orientation] = 1
    height, width = image.pixels.shape[-2:]
    details = exif.get_ifd(IFD.Exif)
    _update(exif, {Base.ImageWidth: width, Base.ImageLength: height})
    _update(details, {Base.ExifImageWidth: width, Base.ExifImageHeight: height})
    dpi = resolution(image)
    if dpi is not None:
        _update(exif, {Base.XResolution: dpi[0], Base.YResolution: dpi[1], Base.ResolutionUnit: 2})
    return exif


def _update(tags: Any, values: dict[Base, Any]) -> None:
    """Set existing tags."""
    for tag, value in values.items():
        if tag in tags:
            tags[tag] = value


class Describing:
    """The base of picture formats, which keep metadata in `srkit upscale`."""

    def enlarge(self, lr: Image, upscaled: Upscaled, scale: float, history: Sequence[str]) -> Image:
        """Copy the depth, profile, EXIF and size in inches of the LR file to SR."""
        return enlarge_picture(lr, upscaled, scale)
