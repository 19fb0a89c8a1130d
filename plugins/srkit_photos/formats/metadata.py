"""Metadata of picture files that is kept for SR: profile, resolution, EXIF and XMP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import PIL.Image
from PIL.ExifTags import IFD, Base

from srkit.interfaces import Image
from srkit_photos.formats import exif, xmp
from srkit_photos.formats.arrays import ORIENTATION
from srkit_photos.formats.xmp import with_values

if TYPE_CHECKING:
    from srkit.interfaces import Upscaled

#: Required colour space of a profile by number of channels (ICC.1:2022, table 19).
_SPACES = {1: b"GRAY", 3: b"RGB "}
#: Number of Photoshop's block with IPTC data, and tag of the pictures of a file with several.
_IPTC, _ENTRIES = 0x0404, 0xB002
#: The begin of a JPEG segment of a gain map (ISO 21496-1).
_GAIN_MAP = b"urn:iso:std:iso:ts:21496:-1"
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
    kept, gone = xmp_kept(_bytes(known.get("xmp")), picture.getexif().get(ORIENTATION, 1))
    stated = {
        "icc": known.get("icc_profile"),
        "dpi": _stated_dpi(picture),
        "exif": known.get("exif"),
        "xmp": kept,
    }
    found = {name: value for name, value in stated.items() if value}
    notes = []
    frames = _frames(picture)
    if frames > 1:
        notes.append(f"the first of {frames} frames")
    segments = [content for _, content in getattr(picture, "applist", [])]
    if "gain map" not in gone and any(each.startswith(_GAIN_MAP) for each in segments):
        gone.append("gain map")
    if _IPTC in known.get("photoshop", {}):
        gone.append("IPTC")
    notes += dropped(gone)
    return {**found, **({"notes": notes} if notes else {})}


def xmp_kept(stored: bytes, orientation: int) -> tuple[bytes, list[str]]:
    """Return the XMP that is right for an upright picture, and what was removed from it."""
    kept, gone = xmp.without_announcements(stored)
    if orientation == 1:
        return kept, gone
    kept, regions = xmp.without_regions(kept)
    return kept, [*gone, *regions]


def dropped(parts: Sequence[str]) -> list[str]:
    """Return a note on what is beside the pixels and is not kept."""
    if not parts:
        return []
    *others, last = parts
    listed = f"{', '.join(others)} and {last}" if others else last
    return [f"its {listed} {'are' if others or last.endswith('s') else 'is'} dropped"]


def _bytes(stored: Any) -> bytes:
    return stored.encode() if isinstance(stored, str) else bytes(stored or b"")


def _frames(picture: PIL.Image.Image) -> int:
    """Return the number of frames of a picture, without the previews of cameras."""
    if picture.format != "MPO":
        return int(getattr(picture, "n_frames", 1))
    entries = getattr(picture, "mpinfo", {}).get(_ENTRIES, [])
    kinds = [str(entry.get("Attribute", {}).get("MPType", "")) for entry in entries]
    return sum(not kind.startswith("Large Thumbnail") for kind in kinds)


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
    if "per_unit" in metadata:
        metadata["per_unit"] = tuple(scale * each for each in metadata["per_unit"])
    if "xmp" in metadata:
        metadata["xmp"] = xmp.enlarged(bytes(metadata["xmp"]), scale)
    if "exif" in metadata:
        updated = exif.enlarged(metadata.pop("exif"), scale)
        if updated is None:
            metadata["notes"] = ["its EXIF is damaged and dropped"]
        else:
            metadata["exif"] = updated
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
    return with_values(bytes(stored), values)


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
    tags = PIL.Image.Exif()
    tags.load(stored)
    if Base.Orientation in tags:
        tags[Base.Orientation] = 1
    height, width = image.pixels.shape[-2:]
    details = tags.get_ifd(IFD.Exif)
    _update(tags, {Base.ImageWidth: width, Base.ImageLength: height})
    _update(details, {Base.ExifImageWidth: width, Base.ExifImageHeight: height})
    dpi = resolution(image)
    if dpi is not None:
        _update(tags, {Base.XResolution: dpi[0], Base.YResolution: dpi[1], Base.ResolutionUnit: 2})
    elif "dpi" in image.metadata:  # a resolution that files cannot store
        for tag in (Base.XResolution, Base.YResolution, Base.ResolutionUnit):
            tags.pop(tag, None)
    exif.keep_characters(tags)
    return tags


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
