"""EXIF in TIFF files: texts are tags of a page, other entries are in separate directories."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import PIL.Image
from PIL.ExifTags import IFD, Base
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from srkit.interfaces import Image
from srkit_photos.formats.exif import encoded, keep_characters
from srkit_photos.formats.metadata import exif_of

#: Tags of a page that are also in EXIF.
TEXTS = (
    Base.ImageDescription,
    Base.Make,
    Base.Model,
    Base.Software,
    Base.DateTime,
    Base.Artist,
    Base.Copyright,
)
#: Directories referenced by a tag of a page.
DIRECTORIES = (IFD.Exif, IFD.GPSInfo)
#: First characters of descriptions that refer to the stored pixels.
_LAYOUTS = ("<?xml", "<OME", "ImageJ=", '{"shape"', "Aperio", "SI.", "scanimage.")
_ASCII = 2


def read_exif(path: Path) -> bytes | None:
    """Return the EXIF of the first page of a file; None if there is none."""
    exif = PIL.Image.Exif()
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of damaged tags, which tifffile reports, too
        header = _header(file)
        page = _directory(header)
        file.seek(page.next)
        page.load(file)
        for tag in TEXTS:
            text = page.get(tag)
            if isinstance(text, str) and text and not text.startswith(_LAYOUTS):
                exif[tag] = text
        for name in DIRECTORIES:
            if name in page:
                details = _directory(header, int(name))
                file.seek(page[name])
                details.load(file)
                exif[name] = _without_offsets(details)
    keep_characters(exif)
    return exif.tobytes() if len(exif) else None


def page_tags(image: Image) -> list[tuple[Any, ...]]:
    """Return the texts of an image's EXIF as tags of a page for tifffile."""
    exif = exif_of(image)
    found = () if exif is None else [(tag, exif[tag]) for tag in TEXTS if tag in exif]
    return [text_tag(int(tag), encoded(text)) for tag, text in found]


def text_tag(tag: int, content: bytes) -> tuple[Any, ...]:
    """Return a text as a tag for tifffile, which takes other characters than ASCII as bytes."""
    return tag, _ASCII, 0, content, True


def add_directories(path: Path, image: Image) -> None:
    """Append the EXIF directories of the first page's image to a little-endian file.

    tifffile does not write them. The directory of the page is written again after them, with tags
    that point to them, and becomes the first directory of the file.
    """
    exif = exif_of(image)
    found = {name: exif.get_ifd(name) for name in DIRECTORIES} if exif is not None else {}
    if not any(found.values()):
        return
    with path.open("r+b") as file:
        header = _header(file)
        layout = _BIG if len(header) == 16 else _SMALL
        entries, following = _read_entries(file, header, layout)
        for name, details in found.items():
            if details:
                directory = _directory(header, int(name))
                for tag, value in _without_offsets(details).items():
                    directory[tag] = value
                offset = _end(file)
                file.write(directory.tobytes(offset))
                entries.append(struct.pack(layout.entry, name, layout.kind, 1, offset))
        entries.sort(key=lambda entry: entry[1] << 8 | entry[0])  # by tag
        first = _end(file)
        file.write(struct.pack(layout.length, len(entries)) + b"".join(entries) + following)
        file.seek(len(header) - struct.calcsize(layout.offset))
        file.write(struct.pack(layout.offset, first))


class _Layout(NamedTuple):
    """The format of a directory: its length, entries, offsets, and the type of offsets."""

    length: str
    entry: str
    offset: str
    kind: int


_SMALL, _BIG = _Layout("<H", "<HHLL", "<L", 4), _Layout("<Q", "<HHQQ", "<Q", 16)


def _read_entries(file: BinaryIO, header: bytes, layout: _Layout) -> tuple[list[bytes], bytes]:
    """Read the entries of the first directory, and the offset of the next."""
    size = struct.calcsize(layout.offset)
    file.seek(struct.unpack(layout.offset, header[-size:])[0])
    (count,) = struct.unpack(layout.length, file.read(struct.calcsize(layout.length)))
    entries = [file.read(struct.calcsize(layout.entry)) for _ in range(count)]
    return entries, file.read(size)


def _end(file: BinaryIO) -> int:
    """Seek to the end of a file, at an even offset, as required for directories."""
    file.write(b"\0" * (file.seek(0, 2) % 2))
    return file.tell()


def _header(file: BinaryIO) -> bytes:
    """Read the header, of 8 bytes, or 16 in a file of 64-bit offsets."""
    start = file.read(8)
    return start + file.read(8) if 43 in start[2:4] else start


def _directory(header: bytes, group: int | None = None) -> ImageFileDirectory_v2:
    """Return an empty directory for a file with this header."""
    # Pillow expects the version at its position in little-endian files.
    known = b"II+\0" + header[4:] if header[2:4] == b"\0+" else header
    return ImageFileDirectory_v2(known, prefix=header[:2], group=group)


def _without_offsets(details: Mapping[int, Any]) -> dict[int, Any]:
    """Remove entries that point into the original file."""
    return {tag: value for tag, value in details.items() if tag != IFD.Interop}
