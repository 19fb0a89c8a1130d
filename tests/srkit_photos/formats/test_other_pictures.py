"""BMP, GIF, Netpbm and HEIC, and pictures under the names of other formats."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import PIL.Image
import pytest
import tifffile
from srkit_photos.formats.other_pictures import Heic
from srkit_photos.formats.pillow_formats import PillowFormat
from upscale_setup import upscale_file

from srkit.components.registry import Registry
from srkit.errors import DataError
from srkit.images.formats import Formats
from srkit.models.open import open_model
from srkit.upscaling.upscaler import ImageUpscaler

BYTES = np.random.default_rng(4).integers(0, 256, (9, 12, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def upscaler() -> ImageUpscaler:
    return ImageUpscaler(open_model("nearest", Registry.discover(), scale=2))


def _levels(path: Path, formats: Formats, white: int = 255) -> np.ndarray:
    return (formats.read(path).pixels * white).round().movedim(0, -1).squeeze(-1).numpy()


@pytest.mark.parametrize("suffix", ["bmp", "ppm", "pnm"])
def test_rgb(tmp_path: Path, formats: Formats, upscaler: ImageUpscaler, suffix: str) -> None:
    source, target = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    PIL.Image.fromarray(BYTES).save(source)
    assert upscale_file(source, target, upscaler, formats) == []
    with PIL.Image.open(target) as found:
        np.testing.assert_array_equal(np.array(found), BYTES.repeat(2, 0).repeat(2, 1))


@pytest.mark.parametrize("suffix", ["pgm", "bmp", "pbm"])
def test_grey(tmp_path: Path, formats: Formats, suffix: str) -> None:
    grey = PIL.Image.fromarray(BYTES[..., 0]).convert("1" if suffix == "pbm" else "L")
    grey.save(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(_levels(tmp_path / f"a.{suffix}", formats), grey.convert("L"))


@pytest.mark.parametrize(("magic", "channels"), [(2, 1), (3, 3), (5, 1), (6, 3)])
@pytest.mark.parametrize("white", [1023, 65535])
def test_netpbm_of_more_than_8_bits(
    tmp_path: Path, formats: Formats, magic: int, channels: int, white: int
) -> None:
    shape = (4, 5, 3)[: 2 + channels // 3]
    values = np.random.default_rng(0).integers(0, white + 1, shape)
    header = f"P{magic}\n# a comment\n5 4\n{white}\n".encode()
    text = " ".join(map(str, values.flatten())).encode()
    (tmp_path / "a.ppm").write_bytes(
        header + (text if magic < 4 else values.astype(">u2").tobytes())
    )
    assert formats.read(tmp_path / "a.ppm").metadata["bits"] == 16
    np.testing.assert_array_equal(_levels(tmp_path / "a.ppm", formats, white), values)
    (tmp_path / "b.ppm").write_bytes(header + text[:9])
    with pytest.raises(DataError, match=r"b\.ppm: cannot be decoded"):
        formats.read(tmp_path / "b.ppm")


def test_the_first_frame_of_a_gif(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler
) -> None:
    frames = [PIL.Image.fromarray(each).quantize(64) for each in (BYTES, 255 - BYTES)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    notes = upscale_file(tmp_path / "a.gif", tmp_path / "b.png", upscaler, formats)
    assert notes == ["the first of 2 frames"]
    expected = np.array(frames[0].convert("RGB")).repeat(2, 0).repeat(2, 1)
    np.testing.assert_array_equal(_levels(tmp_path / "b.png", formats), expected)


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "jpe", "jfif", "png", "tif", "bmp", "gif", ""])
@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "PNG", "BMP"])
def test_pictures_under_other_names(
    tmp_path: Path, formats: Formats, suffix: str, kind: str
) -> None:
    path = tmp_path / f"a.{suffix}"
    PIL.Image.fromarray(BYTES).save(path, kind)
    with PIL.Image.open(path) as picture:
        np.testing.assert_array_equal(_levels(path, formats), np.array(picture))


def test_a_tiff_named_png_is_written_as_png(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler
) -> None:
    tifffile.imwrite(tmp_path / "a.png", BYTES, photometric="rgb")
    assert upscale_file(tmp_path / "a.png", tmp_path / "b.png", upscaler, formats) == []
    assert (tmp_path / "b.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "a.png").read_bytes().startswith(b"II*")


def test_an_avif_of_more_than_8_bits(
    tmp_path: Path, formats: Formats, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.avif"
    PIL.Image.fromarray(BYTES).save(path)
    image = formats.read(path)
    assert "notes" not in image.metadata
    monkeypatch.setattr(PillowFormat, "read", lambda *_: image)  # Pillow cannot write them
    content = bytearray(path.read_bytes())
    place = content.index(b"av1C") + 6
    for flags, bits in ((0x40, 10), (0x60, 12)):
        content[place] = flags
        path.write_bytes(content)
        assert formats.read(path).metadata["notes"] == [f"{bits} bits are read as 8"]


def _heic_start() -> bytes:
    return b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 200


def test_heic_needs_a_package(
    tmp_path: Path, formats: Formats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    path = tmp_path / "a.jpg"
    path.write_bytes(_heic_start())
    with pytest.raises(DataError) as caught:
        formats.read(path)
    assert str(caught.value) == (
        f"{path}: is a HEIC picture; the package pillow_heif is not installed; install "
        'srkit[heif]: pip install "srkit[heif]"'
    )


@pytest.mark.parametrize(
    ("info", "notes"),
    [
        ({"bit_depth": 8, "depth_images": [], "aux": {}}, []),
        ({"bit_depth": 10}, ["10 bits are read as 8"]),
        (
            {"depth_images": [object()], "aux": {"urn:com:apple:photo:2020:aux:hdrgainmap": [5]}},
            ["its depth map and gain map are dropped"],
        ),
    ],
)
def test_what_is_not_read_of_heic(
    tmp_path: Path,
    formats: Formats,
    monkeypatch: pytest.MonkeyPatch,
    info: dict[str, object],
    notes: list[str],
) -> None:
    package = SimpleNamespace(
        register_heif_opener=lambda: None, open_heif=lambda path: SimpleNamespace(info=info)
    )
    monkeypatch.setitem(sys.modules, "pillow_heif", package)
    PIL.Image.fromarray(BYTES).save(tmp_path / "a.png")
    assert Heic().read(tmp_path / "a.png").metadata["notes"] == notes


def test_heic(tmp_path: Path, formats: Formats) -> None:
    heif = pytest.importorskip("pillow_heif")
    ramp = np.linspace(0, 255, 64 * 48).reshape(48, 64).astype(np.uint8)
    picture = PIL.Image.fromarray(np.dstack([ramp, ramp, ramp]))
    heif.from_pillow(picture).save(tmp_path / "a.jpg", quality=95)
    assert np.abs(_levels(tmp_path / "a.jpg", formats) - np.array(picture).astype(int)).max() < 12
    (tmp_path / "b.heic").write_bytes(_heic_start())
    with pytest.raises(DataError, match=r"b\.heic: cannot be decoded"):
        formats.read(tmp_path / "b.heic")
    (tmp_path / "c.jpg").write_bytes(_heic_start())
    with pytest.raises(DataError, match=r"c\.jpg: is HEIF by its content, and cannot be decoded"):
        formats.read(tmp_path / "c.jpg")
