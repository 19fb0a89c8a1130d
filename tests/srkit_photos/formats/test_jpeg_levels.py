"""Fast JPEG decoding: equal to Pillow, and within a tolerance at a fraction of the size."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageOps
from skimage.data import astronaut, coffee
from srkit_photos.formats.jpeg_levels import jpeg_levels

from srkit.errors import DataError
from srkit.functional.resizing import resize_short_side
from srkit.images.formats import Formats
from srkit.images.limits import allow

PATH = Path("photo.jpg")


def encode(picture: Pillow.Image, **options: object) -> bytes:
    content = io.BytesIO()
    picture.save(content, "JPEG", **options)
    return content.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_pixels_equal_those_of_pillow(mode: str, options: dict[str, object]) -> None:
    content = encode(Pillow.fromarray(coffee()).convert(mode), **options)
    levels = jpeg_levels(PATH, content, 200)
    expected = np.asarray(Pillow.open(io.BytesIO(content)))
    assert levels is not None
    assert np.array_equal(levels.movedim(0, -1).numpy().squeeze(), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("short_side", [None, 16])
def test_upright(orientation: int, short_side: int | None) -> None:
    exif = Pillow.Exif()
    exif[274] = orientation
    content = encode(Pillow.fromarray(coffee()), exif=exif)
    levels = jpeg_levels(PATH, content, short_side)
    upright = np.asarray(ImageOps.exif_transpose(Pillow.open(io.BytesIO(content))))
    assert levels is not None
    if short_side is None:
        assert np.array_equal(levels.movedim(0, -1).numpy(), upright)
    else:
        whole = resize_short_side(levels.new_tensor(upright.copy()).movedim(-1, 0), short_side)
        assert levels.shape == whole.shape
        assert psnr(levels.numpy(), whole.numpy()) > 40


def test_an_orientation_in_xmp_counts_as_in_reading(tmp_path: Path, formats: Formats) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6"/></x:xmpmeta>'
    path = tmp_path / "a.jpg"
    path.write_bytes(encode(Pillow.fromarray(coffee()), xmp=xmp))
    levels = jpeg_levels(path, path.read_bytes(), None)
    assert levels is not None
    assert tuple(levels.shape) == tuple(formats.read(path).pixels.shape) == (3, 600, 400)


def test_orientation_after_other_segments() -> None:
    exif = Pillow.Exif()
    exif[274] = 6
    content = encode(
        Pillow.fromarray(coffee()), exif=exif, comment="of a cup", icc_profile=b"c" * 99
    )
    upright = np.asarray(ImageOps.exif_transpose(Pillow.open(io.BytesIO(content))))
    start = content.index(b"\xff\xe1")
    comment = b"\xff\xfe" + (70_002).to_bytes(4)[2:] + bytes(70_002 % 65_536 - 2)
    filled = content[:start] + comment + b"\xff\xff" + content[start:]
    for given in (content, filled):
        levels = jpeg_levels(PATH, given, None)
        assert levels is not None
        assert np.array_equal(levels.movedim(0, -1).numpy(), upright)
    # EXIF data after the pixels, such as those of a thumbnail, are ignored.
    levels = jpeg_levels(PATH, encode(Pillow.fromarray(coffee())) + content, None)
    assert levels is not None and levels.shape == (3, 400, 600)


@pytest.mark.parametrize(
    ("short_side", "picture"), [(24, "coffee"), (25, "coffee"), (16, "astronaut")]
)
def test_decoding_at_a_fraction_of_the_size_is_as_accurate(short_side: int, picture: str) -> None:
    """Decode at a quarter from 16 times the requested side, and at an eighth from 32 times."""
    content = encode(Pillow.fromarray({"coffee": coffee, "astronaut": astronaut}[picture]()))
    small, whole = (jpeg_levels(PATH, content, side) for side in (short_side, None))
    assert small is not None and whole is not None
    assert min(small.shape[1:]) == short_side
    assert psnr(small.numpy(), resize_short_side(whole, short_side).numpy()) > 45


def test_slightly_larger_pictures_are_decoded_at_full_size() -> None:
    levels = jpeg_levels(PATH, encode(Pillow.fromarray(coffee())), 26)
    assert levels is not None and levels.shape == (3, 400, 600)


def test_other_files_are_not_decoded() -> None:
    content = io.BytesIO()
    Pillow.fromarray(coffee()).save(content, "PNG")
    assert jpeg_levels(PATH, content.getvalue(), None) is None
    assert jpeg_levels(PATH, encode(Pillow.fromarray(coffee()).convert("CMYK")), None) is None


def test_damaged_files_are_not_decoded_and_huge_ones_are_refused() -> None:
    content = encode(Pillow.fromarray(coffee()))
    for part in (content[:10], content[:5000]):
        assert jpeg_levels(PATH, part, None) is None
    message = r"photo\.jpg: would decompress to 600 x 400"
    with allow(0.1), pytest.raises(DataError, match=message):
        jpeg_levels(PATH, content, None)


def psnr(found: np.ndarray, expected: np.ndarray) -> float:
    error = np.square(found.astype(float) - expected).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-9)))
