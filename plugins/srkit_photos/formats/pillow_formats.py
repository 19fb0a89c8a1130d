"""PNG, JPEG, WebP and AVIF, through Pillow."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import PIL.features
import PIL.Image
import torch
from PIL import ImageCms
from torch import Tensor

from srkit.errors import DataError, PluginError
from srkit.functional import Values
from srkit.images import to_image
from srkit.interfaces import FormatLimits, Image
from srkit_photos.formats import png16
from srkit_photos.formats.arrays import ORIENTATION, damaged, to_values, upright
from srkit_photos.formats.metadata import Describing, describe, exif_of, profile, resolution, xmp_of
from srkit_photos.formats.opening import open_picture
from srkit_photos.formats.png_chunks import (
    XMP,
    Chunk,
    chunks_after_pixels,
    colour_key,
    is_kept,
    is_text,
    may_turn,
    profile_chunk,
    read_chunks,
    resolution_chunk,
    text_chunk,
    unusual_gamma,
    with_chunks,
)

#: The last bytes of a JPEG file.
END = b"\xff\xd9"
#: Metadata that all of these formats can store.
KEPT_METADATA = frozenset({"icc", "exif", "xmp"})


class PillowFormat(Describing):
    """A format that Pillow reads and writes; `kind` is its name in Pillow."""

    suffixes: ClassVar[tuple[str, ...]]
    signature: ClassVar[bytes]
    kind: ClassVar[str]
    limits: ClassVar[FormatLimits]
    settings: ClassVar[dict[str, Any]] = {}

    def read(self, path: Path) -> Image:
        """Read a picture, rotated upright.

        Grey remains grey; palettes and CMYK become RGB; 16 bits are kept; opacity is in
        ``metadata["alpha"]``; of an animation, the first frame is read. The metadata ``icc``
        (profile), ``exif`` and ``dpi`` are those of the file.

        Raises
        ------
        DataError
            If the file is damaged, incomplete, or suspiciously large.
        """
        try:
            chunks = read_chunks(path)
            with open_picture(path) as picture:
                orientation = picture.getexif().get(ORIENTATION, 1)
                key = colour_key(chunks) if chunks else None
                if key is not None:
                    picture.info["transparency"] = key
                values, alpha = _values(picture, path)
                known = describe(picture)
        except DataError:
            raise
        except Exception as error:  # decoders raise many kinds for a damaged file
            raise damaged(path, error, self._other_kind(path)) from error
        if picture.mode == "CMYK":
            known.pop("icc", None)
            known.setdefault("notes", []).append("CMYK becomes sRGB")
        image = to_image(upright(values, orientation), alpha=alpha)
        return replace(image, metadata={**image.metadata, **known, **_of_png(chunks)})

    def size(self, path: Path) -> tuple[int, int]:
        """Return height and width of the upright picture by its header.

        Raises
        ------
        DataError
            If the file is damaged, incomplete, or suspiciously large. Damage to the pixels is found
            only if the file ends too early.
        """
        try:
            with open_picture(path) as picture:
                turned = self._orientation(path, picture) in (5, 6, 7, 8)
                width, height = picture.size
        except DataError:
            raise
        except Exception as error:  # decoders raise many kinds for a damaged file
            raise damaged(path, error, self._other_kind(path)) from error
        return (width, height) if turned else (height, width)

    def _orientation(self, path: Path, picture: PIL.Image.Image) -> int:
        """Return the EXIF orientation of a picture whose pixels are not decoded."""
        orientation: int = picture.getexif().get(ORIENTATION, 1)
        return orientation

    def _other_kind(self, path: Path) -> str:
        """Return the name of this format if that of the file says another."""
        return "" if path.suffix.lower() in self.suffixes else self.kind

    def write(self, path: Path, image: Image) -> None:
        """Write 8 bits per channel, without opacity over white; values are clipped."""
        if "alpha" not in self.limits.metadata:
            image = _over_white(image)
        path.write_bytes(self._encoded(path, image, self._known(image)))

    def _encoded(self, path: Path, image: Image, known: dict[str, Any]) -> bytes:
        levels = to_values(path, image, bits=8, alpha="alpha" in self.limits.metadata)
        content = io.BytesIO()
        try:
            PIL.Image.fromarray(levels).save(content, self.kind, **self.settings, **known)
        except MemoryError:
            raise
        except Exception as error:  # encoders raise many kinds, such as for unusual EXIF
            raise DataError(
                f"{path}: cannot be encoded ({type(error).__name__}: {error}); write .tif or .png"
            ) from error
        return content.getvalue()

    def _known(self, image: Image) -> dict[str, Any]:
        """Return the metadata of the file as arguments of Pillow."""
        found = {
            "icc_profile": profile(image),
            "exif": exif_of(image),
            "dpi": resolution(image),
            "xmp": None if self.limits.is_too_long(image, "xmp") else xmp_of(image),
        }
        return {key: value for key, value in found.items() if value is not None}


class _Lossy(PillowFormat):
    """A format with a quality from 1 to 100."""

    compression: ClassVar[dict[str, Any]]

    def compress(self, image: Image, quality: int) -> bytes:
        """Return the content of an 8-bit file without metadata."""
        levels = to_values(Path(f"picture{self.suffixes[-1]}"), image, bits=8, alpha=False)
        content = io.BytesIO()
        PIL.Image.fromarray(levels).save(content, self.kind, quality=quality, **self.compression)
        return content.getvalue()

    def decompress(self, content: bytes) -> Image:
        """Decode the output of `compress`; grey may become RGB."""
        with PIL.Image.open(io.BytesIO(content)) as picture:
            levels = np.array(picture.convert("L" if picture.mode == "L" else "RGB"))
        return to_image(levels, alpha=False)


def _values(picture: PIL.Image.Image, path: Path) -> tuple[Values, bool]:
    """Decode to ``(H, W)`` or ``(H, W, C)``, and return whether the last channel is opacity."""
    if png16.is_deep(path):
        values = png16.decode(path)
        return values, values.ndim == 3 and values.shape[2] != 3
    if picture.mode == "CMYK":
        return np.array(_to_srgb(picture)), False
    alpha = picture.has_transparency_data
    grey = picture.mode in ("1", "L", "LA", "La")
    mode = ("L" if grey else "RGB") + ("A" if alpha else "")
    return np.array(picture.convert(mode)), alpha


def _to_srgb(picture: PIL.Image.Image) -> PIL.Image.Image:
    """Convert CMYK to sRGB with the profile of the file, if it has one for CMYK."""
    icc = picture.info.get("icc_profile", b"")
    if icc[16:20] != b"CMYK":
        return picture.convert("RGB")
    inks, screen = ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(picture, inks, screen, outputMode="RGB")
    assert converted is not None  # since it is not converted in place
    return converted


def _of_png(chunks: list[Chunk]) -> dict[str, Any]:
    """Return the metadata that only PNG has."""
    found: dict[str, Any] = {"png": [chunk for chunk in chunks if is_kept(chunk)]}
    found["gamma"] = unusual_gamma(chunks)
    return {key: value for key, value in found.items() if value}


class Png(PillowFormat):
    """PNG: lossless, 8 bits, or 16 if the image's metadata have ``bits: 16`` or more."""

    suffixes = (".png",)
    kind = "PNG"
    signature = rb"\x89PNG\r\n\x1a\n"
    limits = FormatLimits((8, 16), KEPT_METADATA | {"alpha", "gamma"}, max_side=2**31 - 1)

    def _orientation(self, path: Path, picture: PIL.Image.Image) -> int:
        """Return the EXIF orientation, for which Pillow decodes all pixels unless it is known."""
        if any(may_turn(chunk) for chunk in chunks_after_pixels(path)):
            return super()._orientation(path, picture)
        orientation: int = PIL.Image.Image.getexif(picture).get(ORIENTATION, 1)
        return orientation

    def write(self, path: Path, image: Image) -> None:
        """Write 8 or 16 bits per channel; values outside the data range are clipped."""
        if (image.metadata.get("bits") or 8) > 8:
            content = png16.encode(to_values(path, image, bits=16))
        else:
            content = self._encoded(path, image, {})
        path.write_bytes(with_chunks(content, _chunks(image)))


def _chunks(image: Image) -> list[Chunk]:
    icc, dpi, exif, xmp = profile(image), resolution(image), exif_of(image), xmp_of(image)
    chunks = [] if icc is None else [profile_chunk(icc)]
    # A profile and the chunk sRGB exclude each other.
    kept = [each for each in image.metadata.get("png", []) if not is_text(each, XMP)]
    chunks += [each for each in kept if icc is None or each[0] != b"sRGB"]
    chunks += [] if xmp is None else [text_chunk(XMP, xmp)]
    chunks += [] if dpi is None else [resolution_chunk(dpi)]
    chunks += [] if exif is None else [(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))]
    return chunks


class Jpeg(_Lossy):
    """JPEG: 8 bits, lossy, written at quality 95 without chroma subsampling, over white."""

    suffixes = (".jpg", ".jpeg", ".jpe", ".jfif")
    kind = "JPEG"
    signature = rb"\xff\xd8\xff"
    limits = FormatLimits((8,), KEPT_METADATA, {"xmp": 65_502}, max_side=65_535)
    settings: ClassVar[dict[str, Any]] = {"quality": 95, "subsampling": 0}
    compression: ClassVar[dict[str, Any]] = {"optimize": True}  # chroma is subsampled

    def size(self, path: Path) -> tuple[int, int]:
        """Return height and width as :meth:`PillowFormat.size`; a file without its end is read."""
        sides = super().size(path)
        with path.open("rb") as file:
            file.seek(-min(len(END), path.stat().st_size), 2)
            complete = file.read() == END
        if not complete:  # other bytes may follow the end, or the picture is incomplete
            self.read(path)
        return sides

    def levels(self, path: Path, content: bytes, short_side: int | None) -> Tensor | None:
        """Decode a file in memory to bytes, see :func:`.jpeg_levels.jpeg_levels`."""
        from srkit_photos.formats.jpeg_levels import jpeg_levels

        return jpeg_levels(path, content, short_side)


def _over_white(image: Image) -> Image:
    alpha = image.metadata.get("alpha")
    if alpha is None or alpha.shape[-2:] != image.pixels.shape[-2:]:
        return image
    white = torch.tensor(image.data_range[1])
    return replace(image, pixels=torch.lerp(white, image.pixels, alpha))


class WebP(_Lossy):
    """WebP: 8 bits, written losslessly; grey is read as RGB.

    Pillow does not read files of more than 179 megapixels unless ``PIL.Image.MAX_IMAGE_PIXELS`` is
    raised.
    """

    suffixes = (".webp",)
    kind = "WEBP"
    signature = rb"RIFF....WEBP"
    limits = FormatLimits((8,), KEPT_METADATA | {"alpha"}, max_side=16_383)
    settings: ClassVar[dict[str, Any]] = {"lossless": True, "exact": True}
    compression: ClassVar[dict[str, Any]] = {"method": 4}


class Avif(_Lossy):
    """AVIF: 8 bits, lossy, written at quality 90 without chroma subsampling.

    Raises
    ------
    PluginError
        If Pillow was built without AVIF.
    """

    suffixes = (".avif",)
    kind = "AVIF"
    signature = rb"....ftyp(?:avi[fs]|(?:mif1|msf1).{4,64}?avi[fs])"
    limits = FormatLimits((8,), KEPT_METADATA | {"alpha"}, max_side=65_535)
    settings: ClassVar[dict[str, Any]] = {"quality": 90, "subsampling": "4:4:4"}
    compression: ClassVar[dict[str, Any]] = {"subsampling": "4:2:0", "speed": 6}

    def __init__(self) -> None:
        if not PIL.features.check("avif"):
            raise PluginError("this Pillow cannot read AVIF; pip install -U pillow")

    def read(self, path: Path) -> Image:
        """Read a picture as :meth:`PillowFormat.read` does; Pillow reduces 10 and 12 bits to 8."""
        image, bits = super().read(path), _bits_of_avif(path)
        if bits == 8:
            return image
        notes = [*image.metadata.get("notes", []), f"{bits} bits are read as 8"]
        return replace(image, metadata={**image.metadata, "notes": notes})


def _bits_of_avif(path: Path) -> int:
    """Return the depth of an AVIF file by its codec configuration (AV1 in ISOBMFF, 2.3.3)."""
    with path.open("rb") as file:
        head = file.read(2**14)
    flags = head[head.find(b"av1C") + 6]
    return 8 if not flags & 0x40 else 12 if flags & 0x20 else 10
