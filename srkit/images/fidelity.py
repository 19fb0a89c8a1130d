"""What files of another format cannot hold of an image."""

from __future__ import annotations

from srkit.errors import DataError
from srkit.interfaces import FormatLimits, Image, ImageFormat, LimitedFormat

#: The metadata of images that a user would miss, and what the user calls them.
PARTS = {
    "alpha": "opacity",
    "icc": "colour profile",
    "gamma": "gamma",
    "exif": "EXIF",
    "xmp": "XMP",
    "header": "header with its WCS",
    "mask": "mask",
    "variance": "uncertainty",
}
#: The limits of a format that states none.
UNLIMITED = FormatLimits((32,), frozenset(PARTS))


def limits_of(image_format: ImageFormat) -> FormatLimits:
    """Return what the files of a format can hold."""
    return image_format.limits if isinstance(image_format, LimitedFormat) else UNLIMITED


def what_is_lost(image: Image, image_format: ImageFormat, suffix: str) -> str | None:
    """Describe in a line what a file cannot hold of an image; None if it holds everything.

    Parameters
    ----------
    image
        With the ``bits`` of its values among the metadata; floats have 32.
    image_format
        The format of the file; it is assumed to hold everything unless it states its limits.
    suffix
        The suffix that the user knows the format by.
    """
    limits = limits_of(image_format)
    lost = [*_of_values(image, max(limits.depths))]
    missing = [part for part in PARTS if part in image.metadata and part not in limits.metadata]
    missing += [part for part in limits.metadata if limits.is_too_long(image, part)]
    if "alpha" in missing:
        lost.append("what is not opaque is on white")
    named = [PARTS[part] for part in missing if part != "alpha"]
    if named:
        lost.append(f"{', '.join(named)} left out")
    return f"a {suffix} file holds no more: {'; '.join(lost)}" if lost else None


def _of_values(image: Image, most: int) -> list[str]:
    bits = image.metadata.get("bits", 8)
    if bits <= most:
        return []
    if bits < 32:
        return [f"{bits} bits rounded to {most}"]
    low, high = image.data_range
    return [f"floats clipped to {low:g} (black) and {high:g} (white), rounded to {most} bits"]


def check_values(image: Image, image_format: ImageFormat, suffix: str) -> None:
    """Check that files of a format can hold the values of an image.

    Raises
    ------
    DataError
        If a value is not finite, and the format holds integers.
    """
    if max(limits_of(image_format).depths) < 32 and not image.pixels.isfinite().all():
        raise DataError(
            f"holds values that are not finite, and a {suffix} file holds integers; choose .fits, "
            ".tif or .npy"
        )


def check_size(height: int, width: int, image_format: ImageFormat, suffix: str) -> None:
    """Check that files of a format can hold an image of this size.

    Parameters
    ----------
    height, width
        Size of the image in pixels.
    image_format
        The format of the file.
    suffix
        The suffix that the user knows the format by.

    Raises
    ------
    DataError
        If a side is longer.
    """
    longest = limits_of(image_format).max_side
    if longest is not None and max(height, width) > longest:
        raise DataError(
            f"would become {width} x {height} pixels, and a {suffix} file holds {longest} a side; "
            "choose .png or .tif, or a smaller scale"
        )
