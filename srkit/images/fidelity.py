"""Say what a file of another format cannot keep of an image."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from srkit.errors import DataError
from srkit.interfaces import Image, ImageFormat

#: What images may have beside their pixels that a user would miss, by its name in the metadata.
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


def what_is_lost(image: Image, image_format: ImageFormat, suffix: str) -> str | None:
    """Say in a line what a file cannot keep; None if it keeps everything, or does not tell.

    Parameters
    ----------
    image
        With the ``bits`` of its values among the metadata; floats have 32.
    image_format
        Tells by ``depths`` how many bits a value may have, by ``holds`` which of `PARTS`, and by
        ``room`` how many bytes of some of them.
    suffix
        The ending that the user knows the format by.
    """
    depths: Collection[int] = getattr(image_format, "depths", ())
    holds: Collection[str] = getattr(image_format, "holds", PARTS)
    lost = [*_of_values(image, max(depths, default=32))]
    missing = [part for part in PARTS if part in image.metadata and part not in holds]
    missing += [part for part in holds if is_too_long(image, image_format, part)]
    if "alpha" in missing:
        lost.append("what is not opaque is on white")
    named = [PARTS[part] for part in missing if part != "alpha"]
    if named:
        lost.append(f"{', '.join(named)} left out")
    return f"a {suffix} file holds no more: {'; '.join(lost)}" if lost else None


def is_too_long(image: Image, image_format: object, part: str) -> bool:
    """Tell whether an image has more of one of `PARTS` than a file has room for."""
    room: Mapping[str, int] = getattr(image_format, "room", {})
    return part in room and len(image.metadata.get(part, b"")) > room[part]


def _of_values(image: Image, most: int) -> list[str]:
    bits = image.metadata.get("bits", 8)
    if bits <= most:
        return []
    if bits < 32:
        return [f"{bits} bits rounded to {most}"]
    low, high = image.data_range
    return [f"floats clipped to {low:g} (black) and {high:g} (white), rounded to {most} bits"]


def check_values(image: Image, image_format: ImageFormat, suffix: str) -> None:
    """Refuse an image with values that files of a format cannot hold.

    Raises
    ------
    DataError
        If a value is not finite, and the format holds integers.
    """
    depths: Collection[int] = getattr(image_format, "depths", ())
    if max(depths, default=32) < 32 and not image.pixels.isfinite().all():
        raise DataError(
            f"holds values that are not finite, and a {suffix} file holds integers; choose .fits, "
            ".tif or .npy"
        )


def check_size(height: int, width: int, image_format: ImageFormat, suffix: str) -> None:
    """Refuse an image that is too large for files of a format.

    Parameters
    ----------
    height, width
        Of the image in pixels.
    image_format
        Tells by ``longest`` how long a side may be.
    suffix
        The ending that the user knows the format by.

    Raises
    ------
    DataError
        If a side is longer.
    """
    longest = getattr(image_format, "longest", None)
    if longest is not None and max(height, width) > longest:
        raise DataError(
            f"would become {width} x {height} pixels, and a {suffix} file holds {longest} a side; "
            "choose .png or .tif, or a smaller scale"
        )
