"""EXIF in TIFF files: texts among the tags of a page, the rest in directories of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import PIL.Image
from PIL.ExifTags import IFD, Base
from PIL.TiffImagePlugin import ImageFileDirectory_v2
from tifffile import TiffFile

from srkit.interfaces import Image
from srkit_photos.metadata import exif_of

#: Tags of a page that EXIF has too.
TEXTS = (
    Base.ImageDescription,
    Base.Make,
    Base.Model,
    Base.Software,
    Base.DateTime,
    Base.Artist,
    Base.Copyright,
)
#: Directories that a tag of a page points to.
DIRECTORIES = (IFD.Exif, IFD.GPSInfo)
#: Descriptions that speak of the pixels as they were stored, by their beginning.
_LAYOUTS = ("<?xml", "<OME", "ImageJ=", '{"shape"')
_ASCII, _LONG = 2, 4


def read_exif(path: Path) -> bytes | None:
    """Give what the first page of a file says of its origin, as EXIF; None if it says nothing."""
    stored, exif = PIL.Image.Exif(), PIL.Image.Exif()
    with path.open("rb") as file:
        stored.load_from_fp(file)
        for tag in TEXTS:
            text = stored.get(tag)
            if isinstance(text, str) and text and not text.startswith(_LAYOUTS):
                exif[tag] = text
        for name in DIRECTORIES:
            details = dict(stored.get_ifd(name))
            details.pop(IFD.Interop, None)  # an offset into the file
            if details:
                exif.get_ifd(name).update(details)
                exif[name] = exif.get_ifd(name)
    return exif.tobytes() if len(exif) else None


def page_tags(image: Image) -> list[tuple[Any, ...]]:
    """Give the tags of a page for the EXIF of its image, as tifffile takes them.

    Those that point to directories point nowhere, until :func:`add_directories` was there.
    """
    exif = exif_of(image)
    if exif is None:
        return []
    texts = [(int(t), _ASCII, 0, str(exif[t]), True) for t in TEXTS if t in exif]
    return texts + [(int(d), _LONG, 1, 0, True) for d in DIRECTORIES if exif.get_ifd(d)]


def add_directories(path: Path, image: Image) -> None:
    """Append the EXIF directories of the image on a file's first page, and point to them."""
    exif = exif_of(image)
    found = {d: exif.get_ifd(d) for d in DIRECTORIES if exif is not None and exif.get_ifd(d)}
    for name, details in found.items():
        with path.open("r+b") as file:
            directory = ImageFileDirectory_v2(file.read(16), group=int(name))
            for tag, value in details.items():
                if tag != IFD.Interop:  # an offset into the file that it came from
                    directory[tag] = value
            offset = file.seek(0, 2)
            file.write(b"\0" * (offset % 2))
            offset += offset % 2
            file.write(directory.tobytes(offset))
        with TiffFile(path, mode="r+") as tiff:
            tiff.pages[0].aspage().tags[int(name)].overwrite(offset)
