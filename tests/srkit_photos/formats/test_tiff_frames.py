"""TIFF frames restored in windows, compared with the whole picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import tifffile
import torch
from frames_setup import by_windows
from PIL.ExifTags import IFD, Base
from srkit_photos.formats import tiff_frames, tiff_rows
from srkit_photos.formats.tiff import Tiff
from upscale_setup import upscale_file

from srkit.components.registry import Registry
from srkit.errors import DataError
from srkit.images.formats import Formats
from srkit.interfaces import Image
from srkit.models.open import open_model
from srkit.upscaling.upscaler import ImageUpscaler

LAYOUTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "big-endian BigTIFF": {"byteorder": ">", "bigtiff": True},
    "strips": {"compression": "zlib", "rowsperstrip": 7, "predictor": True},
    "tiles": {"compression": "zlib", "tile": (16, 32)},
    "tiles uncompressed": {"tile": (32, 16)},
    "planes": {"planarconfig": "separate", "compression": "zlib", "rowsperstrip": 9},
}


@pytest.fixture(scope="module")
def upscaler() -> ImageUpscaler:
    return ImageUpscaler(open_model("bicubic", Registry.discover(), scale=2), tile=24)


def _compare(source: Path, upscaler: ImageUpscaler, formats: Formats) -> Any:
    whole, parts = source.with_name("whole.tif"), source.with_name("parts.tif")
    notes = upscale_file(source, whole, upscaler, formats)
    with by_windows():
        assert upscale_file(source, parts, upscaler, formats) == notes
    one, other = formats.read(whole), formats.read(parts)
    bits = one.metadata["bits"]
    allowed = 1.01 / (2**bits - 1) if bits < 32 else 1e-5 * one.data_range[1]
    assert float((one.pixels - other.pixels).abs().max()) <= allowed
    planes = [each.metadata.get("alpha") for each in (one, other)]
    if planes[0] is not None:
        assert float((planes[0] - planes[1]).abs().max()) <= allowed
    rest = [{k: v for k, v in each.metadata.items() if k != "alpha"} for each in (one, other)]
    assert rest[0] == rest[1]
    return other


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", "i2"])
@pytest.mark.parametrize("channels", [1, 3])
def test_windows_equal_the_whole_image(
    tmp_path: Path,
    formats: Formats,
    upscaler: ImageUpscaler,
    layout: str,
    dtype: str,
    channels: int,
) -> None:
    options = LAYOUTS[layout]
    values = (np.random.default_rng(0).random((61, 83, channels)) * 250).astype(dtype)
    if channels == 1:
        values = values[..., 0]
        options = {key: value for key, value in options.items() if key != "planarconfig"}
    elif "planarconfig" in options:
        values = np.moveaxis(values, -1, 0)
    if dtype == "f4":  # its predictor needs another package
        options = {key: value for key, value in options.items() if key != "predictor"}
    source = tmp_path / "a.tif"
    colours = "rgb" if channels == 3 else "minisblack"
    tifffile.imwrite(source, values, photometric=colours, metadata=None, **options)
    _compare(source, upscaler, formats)


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_opacity(tmp_path: Path, formats: Formats, upscaler: ImageUpscaler, dtype: str) -> None:
    values = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (61, 83, 4)).astype(dtype)
    source = tmp_path / "a.tif"
    tifffile.imwrite(source, values, photometric="rgb", extrasamples=["unassalpha"])
    assert _compare(source, upscaler, formats).metadata["alpha"].shape == (1, 122, 166)


def test_cmyk_and_inverted_grey(tmp_path: Path, formats: Formats, upscaler: ImageUpscaler) -> None:
    values = np.random.default_rng(0).integers(0, 256, (61, 83, 4), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="separated")
    _compare(tmp_path / "a.tif", upscaler, formats)
    tifffile.imwrite(tmp_path / "a.tif", values[..., 0], photometric="miniswhite")
    (tmp_path / "whole.tif").unlink()
    (tmp_path / "parts.tif").unlink()
    _compare(tmp_path / "a.tif", upscaler, formats)


def test_profile_resolution_and_exif(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler
) -> None:
    from PIL import ImageCms

    exif = PIL.Image.Exif()
    exif[Base.Artist] = "Somebody"
    exif.get_ifd(IFD.Exif)[Base.ISOSpeedRatings] = 400
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    metadata = {"bits": 8, "exif": exif.tobytes(), "icc": profile, "dpi": (150.0, 150.0)}
    source = tmp_path / "a.tif"
    formats.write(source, Image(torch.rand(3, 61, 83), metadata=metadata))
    found = _compare(source, upscaler, formats)
    assert found.metadata["icc"] == profile
    assert found.metadata["dpi"] == (300, 300)
    with PIL.Image.open(tmp_path / "parts.tif") as opened:
        assert opened.getexif()[Base.Artist] == "Somebody"
        assert opened.getexif().get_ifd(IFD.Exif)[Base.ISOSpeedRatings] == 400


def test_large_files_have_offsets_of_64_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, formats: Formats, upscaler: ImageUpscaler
) -> None:
    monkeypatch.setattr(tiff_frames, "CLASSIC", 10_000)
    source = tmp_path / "a.tif"
    tifffile.imwrite(source, np.random.default_rng(0).random((61, 83), np.float32))
    _compare(source, upscaler, formats)
    with tifffile.TiffFile(tmp_path / "parts.tif") as file:
        assert file.is_bigtiff
        assert file.pages[0].aspage().compression == tifffile.COMPRESSION.NONE


def test_files_that_are_read_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, values = tmp_path / "a.tif", np.zeros((61, 83), np.uint8)
    tifffile.imwrite(path, np.stack([values, values]), photometric="minisblack")
    assert Tiff().open_source(path) is None
    tifffile.imwrite(path, values, extratags=[(274, 3, 1, 6, True)])
    assert Tiff().open_source(path) is None
    tifffile.imwrite(path, np.zeros((61, 83, 4), np.float32), photometric="rgb")
    assert Tiff().open_source(path) is None
    tifffile.imwrite(path, values, compression="zlib", rowsperstrip=61)
    monkeypatch.setattr(tiff_rows, "LARGEST_SEGMENT", 61 * 83 - 1)
    assert Tiff().open_source(path) is None


def test_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(b"II*\0nothing")
    with pytest.raises(DataError) as caught:
        Tiff().open_source(path)
    assert str(caught.value).startswith(f"{path}: cannot be decoded (")
    values = np.random.default_rng(0).integers(0, 256, (61, 83), np.uint8)
    for options in ({}, {"compression": "zlib", "rowsperstrip": 8}):
        tifffile.imwrite(path, values, metadata=None, **options)
        path.write_bytes(path.read_bytes()[:-500])
        source = Tiff().open_source(path)
        assert source is not None
        with pytest.raises(DataError) as caught:
            source.rows(40, 61)
        source.close()
        assert str(caught.value).startswith(f"{path}: cannot be decoded (")
