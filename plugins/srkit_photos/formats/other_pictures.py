"""BMP, GIF, Netpbm and HEIC, through Pillow."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from srkit.errors import DataError, PluginError
from srkit.functional import Values
from srkit.images import check_pixels, to_image
from srkit.interfaces import FormatLimits, Image
from srkit.system import needs
from srkit_photos.formats.arrays import damaged
from srkit_photos.formats.metadata import dropped
from srkit_photos.formats.pillow_formats import PillowFormat


class Bmp(PillowFormat):
    """BMP: 8 bits, written without compression, over white."""

    suffixes = (".bmp",)
    kind = "BMP"
    # The size of the second header distinguishes it from texts.
    signature = rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0"
    limits = FormatLimits((8,), max_side=2**31 - 1)


class Netpbm(PillowFormat):
    """PBM, PGM and PPM: 8 or 16 bits; written as 8 bits, over white."""

    suffixes = (".ppm", ".pgm", ".pbm", ".pnm")
    kind = "PPM"
    signature = rb"P[1-6][\s#]"
    limits = FormatLimits((8,), max_side=2**31 - 1)

    def read(self, path: Path) -> Image:
        """Read a picture; Pillow would reduce 16 bits of RGB to 8.

        Raises
        ------
        DataError
            If the file is damaged, incomplete, or suspiciously large.
        """
        try:
            values = _deep_values(path)
        except DataError:
            raise
        except Exception as error:  # such as texts that are not numbers
            raise damaged(path, error) from error
        return super().read(path) if values is None else to_image(values, alpha=False)


#: Blanks and comments between the numbers of a header, and the header of grey and RGB.
_GAP = rb"(?:\s|#[^\n]*\n)+"
_HEADER = re.compile(rb"P([2356])" + _GAP + _GAP.join([rb"(\d{1,9})"] * 3) + rb"\s")


def _deep_values(path: Path) -> Values | None:
    """Read levels of more than 8 bits, ``(H, W, C)`` uint16; None if there are fewer bits."""
    content = path.read_bytes()
    found = _HEADER.match(content)
    if found is None or not 255 < int(found[4]) < 65536:
        return None
    width, height, white = (int(each) for each in found.groups()[1:])
    shape = height, width, 3 if found[1] in b"36" else 1
    check_pixels(path, height, width)
    if found[1] in b"56":
        levels = np.frombuffer(content, ">u2", height * width * shape[2], found.end())
    else:
        numbers = re.sub(rb"#[^\n]*", b"", content[found.end() :]).split()
        levels = np.array(numbers[: height * width * shape[2]], np.uint32)
    scaled = (levels.astype(np.uint32) * 65535 + white // 2) // white
    return scaled.reshape(shape).astype(np.uint16)


class _ReadOnly(PillowFormat):
    """A format that Pillow reads; SR is written as PNG by default."""

    limits = FormatLimits((8,), frozenset({"alpha", "icc", "exif", "xmp"}))
    sr_suffix: ClassVar[str] = ".png"

    def write(self, path: Path, image: Image) -> None:
        """Refuse to write a file."""
        raise DataError(f"{path}: {path.suffix} files are only read; write {self.sr_suffix}")


class Gif(_ReadOnly):
    """GIF, of which the first frame is read."""

    suffixes = (".gif",)
    kind = "GIF"
    signature = rb"GIF8[79]a"


class Heic(_ReadOnly):
    """HEIC, by the package ``pillow-heif`` of the extra ``srkit[heif]``; read with 8 bits."""

    suffixes = (".heic", ".heif", ".hif")
    kind = "HEIF"
    signature = rb"....ftyp(?:hei[cxms]|hev[cxms]|(?:mif1|msf1).{4,64}?he[iv][cxms])"

    def read(self, path: Path) -> Image:
        """Read the primary picture, rotated upright.

        Raises
        ------
        DataError
            If the file is damaged, or the package is missing.
        """
        try:
            with needs("pillow_heif", "heif"):
                import pillow_heif
        except PluginError as error:
            raise DataError(f"{path}: is a HEIC picture; {error}") from error
        pillow_heif.register_heif_opener()
        image = super().read(path)
        notes = [*image.metadata.get("notes", []), *_notes(pillow_heif.open_heif(path).info)]
        return replace(image, metadata={**image.metadata, "notes": notes})


def _notes(info: Mapping[str, Any]) -> list[str]:
    """Return notes on what is not read of a HEIC file."""
    bits = info.get("bit_depth", 8)
    gone = ["depth map"] if info.get("depth_images") else []
    gone += (
        ["gain map"] if any("gainmap" in str(each).lower() for each in info.get("aux", ())) else []
    )
    return [*([] if bits == 8 else [f"{bits} bits are read as 8"]), *dropped(gone)]
