"""The size of a file by its header is that of the image that is read."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tifffile
import torch

from srkit.errors import DataError
from srkit.images.formats import Formats
from srkit.interfaces import Image

ORIENTATION = 274


def exif(orientation: int) -> bytes:
    found = PIL.Image.Exif()
    found[ORIENTATION] = orientation
    return found.tobytes()


def picture(path: Path, orientation: int | None = None) -> Path:
    values = np.random.default_rng(0).integers(0, 256, (30, 41, 3), np.uint8)
    known = {} if orientation is None else {"exif": exif(orientation)}
    PIL.Image.fromarray(values).save(path, **known)
    return path


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".ppm", ".gif", ".tif"])
def test_every_format(tmp_path: Path, formats: Formats, suffix: str) -> None:
    path = picture(tmp_path / f"a{suffix}")
    assert formats.size(path) == tuple(formats.read(path).pixels.shape[1:]) == (30, 41)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".tif", ".fits"])
def test_values(tmp_path: Path, formats: Formats, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    formats.write(path, Image(torch.rand(1, 30, 41), metadata={"bits": 32}))
    assert formats.size(path) == (30, 41)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_upright(
    tmp_path: Path, formats: Formats, suffix: str, orientation: int
) -> None:
    path = picture(tmp_path / f"a{suffix}", orientation)
    expected = (41, 30) if orientation >= 5 else (30, 41)
    assert formats.size(path) == tuple(formats.read(path).pixels.shape[1:]) == expected


def test_an_orientation_after_the_pixels(tmp_path: Path, formats: Formats) -> None:
    path = picture(tmp_path / "a.png")
    content = path.read_bytes()
    body = b"eXIf" + exif(6).removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(body) - 4) + body + zlib.crc32(body).to_bytes(4)
    path.write_bytes(content[:-12] + chunk + content[-12:])
    assert formats.size(path) == tuple(formats.read(path).pixels.shape[1:]) == (41, 30)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_file_that_ends_too_early(tmp_path: Path, formats: Formats, suffix: str) -> None:
    path = picture(tmp_path / f"a{suffix}")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=f"a{suffix}: cannot be decoded"):
        formats.size(path)


def test_bytes_after_the_end(tmp_path: Path, formats: Formats) -> None:
    for suffix in (".png", ".jpg"):
        path = picture(tmp_path / f"a{suffix}")
        path.write_bytes(path.read_bytes() + b"more")
        assert formats.size(path) == (30, 41)


def test_pixels_are_not_decoded(
    tmp_path: Path, formats: Formats, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [picture(tmp_path / f"a{suffix}", 1) for suffix in (".png", ".jpg", ".webp")]
    paths.append(picture(tmp_path / "plain.png"))
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((30, 41), np.uint8))

    def decode(*_: object) -> None:
        raise AssertionError("the pixels must not be decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decode)
    monkeypatch.setattr("tifffile.TiffPage.asarray", decode)
    assert {formats.size(path) for path in [*paths, tmp_path / "a.tif"]} == {(30, 41)}
