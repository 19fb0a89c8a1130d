"""Metadata of picture files, compared with Pillow and tifffile."""

from __future__ import annotations

import io
import re
import struct
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.PngImagePlugin
import pytest
import tifffile
import torch
from PIL import ImageCms
from PIL.ExifTags import GPS, IFD, Base
from rich.console import Console
from upscale_setup import upscale_file

from srkit.components.registry import Registry
from srkit.images.formats import Formats
from srkit.interfaces import Image
from srkit.models.open import open_model
from srkit.upscaling.files import FileUpscaler, upscale_files
from srkit.upscaling.jobs import Job
from srkit.upscaling.upscaler import ImageUpscaler

BYTES = np.random.default_rng(5).integers(0, 256, (10, 14, 3), dtype=np.uint8)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture(scope="module")
def upscaler() -> ImageUpscaler:
    return ImageUpscaler(open_model("nearest", Registry.discover(), scale=2))


def _camera() -> PIL.Image.Exif:
    """Return the EXIF of a camera held upright; the stored pixels are rotated."""
    exif = PIL.Image.Exif()
    exif[Base.Make] = "Somebody"
    exif[Base.Orientation] = 6
    exif[Base.XResolution] = exif[Base.YResolution] = 72.0
    exif[Base.ResolutionUnit] = 2
    details = exif.get_ifd(IFD.Exif)
    details[Base.ExposureTime] = 1 / 60
    details[Base.ExifImageWidth], details[Base.ExifImageHeight] = 14, 10
    details[Base.MakerNote] = b"of its own kind"
    exif.get_ifd(IFD.GPSInfo)[GPS.GPSLatitudeRef] = "N"
    return exif


def _upscale(source: Path, target: Path, upscaler: ImageUpscaler, formats: Formats) -> list[str]:
    return upscale_file(source, target, upscaler, formats)


@pytest.mark.parametrize("source", ["jpg", "png", "webp", "avif"])
@pytest.mark.parametrize("target", ["jpg", "png", "webp", "avif", "tif"])
def test_exif_is_kept_with_an_upright_orientation(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler, source: str, target: str
) -> None:
    given, found = tmp_path / f"a.{source}", tmp_path / f"b.{target}"
    PIL.Image.fromarray(BYTES).save(given, exif=_camera(), icc_profile=SRGB)
    assert _upscale(given, found, upscaler, formats) == []
    with PIL.Image.open(found) as picture:
        assert picture.size == (20, 28)
        assert picture.info["icc_profile"] == SRGB
        exif = picture.getexif()
        details = exif.get_ifd(IFD.Exif)
        assert exif[Base.Make] == "Somebody"
        assert exif.get(Base.Orientation, 1) == 1
        assert float(details[Base.ExposureTime]) == pytest.approx(1 / 60)
        assert (details[Base.ExifImageWidth], details[Base.ExifImageHeight]) == (20, 28)
        assert details[Base.MakerNote] == b"of its own kind"
        assert exif.get_ifd(IFD.GPSInfo)[GPS.GPSLatitudeRef] == "N"
    upright = np.rot90(BYTES, -1).repeat(2, 0).repeat(2, 1)
    if source in ("png",) and target in ("png", "webp", "tif"):
        np.testing.assert_array_equal(formats.read(found).pixels.movedim(0, -1) * 255, upright)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_the_print_size_is_kept(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler, suffix: str
) -> None:
    given, found = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    PIL.Image.fromarray(BYTES).save(given, dpi=(150, 300))
    _upscale(given, found, upscaler, formats)
    with PIL.Image.open(found) as picture:
        assert [float(each) for each in picture.info["dpi"]] == pytest.approx([300, 600], rel=1e-4)


def test_a_resolution_that_files_cannot_store(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler
) -> None:
    PIL.Image.fromarray(BYTES).save(tmp_path / "a.jpg", dpi=(40_000, 40_000))
    assert _upscale(tmp_path / "a.jpg", tmp_path / "b.jpg", upscaler, formats) == []
    with PIL.Image.open(tmp_path / "b.jpg") as picture:
        assert "dpi" not in picture.info


def test_an_unknown_resolution_is_not_invented(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler
) -> None:
    exif = PIL.Image.Exif()
    exif[Base.Orientation] = 1
    PIL.Image.fromarray(BYTES).save(tmp_path / "a.jpg", exif=exif)
    assert _upscale(tmp_path / "a.jpg", tmp_path / "b.jpg", upscaler, formats) == []
    with PIL.Image.open(tmp_path / "b.jpg") as picture:
        assert not picture.info.get("jfif_unit")
        assert Base.XResolution not in picture.getexif()


@pytest.mark.parametrize("bits", [8, 16])
def test_png_colours_and_texts(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler, bits: int
) -> None:
    info = PIL.PngImagePlugin.PngInfo()
    info.add(b"gAMA", struct.pack(">I", 100_000))
    info.add_text("Author", "Somebody")
    values = BYTES[..., 0].astype(np.uint16) * 257 if bits == 16 else BYTES
    PIL.Image.fromarray(values).save(tmp_path / "a.png", pnginfo=info)
    assert _upscale(tmp_path / "a.png", tmp_path / "b.png", upscaler, formats) == []
    with PIL.Image.open(tmp_path / "b.png") as picture:
        picture.load()
        assert picture.info["gamma"] == 1.0
        assert picture.text == {"Author": "Somebody"}
    notes = _upscale(tmp_path / "a.png", tmp_path / "b.jpg", upscaler, formats)
    assert notes[-1].endswith("gamma dropped")
    info.add(b"sRGB", b"\0")  # sRGB takes precedence over gamma
    PIL.Image.fromarray(values).save(tmp_path / "c.png", pnginfo=info)
    assert "gamma" not in formats.read(tmp_path / "c.png").metadata


def test_cmyk_is_converted_with_its_profile(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = PIL.Image.fromarray(BYTES).convert("CMYK")
    picture.save(tmp_path / "a.jpg", icc_profile=SRGB)  # not a CMYK profile, so it is not used
    notes = _upscale(tmp_path / "a.jpg", tmp_path / "b.png", upscaler, formats)
    assert notes == ["CMYK becomes sRGB"]
    with PIL.Image.open(tmp_path / "b.png") as found:
        assert (found.mode, "icc_profile" in found.info) == ("RGB", False)

    seen = []

    def convert(given: PIL.Image.Image, inks: object, screen: object, **options: str) -> object:
        seen.append((given.mode, options["outputMode"]))
        return given.convert("RGB")

    # No CMYK profile with a free licence is available; Pillow does the conversion itself.
    monkeypatch.setattr(ImageCms, "profileToProfile", convert)
    monkeypatch.setattr(ImageCms, "ImageCmsProfile", lambda content: content)
    picture.save(tmp_path / "c.jpg", icc_profile=SRGB[:16] + b"CMYK" + SRGB[20:])
    formats.read(tmp_path / "c.jpg")
    assert seen == [("CMYK", "RGB")]


def test_a_profile_for_other_channels_is_dropped(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler
) -> None:
    PIL.Image.fromarray(BYTES[..., 0]).save(tmp_path / "a.png", icc_profile=SRGB)
    _upscale(tmp_path / "a.png", tmp_path / "b.png", upscaler, formats)
    with PIL.Image.open(tmp_path / "b.png") as picture:
        assert "icc_profile" not in picture.info


def test_transparency_becomes_white_in_formats_without_alpha(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler
) -> None:
    clear = np.zeros((8, 8, 4), np.uint8)
    PIL.Image.fromarray(clear).save(tmp_path / "a.png")
    notes = _upscale(tmp_path / "a.png", tmp_path / "b.jpg", upscaler, formats)
    assert notes == ["a .jpg file cannot hold everything: transparency blended with white"]
    assert formats.read(tmp_path / "b.jpg").pixels.min() == 1


@pytest.mark.parametrize("colour", [(1, 2, 3), 7])
def test_a_transparent_colour_of_16_bits(
    tmp_path: Path, formats: Formats, colour: tuple[int, ...] | int
) -> None:
    values = np.full((4, 4, 3), 9, np.uint16) if isinstance(colour, tuple) else np.full((4, 4), 9)
    values[1, 2] = colour
    from srkit_photos.formats import png16
    from srkit_photos.formats.png_chunks import with_chunks

    stored = struct.pack(f">{values[0, 0].size}H", *np.atleast_1d(colour))
    content = with_chunks(png16.encode(values.astype(np.uint16)), [(b"tRNS", stored)])
    (tmp_path / "a.png").write_bytes(content)
    alpha = formats.read(tmp_path / "a.png").metadata["alpha"][0]
    assert (alpha == 0).nonzero().tolist() == [[1, 2]]
    assert alpha.sum() == 15


def test_a_note_says_that_only_the_first_frame_is_used(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler
) -> None:
    frames = [PIL.Image.fromarray(BYTES), PIL.Image.fromarray(255 - BYTES)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    notes = _upscale(tmp_path / "a.png", tmp_path / "b.png", upscaler, formats)
    assert notes == ["the first of 2 frames"]


@pytest.mark.parametrize("big", [False, True])
def test_every_page_of_a_tiff(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler, big: bool
) -> None:
    pages = [BYTES, BYTES[:, :6], BYTES[:5].astype(np.uint16) * 257, BYTES[..., 0] / 7 - 3]
    with tifffile.TiffWriter(tmp_path / "a.tif", bigtiff=big) as file:
        for page in pages:
            kind = "rgb" if page.ndim == 3 else "minisblack"
            file.write(page.astype(np.float32) if page.dtype == float else page, photometric=kind)
        file.write(BYTES[::2, ::2], photometric="rgb", subfiletype=1)  # a thumbnail
    assert _upscale(tmp_path / "a.tif", tmp_path / "b.tif", upscaler, formats) == []
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        found = [page.asarray() for page in file.pages]
    assert len(found) == 4
    for page, restored in zip(pages, found, strict=True):
        expected = page.repeat(2, 0).repeat(2, 1)
        if page.dtype == float:
            assert restored.dtype == np.float32
            np.testing.assert_allclose(restored, expected, atol=1e-5)
        else:
            np.testing.assert_array_equal(restored, expected)
    notes = _upscale(tmp_path / "a.tif", tmp_path / "b.png", upscaler, formats)
    assert notes == ["only the first of 4 pages is restored: a .png file has one"]


@pytest.mark.parametrize("big", [False, True])
def test_exif_of_a_tiff(
    tmp_path: Path,
    formats: Formats,
    upscaler: ImageUpscaler,
    big: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    PIL.Image.fromarray(BYTES).save(tmp_path / "a.jpg", exif=_camera(), icc_profile=SRGB)
    if big:
        monkeypatch.setattr("srkit_photos.formats.tiff_pages.CLASSIC", 0)
    for source, target in (("a.jpg", "b.tif"), ("b.tif", "c.tif"), ("c.tif", "d.jpg")):
        assert _upscale(tmp_path / source, tmp_path / target, upscaler, formats) == []
    with tifffile.TiffFile(tmp_path / "c.tif") as file:
        assert file.is_bigtiff == big
        tags = file.pages[0].tags
        assert tags["Make"].value == "Somebody"
        assert tags["ExifTag"].value["MakerNote"] == b"of its own kind"
        assert tags["GPSTag"].value["GPSLatitudeRef"] == "N"
        assert tags["InterColorProfile"].value == SRGB
    with PIL.Image.open(tmp_path / "d.jpg") as picture:
        details = picture.getexif().get_ifd(IFD.Exif)
    assert float(details[Base.ExposureTime]) == pytest.approx(1 / 60)
    assert details[Base.ExifImageWidth] == 8 * 10


@pytest.mark.parametrize("options", [{"tile": (16, 16)}, {"bigtiff": True}])
def test_tiled_and_big_tiffs(tmp_path: Path, formats: Formats, options: dict[str, object]) -> None:
    tifffile.imwrite(tmp_path / "a.tif", BYTES, photometric="rgb", **options)
    np.testing.assert_array_equal(
        formats.read(tmp_path / "a.tif").pixels.movedim(0, -1) * 255, BYTES
    )


def test_measured_integers_of_a_tiff_become_floats(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler
) -> None:
    heights = BYTES[..., 0].astype(np.int16) * 100 - 5000
    tifffile.imwrite(tmp_path / "a.tif", heights)
    notes = _upscale(tmp_path / "a.tif", tmp_path / "b.tif", upscaler, formats)
    assert notes == ["int16 values become float32"]
    found = tifffile.imread(tmp_path / "b.tif")
    np.testing.assert_allclose(found, heights.repeat(2, 0).repeat(2, 1), atol=0.01)


def test_one_note_names_metadata_that_the_output_format_cannot_keep(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.linspace(-2, 6, 64, dtype=np.float32).reshape(8, 8))
    shown = io.StringIO()
    jobs = [Job.of(tmp_path / "a.tif", tmp_path / "b.png", formats)]
    upscale_files(jobs, FileUpscaler(upscaler), Console(file=shown, width=300))
    assert shown.getvalue().strip() == (
        f"{tmp_path / 'a.tif'}: a .png file cannot hold everything: floats clipped to -2 (black) "
        "and 6 (white), rounded to 16 bits"
    )
    with PIL.Image.open(tmp_path / "b.png") as picture:
        assert picture.mode == "I;16"
        assert (np.array(picture).min(), np.array(picture).max()) == (0, 65535)


XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description
 tiff:Orientation="6" tiff:XResolution="720000/10000" exif:PixelXDimension='14'
 dc:title="tiff:ImageWidth">
 <exif:PixelYDimension> 10 </exif:PixelYDimension><xmp:Rating>5</xmp:Rating>
</rdf:Description></rdf:RDF></x:xmpmeta>"""


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "avif", "tif"])
def test_xmp_is_kept_and_follows_the_pixels(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler, ending: str
) -> None:
    PIL.Image.fromarray(BYTES).save(tmp_path / "a.jpg", xmp=XMP, exif=_camera(), dpi=(72, 72))
    notes = _upscale(tmp_path / "a.jpg", tmp_path / f"b.{ending}", upscaler, formats)
    assert notes == []
    # Also from that format to itself.
    assert _upscale(tmp_path / f"b.{ending}", tmp_path / f"c.{ending}", upscaler, formats) == []
    for name, scale in ((f"b.{ending}", 2), (f"c.{ending}", 4)):
        with PIL.Image.open(tmp_path / name) as picture:
            found = picture.info["xmp"]
            width, height = picture.size
        assert (width, height) == (scale * BYTES.shape[0], scale * BYTES.shape[1])  # turned
        assert b'tiff:Orientation="1"' in found
        assert b"exif:PixelXDimension='%d'" % width in found
        assert b"<exif:PixelYDimension> %d </exif:PixelYDimension>" % height in found
        assert b'dc:title="tiff:ImageWidth"' in found
        assert b"<xmp:Rating>5</xmp:Rating>" in found
        if ending in ("jpg", "png", "tif"):
            assert abs(_ratio(found) - 72 * scale) < 0.1
    content = (tmp_path / f"c.{ending}").read_bytes()
    assert content.count(b"<xmp:Rating>") == 1


def _ratio(xmp: bytes) -> float:
    found = re.search(rb'tiff:XResolution="(\d+)/(\d+)"', xmp)
    assert found is not None
    return int(found[1]) / int(found[2])


def test_xmp_that_a_file_cannot_store(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler
) -> None:
    long = XMP + b" " * 70_000
    formats.write(tmp_path / "a.tif", Image(torch.rand(3, 4, 5), metadata={"bits": 8, "xmp": long}))
    assert _upscale(tmp_path / "a.tif", tmp_path / "b.tif", upscaler, formats) == []
    assert formats.read(tmp_path / "b.tif").metadata["xmp"].endswith(b" " * 70_000)
    notes = _upscale(tmp_path / "a.tif", tmp_path / "b.jpg", upscaler, formats)
    assert notes == ["a .jpg file cannot hold everything: XMP dropped"]
    assert "xmp" not in formats.read(tmp_path / "b.jpg").metadata


def test_notes_name_metadata_that_no_output_keeps(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler
) -> None:
    block = b"8BIM\x04\x04\0\0\0\0\0\x05\x1c\x02\x05\0\0\0"
    marker = b"Photoshop 3.0\0" + block
    PIL.Image.fromarray(BYTES).save(tmp_path / "a.jpg")
    content = (tmp_path / "a.jpg").read_bytes()
    segment = b"\xff\xed" + (len(marker) + 2).to_bytes(2, "big") + marker
    (tmp_path / "a.jpg").write_bytes(content[:2] + segment + content[2:])
    notes = _upscale(tmp_path / "a.jpg", tmp_path / "b.jpg", upscaler, formats)
    assert notes == ["its IPTC is dropped"]
    tags = {33550: (12, 2, (1.0, 1.0)), 33723: (1, 8, b"\x1c\x02\x05\0\x03abc")}
    for chosen, expected in (
        ((33550,), "its GeoTIFF tags are dropped"),
        ((33723,), "its IPTC is dropped"),
        ((33550, 33723), "its IPTC and GeoTIFF tags are dropped"),
    ):
        extra = [(tag, *tags[tag], True) for tag in chosen]
        tifffile.imwrite(tmp_path / "a.tif", BYTES, photometric="rgb", extratags=extra)
        target = tmp_path / f"b{len(expected)}.tif"
        assert _upscale(tmp_path / "a.tif", target, upscaler, formats) == [expected]
