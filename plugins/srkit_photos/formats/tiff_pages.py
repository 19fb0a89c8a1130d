"""Pages of TIFF files as images, and images as pages."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tifffile import COMPRESSION, DATATYPE, EXTRASAMPLE, PHOTOMETRIC, RESUNIT, TiffFile, TiffPage

from srkit.errors import DataError
from srkit.functional import Values
from srkit.images import check_magnitude, check_pixels, range_between, to_depth, to_image
from srkit.interfaces import Image
from srkit_photos.formats import tiff_geography
from srkit_photos.formats.arrays import ORIENTATION, naming, to_values, upright
from srkit_photos.formats.metadata import dropped, profile, resolution, xmp_kept, xmp_of
from srkit_photos.formats.tiff_exif import page_tags, read_exif, text_tag
from srkit_photos.formats.tiff_ome import OME, is_ome, kept_ome
from srkit_photos.formats.tiff_rows import page_values

#: Files with more bytes of pixels require 64-bit offsets; the difference is space for tags.
CLASSIC = 2**32 - 2**25
#: Tags of the description and of XMP.
_DESCRIPTION, _XMP = 270, 700
#: Tag of the directories below a page.
_SUBDIRECTORIES = 330
#: Number of samples of a colour.
_COLOURS = {
    PHOTOMETRIC.MINISWHITE: 1,
    PHOTOMETRIC.MINISBLACK: 1,
    PHOTOMETRIC.RGB: 3,
    PHOTOMETRIC.PALETTE: 1,
    PHOTOMETRIC.SEPARATED: 4,
    PHOTOMETRIC.YCBCR: 3,
}
#: Colours that are stored as they are, and those that are indices.
_PLAIN, _INDICES = (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.RGB), (PHOTOMETRIC.PALETTE,)
#: Compressions that convert YCbCr to RGB.
_JPEG = (COMPRESSION.OJPEG, COMPRESSION.JPEG)
#: Kinds of samples that are opacity; all others are bands.
_ALPHA = (EXTRASAMPLE.ASSOCALPHA, EXTRASAMPLE.UNASSALPHA)
#: Tags of metadata that are not kept, and the begin of descriptions that are not.
LEFT_OUT: dict[str, tuple[int, ...]] = {
    "IPTC": (33723,),
    "rational polynomial coefficients": (50844,),
    "Photoshop data": (34377,),
    "ImageJ overlays and labels": (50838, 50839),
    "LSM metadata": (34412,),
    "MetaMorph metadata": (33628, 33629, 33630, 33631),
    "Micro-Manager metadata": (51123,),
}
DESCRIPTIONS = {
    "Aperio description": ("Aperio",),
    "ScanImage description": ("SI.", "scanimage."),
}
#: The value of GDAL's tag NODATA where pixels without a value are NaN.
NAN = "nan"
#: The begin of the description of a stack of ImageJ, with the order and unit of its axes.
_IMAGEJ = "ImageJ="


def pictures(path: Path, file: TiffFile, *, first: bool = False) -> list[TiffPage]:
    """Return the pages that are neither thumbnails nor masks, or the first page.

    Raises
    ------
    DataError
        If there are only thumbnails, and the picture is elsewhere.
    """
    pages = [page.aspage() for page in (file.pages[:1] if first else file.pages)]
    whole = [page for page in pages if not page.is_reduced and not page.is_mask]
    if not whole and _SUBDIRECTORIES in pages[0].tags:
        raise DataError(
            f"{path}: has only a thumbnail as its page, as the raw files of cameras; develop it, "
            "or convert it to .tif or .png"
        )
    return whole or pages[:1]


def has_virtual_pages(file: TiffFile) -> bool:
    """Return whether one directory describes several images, as in large stacks of ImageJ."""
    if len(file.pages) > 1 or not (file.is_imagej or file.is_shaped):
        return False
    return math.prod(file.series[0].shape) > file.pages[0].aspage().size


def images_of_file(path: Path, file: TiffFile, *, first: bool) -> list[Image]:
    """Read the pages of a file, or the first.

    Raises
    ------
    DataError
        As :func:`image_of_page` does.
    """
    if not has_virtual_pages(file):
        images = [image_of_page(path, page) for page in pictures(path, file, first=first)]
        return [_of_one_page(images[0])] if first and len(file.pages) > 1 else images
    page = file.pages[0].aspage()
    parts = file.series[0].asarray().reshape(-1, *page.shape)
    if first:
        return [_of_one_page(image_of_rows(path, page, parts[0]))]
    return [image_of_rows(path, page, part) for part in parts]


def _of_one_page(image: Image) -> Image:
    """Remove the description of all pages from the image of one."""
    kept = {key: value for key, value in image.metadata.items() if key not in ("imagej", "ome")}
    return replace(image, metadata=kept)


def page_settings(image: Image) -> dict[str, Any]:
    """Return the metadata of a page as arguments of tifffile."""
    count, has_alpha = len(image.pixels), "alpha" in image.metadata
    colours = image.metadata.get("colours", 3 if count == 3 else 1)
    if count < colours:
        colours = 1
    dpi, per_unit = resolution(image), image.metadata.get("per_unit")
    texts = page_tags(image)
    description = image.metadata.get("imagej") or image.metadata.get("ome")
    if description:
        texts = [text_tag(_DESCRIPTION, description.encode())] + [
            each for each in texts if each[0] != _DESCRIPTION
        ]
    extra = ["unspecified"] * (count - colours) + ["unassalpha"] * has_alpha
    return {
        "photometric": "rgb" if colours == 3 else "minisblack",
        "planarconfig": "contig" if count + has_alpha > 1 else None,
        "extrasamples": extra or None,
        "metadata": None,
        "iccprofile": profile(image),
        "resolution": per_unit or dpi,
        "resolutionunit": RESUNIT.NONE if per_unit else RESUNIT.INCH if dpi else None,
        "software": False,
        "extratags": [
            *texts,
            *_xmp_tag(image),
            *tiff_geography.tags_to_write(image.metadata.get("geotiff", {})),
        ],
    }


def _xmp_tag(image: Image) -> list[tuple[Any, ...]]:
    xmp = xmp_of(image)
    return [] if xmp is None else [(_XMP, DATATYPE.BYTE, len(xmp), xmp, True)]


def stored(path: Path, image: Image) -> Values:
    """Convert an image to the layout of a page."""
    bits = image.metadata.get("bits")
    return to_values(path, image, bits=bits if bits in (8, 16) else None, channels=None)


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
    values = page_values(path, page)
    with naming(path):
        check_magnitude(values)
    return image_of_rows(path, page, values)


def image_of_rows(path: Path, page: TiffPage, stored_rows: Values) -> Image:
    """Convert all or some rows of a page, in the layout of its axes, to an image.

    Raises
    ------
    DataError
        If they are not a picture.
    """
    samples = np.atleast_3d(np.moveaxis(stored_rows, 0, -1) if page.axes == "SYX" else stored_rows)
    layout = samples_of(path, page, samples.shape[-1])
    values, missing, nodata = _without_nodata(page, samples, layout)
    with naming(path):
        values, notes = to_depth(_at_full_depth(page, values))
    colours = _colours(path, page, values[..., : layout.colours])
    bands = [layout.colours + index for index in layout.bands]
    count = colours.shape[-1]
    parts = [colours, values[..., bands]] if bands else [colours]
    if layout.alpha is not None:
        parts.append(values[..., [layout.colours + layout.alpha]])
    if len(parts) > 1:
        colours = np.concatenate(parts, -1, dtype=colours.dtype)
    orientation = page.tags.valueof(ORIENTATION, 1)
    values = upright(colours, orientation)
    image = to_image(values, alpha=layout.alpha is not None)
    if layout.premultiplied:
        image = _unpremultiplied(image, count)
    inks = page.photometric == PHOTOMETRIC.SEPARATED
    xmp, gone = xmp_kept(bytes(page.tags.valueof(_XMP) or b""), orientation)
    is_stack = page.index == 0 and page.description.startswith(_IMAGEJ)
    tags, lost = tiff_geography.read_tags(page, orientation)
    gone += lost
    ome = None
    if is_ome(page.description):
        ome = kept_ome(page, orientation) if page.index == 0 else None
        gone += [OME] if ome is None else []
    known: dict[str, Any] = {
        "icc": None if inks else page.iccprofile,
        "dpi": _dpi(page),
        "xmp": xmp,
        "colours": count,
        "imagej": page.description if is_stack else None,
        "ome": ome,
        "geotiff": tags if nodata is None else {**tags, tiff_geography.NODATA: nodata},
        "per_unit": page.get_resolution() if is_stack else None,
        "notes": [
            *missing,
            *notes,
            *layout.notes,
            *(["CMYK becomes RGB"] if inks else []),
            *dropped([*_left_out(page), *gone]),
        ],
    }
    known = {key: value for key, value in known.items() if value}
    return replace(image, metadata={**image.metadata, **known})


@dataclass(frozen=True, slots=True)
class Samples:
    """The meaning of the samples of a pixel.

    Parameters
    ----------
    colours
        Number of the first samples, which are the colour.
    bands
        The others that are bands, counted from the first after the colour.
    alpha
        The one that is opacity, if any.
    premultiplied
        Whether the colours are multiplied by the opacity.
    notes
        Messages for the user if a meaning is guessed.
    """

    colours: int
    bands: list[int]
    alpha: int | None
    premultiplied: bool
    notes: list[str]


def samples_of(path: Path, page: TiffPage, count: int) -> Samples:
    """Return the meaning of the samples of a page, by its tags.

    Raises
    ------
    DataError
        If there are fewer samples than its colours require.
    """
    name = _name(PHOTOMETRIC, page.photometric)
    colours = _COLOURS.get(page.photometric)
    if colours is None or count < colours:
        raise DataError(
            f"{path}: its colours are {name} in {count} samples; expected grey, RGB, palette or "
            "CMYK"
        )
    extra = count - colours
    kinds = [*page.extrasamples, *[EXTRASAMPLE.UNSPECIFIED] * extra][:extra]
    opaque = [index for index, kind in enumerate(kinds) if kind in _ALPHA]
    alpha = opaque[0] if opaque else None
    bands = [index for index in range(extra) if index != alpha]
    notes = []
    if bands and colours > 1:
        places = ", ".join(str(colours + index + 1) for index in bands)
        notes.append(f"the meaning of sample {places} is not stated; read as a band, not opacity")
    premultiplied = alpha is not None and kinds[alpha] == EXTRASAMPLE.ASSOCALPHA
    return Samples(colours, bands, alpha, premultiplied, notes)


def _name(kind: Any, value: int) -> str:
    """Return the name of a tag's value, or its number if it is unknown."""
    try:
        return str(kind(value).name)
    except ValueError:
        return str(int(value))


def _without_nodata(
    page: TiffPage, values: Values, layout: Samples
) -> tuple[Values, list[str], str | None]:
    """Replace the value that the tag of GDAL states for pixels without a value by NaN.

    Returns
    -------
    values
        The values.
    notes
        Messages for the user.
    nodata
        What the tag of SR states.
    """
    text = page.tags.valueof(tiff_geography.NODATA)
    if text is None:
        return values, [], None
    if layout.alpha is not None or page.photometric not in _PLAIN:
        return values, dropped(["NODATA value"]), None
    try:
        stated = float(str(text).strip(" \0"))
    except ValueError:
        return values, [f"its NODATA value {str(text)!r} is not a number and is not used"], None
    if math.isnan(stated):
        return values, [], NAN
    with np.errstate(over="ignore", invalid="ignore"):
        missing = np.array(stated).astype(values.dtype)
    floats = values.dtype.kind == "f"
    if not floats and missing != stated:
        return values, [], str(text).strip(" \0")  # no pixel can have it
    holes = values == missing
    notes = [f"pixels of its NODATA value {stated:g} have no value"] if holes.any() else []
    if not floats:
        notes.append(f"{values.dtype.name} values become float32, for its NODATA value {stated:g}")
    kind = values.dtype if floats else np.float32
    return np.where(holes, np.nan, values).astype(kind), notes, NAN


def _at_full_depth(page: TiffPage, values: Values) -> Values:
    """Extend levels of fewer than 8 or 16 bits to these."""
    bits = page.bitspersample
    if values.dtype.kind != "u" or bits in (8, 16, 32, 64) or page.photometric in _INDICES:
        return values
    kind, white = (np.uint8, 255) if bits < 8 else (np.uint16, 65535)
    if not 1 < bits < 16:
        return values
    most = 2**bits - 1
    return ((values.astype(np.uint32) * white + most // 2) // most).astype(kind)


def _unpremultiplied(image: Image, colours: int) -> Image:
    """Divide the colours by the opacity; transparent pixels are black."""
    alpha, pixels = image.metadata["alpha"], image.pixels.clone()
    if image.metadata["bits"] != 32:
        white = 2 ** image.metadata["bits"] - 1
        parts, whole = ((each * white).round().long() for each in (pixels[:colours], alpha))
        levels = (2 * white * parts + whole) // (2 * whole.clamp(min=1))  # rounded
        pixels[:colours] = torch.where(whole > 0, levels.clamp(max=white), 0) / white
        return replace(image, pixels=pixels)
    pixels[:colours] = torch.where(alpha > 0, pixels[:colours] / alpha, 0.0)
    finite = pixels[pixels.isfinite()]
    low, high = (float(each) for each in finite.aminmax()) if finite.numel() else (0.0, 1.0)
    return replace(image, pixels=pixels, data_range=range_between(low, high))


def with_exif(path: Path, image: Image) -> Image:
    """Add the EXIF of the file."""
    exif = read_exif(path)
    return replace(image, metadata={**image.metadata, **({"exif": exif} if exif else {})})


def with_notes(image: Image, notes: list[str]) -> Image:
    """Add notes for the user."""
    if not notes:
        return image
    every = [*image.metadata.get("notes", []), *notes]
    return replace(image, metadata={**image.metadata, "notes": every})


def _left_out(page: TiffPage) -> list[str]:
    """Return the metadata of a page that are dropped."""
    tagged = [name for name, tags in LEFT_OUT.items() if any(tag in page.tags for tag in tags)]
    text = page.description.lstrip()
    return tagged + [name for name, begins in DESCRIPTIONS.items() if text.startswith(begins)]


def _dpi(page: TiffPage) -> tuple[float, float] | None:
    """Return the pixels per inch, if the file states the unit."""
    if page.tags.valueof("ResolutionUnit") not in (RESUNIT.INCH, RESUNIT.CENTIMETER):
        return None
    x, y = page.get_resolution(RESUNIT.INCH)
    return float(x), float(y)


def _colours(path: Path, page: TiffPage, values: Values) -> Values:
    """Convert the colour samples of a page to grey or RGB."""
    if page.photometric in _PLAIN:
        return values
    if not np.issubdtype(values.dtype, np.integer):
        name = _name(PHOTOMETRIC, page.photometric)
        raise DataError(f"{path}: has float values with colours {name}; expected grey or RGB")
    white = np.iinfo(values.dtype).max
    if page.photometric == PHOTOMETRIC.MINISWHITE:
        return white - values
    if page.photometric == PHOTOMETRIC.PALETTE and page.colormap is not None:
        # Some writers store 8-bit colours times 256, others times 257.
        return (page.colormap >> 8).astype(np.uint8).T[values[..., 0]]
    if page.photometric == PHOTOMETRIC.YCBCR and page.compression in _JPEG:
        return values  # decoded to RGB
    if page.photometric == PHOTOMETRIC.SEPARATED:
        light = white - values.astype(np.uint32)
        return (light[..., :3] * light[..., 3:] // white).astype(values.dtype)
    name = _name(PHOTOMETRIC, page.photometric)
    raise DataError(f"{path}: its colours are {name}; expected grey, RGB, palette or CMYK")
