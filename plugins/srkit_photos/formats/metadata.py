"""What picture files say beside their pixels: profile, resolution and EXIF, kept for SR."""

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

#: The colour space that a profile has to be for, by number of channels (ICC.1:2022, table 19).
_SPACES = {1: b"GRAY", 3: b"RGB "}
#: Where Photoshop's blocks have IPTC.
_IPTC = 0x0404
#: The finest resolution that JFIF has room for, in pixels per inch.
_FINEST = 65535


def describe(picture: PIL.Image.Image) -> dict[str, Any]:
    """Give what a picture of Pillow's says beside its pixels.

    Returns
    -------
    dict
        ``icc`` (profile, bytes), ``dpi`` (pixels per inch along x and y), ``exif``, ``xmp`` (bytes)
        and ``notes`` (lines for the user), where there are any.
    """
    told = picture.info
    stated = {
        "icc": told.get("icc_profile"),
        "dpi": _stated_dpi(picture),
        "exif": told.get("exif"),
        "xmp": told.get("xmp"),
    }
    found = {name: value for name, value in stated.items() if value}
    notes = []
    frames = getattr(picture, "n_frames", 1)
    if frames > 1 and picture.format != "MPO":  # whose others are previews
        notes.append(f"the first of {frames} frames")
    if _IPTC in told.get("photoshop", {}):
        notes.append("its IPTC is left out")
    return {**found, **({"notes": notes} if notes else {})}


def _stated_dpi(picture: PIL.Image.Image) -> tuple[float, float] | None:
    """Give the pixels per inch, if the file states them: for JPEG with EXIF Pillow supposes 72."""
    supposed = picture.format in ("JPEG", "MPO") and not picture.info.get("jfif_unit")
    if supposed and Base.XResolution not in picture.getexif():
        return None
    return picture.info.get("dpi")


def enlarge_picture(lr: Image, upscaled: Upscaled, scale: float) -> Image:
    """Give SR what its LR file says; it is as large as before in inches."""
    metadata = {key: value for key, value in lr.metadata.items() if key not in ("alpha", "notes")}
    if "dpi" in metadata:
        metadata["dpi"] = tuple(scale * float(each) for each in metadata["dpi"])
    if "exif" in metadata and not _whole(metadata["exif"]):
        del metadata["exif"]
        metadata["notes"] = ["its EXIF is damaged and left out"]
    if upscaled.sigma is not None:
        metadata["variance"] = upscaled.sigma**2
    return replace(lr, pixels=upscaled.pixels, metadata=metadata)


def xmp_of(image: Image) -> bytes | None:
    """Give the XMP of an image whose pixels stand upright, with its size and resolution."""
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
        # A property is an attribute or an element; both are brought up to date where they are.
        told = rb"\g<1>" + str(value).encode() + rb"\g<2>"
        for begins, ends in ((rb"\s*=\s*[\"']", rb"[\"']"), (rb"\s*>\s*", rb"\s*</" + name)):
            xmp = re.sub(rb"(\b" + name + begins + rb")[\d/]*(" + ends + rb")", told, xmp)
    return xmp


def _whole(stored: bytes) -> bool:
    """Tell whether EXIF can be written again."""
    exif = PIL.Image.Exif()
    try:
        exif.load(stored)
        exif.get_ifd(IFD.Exif)
        exif.tobytes()
    except Exception:  # Pillow raises many kinds for damaged EXIF
        return False
    return True


def profile(image: Image) -> bytes | None:
    """Give the colour profile of an image, if it is one for its channels."""
    icc: bytes | None = image.metadata.get("icc")
    return icc if icc and icc[16:20] == _SPACES.get(len(image.pixels)) else None


def resolution(image: Image) -> tuple[float, float] | None:
    """Give the pixels per inch along x and y, if files have room for them."""
    dpi = image.metadata.get("dpi")
    if dpi is None or not all(1 <= each <= _FINEST for each in dpi):
        return None
    return float(dpi[0]), float(dpi[1])


def exif_of(image: Image) -> PIL.Image.Exif | None:
    """Give the EXIF of an image whose pixels stand upright, with its size and resolution."""
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
    """Set tags that are there."""
    for tag, value in values.items():
        if tag in tags:
            tags[tag] = value


class Describing:
    """What formats of pictures have in common for `srkit upscale`."""

    def enlarge(self, lr: Image, upscaled: Upscaled, scale: float, history: Sequence[str]) -> Image:
        """Give SR the depth, profile, EXIF and size in inches of its LR file."""
        return enlarge_picture(lr, upscaled, scale)
