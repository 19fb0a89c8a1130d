"""Errors of picture files: what is damaged, what is not supported, and what cannot be written."""

from __future__ import annotations

import errno
import os
import struct
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tifffile
from frames_setup import by_windows
from PIL.ExifTags import Base
from srkit_photos.formats.arrays import damaged
from upscale_setup import FailedError, nearest_upscaler, upscale_file

from srkit.errors import DataError
from srkit.images.formats import Formats

BYTES = np.random.default_rng(5).integers(0, 256, (10, 14, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.EIO, os.strerror(errno.EIO)), "cannot be read (Input/output error)"),
        (MemoryError("2 GiB"), "does not fit into memory (MemoryError: 2 GiB)"),
        (
            NotImplementedError("chroma"),  # as Pillow raises it
            "is of a kind that cannot be decoded (NotImplementedError: chroma); convert it to",
        ),
        (
            ValueError("<COMPRESSION.SGILOG: 34676> not supported"),
            "is of a kind that cannot be decoded (ValueError: <COMPRESSION.SGILOG: 34676> not sup",
        ),
        (
            OSError("image file is truncated"),
            "cannot be decoded (OSError: image file is truncated); it may be damaged or incomplete",
        ),
    ],
)
def test_only_damaged_files_are_called_that(error: Exception, message: str) -> None:
    assert str(damaged(Path("a.png"), error)).startswith(f"a.png: {message}")


@pytest.mark.parametrize("windows", [False, True])
def test_what_tifffile_logs_is_a_note(
    tmp_path: Path, formats: Formats, capfd: pytest.CaptureFixture[str], windows: bool
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, BYTES[..., 0], metadata=None, software="somebody's program")
    content = bytearray(path.read_bytes())
    place = content.index(struct.pack("<HH", 305, 2))
    content[place + 8 : place + 12] = struct.pack("<L", 10**9)  # beyond the end of the file
    path.write_bytes(content)
    with by_windows() if windows else nullcontext():
        notes = upscale_file(path, tmp_path / "b.tif", nearest_upscaler(), formats)
    (note,) = notes
    assert note.startswith("not all of it can be read: <TiffTag.fromfile> raised TiffFileError(")
    np.testing.assert_array_equal(
        tifffile.imread(tmp_path / "b.tif"), BYTES[..., 0].repeat(2, 0).repeat(2, 1)
    )
    assert capfd.readouterr() == ("", "")


def test_raw_files_of_cameras(tmp_path: Path, formats: Formats) -> None:
    path = tmp_path / "a.dng"
    with tifffile.TiffWriter(path) as file:
        file.write(BYTES, photometric="rgb", subifds=1, subfiletype=1)
        file.write(
            BYTES[..., 0].repeat(2, 0),
            photometric="cfa",
            extratags=[(33421, 3, 2, (2, 2), True), (33422, 1, 4, bytes([0, 1, 1, 2]), True)],
        )
    with pytest.raises(DataError) as caught:
        formats.read(path)
    assert str(caught.value) == (
        f"{path}: has only a thumbnail as its page, as the raw files of cameras; develop it, or "
        "convert it to .tif or .png"
    )
    (tmp_path / "b.cr2").write_bytes(b"II*\0\x10\0\0\0CR\2\0" + bytes(40))
    with pytest.raises(DataError, match=r"b\.cr2: is the raw file of a camera; convert it to"):
        formats.read(tmp_path / "b.cr2")


def test_a_picture_that_cannot_be_encoded(
    tmp_path: Path, formats: Formats, monkeypatch: pytest.MonkeyPatch
) -> None:
    PIL.Image.fromarray(BYTES).save(tmp_path / "a.png")

    def refuse(*args: object, **options: object) -> None:
        raise struct.error("argument out of range")

    monkeypatch.setattr(PIL.Image.Image, "save", refuse)
    with pytest.raises(FailedError) as caught:
        upscale_file(tmp_path / "a.png", tmp_path / "b.jpg", nearest_upscaler(3), formats)
    assert str(caught.value) == (
        f"{tmp_path / 'b.jpg'}: cannot be encoded (error: argument out of range); write .tif or "
        ".png"
    )


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_texts_of_tiff_that_are_not_ascii(tmp_path: Path, formats: Formats, encoding: str) -> None:
    stack = "ImageJ=1.54f\nunit=µm".encode(encoding)
    for content, tag in ((stack, Base.ImageDescription), ("José".encode(encoding), Base.Artist)):
        extra = [(int(tag), 2, 0, content, True)]
        tifffile.imwrite(tmp_path / "a.tif", BYTES[..., 0], metadata=None, extratags=extra)
        target = tmp_path / f"{tag.name}.tif"
        assert upscale_file(tmp_path / "a.tif", target, nearest_upscaler(), formats) == []
        with tifffile.TiffFile(target) as file:
            assert file.pages[0].aspage().tags.valueof(int(tag)) == content.decode(encoding)
