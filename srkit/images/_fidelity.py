"""What files of another format cannot hold of an image."""

from __future__ import annotations

from srkit.errors import DataError
from srkit.images.formats import ImageFile
from srkit.interfaces import FormatLimits, Image, LimitedFormat

#: The metadata of images that a user would miss, and what the user calls them.
PARTS = {
    "alpha": "opacity",
    "icc": "colour profile",
    "gamma": "gamma",
    "exif": "EXIF",
    "xmp": "XMP",
    "header": "header with its WCS",
    "geotiff": "GeoTIFF and GDAL tags",
    "ome": "OME metadata",
    "imagej": "axes of ImageJ",
    "mask": "mask",
    "variance": "uncertainty",
    "spread": "spread",
}
#: The limits of a format that states none.
UNLIMITED = FormatLimits((32,), frozenset(PARTS))


def limits_of(file: ImageFile) -> FormatLimits:
    """Return what a file can hold by its format."""
    return file.format.limits if isinstance(file.format, LimitedFormat) else UNLIMITED


def what_is_lost(image: Image, file: ImageFile) -> str | None:
    """Describe in a line what a file cannot hold of an image; None if it holds everything.

    Parameters
    ----------
    image
        With the ``bits`` of its values among the metadata; floats have 32.
    file
        The file; it is assumed to hold everything unless its format states its limits.
    """
    limits = limits_of(file)
    lost = _of_values(image, max(limits.depths))
    missing = [
        part
        for part in PARTS
        if part in image.metadata
        and (part not in limits.metadata or limits.is_too_long(image, part))
    ]
    if "alpha" in missing:
        lost.append("transparency blended with white")
    named = [PARTS[part] for part in missing if part != "alpha"]
    if named:
        lost.append(f"{', '.join(named)} dropped")
    return f"a {file.suffix} file cannot hold everything: {'; '.join(lost)}" if lost else None


def _of_values(image: Image, most: int) -> list[str]:
    bits = image.metadata.get("bits", 8)
    if bits <= most:
        return []
    if bits < 32:
        return [f"{bits} bits rounded to {most}"]
    low, high = image.data_range
    return [f"floats clipped to {low:g} (black) and {high:g} (white), rounded to {most} bits"]


def check_values(image: Image, file: ImageFile) -> None:
    """Check that a file can hold the values of an image.

    Raises
    ------
    DataError
        If a value is not finite, and the format holds integers.
    """
    if max(limits_of(file).depths) < 32 and not image.pixels.isfinite().all():
        raise DataError(
            "contains values that are not finite, which the integers of a "
            f"{file.suffix} file cannot represent; write .fits, .tif or .npy"
        )


def check_size(height: int, width: int, file: ImageFile) -> None:
    """Check that a file can hold an image of this size in pixels.

    Raises
    ------
    DataError
        If a side is longer than the format allows.
    """
    longest = limits_of(file).max_side
    if longest is not None and max(height, width) > longest:
        raise DataError(
            f"SR would have {width} x {height} pixels, but a {file.suffix} file holds at most "
            f"{longest} per side; write .png or .tif, or choose a smaller scale"
        )
