"""Pages of TIFF files as images, and images as pages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tifffile import COMPRESSION, DATATYPE, PHOTOMETRIC, RESUNIT, TiffFile, TiffPage

from srkit.errors import DataError
from srkit.functional import Values
from srkit.images import check_pixels, to_depth, to_image
from srkit.interfaces import Image
from srkit_photos.formats.arrays import ORIENTATION, naming, to_values, upright
from srkit_photos.formats.metadata import profile, resolution, xmp_of
from srkit_photos.formats.tiff_exif import page_tags, read_exif

#: Files with more bytes of pixels require 64-bit offsets; the difference is space for tags.
CLASSIC = 2**32 - 2**25
#: Tag of XMP.
_XMP = 700
#: Tags of metadata that is not kept.
_LEFT_OUT = {"IPTC": (33723,), "GeoTIFF tags": (33550, 33922, 34264, 34735)}


def pictures(file: TiffFile, *, first: bool = False) -> list[TiffPage]:
    """Return the pages that are neither thumbnails nor masks, or the first page."""
    pages = [page.aspage() for page in (file.pages[:1] if first else file.pages)]
    whole = [page for page in pages if not page.is_reduced and not page.is_mask]
    return whole or pages[:1]


def page_settings(image: Image) -> dict[str, Any]:
    """Return the metadata of a page as arguments of tifffile."""
    return {
        "photometric": "rgb" if len(image.pixels) == 3 else "minisblack",
        "extrasamples": ("unassalpha",) if "alpha" in image.metadata else None,
        "metadata": None,
        "iccprofile": profile(image),
        "resolution": resolution(image),
        "resolutionunit": RESUNIT.INCH if resolution(image) else None,
        "software": False,
        "extratags": [*page_tags(image), *_xmp_tag(image)],
    }


def _xmp_tag(image: Image) -> list[tuple[Any, ...]]:
    xmp = xmp_of(image)
    return [] if xmp is None else [(_XMP, DATATYPE.BYTE, len(xmp), xmp, True)]


def stored(path: Path, image: Image) -> Values:
    """Convert an image to the layout of a page."""
    bits = image.metadata.get("bits")
    return to_values(path, image, bits=bits if bits in (8, 16) else None)


def image_of_page(path: Path, page: TiffPage) -> Image:
    """Read a page as an image.

    Raises
    ------
    DataError
        If the page is not a two-dimensional picture, or is too large.
    """
    if page.axes not in ("YX", "YXS", "SYX"):
        raise DataError(f"{path}: its axes are {page.axes}; expected a flat picture")
    if page.compression != COMPRESSION.NONE:
        check_pixels(path, page.imagelength, page.imagewidth)
    return image_of_rows(path, page, page.asarray())


def image_of_rows(path: Path, page: TiffPage, stored_rows: Values) -> Image:
    """Convert all or some rows of a page, in the layout of its axes, to an image.

    Raises
    ------
    DataError
        If they are not a picture.
    """
    with naming(path):
        values, notes = to_depth(stored_rows)
    if page.axes == "SYX":
        values = np.moveaxis(values, 0, -1)
    inks = page.photometric == PHOTOMETRIC.SEPARATED
    values = _colours(path, page, values)
    alpha = len(page.extrasamples) == 1
    colours = (1 if values.ndim == 2 else values.shape[2]) - alpha
    if colours not in (1, 3):
        raise DataError(f"{path}: has {colours} channels; expected grey or RGB")
    image = to_image(upright(values, page.tags.valueof(ORIENTATION, 1)), alpha=alpha)
    known: dict[str, Any] = {
        "icc": None if inks else page.iccprofile,
        "dpi": _dpi(page),
        "xmp": page.tags.valueof(_XMP),
        "notes": [*notes, *(["CMYK becomes RGB"] if inks else []), *_left_out(page)],
    }
    known = {key: value for key, value in known.items() if value}
    return replace(image, metadata={**image.metadata, **known})


def with_exif(path: Path, image: Image) -> Image:
    """Add the EXIF of the file."""
    exif = read_exif(path)
    return replace(image, metadata={**image.metadata, **({"exif": exif} if exif else {})})


def _left_out(page: TiffPage) -> list[str]:
    """Return notes on metadata of a page that is dropped."""
    found = [name for name, tags in _LEFT_OUT.items() if any(tag in page.tags for tag in tags)]
    verb = "is" if found == ["IPTC"] else "are"
    return [f"its {' and '.join(found)} {verb} dropped"] if found else []


def _dpi(page: TiffPage) -> tuple[float, float] | None:
    """Return the pixels per inch, if the file states the unit."""
    if page.tags.valueof("ResolutionUnit") not in (RESUNIT.INCH, RESUNIT.CENTIMETER):
        return None
    x, y = page.get_resolution(RESUNIT.INCH)
    return float(x), float(y)


def _colours(path: Path, page: TiffPage, values: Values) -> Values:
    if page.photometric in (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.RGB):
        return values
    name = PHOTOMETRIC(page.photometric).name
    if not np.issubdtype(values.dtype, np.integer):
        raise DataError(f"{path}: has float values with colours {name}; expected grey or RGB")
    white = np.iinfo(values.dtype).max
    if page.photometric == PHOTOMETRIC.MINISWHITE:
        return white - values
    if page.photometric == PHOTOMETRIC.PALETTE and page.colormap is not None:
        # Some writers store 8-bit colours times 256, others times 257.
        return (page.colormap >> 8).astype(np.uint8).T[values]
    if page.photometric == PHOTOMETRIC.SEPARATED and values.shape[-1] == 4:
        light = white - values.astype(np.uint32)
        return (light[..., :3] * light[..., 3:] // white).astype(values.dtype)
    raise DataError(f"{path}: its colours are {name}; expected grey, RGB, palette or CMYK")
