"""Picture formats, against Pillow and tifffile."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
import tifffile
import torch

from srkit.errors import DataError
from srkit.images.formats import Formats
from srkit.images.limits import allow
from srkit.interfaces import Image

RNG = np.random.default_rng(3)
BYTES = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)
WORDS = RNG.integers(0, 65536, (20, 30, 3), dtype=np.uint16)


def _planes(image: Image, white: int) -> np.ndarray:
    return (image.pixels * white).round().int().movedim(0, -1).numpy()


@pytest.mark.parametrize(
    ("mode", "channels"),
    [("1", 1), ("L", 1), ("RGB", 3), ("P", 3), ("LA", 1), ("RGBA", 3)],
)
def test_png_modes(tmp_path: Path, formats: Formats, mode: str, channels: int) -> None:
    picture = PIL.Image.fromarray(BYTES)
    picture = picture.quantize(16) if mode == "P" else picture.convert(mode)
    picture.save(tmp_path / "a.png")
    image = formats.read(tmp_path / "a.png")
    assert image.pixels.dtype == torch.float32
    assert image.pixels.shape == (channels, 20, 30)
    expected = np.array(picture.convert("L" if channels == 1 else "RGB")).reshape(20, 30, -1)
    np.testing.assert_array_equal(_planes(image, 255), expected)
    assert ("alpha" in image.metadata) == (mode in ("LA", "RGBA"))


def test_opacity_is_kept_beside_unchanged_colours(tmp_path: Path, formats: Formats) -> None:
    values = RNG.integers(0, 256, (6, 7, 4), dtype=np.uint8)
    PIL.Image.fromarray(values).save(tmp_path / "a.png")
    image = formats.read(tmp_path / "a.png")
    np.testing.assert_array_equal(_planes(image, 255), values[..., :3])
    np.testing.assert_array_equal((image.metadata["alpha"][0] * 255).numpy(), values[..., 3])
    for suffix in ("png", "webp", "tif"):
        formats.write(tmp_path / f"b.{suffix}", image)
        again = formats.read(tmp_path / f"b.{suffix}")
        assert torch.equal(again.pixels, image.pixels)
        assert torch.equal(again.metadata["alpha"], image.metadata["alpha"])
    formats.write(tmp_path / "b.jpg", image)
    assert "alpha" not in formats.read(tmp_path / "b.jpg").metadata


def test_transparent_palette(tmp_path: Path, formats: Formats) -> None:
    picture = PIL.Image.fromarray(BYTES).quantize(16)
    picture.save(tmp_path / "a.png", transparency=0)
    image = formats.read(tmp_path / "a.png")
    assert torch.equal(image.metadata["alpha"][0] == 0, torch.from_numpy(np.array(picture) == 0))


def test_cmyk_jpeg_becomes_rgb(tmp_path: Path, formats: Formats) -> None:
    PIL.Image.fromarray(BYTES).convert("CMYK").save(tmp_path / "a.jpg")
    with PIL.Image.open(tmp_path / "a.jpg") as picture:
        expected = np.array(picture.convert("RGB"))
    np.testing.assert_array_equal(_planes(formats.read(tmp_path / "a.jpg"), 255), expected)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bits_survive(tmp_path: Path, formats: Formats, suffix: str, channels: int) -> None:
    pixels = torch.from_numpy(WORDS[..., :channels].astype(np.float32) / 65535).movedim(-1, 0)
    formats.write(tmp_path / f"a.{suffix}", Image(pixels, metadata={"bits": 16}))
    image = formats.read(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(_planes(image, 65535), WORDS[..., :channels])
    assert image.metadata["bits"] == 16


@pytest.mark.parametrize("channels", [1, 3])
def test_16_bit_opacity_survives(tmp_path: Path, formats: Formats, channels: int) -> None:
    pixels, alpha = torch.rand(channels, 5, 4), torch.rand(1, 5, 4)
    formats.write(tmp_path / "a.png", Image(pixels, metadata={"bits": 16, "alpha": alpha}))
    image = formats.read(tmp_path / "a.png")
    torch.testing.assert_close(image.pixels, pixels, atol=1e-5, rtol=0)
    torch.testing.assert_close(image.metadata["alpha"], alpha, atol=1e-5, rtol=0)


def test_pillow_agrees_on_a_16_bit_grey_png(tmp_path: Path, formats: Formats) -> None:
    PIL.Image.fromarray(WORDS[..., 0]).save(tmp_path / "a.png")
    image = formats.read(tmp_path / "a.png")
    np.testing.assert_array_equal(_planes(image, 65535)[..., 0], WORDS[..., 0])
    formats.write(tmp_path / "b.png", image)
    with PIL.Image.open(tmp_path / "b.png") as picture:
        np.testing.assert_array_equal(np.array(picture), WORDS[..., 0])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
def test_orientation(tmp_path: Path, formats: Formats, suffix: str, orientation: int) -> None:
    picture = PIL.Image.fromarray(BYTES)
    exif = PIL.Image.Exif()
    exif[274] = orientation
    lossless = {"lossless": True} if suffix == "webp" else {}
    picture.save(tmp_path / f"a.{suffix}", exif=exif, **lossless)
    with PIL.Image.open(tmp_path / f"a.{suffix}") as stored:
        expected = np.array(PIL.ImageOps.exif_transpose(stored))
    np.testing.assert_array_equal(_planes(formats.read(tmp_path / f"a.{suffix}"), 255), expected)


def test_8_bit_round_trip_and_clipping(tmp_path: Path, formats: Formats) -> None:
    pixels = torch.tensor([[[-0.2, 0.0, 0.5, 1.0, 1.3]]])
    for suffix in ("png", "webp"):
        formats.write(tmp_path / f"a.{suffix}", Image(pixels))
        read = formats.read(tmp_path / f"a.{suffix}").pixels[0, 0] * 255
        assert read.tolist() == pytest.approx([0, 0, 128, 255, 255])


def test_data_range_is_mapped_to_the_grey_levels(tmp_path: Path, formats: Formats) -> None:
    formats.write(tmp_path / "a.png", Image(torch.tensor([[[-2.0, 0.0, 2.0]]]), (-2.0, 2.0)))
    read = formats.read(tmp_path / "a.png").pixels[0, 0] * 255
    assert read.tolist() == pytest.approx([0, 128, 255])


def test_jpeg_is_close(tmp_path: Path, formats: Formats) -> None:
    ramp = torch.linspace(0, 1, 64).expand(3, 64, 64)
    formats.write(tmp_path / "a.jpeg", Image(ramp))
    read = formats.read(tmp_path / "a.jpeg").pixels
    torch.testing.assert_close(read, ramp, atol=0.02, rtol=0)


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_tiff_layouts(tmp_path: Path, formats: Formats, planar: str) -> None:
    stored = WORDS if planar == "contig" else np.moveaxis(WORDS, -1, 0)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar)
    np.testing.assert_array_equal(_planes(formats.read(tmp_path / "a.tif"), 65535), WORDS)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "LA", "RGBA"])
def test_tiff_modes(tmp_path: Path, formats: Formats, mode: str) -> None:
    picture = PIL.Image.fromarray(BYTES)
    picture = picture.quantize(16) if mode == "P" else picture.convert(mode)
    picture.save(tmp_path / "a.tif")
    expected = np.array(picture.convert("L" if mode in ("1", "L", "LA") else "RGB"))
    planes = _planes(formats.read(tmp_path / "a.tif"), 255)
    assert np.abs(planes.squeeze() - expected.astype(int)).max() <= (1 if mode == "CMYK" else 0)


def test_tiff_where_white_is_zero(tmp_path: Path, formats: Formats) -> None:
    tifffile.imwrite(tmp_path / "a.tif", 255 - BYTES[..., 0], photometric="miniswhite")
    np.testing.assert_array_equal(
        _planes(formats.read(tmp_path / "a.tif"), 255)[..., 0], BYTES[..., 0]
    )


def test_float_tiff_keeps_its_values(tmp_path: Path, formats: Formats) -> None:
    pixels = torch.randn(3, 8, 9) * 100
    formats.write(tmp_path / "a.tiff", Image(pixels))
    image = formats.read(tmp_path / "a.tiff")
    assert torch.equal(image.pixels, pixels)
    assert image.data_range == (pixels.min().item(), pixels.max().item())
    assert image.metadata["bits"] == 32
    tifffile.imwrite(tmp_path / "b.tif", np.full((3, 4), 0.5, np.float64))
    assert formats.read(tmp_path / "b.tif").data_range == (0, 1)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("kept", [0.01, 0.6])
def test_incomplete_files(
    tmp_path: Path, formats: Formats, suffix: str, bits: int, kept: float
) -> None:
    whole, path = tmp_path / f"whole.{suffix}", tmp_path / f"broken.{suffix}"
    formats.write(whole, Image(torch.rand(3, 40, 40), metadata={"bits": bits}))
    content = whole.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(DataError, match=rf"broken\.{suffix}: cannot be decoded \("):
        formats.read(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "avif", "tif", "npz", "fits.fz"])
def test_decompression_bomb(
    tmp_path: Path, formats: Formats, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    path = tmp_path / f"a.{suffix}"
    formats.write(path, Image(torch.rand(1, 400, 500)))
    with allow(0.1), pytest.raises(DataError) as caught:
        formats.read(path)
    assert str(caught.value) == (
        f"{path}: would decompress to 500 x 400 pixels, more than 0.1 megapixels, which could "
        "exhaust the memory; if you trust it, add --max-input 1"
    )
    if suffix != "webp":  # Pillow has a separate limit for it
        monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 100)  # shared by the whole process
    assert formats.read(path).pixels.shape[1:] == (400, 500)


def test_tiffs_that_are_not_pictures(tmp_path: Path, formats: Formats) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 5), np.complex64))
    with pytest.raises(DataError, match=r"a\.tif: its values are complex64; expected integers or"):
        formats.read(tmp_path / "a.tif")
    lab = np.zeros((4, 5, 3), np.uint8)
    tifffile.imwrite(tmp_path / "b.tif", lab, photometric="cielab")
    with pytest.raises(DataError, match=r"b\.tif: its colours are CIELAB in 3 samples; expected"):
        formats.read(tmp_path / "b.tif")


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (Image(torch.zeros(2, 4, 4)), r"got an image of shape \(2, 4, 4\); a picture file holds"),
        (Image(torch.full((1, 2, 2), torch.nan)), "values that are not finite"),
        (
            Image(torch.zeros(3, 4, 4), metadata={"alpha": torch.zeros(1, 2, 2)}),
            r"the opacity is \(2, 2\) and the image \(4, 4\)",
        ),
    ],
)
def test_images_that_cannot_be_written(
    tmp_path: Path, formats: Formats, image: Image, message: str
) -> None:
    with pytest.raises(DataError, match=rf"a\.png: .*{message}"):
        formats.write(tmp_path / "a.png", image)


def test_formats_pickle(formats: Formats) -> None:
    assert pickle.loads(pickle.dumps(formats)).suffixes == formats.suffixes
