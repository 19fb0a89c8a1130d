"""The chunks of a PNG file that define the meaning of its pixels (W3C, PNG third edition)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: Chunks that remain valid for enlarged pictures: colours and texts.
KEPT = (b"cICP", b"cHRM", b"gAMA", b"sRGB", b"tEXt", b"zTXt", b"iTXt")
#: Keyword of the text chunk with XMP.
XMP = b"XML:com.adobe.xmp"
#: Chunks that take precedence over a gamma.
_STRONGER = {b"cICP", b"iCCP", b"sRGB"}
#: The gamma of sRGB, and the tolerance for treating another gamma as equal.
_USUAL, _ALIKE = 1 / 2.2, 0.01
#: Size of signature and header chunk, after which other chunks can follow.
_HEAD = len(SIGNATURE) + 25

Chunk = tuple[bytes, bytes]


def read_chunks(path: Path) -> list[Chunk]:
    """Read the chunks of a PNG file except its pixels, as names and contents."""
    return list(_walk(path)) if _is_png(path) else []


def _is_png(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(SIGNATURE)) == SIGNATURE


def _walk(path: Path) -> Iterator[Chunk]:
    with path.open("rb") as file:
        file.seek(len(SIGNATURE))
        while len(head := file.read(8)) == 8:
            length, name = struct.unpack(">I4s", head)
            if name == b"IDAT":
                file.seek(length, 1)
            else:
                yield name, file.read(length)
            file.seek(4, 1)


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


def is_text(chunk: Chunk, keyword: bytes) -> bool:
    """Return whether a chunk is an international text with a keyword."""
    return chunk[0] == b"iTXt" and chunk[1].startswith(keyword + b"\0")


def resolution_chunk(dpi: tuple[float, float]) -> Chunk:
    """Return the chunk of a resolution, which is stored per metre."""
    x, y = (round(each / 0.0254) for each in dpi)
    return b"pHYs", struct.pack(">IIB", x, y, 1)
