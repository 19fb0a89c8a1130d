"""Chunks of PNG files: transparent colours and checksums."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.PngImagePlugin
import pytest

from srkit.errors import DataError
from srkit.images.formats import Formats

RNG = np.random.default_rng(11)


def _chunk(name: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + checksum


def _grey(levels: np.ndarray, bits: int, key: int) -> bytes:
    """Encode grey levels of a few bits with a transparent level."""
    height, width = levels.shape
    rows = b""
    for row in levels:
        text = "".join(f"{level:0{bits}b}" for level in row)
        text += "0" * (-len(text) % 8)
        rows += b"\0" + int(text, 2).to_bytes(len(text) // 8)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(name, content)
        for name, content in (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)),
            (b"tRNS", struct.pack(">H", key)),
            (b"IDAT", zlib.compress(rows)),
            (b"IEND", b""),
        )
    )


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("above", [0, 0xFF00])
def test_the_transparent_level(tmp_path: Path, formats: Formats, bits: int, above: int) -> None:
    levels = RNG.integers(0, 2**bits, (9, 11))
    key = int(levels[4, 5])
    # Bits of the key above the depth are not used.
    (tmp_path / "a.png").write_bytes(_grey(levels, bits, key | above))
    image = formats.read(tmp_path / "a.png")
    np.testing.assert_allclose(image.pixels[0] * (2**bits - 1), levels, atol=1e-5)
    np.testing.assert_array_equal(image.metadata["alpha"][0], levels != key)


def test_a_transparent_rgb_colour(tmp_path: Path, formats: Formats) -> None:
    values = RNG.integers(0, 256, (5, 6, 3), np.uint8)
    key = tuple(int(each) for each in values[2, 3])
    PIL.Image.fromarray(values).save(tmp_path / "a.png", transparency=key)
    alpha = formats.read(tmp_path / "a.png").metadata["alpha"][0]
    assert np.argwhere(alpha.numpy() == 0).tolist() == [[2, 3]]


@pytest.mark.parametrize("chunk", [b"IHDR", b"IDAT", b"tEXt", b"IEND"])
def test_a_wrong_checksum_is_damage(tmp_path: Path, formats: Formats, chunk: bytes) -> None:
    info = PIL.PngImagePlugin.PngInfo()
    info.add_text("Author", "Somebody")
    file = io.BytesIO()
    PIL.Image.fromarray(RNG.integers(0, 256, (9, 8, 3), np.uint8)).save(file, "PNG", pnginfo=info)
    content = bytearray(file.getvalue())
    start = content.index(chunk)
    (length,) = struct.unpack(">I", content[start - 4 : start])
    content[start + 4 + length] ^= 1
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        formats.read(path)
    assert str(caught.value) == (
        f"{path}: cannot be decoded (ValueError: the checksum of its chunk '{chunk.decode()}' "
        "differs); it may be damaged or incomplete: copy it again, or remove it"
    )


def test_an_end_that_is_missing(tmp_path: Path, formats: Formats) -> None:
    file = io.BytesIO()
    PIL.Image.fromarray(RNG.integers(0, 256, (9, 8), np.uint8)).save(file, "PNG")
    (tmp_path / "a.png").write_bytes(file.getvalue()[:-12])
    with pytest.raises(DataError, match="the file ends before its chunk IEND"):
        formats.read(tmp_path / "a.png")
