"""XMP of enlarged pictures: what is scaled, updated, or removed since it is not there any more."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

#: Properties that count pixels: of panoramas, and pixels per unit of the sensor.
SCALED = (
    b"GPano:FullPanoWidthPixels",
    b"GPano:FullPanoHeightPixels",
    b"GPano:CroppedAreaImageWidthPixels",
    b"GPano:CroppedAreaImageHeightPixels",
    b"GPano:CroppedAreaLeftPixels",
    b"GPano:CroppedAreaTopPixels",
    b"exif:FocalPlaneXResolution",
    b"exif:FocalPlaneYResolution",
)
#: Properties that announce something beside the picture, which SR does not have: namespace, names
#: within it, and what it is; None if further properties say that.
ANNOUNCED = (
    ("http://ns.adobe.com/hdr-gain-map/1.0/", r"[\w.-]+", "gain map"),
    ("http://ns.apple.com/HDRGainMap/1.0/", r"[\w.-]+", "gain map"),
    ("http://ns.google.com/photos/1.0/container/", r"[\w.-]+", None),
    ("http://ns.google.com/photos/1.0/container/item/", r"[\w.-]+", None),
    ("http://ns.google.com/photos/1.0/camera/", r"(?:MotionPhoto|MicroVideo)\w*", "video"),
    ("http://ns.google.com/photos/1.0/depthmap/", r"[\w.-]+", "depth map"),
    ("http://ns.google.com/photos/1.0/image/", r"[\w.-]+", "original picture"),
    ("http://ns.google.com/photos/1.0/audio/", r"[\w.-]+", "sound"),
    ("http://ns.adobe.com/xmp/note/", "HasExtendedXMP", "extended XMP"),
)
#: Regions of faces and other things, in fractions or pixels of the picture as it is stored.
REGIONS = (
    ("http://www.metadataworkinggroup.com/schemas/regions/", "Regions", "face regions"),
    ("http://ns.microsoft.com/photo/1.2/", "RegionInfo", "face regions"),
    ("http://iptc.org/std/Iptc4xmpExt/2008-02-29/", "ImageRegion", "image regions"),
)
#: Longer XMP is not searched: it is not that of a photograph, and could be made to take hours.
LARGEST = 2**17
#: Places and sizes of regions.
_IPTC = tuple(b"Iptc4xmpExt:" + name for name in (b"rbX", b"rbY", b"rbW", b"rbH", b"rbRx"))
#: What the items of a container are.
_ITEMS = {b"GainMap": "gain map", b"MotionPhoto": "video", b"Depth": "depth map"}


def with_values(xmp: bytes, values: Mapping[bytes, object]) -> bytes:
    """Set the values of properties that XMP has, as attributes or as elements."""
    for name, value in values.items():
        xmp = _changed(xmp, name, lambda _, value=value: str(value).encode())
    return xmp


def enlarged(xmp: bytes, scale: float) -> bytes:
    """Multiply what counts pixels by a scale."""
    names = list(SCALED)
    # Where regions are stated; by default they are fractions.
    for unit, sizes in (
        (b"stDim:unit", (b"stDim:w", b"stDim:h")),
        (b"Iptc4xmpExt:rbUnit", _IPTC),
    ):
        if re.search(unit + rb"\s*(?:=\s*[\"']|>\s*)pixel\b", xmp):
            names += sizes

    def multiplied(value: bytes) -> bytes:
        number, slash, divisor = value.partition(b"/")
        return f"{round(scale * float(number))}".encode() + slash + divisor if number else value

    for name in names:
        xmp = _changed(xmp, name, multiplied)
    return xmp


def _changed(xmp: bytes, name: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """Change the number of a property, which is an attribute or an element."""

    def replaced(found: re.Match[bytes]) -> bytes:
        return found[1] + change(found[2]) + found[3]

    for begins, ends in ((rb"\s*=\s*[\"']", rb"[\"']"), (rb"\s*>\s*", rb"\s*</" + name)):
        pattern = rb"(\b" + name + begins + rb")([\d/.]*)(" + ends + rb")"
        xmp = re.sub(pattern, replaced, xmp)
    return xmp


def without_announcements(xmp: bytes) -> tuple[bytes, list[str]]:
    """Remove the properties that announce what SR does not have.

    Returns
    -------
    xmp
        XMP without them.
    gone
        What they announce, each once.
    """
    return (xmp, []) if len(xmp) > LARGEST else _without(xmp, ANNOUNCED)


def without_regions(xmp: bytes) -> tuple[bytes, list[str]]:
    """Remove the regions of a picture that is turned upright.

    Most programs state them for the picture as it is stored, and some for the upright one.

    Returns
    -------
    xmp
        XMP without them.
    gone
        What was removed, each once.
    """
    if len(xmp) > LARGEST:
        known = any(address.encode() in xmp for address, _, _ in REGIONS)
        return (b"", ["XMP"]) if known else (xmp, [])
    return _without(xmp, REGIONS)


def _without(
    xmp: bytes, properties: Iterable[tuple[str, str, str | None]]
) -> tuple[bytes, list[str]]:
    """Remove properties by namespace and name; return what they are, too."""
    gone: dict[str, None] = {}
    for address, names, what in properties:
        declared = rb"\sxmlns:([\w.-]+)\s*=\s*([\"'])" + re.escape(address.encode()) + rb"\2"
        for prefix in {found[1] for found in re.finditer(declared, xmp)}:
            name = re.escape(prefix) + rb":(" + names.encode() + rb")"
            element = rb"<" + name + rb"(?:\s[^>]*?)?(?:/>|>.*?</" + prefix + rb":\1\s*>)"
            attribute = rb"\s" + name + rb"\s*=\s*(?:\"[^\"]*\"|'[^']*')"
            for item in re.findall(rb"Semantic\s*=\s*[\"'](\w+)", xmp):
                if what is None and item in _ITEMS:
                    gone[_ITEMS[item]] = None
            xmp, elements = re.subn(element, b"", xmp, flags=re.DOTALL)
            xmp, attributes = re.subn(attribute, b"", xmp)
            if what is not None and elements + attributes:
                gone[what] = None
        if names == r"[\w.-]+":
            xmp = re.sub(declared, b"", xmp)
    return xmp, list(gone)
