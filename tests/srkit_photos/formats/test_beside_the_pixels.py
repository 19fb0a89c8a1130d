"""What is beside the pixels of pictures: each tag is scaled, removed, or reported."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import tifffile
from frames_setup import by_windows
from PIL.ExifTags import IFD, Base
from srkit_photos.formats import xmp
from srkit_photos.formats.png_chunks import KEPT
from srkit_photos.formats.tiff_pages import DESCRIPTIONS, LEFT_OUT
from upscale_setup import upscale_file

from srkit.components.registry import Registry
from srkit.images.formats import Formats
from srkit.models.open import open_model
from srkit.upscaling.upscaler import ImageUpscaler

BYTES = np.random.default_rng(5).integers(0, 256, (10, 14, 3), dtype=np.uint8)
#: A prefix for each namespace.
DECLARED = {
    address: f"p{number}" for number, (address, *_) in enumerate((*xmp.ANNOUNCED, *xmp.REGIONS))
}


@pytest.fixture(scope="module")
def upscaler() -> ImageUpscaler:
    return ImageUpscaler(open_model("nearest", Registry.discover(), scale=2))


def _xmp(attributes: str, elements: str = "") -> bytes:
    declared = " ".join(f'xmlns:{prefix}="{address}"' for address, prefix in DECLARED.items())
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description xmp:Rating="5" '
        f"{declared} {attributes}>{elements}<dc:title>A &gt; B</dc:title>"
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


def _through_jpeg(
    tmp_path: Path, upscaler: ImageUpscaler, formats: Formats, **options: Any
) -> tuple[list[str], PIL.Image.Image]:
    PIL.Image.fromarray(BYTES).save(tmp_path / "a.jpg", **options)
    notes = upscale_file(tmp_path / "a.jpg", tmp_path / "b.jpg", upscaler, formats)
    return notes, PIL.Image.open(io.BytesIO((tmp_path / "b.jpg").read_bytes()))


NAMES = {r"[\w.-]+": "Version", r"(?:MotionPhoto|MicroVideo)\w*": "MotionPhotoVersion"}


@pytest.mark.parametrize(("address", "names", "what"), xmp.ANNOUNCED)
@pytest.mark.parametrize("form", ["attribute", "element", "empty element"])
def test_xmp_does_not_announce_what_is_gone(
    tmp_path: Path,
    formats: Formats,
    upscaler: ImageUpscaler,
    address: str,
    names: str,
    what: str | None,
    form: str,
) -> None:
    name = f"{DECLARED[address]}:{NAMES.get(names, names)}"
    written = {
        "attribute": (f'{name}="1.0"', ""),
        "element": ("", f"<{name}><rdf:Seq><rdf:li>1</rdf:li></rdf:Seq></{name}>"),
        "empty element": ("", f'<{name} rdf:resource="a/b"/>'),
    }[form]
    notes, picture = _through_jpeg(tmp_path, upscaler, formats, xmp=_xmp(*written))
    assert notes == ([] if what is None else [f"its {what} is dropped"])
    found = picture.info["xmp"]
    assert name.encode() not in found
    for kept in (b'xmp:Rating="5"', b"<dc:title>A &gt; B</dc:title></rdf:Description>"):
        assert kept in found


def test_the_items_of_a_container_are_named(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler
) -> None:
    container, item, camera = (
        DECLARED[f"http://ns.google.com/photos/1.0/{name}/"]
        for name in ("container", "container/item", "camera")
    )
    items = "".join(
        f'<rdf:li rdf:parseType="Resource"><{container}:Item {item}:Semantic="{kind}"/></rdf:li>'
        for kind in ("Primary", "GainMap", "MotionPhoto")
    )
    elements = f"<{container}:Directory><rdf:Seq>{items}</rdf:Seq></{container}:Directory>"
    stored = _xmp(f'{camera}:MotionPhoto="1" {camera}:SpecialTypeID="2"', elements)
    notes, picture = _through_jpeg(tmp_path, upscaler, formats, xmp=stored)
    assert notes == ["its gain map and video are dropped"]
    assert f'{camera}:SpecialTypeID="2"'.encode() in picture.info["xmp"]
    assert b"Directory" not in picture.info["xmp"] and b"rdf:li" not in picture.info["xmp"]


@pytest.mark.parametrize("name", [*xmp.SCALED, b"stDim:w", b"stDim:h"])
def test_xmp_that_counts_pixels_is_scaled(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler, name: bytes
) -> None:
    stored = _xmp(f'{name.decode()}="7000" stDim:unit="pixel"')
    notes, picture = _through_jpeg(tmp_path, upscaler, formats, xmp=stored)
    assert notes == []
    assert name + b'="14000"' in picture.info["xmp"]
    as_element = xmp.enlarged(b"<%b>300/2</%b>" % (name, name), 2)
    assert as_element == (b"<%b>%b/2</%b>" % (name, b"300" if b"stDim" in name else b"600", name))


@pytest.mark.parametrize(("address", "name", "what"), xmp.REGIONS)
@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_regions_of_a_picture_that_is_turned_are_dropped(
    tmp_path: Path,
    formats: Formats,
    upscaler: ImageUpscaler,
    address: str,
    name: str,
    what: str,
    suffix: str,
) -> None:
    name = f"{DECLARED[address]}:{name}"
    area = '<rdf:li stArea:x="0.25" stArea:y="0.5" stArea:unit="normalized"/>'
    stored = _xmp("", f'<{name} rdf:parseType="Resource"><rdf:Bag>{area}</rdf:Bag></{name}>')
    source, target = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    for orientation in (1, 6):
        exif = PIL.Image.Exif()
        exif[Base.Orientation] = orientation
        options: dict[str, Any] = {"exif": exif, "xmp": stored}
        if suffix == "tif":
            options = {"tiffinfo": {Base.Orientation: orientation, 700: stored}}
        PIL.Image.fromarray(BYTES).save(source, **options)
        target.unlink(missing_ok=True)
        notes = upscale_file(source, target, upscaler, formats)
        assert notes == ([] if orientation == 1 else [f"its {what} are dropped"])
        content = target.read_bytes()
        assert (name.encode() in content) == (area.encode() in content) == (orientation == 1)
        assert b'xmp:Rating="5"' in content
    long = _xmp("", f"<{name}>{'x' * xmp.LARGEST}</{name}>")
    assert xmp.without_regions(long) == (b"", ["XMP"])
    long = long.replace(b"http", b"")
    assert xmp.without_regions(long) == (long, [])


def test_image_regions_in_pixels_are_scaled() -> None:
    for unit, expected in (("pixel", b"24"), ("relative", b"12")):
        stored = _xmp(f'Iptc4xmpExt:rbUnit="{unit}" Iptc4xmpExt:rbX="12"')
        assert b'rbX="' + expected + b'"' in xmp.enlarged(stored, 2)


def test_a_gain_map_of_the_iso_standard_is_reported(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler
) -> None:
    PIL.Image.fromarray(BYTES).save(tmp_path / "a.jpg")
    content, marker = (tmp_path / "a.jpg").read_bytes(), b"urn:iso:std:iso:ts:21496:-1\0\0\0\0\0"
    segment = b"\xff\xe2" + (len(marker) + 2).to_bytes(2) + marker
    (tmp_path / "a.jpg").write_bytes(content[:2] + segment + content[2:])
    notes = upscale_file(tmp_path / "a.jpg", tmp_path / "b.jpg", upscaler, formats)
    assert notes == ["its gain map is dropped"]


def test_the_other_pictures_of_a_jpeg(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler
) -> None:
    pictures = [PIL.Image.fromarray(each) for each in (BYTES, 255 - BYTES)]
    pictures[0].save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=pictures[1:])
    notes = upscale_file(tmp_path / "a.jpg", tmp_path / "b.jpg", upscaler, formats)
    assert notes == ["the first of 2 frames"]


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_exif_entries(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler, orientation: int, suffix: str
) -> None:
    exif = PIL.Image.Exif()
    exif[Base.Orientation] = orientation
    exif[Base.XResolution] = exif[Base.YResolution] = 72.0
    exif[Base.ResolutionUnit] = 2
    details = exif.get_ifd(IFD.Exif)
    details[Base.FocalPlaneXResolution], details[Base.FocalPlaneYResolution] = 3000.0, 1500.0
    details[37396], details[41492] = (7, 5, 4, 2), (3, 8)
    details[Base.CompressedBitsPerPixel] = 4.0
    details[Base.ISOSpeedRatings] = 400
    PIL.Image.fromarray(BYTES).save(tmp_path / "a.jpg", exif=exif)
    assert upscale_file(tmp_path / "a.jpg", tmp_path / f"b.{suffix}", upscaler, formats) == []
    with PIL.Image.open(tmp_path / f"b.{suffix}") as picture:
        found = picture.getexif().get_ifd(IFD.Exif)
    across, down = (found[tag] for tag in (Base.FocalPlaneXResolution, Base.FocalPlaneYResolution))
    assert (across, down) == ((3000, 6000) if orientation == 6 else (6000, 3000))
    assert found[Base.ISOSpeedRatings] == 400
    assert Base.CompressedBitsPerPixel not in found
    if orientation == 1:
        assert (tuple(found[37396]), tuple(found[41492])) == ((14, 10, 8, 4), (6, 16))
    else:  # they would refer to other places
        assert 37396 not in found and 41492 not in found


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_texts_of_exif_keep_their_characters(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler, suffix: str, encoding: str
) -> None:
    exif = PIL.Image.Exif()
    exif[Base.Artist] = "José".encode(encoding)
    exif[Base.Make] = "Somebody"
    PIL.Image.fromarray(BYTES).save(tmp_path / "a.jpg", exif=exif)
    assert upscale_file(tmp_path / "a.jpg", tmp_path / f"b.{suffix}", upscaler, formats) == []
    with PIL.Image.open(tmp_path / f"b.{suffix}") as picture:
        found = picture.getexif()
    assert found[Base.Artist].encode("latin-1") == "José".encode(encoding)
    assert found[Base.Make] == "Somebody"


def test_a_resolution_that_files_cannot_store_leaves_exif(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler
) -> None:
    exif = PIL.Image.Exif()
    exif[Base.XResolution] = exif[Base.YResolution] = 40_000.0
    exif[Base.ResolutionUnit] = 2
    notes, picture = _through_jpeg(tmp_path, upscaler, formats, exif=exif)
    assert notes == []
    assert Base.XResolution not in picture.getexif()


#: Contents of chunks that Pillow accepts.
CHUNKS = {
    b"cICP": bytes([1, 13, 0, 1]),
    b"cHRM": struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000),
    b"gAMA": struct.pack(">I", 45455),
    b"mDCV": bytes(24),
    b"cLLI": bytes(8),
    b"sRGB": b"\0",
    b"tEXt": b"Author\0Somebody",
    b"zTXt": b"Author\0\0" + zlib.compress(b"Somebody"),
    b"iTXt": b"Author\0\0\0\0\0Somebody",
    b"sBIT": b"\5\6\5",
    b"oFFs": struct.pack(">iiB", 10, 20, 0),
    b"sCAL": b"\x010.1\x000.1",
    b"hIST": bytes(6),
    b"tIME": struct.pack(">HBBBBB", 2020, 1, 1, 0, 0, 0),
}


def _png_with(chunk: bytes, content: bytes) -> bytes:
    file = io.BytesIO()
    PIL.Image.fromarray(BYTES).save(file, "PNG")
    whole = struct.pack(">I", len(content)) + chunk + content
    whole += struct.pack(">I", zlib.crc32(chunk + content))
    return file.getvalue()[:33] + whole + file.getvalue()[33:]


@pytest.mark.parametrize("chunk", CHUNKS)
def test_png_chunks(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler, chunk: bytes
) -> None:
    (tmp_path / "a.png").write_bytes(_png_with(chunk, CHUNKS[chunk]))
    upscale_file(tmp_path / "a.png", tmp_path / "b.png", upscaler, formats)
    content = (tmp_path / "b.png").read_bytes()
    assert (chunk + CHUNKS[chunk] in content) == (chunk in KEPT)
    assert (chunk in content) == (chunk in KEPT)


def test_pixels_that_are_not_square(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler
) -> None:
    ratio = struct.pack(">IIB", 2, 1, 0)
    (tmp_path / "a.png").write_bytes(_png_with(b"pHYs", ratio))
    upscale_file(tmp_path / "a.png", tmp_path / "b.png", upscaler, formats)
    assert b"pHYs" + ratio in (tmp_path / "b.png").read_bytes()


# tifffile parses those of LSM, which must be genuine.
@pytest.mark.parametrize("name", [name for name in LEFT_OUT if name != "LSM metadata"])
def test_tiff_tags_that_are_reported(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler, name: str
) -> None:
    for tag in LEFT_OUT[name]:
        extra = [(tag, 1, 8, b"12345678", True)]
        tifffile.imwrite(tmp_path / "a.tif", BYTES, photometric="rgb", extratags=extra)
        target = tmp_path / f"{tag}.tif"
        verb = "are" if name.endswith("s") else "is"
        notes = upscale_file(tmp_path / "a.tif", target, upscaler, formats)
        assert notes[0] == f"its {name} {verb} dropped"
        # tifffile reports in addition that some of these contents are not genuine.
        assert all(each.startswith("not all of it can be read: ") for each in notes[1:])
        with tifffile.TiffFile(target) as file:
            assert tag not in file.pages[0].aspage().tags


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Aperio Image Library |MPP = 0.5", "Aperio description"),
        ("SI.VERSION = 5", "ScanImage description"),
    ],
)
def test_descriptions_of_the_layout_are_reported(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler, text: str, name: str
) -> None:
    assert name in DESCRIPTIONS
    values = BYTES[..., 0]
    tifffile.imwrite(tmp_path / "a.tif", values, description=text, metadata=None)
    notes = upscale_file(tmp_path / "a.tif", tmp_path / "b.tif", upscaler, formats)
    assert len(notes) == 1 and notes[0].startswith(f"its {name} ")
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert file.pages[0].aspage().description == ""


@pytest.mark.parametrize("axes", ["TZCYX", "CYX", "YX"])
def test_a_stack_of_imagej(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler, axes: str
) -> None:
    sides = {"T": 3, "Z": 2, "C": 2, "Y": 6, "X": 8}
    values = np.random.default_rng(0).integers(0, 65536, [sides[a] for a in axes], np.uint16)
    metadata = {"axes": axes, "unit": "um", "spacing": 0.5}
    tifffile.imwrite(tmp_path / "a.tif", values, imagej=True, metadata=metadata, resolution=(10, 5))
    assert upscale_file(tmp_path / "a.tif", tmp_path / "b.tif", upscaler, formats) == []
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert file.is_imagej
        assert file.series[0].axes == axes
        np.testing.assert_array_equal(file.series[0].asarray(), values.repeat(2, -1).repeat(2, -2))
        assert file.imagej_metadata["unit"] == "um"
        assert file.pages[0].aspage().get_resolution() == (20, 10)  # pixels per um


def test_images_behind_one_directory(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler
) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (5, 6, 8), np.uint16)
    content = io.BytesIO()
    tifffile.imwrite(content, values, imagej=True, metadata={"axes": "ZYX"}, truncate=True)
    (tmp_path / "a.tif").write_bytes(content.getvalue())
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert len(file.pages) == 1
    assert upscale_file(tmp_path / "a.tif", tmp_path / "b.tif", upscaler, formats) == []
    np.testing.assert_array_equal(
        tifffile.imread(tmp_path / "b.tif"), values.repeat(2, -1).repeat(2, -2)
    )


TIES = (3.0, 5.0, 0.0, 500_000.0, 4_100_000.0, 7.0)
MATRIX = np.array([[0.4, 0.1, 0, 500.0], [0.2, -0.5, 0, 900.0], [0, 0, 1, 3.0], [0, 0, 0, 1]])


def _keys(kind: int) -> tuple[int, ...]:
    return (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, kind, 3072, 0, 1, 32633)


def _geotiff(path: Path, extra: list[tuple[Any, ...]], **options: Any) -> Path:
    values = np.arange(80, dtype=np.uint16).reshape(8, 10)
    tifffile.imwrite(path, values, extratags=extra, metadata=None, **options)
    return path


def _tags_of(path: Path) -> dict[int, Any]:
    with tifffile.TiffFile(path) as file:
        return {tag.code: tag.value for tag in file.pages[0].aspage().tags}


def _ground(tags: dict[int, Any], column: float, row: float) -> tuple[float, ...]:
    """Return where a position, in pixels from the corner of the first one, is on the ground."""
    half = 0.5 if tags[34735][11] == 2 else 0.0
    column, row = column - half, row - half
    if 34264 in tags:
        return tuple(np.reshape(tags[34264], (4, 4)) @ [column, row, 0, 1])
    (across, down, _), (i, j, _, x, y, z) = tags[33550], tags[33922]
    return x + (column - i) * across, y - (row - j) * down, z


@pytest.mark.parametrize("scale", [2, 3, 1.5])
@pytest.mark.parametrize("kind", [1, 2])
@pytest.mark.parametrize("form", ["tie", "matrix"])
def test_places_on_the_ground_stay_the_same(
    tmp_path: Path, formats: Formats, scale: float, kind: int, form: str
) -> None:
    extra: list[tuple[Any, ...]] = [
        (34735, 3, 16, _keys(kind), True),
        (34736, 12, 1, (6_378_137.0,), True),
        (34737, 2, 0, "WGS 84 / UTM zone 33N|", True),
    ]
    if form == "tie":
        extra += [(33550, 12, 3, (30.0, 20.0, 2.0), True), (33922, 12, 6, TIES, True)]
    else:
        extra += [(34264, 12, 16, tuple(MATRIX.ravel()), True)]
    source, target = _geotiff(tmp_path / "a.tif", extra), tmp_path / "b.tif"
    upscaler = ImageUpscaler(open_model("bilinear", Registry.discover(), scale=2), scale=scale)
    assert upscale_file(source, target, upscaler, formats) == []
    lr, sr = _tags_of(source), _tags_of(target)
    for column, row in ((0.0, 0.0), (10.0, 8.0), (2.5, 7.5)):
        here = _ground(lr, column, row)
        assert _ground(sr, scale * column, scale * row) == pytest.approx(here, rel=1e-12)
    for tag in (34735, 34736, 34737):
        assert sr[tag] == lr[tag]
    if form == "tie":
        assert sr[33550] == (30 / scale, 20 / scale, 2)
        shift = (scale - 1) / 2 if kind == 2 else 0
        assert sr[33922] == (3 * scale + shift, 5 * scale + shift, *TIES[2:])


def test_a_tie_of_the_first_corner_stays(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler
) -> None:
    tie = (0.0, 0.0, 0.0, 10.0, 20.0, 0.0)
    extra = [(33550, 12, 3, (1.0, 1.0, 0.0), True), (33922, 12, 6, tie, True)]
    target = tmp_path / "b.tif"
    upscale_file(_geotiff(tmp_path / "a.tif", extra), target, upscaler, formats)
    assert _tags_of(target)[33922] == tie


@pytest.mark.parametrize("form", ["geotiff", "ome"])
def test_windows_keep_the_same_tags(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler, form: str
) -> None:
    source = tmp_path / "a.ome.tif"
    if form == "ome":
        tifffile.imwrite(source, np.ones((6, 8), np.uint16), metadata={"PhysicalSizeX": 0.5})
    else:
        extra = [(33550, 12, 3, (1.0, 1.0, 0.0), True), (33922, 12, 6, TIES, True)]
        _geotiff(source, [*extra, (42113, 2, 0, "7", True)], ome=False)
    whole, windows = tmp_path / "whole.tif", tmp_path / "windows.tif"
    upscale_file(source, whole, upscaler, formats)
    with by_windows():
        upscale_file(source, windows, upscaler, formats)
    one, other = _tags_of(whole), _tags_of(windows)
    assert {270} <= other.keys() if form == "ome" else {33550, 33922, 42113} <= other.keys()
    for tag in (270, 33550, 33922, 42113):
        assert one.get(tag) == other.get(tag)


def test_metadata_and_nodata_of_gdal(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler
) -> None:
    item = '<Item name="BAND" sample="0">nir</Item>'
    text = (
        f'<GDALMetadata>\n  {item}\n  <Item name="STATISTICS_MEAN" sample="0" role="">4.5</Item>\n'
        "</GDALMetadata>\n"
    )
    for nodata, expected, note in (
        ("7", "nan", True),
        ("-9999", "-9999", False),
        ("x", None, True),
    ):
        extra = [(42112, 2, 0, text, True), (42113, 2, 0, nodata, True)]
        target = tmp_path / f"{nodata}.tif"
        notes = upscale_file(_geotiff(tmp_path / "a.tif", extra), target, upscaler, formats)
        assert bool(notes) == note and not any("dropped" in each for each in notes)
        tags = _tags_of(target)
        assert tags[42112] == f"<GDALMetadata>\n  {item}\n</GDALMetadata>"
        assert tags.get(42113) == expected
        assert np.isnan(tifffile.imread(target)).sum() == (4 if nodata == "7" else 0)


@pytest.mark.parametrize("tag", [33550, 33922, 34264, 34735, 34736])
def test_geotiff_tags_that_cannot_be_kept_are_reported(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler, tag: int
) -> None:
    damaged = [(tag, 1, 8, b"12345678", True), (42112, 2, 0, "<GDALMetadata/>", True)]
    turned = [(33550, 12, 3, (1.0, 1.0, 0.0), True), (274, 3, 1, 6, True)]
    for extra in (damaged, turned):
        source, target = _geotiff(tmp_path / "a.tif", extra), tmp_path / "b.tif"
        target.unlink(missing_ok=True)
        notes = upscale_file(source, target, upscaler, formats)
        assert notes[0] == "its GeoTIFF tags are dropped"
        assert _tags_of(target).keys().isdisjoint({33550, tag})
        assert (42112 in _tags_of(target)) == (extra is damaged)
    whole = [(33550, 12, 3, (1.0, 1.0, 0.0), True)]
    source = _geotiff(tmp_path / "c.tif", whole)
    (note,) = upscale_file(source, tmp_path / "c.png", upscaler, formats)
    assert note.endswith("GeoTIFF and GDAL tags dropped")


OME = {"axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm", "PhysicalSizeZ": 3.0}


def test_ome_metadata(tmp_path: Path, formats: Formats, upscaler: ImageUpscaler) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (3, 6, 8), np.uint16)
    tifffile.imwrite(tmp_path / "a.ome.tif", values, metadata=OME)
    assert upscale_file(tmp_path / "a.ome.tif", tmp_path / "b.ome.tif", upscaler, formats) == []
    with tifffile.TiffFile(tmp_path / "b.ome.tif") as file:
        assert file.is_ome and file.series[0].axes == "ZYX"
        np.testing.assert_array_equal(file.series[0].asarray(), values.repeat(2, -1).repeat(2, -2))
        text = file.ome_metadata
    assert text is not None
    for kept in ('SizeX="16"', 'SizeY="12"', 'SizeZ="3"', 'PhysicalSizeX="0.25"', 'Type="uint16"'):
        assert f" {kept}" in text
    assert 'PhysicalSizeXUnit="µm"' in text and 'PhysicalSizeZ="3.0"' in text
    assert "UUID" not in text


def test_ome_metadata_of_values_that_become_floats(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler
) -> None:
    values = np.arange(48, dtype=np.int32).reshape(6, 8)
    tifffile.imwrite(tmp_path / "a.ome.tif", values, metadata={"SignificantBits": 9})
    upscale_file(tmp_path / "a.ome.tif", tmp_path / "b.ome.tif", upscaler, formats)
    with tifffile.TiffFile(tmp_path / "b.ome.tif") as file:
        assert file.ome_metadata is not None
        assert 'Type="float"' in file.ome_metadata and "SignificantBits" not in file.ome_metadata
        assert file.series[0].dtype == np.float32


@pytest.mark.parametrize(
    "change",
    [
        ("<Pixels", "<Pixels IsNothing"),
        ('SizeX="8"', 'SizeX="9"'),
        ("<TiffData", '<TiffData FileName="b.tif"'),
        ("</OME>", "<ROI/></OME>"),
        ("<Pixels", "<Other"),
    ],
)
def test_ome_metadata_that_cannot_be_kept_are_reported(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler, change: tuple[str, str]
) -> None:
    values = np.zeros((6, 8), np.uint8)
    tifffile.imwrite(tmp_path / "a.ome.tif", values, metadata={})
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as file:
        text = file.pages[0].aspage().description
    assert change[0] in text
    text = text.replace(*change)
    tifffile.imwrite(tmp_path / "a.tif", values, description=text, metadata=None)
    expected = (
        [] if "IsNothing" in change[1] else ["its OME metadata (axes, sizes, units) is dropped"]
    )
    notes = upscale_file(tmp_path / "a.tif", tmp_path / "b.tif", upscaler, formats)
    assert [each for each in notes if "OME" in each] == expected
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert ("OME" in file.pages[0].aspage().description) == (not expected)
