"""OME-XML of enlarged pictures: its axes stay, and its sizes are those of SR."""

from __future__ import annotations

import re
from collections.abc import Callable

from tifffile import TiffPage

from srkit.functional import resized_side

#: What users call it.
OME = "OME metadata (axes, sizes, units)"
#: What refers to pixels or to other files, so that it is not kept.
_REFUSED = re.compile(
    r"<(?:\w+:)?(?:ROI|ROIRef|Shape|Mask|BinData|BinaryOnly|MetadataOnly)\b|FileName=|Pyramid"
)
#: The element of the pixels of an image.
_PIXELS = re.compile(r"<(?:\w+:)?Pixels\b[^>]*>")
#: The type of values by the bits that are written.
_TYPES = {8: "uint8", 16: "uint16"}


def is_ome(description: str) -> bool:
    """Return whether a description is OME-XML."""
    return description.lstrip().startswith(("<OME", "<?xml"))


def kept_ome(page: TiffPage, orientation: int) -> str | None:
    """Return the OME-XML of a file, by its first page; None if it cannot be right for SR.

    It is right if all pages are kept as they are stored, and have the sizes that it states.
    """
    text = page.description
    pages = [each.aspage() for each in page.parent.pages]
    elements = _PIXELS.findall(text)
    sizes = {(_number(each, "SizeX"), _number(each, "SizeY")) for each in elements}
    whole = all(
        not (each.is_reduced or each.is_mask) and each.shape == page.shape for each in pages
    )
    right = sizes == {(page.imagewidth, page.imagelength)} and not _REFUSED.search(text)
    return text if whole and right and orientation == 1 else None


def _number(element: str, name: str) -> int | None:
    found = re.search(rf"\s{name}\s*=\s*[\"'](\d+)[\"']", element)
    return int(found[1]) if found else None


def enlarged(text: str, scale: float, bits: int) -> str:
    """Update OME-XML for values of so many bits that are enlarged by a scale."""
    changes: dict[str, Callable[[str], str]] = {
        "SizeX": lambda value: str(resized_side(int(value), scale)),
        "SizeY": lambda value: str(resized_side(int(value), scale)),
        "PhysicalSizeX": lambda value: repr(float(value) / scale),
        "PhysicalSizeY": lambda value: repr(float(value) / scale),
        "Type": lambda value: _TYPES.get(bits, "float"),
        "BigEndian": lambda value: "false",
    }

    def updated(found: re.Match[str]) -> str:
        element = re.sub(r"\sSignificantBits\s*=\s*[\"'][^\"']*[\"']", "", found[0])
        for name, change in changes.items():
            pattern = rf"(\s{name}\s*=\s*[\"'])([^\"']*)"
            element = re.sub(
                pattern, lambda part, change=change: part[1] + change(part[2]), element
            )
        return element

    without_identifier = re.sub(r"(<(?:\w+:)?OME\b[^>]*?)\sUUID=[\"'][^\"']*[\"']", r"\1", text)
    return _PIXELS.sub(updated, without_identifier)
