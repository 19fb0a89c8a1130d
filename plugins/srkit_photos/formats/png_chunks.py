"""The chunks of a PNG file that define the meaning of its pixels (W3C, PNG third edition)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: Chunks that remain valid for enlarged pictures: colours and texts.
KEPT = (b"cICP", b"cHRM", b"gAMA", b"mDCV", b"cLLI", b"sRGB", b"tEXt", b"zTXt", b"iTXt")
#: Keyword of the text chunk with XMP.
XMP = b"XML:com.adobe.xmp"
#: Chunks that take precedence over a gamma.
_STRONGER = {b"cICP", b"iCCP", b"sRGB"}
#: The gamma of sRGB, and the tolerance for treating another gamma as equal.
_USUAL, _ALIKE = 1 / 2.2, 0.01
#: Colour types of grey and RGB.
_GREY, _RGB = 0, 2
#: Bytes of a chunk that are read at once.
_PART = 2**20
#: Size of signature and header chunk, after which other chunks can follow.
_HEAD = len(SIGNATURE) + 25

Chunk = tuple[bytes, bytes]


def read_chunks(path: Path) -> list[Chunk]:
    """Read the chunks of a PNG file except its pixels, as names and contents.

    Raises
    ------
    ValueError
        If a chunk is incomplete or its checksum differs; Pillow does not check those of pixels.
    """
    return [each for each in _walk(path) if each[0] != b"IDAT"] if _is_png(path) else []


def chunks_after_pixels(path: Path) -> list[Chunk]:
    """Read the chunks that follow the pixels, without reading the pixels.

    Raises
    ------
    ValueError
        As :func:`read_chunks`, but the checksums of pixels are not compared.
    """
    chunks = list(_walk(path, skim=True)) if _is_png(path) else []
    last = max((i for i, (name, _) in enumerate(chunks) if name == b"IDAT"), default=-1)
    return chunks[last + 1 :]


def _is_png(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(SIGNATURE)) == SIGNATURE


def _walk(path: Path, *, skim: bool = False) -> Iterator[Chunk]:
    """Iterate over the chunks, with the pixels left out; skimming does not read these."""
    name = b""
    with path.open("rb") as file:
        file.seek(len(SIGNATURE))
        while name != b"IEND":
            head = file.read(8)
            if len(head) < 8:
                raise ValueError("the file ends before its chunk IEND")
            length, name = struct.unpack(">I4s", head)
            content, checksum = b"", zlib.crc32(name)
            skipped = skim and name == b"IDAT"
            if skipped:
                file.seek(length, 1)
            while not skipped and length > 0 and (part := file.read(min(length, _PART))):
                length -= len(part)
                checksum = zlib.crc32(part, checksum)
                content += part if name != b"IDAT" else b""
            stated = file.read(4)
            if len(stated) < 4 or not (skipped or stated == checksum.to_bytes(4)):
                raise ValueError(f"the checksum of its chunk {name!r} differs")
            yield name, content


def colour_key(chunks: Iterable[Chunk]) -> int | tuple[int, ...] | None:
    """Return the transparent colour of a grey or RGB picture, as 8-bit levels, or 16-bit."""
    found = dict(chunks)
    depth, colours = found[b"IHDR"][8:10]
    if b"tRNS" not in found or colours not in (_GREY, _RGB):
        return None
    most = 2**depth - 1
    # Pillow extends few bits to 8, but not the key; only the lower bits of the key are used.
    stated = struct.unpack(f">{1 if colours == _GREY else 3}H", found[b"tRNS"])
    key = tuple((each & most) * max(1, 255 // most) for each in stated)
    return key[0] if colours == _GREY else key


def unusual_gamma(chunks: Iterable[Chunk]) -> float | None:
    """Return the gamma of the pixels, if no other chunk defines it and it is not that of sRGB."""
    found = dict(chunks)
    if b"gAMA" not in found or _STRONGER & found.keys():
        return None
    gamma: float = struct.unpack(">I", found[b"gAMA"])[0] / 100_000
    return None if abs(gamma - _USUAL) < _ALIKE else gamma


def chunk(name: bytes, data: bytes) -> bytes:
    """Return the bytes of a chunk."""
    checksum = zlib.crc32(name + data)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)


def with_chunks(content: bytes, chunks: Iterable[Chunk]) -> bytes:
    """Insert chunks into the bytes of a PNG file, before its pixels."""
    inserted = b"".join(chunk(name, data) for name, data in chunks)
    return content[:_HEAD] + inserted + content[_HEAD:]


def profile_chunk(icc: bytes) -> Chunk:
    """Return the chunk of a colour profile."""
    return b"iCCP", b"ICC profile\0\0" + zlib.compress(icc)


def text_chunk(keyword: bytes, text: bytes) -> Chunk:
    """Return the chunk of an international text, uncompressed and without language."""
    return b"iTXt", keyword + b"\0\0\0\0\0" + text


def is_kept(chunk: Chunk) -> bool:
    """Return whether a chunk remains valid: also the shape of pixels of unknown size."""
    name, content = chunk
    return name in KEPT or (name == b"pHYs" and content[8:] == b"\0")


def is_text(chunk: Chunk, keyword: bytes) -> bool:
    """Return whether a chunk is an international text with a keyword."""
    return chunk[0] == b"iTXt" and chunk[1].startswith(keyword + b"\0")


def may_turn(chunk: Chunk) -> bool:
    """Return whether a chunk can state an orientation, as Pillow reads it."""
    name, content = chunk
    texts = name in (b"tEXt", b"zTXt", b"iTXt")
    return name == b"eXIf" or (texts and content.startswith((b"Raw profile type exif", XMP)))


def resolution_chunk(dpi: tuple[float, float]) -> Chunk:
    """Return the chunk of a resolution, which is stored per metre."""
    x, y = (round(each / 0.0254) for each in dpi)
    return b"pHYs", struct.pack(">IIB", x, y, 1)
